"""A soft time limit reaches the task, wherever it strikes, and leaves everything as it should be."""

from __future__ import annotations

import re
import signal

import pytest

from tests.harness.waiting import until

SLOW_APP = "tests.lifecycle.slow_app:app"
LIMIT = 0.3
STATISTICS = 120
HARD_LIMIT = 5
LIMITED = ("FAILURE", "billiard.exceptions.SoftTimeLimitExceeded")


def runs(site):
    return {span.message_id: span for span in site.spans() if span.kind == "CONSUMER"}


@pytest.mark.parametrize(
    "slow",
    [
        pytest.param({"on_start CONSUMER": 2 * LIMIT}, id="a span processor's on_start"),
        pytest.param({"run_hook": 2 * LIMIT}, id="a hook"),
        pytest.param({"run_hook": 30}, id="a hook that hangs"),
    ],
)
def test_a_limit_that_strikes_before_the_task_begins_ends_it(open_site, slow):
    with open_site("prefork", app=SLOW_APP, told=slow, concurrency=1) as site:
        result = site.app.send_task("end.run_for", (20,), soft_time_limit=LIMIT)
        with pytest.raises(Exception, match="SoftTimeLimitExceeded"):
            result.get(timeout=15)
        site.worker.stop(signal.SIGTERM)
        (run,) = runs(site).values()
        assert (run.attributes["celery.state"], run.attributes["error.type"]) == LIMITED
        assert (run.end - run.start) / 1e9 < 5


@pytest.mark.parametrize("what", ["on_start PRODUCER", "on_end PRODUCER"])
def test_a_limit_that_strikes_while_a_message_is_published_ends_the_task(open_site, what):
    with open_site("prefork", app=SLOW_APP, told={what: 2 * LIMIT}, concurrency=1) as site:
        args = (f"{site.queue}-nobody", 10)
        result = site.app.send_task("end.publish_until_limited", args, soft_time_limit=LIMIT)
        assert result.get(timeout=15) == "limited"
        site.worker.stop(signal.SIGTERM)
        spans = site.spans()
        (run,) = runs(site).values()
        published = [span for span in spans if span.kind == "PRODUCER"]
        assert published
        assert {span.parent for span in published} == {run.id}
        assert {span.attributes.get("error.type") for span in published} <= {None, LIMITED[1]}
        assert site.complaints() == []


def test_a_limit_that_strikes_when_the_task_has_ended_changes_nothing(open_site):
    with open_site("prefork", app=SLOW_APP, told={"on_end CONSUMER": 2 * LIMIT}, concurrency=1) as site:
        for _ in range(2):
            result = site.app.send_task("end.run_for", (LIMIT / 2,), soft_time_limit=LIMIT)
            assert result.get(timeout=15) is None
        until(lambda: len(runs(site)) == 2, what="both spans")
        site.worker.stop(signal.SIGTERM)
        assert [run.attributes["celery.state"] for run in runs(site).values()] == ["SUCCESS"] * 2
        assert "SoftTimeLimitExceeded" not in site.worker.stderr
        assert site.complaints() == []


def not_limited(open_site, told):
    """How many tasks that publish in a loop were not ended by their limit.

    The worker's log says it: a limit may strike while a result is being stored, which then nobody gets.
    """
    with open_site("prefork", app=SLOW_APP, told=told, concurrency=2) as site:
        args, limits = (f"{site.queue}-nobody", 1), {"soft_time_limit": 0.1, "time_limit": HARD_LIMIT}
        ids = [site.app.send_task("end.publish_until_limited", args, **limits).id for _ in range(STATISTICS)]

        def ended() -> set[str]:
            return set(re.findall(r"\[([0-9a-f-]{36})\] (?:succeeded|raised)", site.worker.stderr)) | hanging()

        def hanging() -> set[str]:
            return set(re.findall(rf"Hard time limit \({HARD_LIMIT}s\) exceeded for \S+\[(.*?)\]", site.worker.stderr))

        until(lambda: ended() >= set(ids), what=lambda: f"all ends: {site.worker.stderr[-3000:]}", timeout=60)
        site.worker.stop(signal.SIGTERM)
        assert site.complaints() == []
        return site.worker.stderr.count("'not limited'") + len(hanging())


def test_no_more_limits_are_lost_than_without_us(open_site, record_property):
    """Celery and kombu lose some themselves: in what they do after a publish, where they swallow every exception.

    Now and then a task hangs, too: a limit that strikes at the beginning of ``Condition.__exit__`` leaves the queue of
    kombu's pool of connections locked for ever. Python's own ``queue`` does so without Celery, within a few tries.
    """
    without, ours = not_limited(open_site, {"uninstrumented": 1}), not_limited(open_site, {})
    record_property("lost without us", without)
    record_property("lost with us", ours)
    assert ours <= without + 3 * (without + 1) ** 0.5
