"""Metrics of a worker that forks: every process exports its own, nothing twice; the main process only counts."""

from __future__ import annotations

import signal
from collections import Counter

from tests.harness.waiting import until
from tests.lifecycle.metering import points


def totals(path, name):
    """What all processes together have counted, by `celery.state`: the last that each of them has exported."""
    last = {}
    for point in points(path):
        if point["name"] == name:
            last[point["pid"], point["attributes"].get("celery.state")] = point["count"]
    counts = Counter()
    for (_, state), count in last.items():
        counts[state] += count
    return dict(counts)


def test_the_sums_of_recycled_and_stopped_processes_add_up(open_site, tmp_path):
    exported = tmp_path / "metrics"
    with open_site("prefork", told={"metrics": str(exported)}, args=("--max-tasks-per-child", "3")) as site:
        for result in [site.app.send_task("end.succeed") for _ in range(10)]:
            result.get(timeout=20)
        site.worker.stop(signal.SIGTERM)
    assert totals(exported, "celery.task.outcomes") == {"SUCCESS": 10}
    assert totals(exported, "celery.task.duration") == {"SUCCESS": 10}


def test_what_the_main_process_counts_is_not_exported_by_its_children_again(open_site, tmp_path):
    """It publishes the errback of a task that was killed, and forks the next process afterwards."""
    exported = tmp_path / "metrics"
    with open_site("prefork", told={"metrics": str(exported)}, concurrency=1) as site:
        app = site.app
        for _ in range(2):
            app.send_task("end.kill_itself", link_error=app.signature("end.succeed", immutable=True))
        until(lambda: site.worker.stderr.count("end.succeed") >= 4, what="both errbacks")
        app.send_task("end.succeed").get(timeout=20)
        site.worker.stop(signal.SIGTERM)
        assert [span.attributes["celery.state"] for span in site.spans() if span.kind == "CONSUMER"].count(
            "FAILURE"
        ) == 2
        assert sum(span.kind == "PRODUCER" for span in site.spans()) == 2
    outcomes = totals(exported, "celery.task.outcomes")
    assert outcomes.pop("FAILURE") == 2
    assert outcomes.pop("SUCCESS") in (2, 3)  # one of them ran in a process that was killed later
    assert outcomes == {}
    assert totals(exported, "messaging.client.sent.messages") == {None: 2}
    assert totals(exported, "messaging.client.operation.duration") == {}


def test_other_pools_count_everything(open_site, tmp_path):
    exported = tmp_path / "metrics"
    with open_site("threads", told={"metrics": str(exported)}) as site:
        for result in [site.app.send_task("end.succeed") for _ in range(5)]:
            result.get(timeout=20)
        site.worker.stop(signal.SIGTERM)
    assert totals(exported, "celery.task.outcomes") == {"SUCCESS": 5}
