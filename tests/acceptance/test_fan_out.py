"""Fan-out beyond what stands in the table of docs/canvas.md: as it is written otherwise, looked up and configured."""

from __future__ import annotations

import pytest
from celery import group

from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)

CHORD = "add: link by fan-out x 2, "


def reasons(story, canvas, expected):
    with story.request():
        story.follow(canvas.apply_async())
    story.expect_reasons(expected)


def test_a_group_without_members_publishes_nothing(story):
    story.run(lambda: group([]).apply_async(), "request")


def test_a_group_from_a_generator_is_a_group(story):
    reasons(story, group(story.shop.add.s(n, n) for n in range(3)), "add: link by fan-out x 3")


def test_a_group_with_something_after_it_is_a_chord(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    members = group(add.s(1, 1), add.s(2, 2))
    reasons(story, members | sums.s() | swallow.s(), CHORD + "sums: child by default, swallow: child by default")
    reasons(story, members | group(sums.s(), sums.s()), CHORD + "sums: child by default x 2")
    bodies = [span for span in story.spans("run/shop.sums") for link in span.links if link.kind == "header"]
    assert len(bodies) == 2 * 2


def test_chunks_are_looked_up_under_the_name_of_the_task_that_they_run(story):
    story.begin({"tasks": {"shop.add": "child"}})
    chunks = story.shop.add.chunks([(1, 1), (2, 2)], 1).group()
    reasons(story, chunks, "celery.starmap: child by task-rule x 2")


def test_fan_out_can_be_configured_to_continue(story):
    story.begin({"fan_out": "child"})
    add = story.shop.add
    reasons(story, group(add.s(1, 1), add.s(2, 2)), "add: child by fan-out x 2")


@pytest.mark.parametrize("name", ["map", "starmap"])
def test_maps_are_looked_up_likewise(story, name):
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
