"""A task that runs for long says so while it runs."""

from __future__ import annotations

import json

import pytest

from tests.harness.waiting import until

pytestmark = pytest.mark.slow


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent"])
def test_a_long_task_says_that_it_has_started(operate, pool, tmp_path):
    file = tmp_path / "events"
    with operate(pool, told={"logs": str(file)}, otel_links={"started_after": 0.4}, concurrency=1) as operated:
        operated.app.send_task("operated.sleeper", (0,)).get(timeout=15)
        result = operated.app.send_task("operated.sleeper", (2,))
        (event,) = until(lambda: events(file), what="an event while the task runs")
        assert [run for run in operated.runs() if run.message_id == result.id] == []
        result.get(timeout=15)
        (run,) = until(lambda: [run for run in operated.runs() if run.message_id == result.id], what="the run")
        operated.worker.stop()
    assert events(file) == [event]
    assert event["event"] == "celery.task.started"
    assert (f"{event['trace']:032x}", f"{event['span']:016x}") == (run.trace, run.id)
    assert event["at"] == pytest.approx(run.start / 1e9, abs=0.2)
    attributes = event["attributes"]
    assert attributes["celery.task_name"] == "operated.sleeper"
    assert attributes["messaging.message.id"] == result.id


def test_without_a_logger_provider_it_is_said_once(operate):
    with operate(otel_links={"started_after": 0.1}, concurrency=2) as operated:
        for result in [operated.app.send_task("operated.sleeper", (0.5,)) for _ in range(4)]:
            result.get(timeout=15)
        assert operated.worker.stderr.count("there is no OpenTelemetry logger provider") == 1
