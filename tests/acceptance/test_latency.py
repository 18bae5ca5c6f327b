"""Every run span says how long its message waited, and for what: asked for, in the broker, in the worker's buffer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.acceptance.stages import EVERYWHERE

pytestmark = [pytest.mark.clock, pytest.mark.stages(*EVERYWHERE)]

PLAIN = "request\n  apply_async/shop.plain\n    run/shop.plain"
EARLY = 0.11  # Celery's timer may start a task this much before its eta
BUSY = 2.0  # what a busy machine may add to any wait


def latency(span):
    prefix = "celery.latency."
    return {name.removeprefix(prefix): told for name, told in span.attributes.items() if name.startswith(prefix)}


def check_sums(told):
    assert told["enqueue_to_start"] == pytest.approx(told.get("scheduled", 0.0) + told["queue"], abs=1e-6)
    assert told["queue"] == pytest.approx(told["broker"] + told["prefetch"], abs=1e-6)
    assert min(told.values()) >= 0
    assert "clock_skew" not in told


def test_a_plain_task_has_waited_shortly_and_for_nothing_that_was_asked_for(story):
    story.run(story.shop.plain.s(), PLAIN)
    run, publish = story.span("run/shop.plain"), story.span("apply_async/shop.plain")
    told = latency(run)
    check_sums(told)
    assert "scheduled" not in told
    assert told["enqueue_to_start"] == pytest.approx((run.start - publish.start) / 1e9, abs=0.1)
    assert "since_first_enqueue" not in told


@pytest.mark.parametrize("mode", ["link", "none"])
def test_it_is_measured_in_every_mode(story, mode):
    story.begin({"default": mode})
    with story.request():
        story.follow(story.shop.plain.delay())
    story.expect_reasons(f"plain: {mode} by default")
    told = latency(story.span("run/shop.plain"))
    check_sums(told)
    assert told["enqueue_to_start"] < BUSY


@pytest.mark.parametrize("zone", [timezone.utc, timezone(timedelta(hours=9))], ids=str)
def test_an_eta_was_asked_for(story, zone):
    eta = datetime.now(zone) + timedelta(seconds=0.5)
    story.run(lambda: story.shop.plain.apply_async(eta=eta), PLAIN)
    told = latency(story.span("run/shop.plain"))
    check_sums(told)
    assert 0.5 - EARLY < told["scheduled"] <= 0.5
    assert told["queue"] < BUSY


def test_a_countdown_was_asked_for(story):
    story.run(lambda: story.shop.plain.apply_async(countdown=0.5), PLAIN)
    told = latency(story.span("run/shop.plain"))
    check_sums(told)
    assert 0.5 - EARLY < told["scheduled"] <= 0.5


def test_an_eta_in_the_past_was_not(story):
    eta = datetime.now(timezone.utc) - timedelta(hours=1)
    story.run(lambda: story.shop.plain.apply_async(eta=eta), PLAIN)
    told = latency(story.span("run/shop.plain"))
    check_sums(told)
    assert told["scheduled"] == 0
    assert told["queue"] < BUSY


def test_waiting_for_a_free_process_is_prefetch(story):
    story.run(
        lambda: [story.shop.sleeper.delay(0.4) for _ in range(3)],
        "request\n  apply_async/shop.sleeper  x 3\n    run/shop.sleeper",
        collapse=2,
    )
    told = [latency(span) for span in story.spans("run/shop.sleeper")]
    for each in told:
        check_sums(each)
    assert max(each["prefetch"] for each in told) > 0.3
    assert max(each["queue"] for each in told) < 0.4 + BUSY


def test_a_retry_measures_its_own_publish_and_the_first_one(story):
    story.run(
        story.shop.flaky.s(1, countdown=0.3),
        """
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
        """,
    )
    first, second = story.spans("run/shop.flaky")
    told = latency(second)
    check_sums({name: value for name, value in told.items() if name != "since_first_enqueue"})
    assert 0.3 - EARLY < told["scheduled"] <= 0.3
    published = first.start / 1e9 - first.attributes["celery.latency.enqueue_to_start"]
    assert told["since_first_enqueue"] == pytest.approx(second.start / 1e9 - published, abs=0.05)


def test_a_step_of_a_chain_measures_its_own_publish(story):
    story.run(
        story.shop.sleeper.si(0.3) | story.shop.plain.si(),
        """
        request
          apply_async/shop.sleeper
            run/shop.sleeper
              apply_async/shop.plain
                run/shop.plain
        """,
    )
    step, publish = story.span("run/shop.plain"), story.span("apply_async/shop.plain")
    assert latency(step)["enqueue_to_start"] == pytest.approx((step.start - publish.start) / 1e9, abs=0.1)
