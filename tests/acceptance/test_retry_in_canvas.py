"""Retries within chains, groups and chords: the canvas goes on after the attempt that succeeds."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]


def test_a_chain_goes_on_after_the_attempt_that_succeeds(story):
    add, flaky, plain = story.shop.add, story.shop.flaky, story.shop.plain
    story.run(
        chain(add.s(1, 1), flaky.si(1), plain.si()),
        """
        request
          apply_async/shop.add
            run/shop.add                     child by default
              apply_async/shop.flaky
                run/shop.flaky#1             RETRY    child by default
                  apply_async/shop.flaky
                run/shop.flaky#2             retry 1  child by default  link previous-attempt -> run/shop.flaky#1
                  apply_async/shop.plain
                    run/shop.plain           child by default
        """,
        show=["reason"],
    )


def test_a_member_of_a_group_is_retried_in_its_own_trace(story):
    story.run(
        group(story.shop.flaky.s(1), story.shop.plain.s()),
        """
        request
          apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
          apply_async/shop.plain      link consumer -> run/shop.plain
        run/shop.flaky#1              RETRY    link by fan-out  link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2    link consumer -> run/shop.flaky#2
          run/shop.flaky#2            retry 1  link by fan-out  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#1
        run/shop.plain                link by fan-out  link producer -> apply_async/shop.plain
        """,
        show=["reason"],
    )


def test_the_body_of_a_chord_links_to_the_attempt_that_succeeded(story):
    story.run(
        chord([story.shop.flaky.s(2, countdown=0.3), story.shop.add.s(1, 1)], story.shop.plain.si()),
        """
        request
          apply_async/shop.add        link consumer -> run/shop.add
          apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
          apply_async/shop.plain                                      (by unlock)
          run/shop.plain              link header -> run/shop.add  link header -> run/shop.flaky#3
        run/shop.add                  link producer -> apply_async/shop.add
        run/shop.flaky#1              RETRY    link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2    link consumer -> run/shop.flaky#2
          run/shop.flaky#2            retry 1  RETRY  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#1
            apply_async/shop.flaky#3  link consumer -> run/shop.flaky#3
          run/shop.flaky#3            retry 2  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#2
            apply_async/shop.plain                                    (by the last header)
        """,
    )


def test_a_header_that_is_continued_and_retried(story):
    flaky = story.shop.flaky.s(1).set(headers={"otel-propagation": "child"})
    story.run(
        chord([flaky], story.shop.plain.si()),
        """
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
              apply_async/shop.plain                                  (by the last header)
          apply_async/shop.plain                                      (by unlock)
          run/shop.plain      link header -> run/shop.flaky#2
        """,
    )
