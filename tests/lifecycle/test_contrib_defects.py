"""What contrib (opentelemetry-instrumentation-celery) loses when tasks and processes end; none of it is lost here."""

from __future__ import annotations

import signal

from tests.harness.waiting import until


def runs(site):
    return [span for span in site.spans() if span.kind == "CONSUMER"]


def test_contrib_loses_all_spans_of_a_recycled_child(open_site):
    with open_site("prefork", args=("--max-tasks-per-child", "1"), concurrency=1) as site:
        for _ in range(2):
            site.app.send_task("end.succeed").get(timeout=20)
        until(lambda: len(runs(site)) == 2, what="the spans of two recycled processes")


def test_contrib_loses_all_spans_of_a_stopped_worker(open_site):
    with open_site("prefork") as site:
        for _ in range(3):
            site.app.send_task("end.succeed").get(timeout=20)
        assert runs(site) == []
        site.worker.stop(signal.SIGTERM)
        assert len(runs(site)) == 3


def test_contrib_makes_no_span_of_a_task_that_is_killed_or_never_runs(open_site):
    with open_site("prefork", concurrency=1) as site:
        app = site.app
        killed = [app.send_task("end.kill_itself"), app.send_task("end.overrun")]
        unknown = app.send_task("end.unknown")
        expired = app.send_task("end.succeed", countdown=0.4, expires=0.1)
        results = [*killed, unknown, expired]
        until(lambda: all(result.ready() for result in results), what="all ends")
        site.worker.stop(signal.SIGTERM)
        told = {span.message_id: span.attributes["celery.state"] for span in runs(site)}
    assert [told[result.id] for result in results] == ["FAILURE", "FAILURE", "UNKNOWN", "EXPIRED"]


def test_contrib_leaks_a_span_and_its_context_when_a_task_exits(open_site, tmp_path):
    told = tmp_path / "contexts"
    with open_site("threads", told={"contexts": str(told)}) as site:
        site.app.send_task("end.exit_gently")
        until(told.exists, what="the end of the task")
        site.worker.stop(signal.SIGTERM)
        assert told.read_text() == "end.exit_gently as before\n"
        assert [span.attributes["error.type"] for span in runs(site)] == ["SystemExit"]
