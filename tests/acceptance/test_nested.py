"""Chords within chords: every body continues the trace that started its own chord."""

from __future__ import annotations

import pytest
from celery import chord, group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def test_chords_as_headers_of_a_chord(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    inner = [chord([add.s(1, 1)], sums.s()), chord([add.s(2, 2)], sums.s())]
    story.run(
        chord(inner, swallow.s()),
        """
        request
          apply_async/shop.add#1    link consumer -> run/shop.add#1
          apply_async/shop.add#2    link consumer -> run/shop.add#2
          apply_async/shop.sums                                     (by unlock)
          apply_async/shop.sums                                     (by unlock)
          apply_async/shop.swallow                                  (by unlock)
          run/shop.sums#1           link header -> run/shop.add#1
          run/shop.sums#2           link header -> run/shop.add#2
            apply_async/shop.swallow                                (by the last header)
          run/shop.swallow          link header -> run/shop.sums#1  link header -> run/shop.sums#2
        run/shop.add#1              link producer -> apply_async/shop.add#1
          apply_async/shop.sums                                     (by the last header)
        run/shop.add#2              link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                     (by the last header)
        """,
    )


def test_a_chord_as_the_body_of_a_chord(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    story.run(
        chord([add.s(1, 1), add.s(2, 2)], chord([swallow.s(), swallow.s()], plain.si())),
        """
        request
          apply_async/shop.add#1      link consumer -> run/shop.add#1
          apply_async/shop.add#2      link consumer -> run/shop.add#2
          apply_async/shop.plain                                    (by unlock)
          apply_async/shop.swallow                                  (by unlock)
          apply_async/shop.swallow                                  (by unlock)
          run/shop.plain              link header -> run/shop.swallow#1  link header -> run/shop.swallow#2
          run/shop.swallow#1          link header -> run/shop.add#1  link header -> run/shop.add#2
          run/shop.swallow#2          link header -> run/shop.add#1  link header -> run/shop.add#2
            apply_async/shop.plain                                  (by the last header)
        run/shop.add#1                link producer -> apply_async/shop.add#1
        run/shop.add#2                link producer -> apply_async/shop.add#2
          apply_async/shop.swallow                                  (by the last header)
          apply_async/shop.swallow                                  (by the last header)
        """,
    )


def test_a_group_after_a_group_is_the_body_of_a_chord(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    story.run(
        group(add.s(1, 1), add.s(2, 2)) | group(sums.s(), swallow.s()),
        """
        request
          apply_async/shop.add#1      link consumer -> run/shop.add#1
          apply_async/shop.add#2      link consumer -> run/shop.add#2
          apply_async/shop.sums                                     (by unlock)
          apply_async/shop.swallow                                  (by unlock)
          run/shop.sums               link header -> run/shop.add#1  link header -> run/shop.add#2
          run/shop.swallow            link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1                link producer -> apply_async/shop.add#1
        run/shop.add#2                link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                     (by the last header)
          apply_async/shop.swallow                                  (by the last header)
        """,
    )
