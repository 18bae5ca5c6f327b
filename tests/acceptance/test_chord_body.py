"""Bodies that are linked or never published, and chords from outside of any span. Others stand in docs/canvas.md."""

from __future__ import annotations

import pytest
from celery import chord

from tests.acceptance.story import Forests

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def in_mode(mode, signature):
    return signature.set(headers={"otel-propagation": mode})


def test_a_body_that_is_to_be_linked_is_a_root_with_a_link_back_to_where_the_chord_began(story):
    add, linked = story.shop.add, story.shop.linked
    story.run(
        chord([add.s(1, 1)], linked.si()),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.add      link consumer -> run/shop.add
        run/shop.add                link producer -> apply_async/shop.add
          apply_async/shop.linked   link consumer -> run/shop.linked
        run/shop.linked             link producer -> apply_async/shop.linked  link origin -> request  \
link header -> run/shop.add
        """,
            by_unlock="""
        request
          apply_async/shop.add      link consumer -> run/shop.add
          apply_async/shop.linked   link consumer -> run/shop.linked
        run/shop.add                link producer -> apply_async/shop.add
        run/shop.linked             link producer -> apply_async/shop.linked  link origin -> request  \
link header -> run/shop.add
        """,
        ),
    )


def test_without_all_its_header_tasks_there_is_no_body_but_its_errback(story):
    fail, sums, plain = story.shop.fail, story.shop.sums, story.shop.plain
    story.run(
        chord([fail.s()], sums.s().on_error(plain.si())),
        Forests(
            by_last_header_task="""
        request
          apply_async/shop.fail     link consumer -> run/shop.fail
        run/shop.fail               ERROR  link by fan-out  link producer -> apply_async/shop.fail
          apply_async/shop.plain
            run/shop.plain          child by default  link origin -> apply_async/shop.fail
        """,
            by_unlock="""
        request
          apply_async/shop.fail     link consumer -> run/shop.fail
          apply_async/shop.plain
            run/shop.plain          child by default
        run/shop.fail               ERROR  link by fan-out  link producer -> apply_async/shop.fail
        """,
        ),
        show=["reason"],
    )


def test_a_chord_that_was_published_outside_of_any_span_has_a_root_for_its_body(story):
    add, plain = story.shop.add, story.shop.plain
    with story.request():
        pass
    result = chord([in_mode("child", add.s(1, 1))], plain.si()).apply_async()
    story.follow([result, result.parent])
    story.expect(
        Forests(
            by_last_header_task="""
        apply_async/shop.add
          run/shop.add
            apply_async/shop.plain
        request
        run/shop.plain              link producer -> apply_async/shop.plain  link header -> run/shop.add
        """,
            by_unlock="""
        apply_async/shop.add
          run/shop.add
        apply_async/shop.plain
        request
        run/shop.plain              link producer -> apply_async/shop.plain  link header -> run/shop.add
        """,
        )
    )
