"""A retry further away than `delay_threshold` starts a trace of its own, with links to where it comes from."""

from __future__ import annotations

import pytest
from celery import chord

from tests.acceptance.story import Forests

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"delay_threshold": 0.25}),
]
FAR, NEAR = 0.4, 0.05


def test_a_far_retry_of_a_continued_task_is_a_root(story):
    story.run(
        story.shop.flaky.s(1, countdown=FAR),
        """
        request
          apply_async/shop.flaky#1
            run/shop.flaky#1            RETRY    child by default
              apply_async/shop.flaky#2  link consumer -> run/shop.flaky#2
        run/shop.flaky#2                retry 1  link by delay  link producer -> apply_async/shop.flaky#2  \
link origin -> apply_async/shop.flaky#1  link previous-attempt -> run/shop.flaky#1
        """,
        show=["reason"],
    )


def test_attempts_after_a_far_one_share_its_trace(story):
    story.run(
        story.shop.far_then_near.s(FAR),
        """
        request
          apply_async/shop.far_then_near#1
            run/shop.far_then_near#1            RETRY
              apply_async/shop.far_then_near#2  link consumer -> run/shop.far_then_near#2
        run/shop.far_then_near#2                retry 1  RETRY  link producer -> apply_async/shop.far_then_near#2  \
link origin -> apply_async/shop.far_then_near#1  link previous-attempt -> run/shop.far_then_near#1
          apply_async/shop.far_then_near#3      link consumer -> run/shop.far_then_near#3
          run/shop.far_then_near#3              retry 2  link origin -> apply_async/shop.far_then_near#1  \
link previous-attempt -> run/shop.far_then_near#2
        """,
    )


def test_far_retries_of_a_linked_task_are_roots_with_all_three_links(story):
    story.run(
        story.shop.flaky.s(2, countdown=FAR).set(headers={"otel-propagation": "link"}),
        """
        request
          apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
        run/shop.flaky#1              RETRY    link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2    link consumer -> run/shop.flaky#2
        run/shop.flaky#2              retry 1  RETRY  link producer -> apply_async/shop.flaky#2  \
link origin -> apply_async/shop.flaky#1  link previous-attempt -> run/shop.flaky#1
          apply_async/shop.flaky#3    link consumer -> run/shop.flaky#3
        run/shop.flaky#3              retry 2  link producer -> apply_async/shop.flaky#3  \
link origin -> apply_async/shop.flaky#1  link previous-attempt -> run/shop.flaky#2
        """,
    )


def test_whoever_says_child_gets_siblings_at_any_distance(story):
    story.run(
        story.shop.flaky.s(1, countdown=FAR).set(headers={"otel-propagation": "child"}),
        """
        request
          apply_async/shop.flaky
            run/shop.flaky#1          RETRY    child by call
              apply_async/shop.flaky
            run/shop.flaky#2          retry 1  child by call  link previous-attempt -> run/shop.flaky#1
        """,
        show=["reason"],
    )


def test_the_body_of_a_chord_that_took_long_is_a_root(story):
    sleeper, plain = story.shop.sleeper, story.shop.plain
    story.run(
        chord([sleeper.s(2 * FAR)], plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.sleeper  link consumer -> run/shop.sleeper
        run/shop.plain              child by default  link producer -> apply_async/shop.plain  \
link origin -> request  link header -> run/shop.sleeper
        run/shop.sleeper            link by fan-out  link producer -> apply_async/shop.sleeper
          apply_async/shop.plain
        """,
            by_unlock="""
        request
          apply_async/shop.plain
          apply_async/shop.sleeper  link consumer -> run/shop.sleeper
        run/shop.plain              child by default  link producer -> apply_async/shop.plain  \
link origin -> request  link header -> run/shop.sleeper
        run/shop.sleeper            link by fan-out  link producer -> apply_async/shop.sleeper
        """,
        ),
        show=["reason"],
    )
