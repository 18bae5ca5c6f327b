"""The steps of a chain continue each other; groups in it are linked, and what comes after a group is a chord's body."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def test_a_chain_is_one_trace(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    story.run(
        chain(add.s(1, 1), swallow.s(), plain.si()),
        """
        request
          apply_async/shop.add
            run/shop.add                    child by default
              apply_async/shop.swallow
                run/shop.swallow            child by default
                  apply_async/shop.plain
                    run/shop.plain          child by default
        """,
        show=["reason"],
    )


def test_a_linked_step_starts_a_trace_in_which_the_next_ones_stay(story):
    add, linked, plain = story.shop.add, story.shop.linked, story.shop.plain
    story.run(
        chain(add.s(1, 1), linked.si(), plain.si()),
        """
        request
          apply_async/shop.add
            run/shop.add
              apply_async/shop.linked  link consumer -> run/shop.linked
        run/shop.linked                link producer -> apply_async/shop.linked
          apply_async/shop.plain
            run/shop.plain             link origin -> apply_async/shop.linked
        """,
    )


def test_a_group_at_the_end(story):
    plain, add = story.shop.plain, story.shop.add
    story.run(
        chain(plain.si(), group(add.si(1, 1), add.si(2, 2))),
        """
        request
          apply_async/shop.plain
            run/shop.plain             child by default
              apply_async/shop.add#1   link consumer -> run/shop.add#1
              apply_async/shop.add#2   link consumer -> run/shop.add#2
        run/shop.add#1                 link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2                 link by fan-out  link producer -> apply_async/shop.add#2
        """,
        show=["reason"],
    )


def test_a_group_in_the_middle_is_a_chord(story):
    plain, add, sums = story.shop.plain, story.shop.add, story.shop.sums
    story.run(
        chain(plain.si(), group(add.si(1, 1), add.si(2, 2)), sums.s()),
        """
        request
          apply_async/shop.plain
            run/shop.plain             child by default
              apply_async/shop.add#1   link consumer -> run/shop.add#1
              apply_async/shop.add#2   link consumer -> run/shop.add#2
              apply_async/shop.sums                                 (by unlock)
              run/shop.sums            child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1                 link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2                 link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                     (by the last header)
        """,
        show=["reason"],
    )


def test_a_group_before_a_chain_is_a_chord_with_a_chain_as_body(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    story.run(
        group(add.s(1, 1), add.s(2, 2)) | sums.s() | swallow.s(),
        """
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.sums                                     (by unlock)
          run/shop.sums                link header -> run/shop.add#1  link header -> run/shop.add#2
            apply_async/shop.swallow
              run/shop.swallow
        run/shop.add#1                 link producer -> apply_async/shop.add#1
        run/shop.add#2                 link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                     (by the last header)
        """,
    )


def test_the_first_steps_of_chains_in_a_group_are_linked(story):
    add, plain = story.shop.add, story.shop.plain
    story.run(
        group(chain(add.si(1, 1), plain.si()), chain(add.si(2, 2), plain.si())),
        """
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
        run/shop.add#1                 link by fan-out  link producer -> apply_async/shop.add#1
          apply_async/shop.plain
            run/shop.plain             child by default  link origin -> apply_async/shop.add#1
        run/shop.add#2                 link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/shop.plain
            run/shop.plain             child by default  link origin -> apply_async/shop.add#2
        """,
        show=["reason"],
    )


def test_a_chain_that_a_task_publishes(story):
    publish, add, plain = story.shop.publish, story.shop.add, story.shop.plain
    story.run(
        publish.s(chain(add.si(1, 1), plain.si())),
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.add
                run/shop.add
                  apply_async/shop.plain
                    run/shop.plain
        """,
    )


def test_a_chain_with_a_chord_as_header_of_a_chord(story):
    """The inner body continues the task that published the inner chord, the outer one the request."""
    plain, add, swallow, linked, sums = (
        story.shop.plain,
        story.shop.add,
        story.shop.swallow,
        story.shop.linked,
        story.shop.sums,
    )
    inner = chain(plain.si(), group(add.si(1, 1), add.si(2, 2)), swallow.s())
    story.run(
        chord([inner, linked.si()], sums.si([1])),
        """
        request
          apply_async/shop.linked      link consumer -> run/shop.linked
          apply_async/shop.plain       link consumer -> run/shop.plain
          apply_async/shop.sums                                     (by unlock)
          run/shop.sums                link header -> run/shop.linked  link header -> run/shop.swallow
        run/shop.add#1                 link producer -> apply_async/shop.add#1  link origin -> apply_async/shop.plain
        run/shop.add#2                 link producer -> apply_async/shop.add#2  link origin -> apply_async/shop.plain
          apply_async/shop.swallow                                  (by the last header)
        run/shop.linked                link producer -> apply_async/shop.linked
        run/shop.plain                 link producer -> apply_async/shop.plain
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.swallow                                  (by unlock)
          run/shop.swallow             link origin -> apply_async/shop.plain  \
link header -> run/shop.add#1  link header -> run/shop.add#2
            apply_async/shop.sums                                   (by the last header)
        """,
    )
