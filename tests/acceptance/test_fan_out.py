"""Members of groups, chord headers, chunks, first steps of chains in groups are linked; what looks alike is not."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)


def reasons(story, canvas, expected):
    with story.request():
        story.follow(canvas.apply_async())
    story.expect_reasons(expected)


def test_the_members_of_a_group_are_linked(story):
    add = story.shop.add
    story.run(
        group(add.s(1, 1), add.s(2, 2)),
        """
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
        run/shop.add#1            link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2            link by fan-out  link producer -> apply_async/shop.add#2
        """,
        show=["reason"],
    )


def test_a_group_of_one_is_a_group(story):
    reasons(story, group([story.shop.add.s(1, 1)]), "add: link by fan-out")


def test_the_members_of_a_nested_group_are_linked(story):
    add = story.shop.add
    reasons(story, group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3))), "add: link by fan-out x 3")


def test_the_headers_of_a_chord_are_linked_and_its_body_is_not(story):
    add, sums = story.shop.add, story.shop.sums
    reasons(story, chord([add.s(1, 1), add.s(2, 2)], sums.s()), "add: link by fan-out x 2, sums: child by default")


def test_a_group_in_a_chain_is_a_chord(story):
    add, sums = story.shop.add, story.shop.sums
    reasons(story, group(add.s(1, 1), add.s(2, 2)) | sums.s(), "add: link by fan-out x 2, sums: child by default")


def test_chunks_are_linked(story):
    story.run(
        story.shop.add.chunks([(1, 1), (2, 2), (3, 3)], 1).group(),
        """
        request
          apply_async/celery.starmap#1  link consumer -> run/celery.starmap#1
          apply_async/celery.starmap#2  link consumer -> run/celery.starmap#2
          apply_async/celery.starmap#3  link consumer -> run/celery.starmap#3
        run/celery.starmap#1  link by fan-out  link producer -> apply_async/celery.starmap#1
        run/celery.starmap#2  link by fan-out  link producer -> apply_async/celery.starmap#2
        run/celery.starmap#3  link by fan-out  link producer -> apply_async/celery.starmap#3
        """,
        show=["reason"],
    )


def test_chunks_are_looked_up_under_the_name_of_the_task_that_they_run(story):
    story.begin({"tasks": {"shop.add": "child"}})
    chunks = story.shop.add.chunks([(1, 1), (2, 2)], 1).group()
    reasons(story, chunks, "celery.starmap: child by task-rule x 2")


def test_the_first_steps_of_chains_in_a_group_are_linked_and_the_next_ones_are_not(story):
    add, plus = story.shop.add, story.shop.sums
    chains = group(chain(add.si(1, 1), plus.si([1])), chain(add.si(2, 2), plus.si([2])))
    reasons(story, chains, "add: link by fan-out x 2, sums: child by default x 2")


def test_the_steps_of_a_chain_are_not_linked(story):
    story.run(
        chain(story.shop.add.s(1, 1), story.shop.swallow.s(), story.shop.plain.si()),
        """
        request
          apply_async/shop.add
            run/shop.add                    child by default
              apply_async/shop.swallow
                run/shop.swallow            child by default
                  apply_async/shop.plain
                    run/shop.plain          child by default
        """,
        show=["reason"],
    )


def test_a_group_after_a_step_of_a_chain_is_linked(story):
    add, swallow = story.shop.add, story.shop.swallow
    reasons(
        story,
        chain(add.s(1, 1), group(swallow.s(), swallow.s())),
        "add: child by default, swallow: link by fan-out x 2",
    )


def test_a_callback_is_not_linked(story):
    reasons(
        story,
        story.shop.add.s(1, 1).on_error(story.shop.plain.si()).set(link=story.shop.swallow.s()),
        "add: child by default, swallow: child by default",
    )


def test_the_body_of_a_chord_that_is_a_group_is_not_linked(story):
    add, swallow = story.shop.add, story.shop.swallow
    canvas = chord([add.s(1, 1), add.s(2, 2)], group(swallow.s(), swallow.s()))
    reasons(story, canvas, "add: link by fan-out x 2, swallow: child by default x 2")


def test_the_body_of_a_chord_that_is_a_chain_is_not_linked(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    canvas = chord([add.s(1, 1), add.s(2, 2)], chain(sums.s(), swallow.s()))
    reasons(story, canvas, "add: link by fan-out x 2, sums: child by default, swallow: child by default")


def test_a_replacement_in_a_group_is_what_its_original_was_and_not_a_fan_out_of_its_own(story):
    replaced, add = story.shop.replaced, story.shop.add
    reasons(story, replaced.s(add.s(1, 1)), "replaced: child by default, add: child by default")


def test_a_retry_is_not_a_fan_out(story):
    reasons(story, story.shop.flaky.s(1), "flaky: child by default x 2")


def test_a_group_that_a_task_publishes_is_linked(story):
    add, publish = story.shop.add, story.shop.publish
    reasons(story, publish.s(group(add.s(1, 1), add.s(2, 2))), "add: link by fan-out x 2, publish: child by default")


def test_fan_out_can_be_configured_to_continue(story):
    story.begin({"fan_out": "child"})
    add = story.shop.add
    reasons(story, group(add.s(1, 1), add.s(2, 2)), "add: child by fan-out x 2")
