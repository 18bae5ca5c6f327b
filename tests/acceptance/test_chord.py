"""Where the body of a chord is published, and to which run of each header task it links."""

from __future__ import annotations

import pytest
from celery import chain, chord

from tests.acceptance.story import Forests

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def in_mode(mode, signature):
    return signature.set(headers={"otel-propagation": mode})


def test_the_body_links_to_every_header_task(story):
    add, sums = story.shop.add, story.shop.sums
    story.run(
        chord([add.s(1, 1), add.s(2, 2)], sums.s()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
          run/shop.sums           child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1            link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2            link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/shop.sums
        """,
            by_unlock="""
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
          apply_async/shop.sums
          run/shop.sums           child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1            link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2            link by fan-out  link producer -> apply_async/shop.add#2
        """,
        ),
        show=["reason"],
    )


def test_header_tasks_in_every_mode(story):
    add, unrelated, sleeper, plain = story.shop.add, story.shop.unrelated, story.shop.sleeper, story.shop.plain
    header_tasks = [in_mode("child", add.s(1, 1)), unrelated.s(), sleeper.s(0.3)]
    story.run(
        chord(header_tasks, plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.add
            run/shop.add               child by call
          apply_async/shop.sleeper     link consumer -> run/shop.sleeper
          apply_async/shop.unrelated
          run/shop.plain               child by default  link header -> run/shop.add  \
link header -> run/shop.sleeper  link header -> run/shop.unrelated
        run/shop.sleeper               link by fan-out  link producer -> apply_async/shop.sleeper
          apply_async/shop.plain
        run/shop.unrelated             none by task
        """,
            by_unlock="""
        request
          apply_async/shop.add
            run/shop.add               child by call
          apply_async/shop.plain
          apply_async/shop.sleeper     link consumer -> run/shop.sleeper
          apply_async/shop.unrelated
          run/shop.plain               child by default  link header -> run/shop.add  \
link header -> run/shop.sleeper  link header -> run/shop.unrelated
        run/shop.sleeper               link by fan-out  link producer -> apply_async/shop.sleeper
        run/shop.unrelated             none by task
        """,
        ),
        show=["reason"],
    )


def test_chains_as_header_tasks_are_linked_to_where_they_end(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    steps = [chain(add.s(1, 1), swallow.s()), chain(add.s(2, 2), swallow.s())]
    story.run(
        chord(steps, plain.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          run/shop.plain               link header -> run/shop.swallow#1  link header -> run/shop.swallow#2
        run/shop.add#1                 link producer -> apply_async/shop.add#1
          apply_async/shop.swallow
            run/shop.swallow#1         link origin -> apply_async/shop.add#1
        run/shop.add#2                 link producer -> apply_async/shop.add#2
          apply_async/shop.swallow
            run/shop.swallow#2         link origin -> apply_async/shop.add#2
              apply_async/shop.plain
        """,
            by_unlock="""
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.plain
          run/shop.plain               link header -> run/shop.swallow#1  link header -> run/shop.swallow#2
        run/shop.add#1                 link producer -> apply_async/shop.add#1
          apply_async/shop.swallow
            run/shop.swallow#1         link origin -> apply_async/shop.add#1
        run/shop.add#2                 link producer -> apply_async/shop.add#2
          apply_async/shop.swallow
            run/shop.swallow#2         link origin -> apply_async/shop.add#2
        """,
        ),
    )
