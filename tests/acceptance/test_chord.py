"""The body of a chord continues the trace that started the chord, and links to the runs of all its header tasks.

Its message is published by the last header task, or by `celery.chord_unlock`, which has no spans.
"""

from __future__ import annotations

import pytest
from celery import chain, chord, group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def in_mode(mode, signature):
    return signature.set(headers={"otel-propagation": mode})


def test_the_body_links_to_every_header(story):
    add, sums = story.shop.add, story.shop.sums
    story.run(
        chord([add.s(1, 1), add.s(2, 2)], sums.s()),
        """
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
          apply_async/shop.sums                                    (by unlock)
          run/shop.sums           child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1            link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2            link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                    (by the last header)
        """,
        show=["reason"],
    )


@pytest.mark.parametrize("operator", [False, True], ids=["chord", "group|task"])
def test_a_chord_with_one_header(story, operator):
    add, sums = story.shop.add, story.shop.sums
    story.run(
        group([add.s(1, 1)]) | sums.s() if operator else chord([add.s(1, 1)], sums.s()),
        """
        request
          apply_async/shop.add  link consumer -> run/shop.add
          apply_async/shop.sums                                    (by unlock)
          run/shop.sums         child by default  link header -> run/shop.add
        run/shop.add            link by fan-out  link producer -> apply_async/shop.add
          apply_async/shop.sums                                    (by the last header)
        """,
        show=["reason"],
    )


def test_a_chord_without_headers_is_its_body(story):
    story.run(
        lambda: chord([], story.shop.sums.s()).apply_async(),
        "request\n  apply_async/shop.sums\n    run/shop.sums  child by default",
        show=["reason"],
    )


def test_headers_that_are_continued(story):
    add, sums = story.shop.add, story.shop.sums
    story.run(
        chord([in_mode("child", add.s(1, 1)), in_mode("child", add.s(2, 2))], sums.s()),
        """
        request
          apply_async/shop.add
            run/shop.add#1         child by call
          apply_async/shop.add
            run/shop.add#2         child by call
              apply_async/shop.sums                                (by the last header)
          apply_async/shop.sums                                    (by unlock)
          run/shop.sums            child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        """,
        show=["reason"],
    )


def test_headers_in_every_mode(story):
    add, unrelated, sleeper, plain = story.shop.add, story.shop.unrelated, story.shop.sleeper, story.shop.plain
    headers = [in_mode("child", add.s(1, 1)), unrelated.s(), sleeper.s(0.3)]
    story.run(
        chord(headers, plain.si()),
        """
        request
          apply_async/shop.add
            run/shop.add               child by call
          apply_async/shop.plain                                   (by unlock)
          apply_async/shop.sleeper     link consumer -> run/shop.sleeper
          apply_async/shop.unrelated
          run/shop.plain               child by default  link header -> run/shop.add  \
link header -> run/shop.sleeper  link header -> run/shop.unrelated
        run/shop.sleeper               link by fan-out  link producer -> apply_async/shop.sleeper
          apply_async/shop.plain                                   (by the last header)
        run/shop.unrelated             none by task
        """,
        show=["reason"],
    )


def test_chains_as_headers_are_linked_to_where_they_end(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    steps = [chain(add.s(1, 1), swallow.s()), chain(add.s(2, 2), swallow.s())]
    story.run(
        chord(steps, plain.si()),
        """
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.plain                                   (by unlock)
          run/shop.plain               link header -> run/shop.swallow#1  link header -> run/shop.swallow#2
        run/shop.add#1                 link producer -> apply_async/shop.add#1
          apply_async/shop.swallow
            run/shop.swallow#1         link origin -> apply_async/shop.add#1
        run/shop.add#2                 link producer -> apply_async/shop.add#2
          apply_async/shop.swallow
            run/shop.swallow#2         link origin -> apply_async/shop.add#2
              apply_async/shop.plain                               (by the last header)
        """,
    )


def test_a_group_within_the_headers_is_part_of_them(story):
    add, sums = story.shop.add, story.shop.sums
    story.run(
        chord(group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3))), sums.s()),
        """
        request
          apply_async/shop.add  link consumer -> run/shop.add  x 3
          apply_async/shop.sums                                    (by unlock)
          run/shop.sums         link header -> run/shop.add x 3
        run/shop.add            link producer -> apply_async/shop.add  x 3  (by unlock)
        run/shop.add            link producer -> apply_async/shop.add  x 2  (by the last header)
        run/shop.add            link producer -> apply_async/shop.add       (by the last header)
          apply_async/shop.sums                                    (by the last header)
        """,
        collapse=2,
    )
