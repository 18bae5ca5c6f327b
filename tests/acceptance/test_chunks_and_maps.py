"""Chunks are a group; map and starmap are one task each. All are looked up under the task that they run."""

from __future__ import annotations

import pytest

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def test_chunks_are_linked(story):
    story.run(
        story.shop.add.chunks([(1, 1), (2, 2)], 1).group(),
        """
        request
          apply_async/celery.starmap#1  link consumer -> run/celery.starmap#1
          apply_async/celery.starmap#2  link consumer -> run/celery.starmap#2
        run/celery.starmap#1            link by fan-out  link producer -> apply_async/celery.starmap#1
        run/celery.starmap#2            link by fan-out  link producer -> apply_async/celery.starmap#2
        """,
        show=["reason"],
    )


def test_a_map_is_one_task(story):
    story.run(
        story.shop.sums.map([[1], [2]]),
        "request\n  apply_async/celery.map\n    run/celery.map  child by default",
        show=["reason"],
    )


def test_a_starmap_is_one_task(story):
    story.run(
        story.shop.add.starmap([(1, 1), (2, 2)]),
        "request\n  apply_async/celery.starmap\n    run/celery.starmap  child by default",
        show=["reason"],
    )


@pytest.mark.parametrize("name", ["map", "starmap"])
def test_the_task_that_they_run_decides(story, name):
    story.begin({"tasks": {"shop.*": "link"}})
    story.run(
        getattr(story.shop.swallow, name)([[1], [2]]),
        f"""
        request
          apply_async/celery.{name}  link consumer -> run/celery.{name}
        run/celery.{name}            link by task-rule  link producer -> apply_async/celery.{name}
        """,
        show=["reason"],
    )
