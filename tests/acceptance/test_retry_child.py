"""Attempts of a continued task are siblings under the publishing of the first, each with a link to the one before."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


@pytest.mark.parametrize("countdown", [0, 0.2])
def test_attempts_are_siblings_and_no_ladder(story, countdown):
    story.run(
        story.shop.flaky.s(2, countdown=countdown),
        """
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY    child by default
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  RETRY  child by default  link previous-attempt -> run/shop.flaky#1
              apply_async/shop.flaky
            run/shop.flaky#3  retry 2  child by default         link previous-attempt -> run/shop.flaky#2
        """,
        show=["reason"],
    )


def test_attempts_of_a_task_that_is_continued_from_another_task(story):
    story.run(
        story.shop.publish.s(story.shop.flaky.s(1)),
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.flaky
                run/shop.flaky#1  RETRY
                  apply_async/shop.flaky
                run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
        """,
    )
