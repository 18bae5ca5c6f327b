"""The body of a chord links to the attempt that succeeded. Retries in other canvases stand in docs/canvas.md."""

from __future__ import annotations

import pytest
from celery import chord

from tests.acceptance.story import Forests

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def test_the_body_of_a_chord_links_to_the_attempt_that_succeeded(story):
    story.run(
        chord([story.shop.flaky.s(2, countdown=0.3), story.shop.add.s(1, 1)], story.shop.plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.add        link consumer -> run/shop.add
          apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
          run/shop.plain              link header -> run/shop.add  link header -> run/shop.flaky#3
        run/shop.add                  link producer -> apply_async/shop.add
        run/shop.flaky#1              RETRY    link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2    link consumer -> run/shop.flaky#2
          run/shop.flaky#2            retry 1  RETRY  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#1
            apply_async/shop.flaky#3  link consumer -> run/shop.flaky#3
          run/shop.flaky#3            retry 2  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#2
            apply_async/shop.plain
        """,
            by_unlock="""
        request
          apply_async/shop.add        link consumer -> run/shop.add
          apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
          apply_async/shop.plain
          run/shop.plain              link header -> run/shop.add  link header -> run/shop.flaky#3
        run/shop.add                  link producer -> apply_async/shop.add
        run/shop.flaky#1              RETRY    link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2    link consumer -> run/shop.flaky#2
          run/shop.flaky#2            retry 1  RETRY  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#1
            apply_async/shop.flaky#3  link consumer -> run/shop.flaky#3
          run/shop.flaky#3            retry 2  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#2
        """,
        ),
    )


def test_a_header_task_that_is_continued_and_retried(story):
    flaky = story.shop.flaky.s(1).set(headers={"otel-propagation": "child"})
    story.run(
        chord([flaky], story.shop.plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
              apply_async/shop.plain
          run/shop.plain      link header -> run/shop.flaky#2
        """,
            by_unlock="""
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
          apply_async/shop.plain
          run/shop.plain      link header -> run/shop.flaky#2
        """,
        ),
    )
