"""Nothing is lost or counted twice when the processes of a worker come and go."""

from __future__ import annotations

import os
import signal

from tests.harness.waiting import until


def test_a_child_that_ends_has_exported_everything(metered_on):
    metered = metered_on({"every": 3_600_000}, args=("--max-tasks-per-child", "2"))
    with metered.story.request():
        metered.story.follow([metered.shop.plain.delay() for _ in range(8)])
    until(lambda: len(metered.story.spans("run/shop.plain")) == 8, what="eight runs")
    metered.story.stage.worker.stop()
    assert len(metered.waits("shop.plain", 8)) == 8
    assert len({point.pid for point in metered.file.points("celery.task.latency.queue")}) >= 4


def test_the_main_process_counts_who_was_killed_and_its_new_children_do_not(metered):
    with metered.story.request():
        metered.story.follow(metered.shop.sleeper.delay(60))
    metered.count("celery.task.latency.queue", 1, celery__task_name="shop.sleeper")
    for child in metered.story.stage.worker.children():
        os.kill(child.pid, signal.SIGKILL)
    metered.count("celery.task.outcomes", 1, celery__task_name="shop.sleeper", celery__state="FAILURE")
    with metered.story.request():
        metered.story.follow([metered.shop.plain.delay() for _ in range(4)])
    metered.waits("shop.plain", 4)
    seen = metered.file.points("celery.task.outcomes", celery__task_name="shop.sleeper", celery__state="FAILURE")
    assert {point.pid for point in seen} == {metered.story.stage.worker.pid}
    assert sum(point.count for point in seen) == 1
    assert {point.scope for point in seen} == {"celery_otel_links.main"}
