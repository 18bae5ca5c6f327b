"""Broker or prefetch: which part of the waiting is which, on every pool and with short and long buffers."""

from __future__ import annotations

import pytest

EVERY_POOL = pytest.mark.stages("prefork-valkey", "threads-valkey", "solo-valkey", "gevent-valkey")
LONG, EACH = 8, 0.2
POOLS = {  # how many tasks run at once, and what share of the waiting is prefetch
    "prefork": (2, (0.6, 1.0)),
    "threads": (2, (0.6, 1.0)),
    "solo": (1, (0.0, 0.1)),  # it takes a message when it is about to run it
    "gevent": (2, (0.05, 0.5)),  # it takes one more than it can run
}


def busy(metered, tasks: int = LONG):
    """Many tasks at once for two at a time; how long they waited, and the sums of it."""
    with metered.story.request():
        metered.story.follow([metered.shop.sleeper.delay(EACH) for _ in range(tasks)])
    told = metered.waits("shop.sleeper", tasks)
    return told, {part: sum(one[part] for one in told) for part in ("queue", "broker", "prefetch")}


@EVERY_POOL
def test_a_pool_that_is_busy_makes_what_the_worker_has_taken_wait_there(metered, stage_name):
    told, total = busy(metered)
    assert not any("scheduled" in one for one in told)
    pool, _, _ = stage_name.partition("-")
    at_once, (low, high) = POOLS[pool]
    least = LONG * (LONG - at_once) / (2 * at_once) * EACH
    assert 0.9 * least < total["queue"] < 1.8 * least
    assert low <= total["prefetch"] / total["queue"] <= high


@EVERY_POOL
def test_a_task_that_the_worker_holds_until_its_eta_waits_in_neither(metered):
    with metered.story.request():
        metered.story.follow(metered.shop.plain.apply_async(countdown=0.4))
    (told,) = metered.waits("shop.plain", 1)
    assert told["scheduled"] == pytest.approx(0.4, abs=0.11)
    assert told["broker"] == 0
    assert told["prefetch"] < 1.5  # Celery 5.2's timer may be late by most of a second


def test_a_task_whose_eta_passes_while_all_processes_are_busy_waits_in_the_worker(metered):
    with metered.story.request():
        metered.story.follow([metered.shop.sleeper.delay(0.8) for _ in range(2)])
        metered.story.follow(metered.shop.plain.apply_async(countdown=0.3))
    (told,) = metered.waits("shop.plain", 1)
    assert told["scheduled"] == pytest.approx(0.3, abs=0.11)
    assert told["broker"] == 0
    assert told["prefetch"] == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize(("multiplier", "share"), [(1, (0.1, 0.6)), (8, (0.9, 1.0))])
def test_the_multiplier_moves_the_waiting_between_broker_and_worker(metered_on, multiplier, share):
    metered = metered_on(conf={"worker_prefetch_multiplier": multiplier})
    _, total = busy(metered)
    low, high = share
    assert low <= total["prefetch"] / total["queue"] <= high
