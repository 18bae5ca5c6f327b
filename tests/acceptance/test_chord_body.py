"""The body of a chord may be any canvas, linked, retried or never published; and so may be where its chord began."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def in_mode(mode, signature):
    return signature.set(headers={"otel-propagation": mode})


def test_a_chain_as_body_goes_on_where_it_starts(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    story.run(
        chord([add.s(1, 1), add.s(2, 2)], chain(sums.s(), swallow.s())),
        """
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.sums                                    (by unlock)
          run/shop.sums                link header -> run/shop.add#1  link header -> run/shop.add#2
            apply_async/shop.swallow
              run/shop.swallow
        run/shop.add#1                 link producer -> apply_async/shop.add#1
        run/shop.add#2                 link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                    (by the last header)
        """,
    )


def test_each_member_of_a_group_as_body_links_to_every_header(story):
    add, sums, swallow = story.shop.add, story.shop.sums, story.shop.swallow
    story.run(
        chord([add.s(1, 1), add.s(2, 2)], group(sums.s(), swallow.s())),
        """
        request
          apply_async/shop.add#1       link consumer -> run/shop.add#1
          apply_async/shop.add#2       link consumer -> run/shop.add#2
          apply_async/shop.sums                                    (by unlock)
          apply_async/shop.swallow                                 (by unlock)
          run/shop.sums                child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
          run/shop.swallow             child by default  link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1                 link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add#2                 link by fan-out  link producer -> apply_async/shop.add#2
          apply_async/shop.sums                                    (by the last header)
          apply_async/shop.swallow                                 (by the last header)
        """,
        show=["reason"],
    )


def test_a_body_that_is_to_be_linked_is_a_root_with_a_link_back_to_where_the_chord_began(story):
    add, linked = story.shop.add, story.shop.linked
    story.run(
        chord([add.s(1, 1)], linked.si()),
        """
        request
          apply_async/shop.add      link consumer -> run/shop.add
          apply_async/shop.linked   link consumer -> run/shop.linked  (by unlock)
        run/shop.add                link producer -> apply_async/shop.add
          apply_async/shop.linked   link consumer -> run/shop.linked  (by the last header)
        run/shop.linked             link producer -> apply_async/shop.linked  link origin -> request  \
link header -> run/shop.add
        """,
    )


def test_a_body_that_is_retried_links_to_its_previous_attempt(story):
    add, flaky = story.shop.add, story.shop.flaky
    story.run(
        chord([add.s(1, 1)], flaky.si(1)),
        """
        request
          apply_async/shop.add      link consumer -> run/shop.add
          apply_async/shop.flaky                                   (by unlock)
          run/shop.flaky#1          RETRY  link header -> run/shop.add
            apply_async/shop.flaky
          run/shop.flaky#2          retry 1  link previous-attempt -> run/shop.flaky#1
        run/shop.add                link producer -> apply_async/shop.add
          apply_async/shop.flaky                                   (by the last header)
        """,
    )


def test_without_all_its_headers_there_is_no_body_but_its_errback(story):
    fail, sums, plain = story.shop.fail, story.shop.sums, story.shop.plain
    story.run(
        chord([fail.s()], sums.s().on_error(plain.si())),
        """
        request
          apply_async/shop.fail     link consumer -> run/shop.fail
          apply_async/shop.plain                                   (by unlock)
            run/shop.plain          child by default               (by unlock)
        run/shop.fail               ERROR  link by fan-out  link producer -> apply_async/shop.fail
          apply_async/shop.plain                                   (by the last header)
            run/shop.plain          child by default  link origin -> apply_async/shop.fail  (by the last header)
        """,
        show=["reason"],
    )


def test_a_chord_that_a_linked_task_publishes_stays_in_the_trace_of_that_task(story):
    add, sums, publish = story.shop.add, story.shop.sums, story.shop.publish
    story.run(
        in_mode("link", publish.s(chord([add.s(1, 1)], sums.s()))),
        """
        request
          apply_async/shop.publish  link consumer -> run/shop.publish
        run/shop.add                link producer -> apply_async/shop.add  link origin -> apply_async/shop.publish
          apply_async/shop.sums                                    (by the last header)
        run/shop.publish            link producer -> apply_async/shop.publish
          apply_async/shop.add      link consumer -> run/shop.add
          apply_async/shop.sums                                    (by unlock)
          run/shop.sums             link origin -> apply_async/shop.publish  link header -> run/shop.add
        """,
    )


def test_a_chord_that_was_published_outside_of_any_span_has_a_root_for_its_body(story):
    add, plain = story.shop.add, story.shop.plain
    with story.request():
        pass
    result = chord([in_mode("child", add.s(1, 1))], plain.si()).apply_async()
    story.follow([result, result.parent])
    story.expect(
        """
        apply_async/shop.add
          run/shop.add
            apply_async/shop.plain                                 (by the last header)
        apply_async/shop.plain                                     (by unlock)
        request
        run/shop.plain              link producer -> apply_async/shop.plain  link header -> run/shop.add
        """
    )
