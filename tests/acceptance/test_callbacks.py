"""Callbacks and errbacks that do not stand in the table of docs/canvas.md."""

from __future__ import annotations

import pytest
from celery import chain, group

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def test_a_chain_as_callback(story):
    add, swallow, plain = story.shop.add, story.shop.swallow, story.shop.plain
    story.run(
        add.s(1, 1).set(link=chain(swallow.s(), plain.si())),
        """
        request
          apply_async/shop.add
            run/shop.add
              apply_async/shop.swallow
                run/shop.swallow
                  apply_async/shop.plain
                    run/shop.plain
        """,
    )


def test_an_errback_that_takes_the_exception_is_called_in_place_and_no_task(story):
    story.run(
        story.shop.fail.s().set(link_error=story.shop.swallow.s()),
        "request\n  apply_async/shop.fail\n    run/shop.fail  ERROR",
    )


def test_a_group_that_a_task_with_callbacks_publishes_is_linked_all_the_same(story):
    add, publish, swallow, plain = story.shop.add, story.shop.publish, story.shop.swallow, story.shop.plain
    story.run(
        publish.s(group(add.s(1, 1), add.s(2, 2))).set(link=[swallow.s(), plain.si()]),
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.add#1  link consumer -> run/shop.add#1
              apply_async/shop.add#2  link consumer -> run/shop.add#2
              apply_async/shop.plain
                run/shop.plain
              apply_async/shop.swallow
                run/shop.swallow
        run/shop.add#1                link producer -> apply_async/shop.add#1
        run/shop.add#2                link producer -> apply_async/shop.add#2
        """,
    )
