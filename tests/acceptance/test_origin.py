"""From every run in a linked trace a link leads to where the story left the request's trace."""

from __future__ import annotations

import pytest
from celery import chain, group

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


def test_through_fan_out_in_fan_out_in_fan_out(story):
    publish, plain, linked = story.shop.publish, story.shop.plain, story.shop.linked
    story.run(
        group(publish.s(group(publish.s(group(plain.si())), linked.si()))),
        """
        request
          apply_async/shop.publish#1    link consumer -> run/shop.publish#1
        run/shop.linked  link producer -> apply_async/shop.linked  link origin -> apply_async/shop.publish#1
        run/shop.plain   link producer -> apply_async/shop.plain  link origin -> apply_async/shop.publish#1
        run/shop.publish#1              link producer -> apply_async/shop.publish#1
          apply_async/shop.linked       link consumer -> run/shop.linked
          apply_async/shop.publish#2    link consumer -> run/shop.publish#2
        run/shop.publish#2              link producer -> apply_async/shop.publish#2  \
link origin -> apply_async/shop.publish#1
          apply_async/shop.plain        link consumer -> run/shop.plain
        """,
    )


def test_through_chains_and_retries_and_callbacks(story):
    flaky, add, swallow = story.shop.flaky, story.shop.add, story.shop.swallow
    story.run(
        chain(flaky.si(1).set(headers={"otel-propagation": "link"}), add.si(1, 1).set(link=swallow.s())),
        """
        request
          apply_async/shop.flaky#1      link consumer -> run/shop.flaky#1
        run/shop.flaky#1                RETRY    link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2      link consumer -> run/shop.flaky#2
          run/shop.flaky#2              retry 1  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#1
            apply_async/shop.add
              run/shop.add              link origin -> apply_async/shop.flaky#1
                apply_async/shop.swallow
                  run/shop.swallow      link origin -> apply_async/shop.flaky#1
        """,
    )


def test_a_linked_task_that_publishes_a_linked_one(story):
    publish, linked, plain = story.shop.publish, story.shop.linked, story.shop.plain
    story.run(
        publish.s(chain(linked.si(), plain.si())).set(headers={"otel-propagation": "link"}),
        """
        request
          apply_async/shop.publish      link consumer -> run/shop.publish
        run/shop.linked  link producer -> apply_async/shop.linked  link origin -> apply_async/shop.publish
          apply_async/shop.plain
            run/shop.plain              link origin -> apply_async/shop.publish
        run/shop.publish                link producer -> apply_async/shop.publish
          apply_async/shop.linked       link consumer -> run/shop.linked
        """,
    )


def test_the_origin_is_where_a_worker_decides_to_link(story):
    stranger = story.stranger()
    story.run(
        lambda: stranger.send_task("shop.linked", link=story.shop.plain.si()),
        """
        request
          apply_async/shop.linked
        run/shop.linked                 link producer -> apply_async/shop.linked
          apply_async/shop.plain
            run/shop.plain              link origin -> apply_async/shop.linked
        """,
    )
