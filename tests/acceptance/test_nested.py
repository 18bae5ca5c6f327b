"""Chords within chords: every body continues the trace that started its own chord."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

from tests.acceptance.story import Forests

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def test_chords_as_header_tasks_of_a_chord(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    inner = [chord([add.s(1, 1)], sums.s()), chord([add.s(2, 2)], sums.s())]
    story.run(
        chord(inner, swallow.s()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.add#1    link consumer -> run/shop.add#1
          apply_async/shop.add#2    link consumer -> run/shop.add#2
          run/shop.sums#1           link header -> run/shop.add#1
          run/shop.sums#2           link header -> run/shop.add#2
            apply_async/shop.swallow
          run/shop.swallow          link header -> run/shop.sums#1  link header -> run/shop.sums#2
        run/shop.add#1              link producer -> apply_async/shop.add#1
          apply_async/shop.sums
        run/shop.add#2              link producer -> apply_async/shop.add#2
          apply_async/shop.sums
        """,
            by_unlock="""
        request
          apply_async/shop.add#1    link consumer -> run/shop.add#1
          apply_async/shop.add#2    link consumer -> run/shop.add#2
          apply_async/shop.sums
          apply_async/shop.sums
          apply_async/shop.swallow
          run/shop.sums#1           link header -> run/shop.add#1
          run/shop.sums#2           link header -> run/shop.add#2
          run/shop.swallow          link header -> run/shop.sums#1  link header -> run/shop.sums#2
        run/shop.add#1              link producer -> apply_async/shop.add#1
        run/shop.add#2              link producer -> apply_async/shop.add#2
        """,
        ),
    )


def test_a_chain_with_a_chord_as_header_task_of_a_chord(story):
    """The inner body continues the task that published the inner chord, the outer one the request."""
    sleeper, add, swallow, linked, sums = (
        story.shop.sleeper,
        story.shop.add,
        story.shop.swallow,
        story.shop.linked,
        story.shop.sums,
    )
    inner = chain(sleeper.si(0.3), group(add.si(1, 1), add.si(2, 2)), swallow.s())
    story.run(
        chord([inner, linked.si()], sums.si([1])),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.linked      link consumer -> run/shop.linked
          apply_async/shop.sleeper       link consumer -> run/shop.sleeper
          run/shop.sums                link header -> run/shop.linked  link header -> run/shop.swallow
        run/shop.add#1                 link producer -> apply_async/shop.add#1  link origin -> apply_async/shop.sleeper
        run/shop.add#2                 link producer -> apply_async/shop.add#2  link origin -> apply_async/shop.sleeper
          apply_async/shop.swallow
        run/shop.linked                link producer -> apply_async/shop.linked
        run/shop.sleeper                 link producer -> apply_async/shop.sleeper
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          run/shop.swallow             link origin -> apply_async/shop.sleeper  \
link header -> run/shop.add#1  link header -> run/shop.add#2
            apply_async/shop.sums
        """,
            by_unlock="""
        request
          apply_async/shop.linked      link consumer -> run/shop.linked
          apply_async/shop.sleeper       link consumer -> run/shop.sleeper
          apply_async/shop.sums
          run/shop.sums                link header -> run/shop.linked  link header -> run/shop.swallow
        run/shop.add#1                 link producer -> apply_async/shop.add#1  link origin -> apply_async/shop.sleeper
        run/shop.add#2                 link producer -> apply_async/shop.add#2  link origin -> apply_async/shop.sleeper
        run/shop.linked                link producer -> apply_async/shop.linked
        run/shop.sleeper                 link producer -> apply_async/shop.sleeper
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.swallow
          run/shop.swallow             link origin -> apply_async/shop.sleeper  \
link header -> run/shop.add#1  link header -> run/shop.add#2
        """,
        ),
    )
