"""What the histograms hold of every way in which a message can wait: what its span says, and that is right."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from celery import chord

from celery_otel_links._wire.header import HEADER

EARLY = 0.11  # Celery's timer may start a task this much before its eta
BUSY = 2.0  # what a busy machine may add to any wait
HOUR = 3600.0


def publish(metered, publish):
    with metered.story.request():
        metered.story.follow(publish())


def test_a_plain_task_waits_shortly(metered):
    publish(metered, metered.shop.plain.delay)
    (told,) = metered.waits("shop.plain", 1)
    assert "scheduled" not in told
    assert told["enqueue_to_start"] == told["queue"] < BUSY


@pytest.mark.parametrize("zone", [timezone.utc, timezone(-timedelta(hours=9))], ids=str)
def test_waiting_for_an_eta_was_asked_for(metered, zone):
    eta = datetime.now(zone) + timedelta(seconds=0.4)
    publish(metered, lambda: metered.shop.plain.apply_async(eta=eta))
    (told,) = metered.waits("shop.plain", 1)
    assert told["scheduled"] == pytest.approx(0.4, abs=EARLY)
    assert told["queue"] < BUSY


def test_an_eta_in_the_past_asks_for_nothing(metered):
    eta = datetime.now(timezone.utc) - timedelta(hours=1)
    publish(metered, lambda: metered.shop.plain.apply_async(eta=eta))
    (told,) = metered.waits("shop.plain", 1)
    assert told["scheduled"] == 0
    assert told["queue"] < BUSY


def test_a_countdown_was_asked_for(metered):
    publish(metered, lambda: metered.shop.plain.apply_async(countdown=0.4))
    (told,) = metered.waits("shop.plain", 1)
    assert told["scheduled"] == pytest.approx(0.4, abs=EARLY)
    assert told["broker"] < 0.3  # the worker has had it long before it is due


@pytest.mark.parametrize("countdown", [0, 0.4])
def test_a_retry_waits_since_its_own_publish(metered, countdown):
    publish(metered, lambda: metered.shop.flaky.delay(1, countdown=countdown))
    first, second = metered.waits("shop.flaky", 2)
    assert second.get("scheduled", 0) == pytest.approx(countdown, abs=EARLY)
    assert max(first["queue"], second["queue"]) < BUSY
    assert second["since_first_enqueue"] > second["enqueue_to_start"]


def test_the_backoff_of_an_automatic_retry_was_asked_for(metered):
    publish(metered, lambda: metered.story.app.send_task("metrics.backoff"))
    _, second = metered.waits("metrics.backoff", 2)
    scheduled = second.get("scheduled", 0)  # a backoff is of random length, 0 included, which is no eta
    assert scheduled <= 1
    assert second["since_first_enqueue"] == pytest.approx(scheduled + second["queue"], abs=BUSY)


def test_a_step_of_a_chain_waits_since_the_step_before_has_ended(metered):
    publish(metered, (metered.shop.sleeper.si(0.4) | metered.shop.plain.si()).apply_async)
    (told,) = metered.waits("shop.plain", 1)
    assert told["enqueue_to_start"] < 0.4


def test_the_body_of_a_chord_waits_since_the_last_header_has_ended(metered):
    publish(metered, chord([metered.shop.sleeper.si(0.4), metered.shop.add.s(1, 2)], metered.shop.plain.si()).delay)
    (told,) = metered.waits("shop.plain", 1)
    assert told["enqueue_to_start"] < 0.4


def test_a_redelivered_message_waits_since_it_was_published(metered):
    publish(metered, lambda: metered.story.app.send_task("metrics.returned"))
    first, second = metered.waits("metrics.returned", 2)
    assert first["enqueue_to_start"] < second["enqueue_to_start"] < BUSY
    metered.count("celery.task.redelivered", 1, celery__task_name="metrics.returned")


def test_an_expired_message_is_counted_and_has_not_waited_for_a_start(metered):
    publish(metered, lambda: metered.shop.plain.apply_async(expires=datetime.now(timezone.utc) - timedelta(seconds=9)))
    metered.count("celery.task.outcomes", 1, celery__task_name="shop.plain", celery__state="EXPIRED")
    assert metered.gained("celery.task.latency.queue", celery__task_name="shop.plain").count == 0


def test_a_message_that_is_revoked_while_it_waits_is_counted_too(metered):
    with metered.story.request():
        metered.story.app.control.revoke(metered.shop.plain.apply_async(countdown=0.6).id)
    metered.count("celery.task.outcomes", 1, celery__task_name="shop.plain", celery__state="REVOKED")
    assert metered.gained("celery.task.latency.queue", celery__task_name="shop.plain").count == 0


@pytest.mark.parametrize("ahead", [5.0, 7 * HOUR])
def test_a_publisher_whose_clock_is_ahead_is_told_of_and_makes_nothing_negative(metered, ahead):
    metered.story.end()
    header = {HEADER: f"v=1;t={time.time() + ahead:.6f}"}
    publish(metered, lambda: metered.shop.plain.apply_async(headers=header))
    (told,) = metered.waits("shop.plain", 1)
    assert told["clock_skew"] is True
    assert told["enqueue_to_start"] == told["queue"] == 0


@pytest.mark.parametrize("behind", [5.0, 7 * HOUR])
def test_a_clock_that_is_behind_looks_like_waiting_in_the_broker(metered, behind):
    metered.story.end()
    header = {HEADER: f"v=1;t={time.time() - behind:.6f}"}
    publish(metered, lambda: metered.shop.plain.apply_async(headers=header))
    (told,) = metered.waits("shop.plain", 1)
    assert told["broker"] == pytest.approx(behind, abs=BUSY)
    assert told["prefetch"] < BUSY


@pytest.mark.parametrize("header", [{}, {HEADER: "v=1;m=child"}, {HEADER: "v=1;t=soon"}], ids=["none", "no", "bad"])
def test_without_a_time_only_what_the_worker_knows_is_measured(metered, header):
    metered.story.end()
    publish(metered, lambda: metered.shop.plain.apply_async(headers=header))
    (told,) = metered.waits("shop.plain", 1)
    assert set(told) == {"prefetch"}
