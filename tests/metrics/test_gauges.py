"""How busy a worker is, as its main process shows it, and what failed in the library."""

from __future__ import annotations

import pytest

from tests.harness.waiting import until

pytestmark = pytest.mark.slow
NAMES = ("processes", "active", "reserved", "scheduled")


def shown(metered):
    """What the worker shows by now. Its children show nothing of it."""
    points = [point for name in NAMES for point in metered.file.points(f"celery.worker.{name}")]
    assert {point.pid for point in points} <= {metered.story.stage.worker.pid}
    return {point.name.removeprefix("celery.worker."): point.count for point in points}


def becomes(metered, *expected):
    wanted = dict(zip(NAMES, expected, strict=True))
    until(
        lambda: shown(metered) == wanted,
        what=lambda: f"{wanted}; there is {shown(metered)}\n{metered.story.log()[-2000:]}",
    )


@pytest.mark.stages("prefork-valkey", "threads-valkey", "gevent-valkey", "eventlet-valkey", "prefork-rabbitmq")
def test_a_worker_shows_what_it_runs_and_holds(metered_on, stage_name):
    metered = metered_on({"file of": stage_name}, concurrency=1)
    shop = metered.shop
    becomes(metered, 1, 0, 0, 0)
    for _ in range(2):
        shop.plain.apply_async(countdown=600)
    becomes(metered, 1, 0, 0, 2)
    for _ in range(2):
        shop.sleeper.delay(2)
    becomes(metered, 1, 1, 1, 2)
    becomes(metered, 1, 0, 0, 2)


def test_a_process_that_is_forked_later_shows_nothing_of_the_worker(metered_on):
    metered = metered_on({"file of": "later"}, concurrency=1, args=("--max-tasks-per-child", "1"))
    for _ in range(3):
        metered.shop.plain.delay()
    metered.count("celery.task.outcomes", 3)
    becomes(metered, 1, 0, 0, 0)


@pytest.mark.stages("solo-valkey")
def test_a_solo_worker_shows_the_task_that_it_runs(metered_on, stage_name):
    """It takes the next message when the task has ended."""
    metered = metered_on({"file of": stage_name}, concurrency=1)
    metered.shop.sleeper.delay(2)
    becomes(metered, 1, 1, 0, 0)
    becomes(metered, 1, 0, 0, 0)


@pytest.mark.stages("threads-valkey", "gevent-valkey", "eventlet-valkey")
def test_an_idle_worker_shows_how_many_tasks_it_could_run(metered_on, stage_name):
    becomes(metered_on({"file of": f"idle {stage_name}"}, concurrency=3), 3, 0, 0, 0)


def test_a_task_that_waits_for_its_rate_is_reserved(metered_on):
    metered = metered_on({"file of": "rate"}, concurrency=1)
    metered.story.app.control.rate_limit("shop.plain", "1/h", reply=True, timeout=5, limit=1)
    for _ in range(3):
        metered.shop.plain.delay()
    becomes(metered, 1, 0, 2, 0)


def test_what_fails_in_a_process_of_the_pool_is_counted_by_its_place(metered_on):
    metered = metered_on({"hook": "fails"}, concurrency=1)
    for _ in range(3):
        metered.shop.plain.delay()
    gained = metered.count("celery.otel_links.failures", 3, celery__otel_links__where="run_hook")
    assert gained.count == 3
    assert metered.file.total("celery.otel_links.failures").count == 3
