"""The body of a chord links to what replaced its header task. Other replacements stand in docs/canvas.md."""

from __future__ import annotations

import pytest
from celery import chord

from tests.acceptance.story import Forests

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def test_of_a_header_task_the_body_links_to_the_replacement(story):
    add, plain = story.shop.add, story.shop.plain
    story.run(
        chord([story.shop.replaced.s(add.s(1, 1))], plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.replaced   link consumer -> run/shop.replaced
          run/shop.plain              link header -> run/shop.add
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add
            run/shop.add              link origin -> apply_async/shop.replaced
              apply_async/shop.plain
        """,
            by_unlock="""
        request
          apply_async/shop.plain
          apply_async/shop.replaced   link consumer -> run/shop.replaced
          run/shop.plain              link header -> run/shop.add
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add
            run/shop.add              link origin -> apply_async/shop.replaced
        """,
        ),
    )


def test_of_a_header_task_by_a_chord(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    story.run(
        chord([story.shop.replaced.s(chord([add.s(1, 1)], swallow.s()))], plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.replaced   link consumer -> run/shop.replaced
          run/shop.plain              link header -> run/shop.swallow
        run/shop.add                  link producer -> apply_async/shop.add  link origin -> apply_async/shop.replaced
          apply_async/shop.swallow
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add        link consumer -> run/shop.add
          run/shop.swallow            link origin -> apply_async/shop.replaced  link header -> run/shop.add
            apply_async/shop.plain
        """,
            by_unlock="""
        request
          apply_async/shop.plain
          apply_async/shop.replaced   link consumer -> run/shop.replaced
          run/shop.plain              link header -> run/shop.swallow
        run/shop.add                  link producer -> apply_async/shop.add  link origin -> apply_async/shop.replaced
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add        link consumer -> run/shop.add
          apply_async/shop.swallow
          run/shop.swallow            link origin -> apply_async/shop.replaced  link header -> run/shop.add
        """,
        ),
    )
