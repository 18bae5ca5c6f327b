"""A task that publishes itself would grow one endless trace: every next one is linked. A retry is not such a task."""

from __future__ import annotations

import pytest

from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)


def test_a_task_that_publishes_itself_is_linked(story):
    story.run(
        story.shop.again.s(2),
        """
        request
          apply_async/shop.again#1
            run/shop.again#1          child by default
              apply_async/shop.again#2  link consumer -> run/shop.again#2
        run/shop.again#2              link by self  link producer -> apply_async/shop.again#2
        """,
        show=["reason"],
    )


def test_the_same_name_from_a_plain_request_is_not(story):
    story.run(
        lambda: [story.shop.plain.delay(), story.shop.plain.delay()],
        """
        request
          apply_async/shop.plain  x 2
            run/shop.plain
        """,
        collapse=2,
    )
