"""A message that is delivered again while its first attempt still runs: two attempts of one task id at once."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest

from tests.harness.waiting import until

pytestmark = pytest.mark.clock

KILLED = ("FAILURE", "billiard.exceptions.WorkerLostError")
OVERRUN = ("FAILURE", "billiard.exceptions.TimeLimitExceeded")
DONE = ("SUCCESS", None)


@pytest.mark.parametrize("last", ["first", "second"])
@pytest.mark.parametrize(
    ("limit", "ends"), [pytest.param(None, KILLED, id="killed"), pytest.param(0.5, OVERRUN, id="hard limit")]
)
def test_each_attempt_has_its_own_span(open_site, tmp_path, limit, ends, last):
    """`last` says which of them ends last: the one that is ended from outside, or the other one."""
    go, first, second = (tmp_path / name for name in ("go", "first", "second"))
    same = {"task_id": str(uuid.uuid4())}
    with open_site("prefork", concurrency=2) as site:
        if last == "first":
            go.touch()
        site.app.send_task("end.wait_for", (str(tmp_path / "never"), str(first)), time_limit=limit, **same)
        until(first.exists, what="the first attempt")
        site.app.send_task("end.wait_for", (str(go), str(second)), **same)
        until(second.exists, what="the second attempt")
        if last == "first":
            until(lambda: "succeeded" in site.worker.stderr, what="the end of the second attempt")
        if limit is None:
            os.kill(pid(first), signal.SIGKILL)
        until(lambda: ends[1].rpartition(".")[2] in site.worker.stderr, what="the end of the first attempt")
        go.touch()
        until(lambda: "succeeded" in site.worker.stderr, what="the end of the second attempt")
        site.worker.stop(signal.SIGTERM)
        runs = sorted((span for span in site.spans() if span.kind == "CONSUMER"), key=lambda span: span.start)
        told = [(run.attributes["celery.state"], run.attributes.get("error.type")) for run in runs]
        assert told == [ends, DONE]
        assert site.complaints() == []


def pid(told: Path) -> int:
    return int(told.read_text())
