"""Messages beyond a threshold that are published from one active span are linked."""

from __future__ import annotations

import pytest

from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)


def test_messages_beyond_the_threshold_are_linked(story):
    story.begin({"fan_out_threshold": 3})
    story.run(
        lambda: [story.shop.add.delay(number, number) for number in range(5)],
        """
        request
          apply_async/shop.add  x 3
            run/shop.add  child by default
          apply_async/shop.add  link consumer -> run/shop.add  x 2
        run/shop.add  link by loop  link producer -> apply_async/shop.add  x 2
        """,
        show=["reason"],
        collapse=2,
    )


def test_the_threshold_counts_messages_whatever_their_names(story):
    story.begin({"fan_out_threshold": 1})
    story.run(
        lambda: [story.shop.add.delay(1, 1), story.shop.plain.delay()],
        """
        request
          apply_async/shop.add
            run/shop.add           child by default
          apply_async/shop.plain   link consumer -> run/shop.plain
        run/shop.plain             link by loop  link producer -> apply_async/shop.plain
        """,
        show=["reason"],
    )


def test_another_span_counts_anew(story):
    story.begin({"fan_out_threshold": 1})

    def publish():
        results = []
        for _ in range(2):
            with story.tracer.start_as_current_span("item"):
                results.append(story.shop.plain.delay())
        return results

    story.run(
        publish,
        """
        request
          item  x 2
            apply_async/shop.plain
              run/shop.plain  child by default
        """,
        show=["reason"],
        collapse=2,
    )


def test_without_a_threshold_a_loop_is_not_linked(story):
    story.begin({"fan_out_threshold": None})
    story.run(
        lambda: [story.shop.plain.delay() for _ in range(25)],
        """
        request
          apply_async/shop.plain  x 25
            run/shop.plain
        """,
        collapse=2,
    )


def test_a_loop_in_a_task_is_counted_for_its_run(story):
    story.run(
        story.shop.loop.s(22),
        """
        request
          apply_async/shop.loop
            run/shop.loop
              apply_async/shop.add  x 20
                run/shop.add
              apply_async/shop.add  link consumer -> run/shop.add  x 2
        run/shop.add  link producer -> apply_async/shop.add  x 2
        """,
        collapse=2,
    )
