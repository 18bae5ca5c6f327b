"""After every task the context is as it was before it, with tasks side by side, whatever happened in them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.harness.waiting import until

POOLS = ("prefork", "threads", "solo", "gevent", "eventlet")
ENDS = ("succeed", "fail", "throw", "ignore", "reject", "return_nonsense")
ROUNDS = 8


@pytest.mark.parametrize("pool", POOLS)
def test_nothing_of_ours_is_left_attached(open_site, tmp_path, pool):
    told = tmp_path / "contexts"
    with open_site(pool, told={"contexts": str(told)}, concurrency=8) as site:
        send = site.app.send_task
        own = []
        for _ in range(ROUNDS):
            own += [send("end.current", (0.05,)), send("end.around"), send("end.around", (True,))]
            for end in ENDS:
                send(f"end.{end}")
            linked = {"otel-propagation": "link"}
            own += [send("end.current", headers=linked), send("end.current", (0.02,))]
        current = [tuple(result.get(timeout=30)) for result in own]
        until(lambda: len(lines(told)) == ROUNDS * (7 + len(ENDS)), what=lambda: f"the end of {len(lines(told))} tasks")
        site.worker.stop(signal.SIGTERM)
        runs = {span.message_id: span.key for span in site.spans()}
        assert current == [runs[result.id] for result in own]
        assert {line for line in lines(told) if not line.endswith(" as before")} == set()
        assert site.complaints() == []


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_that_leaves_something_attached_does_no_harm(open_site, tmp_path, pool):
    told = tmp_path / "contexts"
    with open_site(pool, told={"contexts": str(told)}, concurrency=2) as site:
        for _ in range(ROUNDS):
            site.app.send_task("end.leave_attached")
        last = [site.app.send_task("end.current") for _ in range(ROUNDS)]
        current = [tuple(result.get(timeout=30)) for result in last]
        site.worker.stop(signal.SIGTERM)
        runs = {span.message_id: span.key for span in site.spans()}
        assert current == [runs[result.id] for result in last]
        assert {line for line in lines(told) if not line.endswith(" as before")} == set()
        assert site.complaints() == []


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
