"""What replaces a task is continued from it, whatever its original was; the canvas around goes on after it."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def test_by_a_task(story):
    story.run(
        story.shop.replaced.s(story.shop.add.s(1, 1)),
        """
        request
          apply_async/shop.replaced
            run/shop.replaced         IGNORED  child by default
              apply_async/shop.add
                run/shop.add          child by default
        """,
        show=["reason"],
    )


def test_by_a_chain(story):
    story.run(
        story.shop.replaced.s(chain(story.shop.add.si(1, 1), story.shop.plain.si())),
        """
        request
          apply_async/shop.replaced
            run/shop.replaced         IGNORED
              apply_async/shop.add
                run/shop.add
                  apply_async/shop.plain
                    run/shop.plain
        """,
    )


def test_by_a_group(story):
    story.run(
        story.shop.replaced.s(group(story.shop.add.s(1, 1), story.shop.add.s(2, 2))),
        """
        request
          apply_async/shop.replaced
            run/shop.replaced              IGNORED  child by default
              apply_async/celery.accumulate                         (by unlock)
              apply_async/shop.add#1       link consumer -> run/shop.add#1
              apply_async/shop.add#2       link consumer -> run/shop.add#2
              run/celery.accumulate        child by default  link header -> run/shop.add#1  \
link header -> run/shop.add#2
        run/shop.add#1                     link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2                     link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/celery.accumulate                             (by the last header)
        """,
        show=["reason"],
    )


def test_by_a_chord(story):
    add, sums = story.shop.add, story.shop.sums
    story.run(
        story.shop.replaced.s(chord([add.s(1, 1), add.s(2, 2)], sums.s())),
        """
        request
          apply_async/shop.replaced
            run/shop.replaced         IGNORED  child by default
              apply_async/shop.add#1  link consumer -> run/shop.add#1
              apply_async/shop.add#2  link consumer -> run/shop.add#2
              apply_async/shop.sums                                 (by unlock)
              run/shop.sums           child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1                link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2                link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                     (by the last header)
        """,
        show=["reason"],
    )


def test_in_a_chain(story):
    story.run(
        chain(story.shop.replaced.si(story.shop.add.si(1, 1)), story.shop.plain.si()),
        """
        request
          apply_async/shop.replaced
            run/shop.replaced         IGNORED
              apply_async/shop.add
                run/shop.add
                  apply_async/shop.plain
                    run/shop.plain
        """,
    )


def test_of_a_linked_task(story):
    story.run(
        story.shop.replaced.s(story.shop.add.s(1, 1)).set(headers={"otel-propagation": "link"}),
        """
        request
          apply_async/shop.replaced   link consumer -> run/shop.replaced
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add
            run/shop.add              link origin -> apply_async/shop.replaced
        """,
    )


def test_of_a_header_task_the_body_links_to_the_replacement(story):
    add, plain = story.shop.add, story.shop.plain
    story.run(
        chord([story.shop.replaced.s(add.s(1, 1))], plain.si()),
        """
        request
          apply_async/shop.plain                                    (by unlock)
          apply_async/shop.replaced   link consumer -> run/shop.replaced
          run/shop.plain              link header -> run/shop.add
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add
            run/shop.add              link origin -> apply_async/shop.replaced
              apply_async/shop.plain                                (by the last header)
        """,
    )


def test_of_a_header_task_by_a_chord(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    story.run(
        chord([story.shop.replaced.s(chord([add.s(1, 1)], swallow.s()))], plain.si()),
        """
        request
          apply_async/shop.plain                                    (by unlock)
          apply_async/shop.replaced   link consumer -> run/shop.replaced
          run/shop.plain              link header -> run/shop.swallow
        run/shop.add                  link producer -> apply_async/shop.add  link origin -> apply_async/shop.replaced
          apply_async/shop.swallow                                  (by the last header)
        run/shop.replaced             IGNORED  link producer -> apply_async/shop.replaced
          apply_async/shop.add        link consumer -> run/shop.add
          apply_async/shop.swallow                                  (by unlock)
          run/shop.swallow            link origin -> apply_async/shop.replaced  link header -> run/shop.add
            apply_async/shop.plain                                  (by the last header)
        """,
    )
