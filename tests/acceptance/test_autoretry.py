"""What is retried by `autoretry_for` is related like what retries itself; the last attempt may fail."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def test_attempts_of_autoretry_for_are_siblings(story):
    story.run(
        story.shop.autoretry.s(1),
        """
        request
          apply_async/shop.autoretry
            run/shop.autoretry#1  RETRY
              apply_async/shop.autoretry
            run/shop.autoretry#2  retry 1  link previous-attempt -> run/shop.autoretry#1
        """,
    )


def test_attempts_of_a_linked_task_are_in_one_trace(story):
    story.run(
        story.shop.autoretry.s(1).set(headers={"otel-propagation": "link"}),
        """
        request
          apply_async/shop.autoretry#1    link consumer -> run/shop.autoretry#1
        run/shop.autoretry#1              RETRY  link producer -> apply_async/shop.autoretry#1
          apply_async/shop.autoretry#2    link consumer -> run/shop.autoretry#2
          run/shop.autoretry#2            retry 1  link origin -> apply_async/shop.autoretry#1  \
link previous-attempt -> run/shop.autoretry#1
        """,
    )


def test_the_last_attempt_fails(story):
    story.run(
        story.shop.autoretry.s(9),
        """
        request
          apply_async/shop.autoretry
            run/shop.autoretry#1  RETRY
              apply_async/shop.autoretry
            run/shop.autoretry#2  retry 1  RETRY  link previous-attempt -> run/shop.autoretry#1
              apply_async/shop.autoretry
            run/shop.autoretry#3  retry 2  RETRY  link previous-attempt -> run/shop.autoretry#2
              apply_async/shop.autoretry
            run/shop.autoretry#4  retry 3  ERROR  link previous-attempt -> run/shop.autoretry#3
        """,
    )
