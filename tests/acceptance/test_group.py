"""The members of a group are linked, however the group is nested and whoever publishes it."""

from __future__ import annotations

import pytest
from celery import group

pytestmark = [
    pytest.mark.stages("prefork-valkey", "prefork-files"),
    pytest.mark.worker(otel_links={"fan_in": True}),
]

MEMBERS = """
request
  apply_async/shop.add  link consumer -> run/shop.add  x {n}
run/shop.add            link by fan-out  link producer -> apply_async/shop.add  x {n}
"""
ONE = MEMBERS.replace("  x {n}", "")


def test_a_group_of_one(story):
    story.run(group([story.shop.add.s(1, 1)]), ONE, show=["reason"])


def test_a_group_without_members(story):
    story.run(lambda: group([]).apply_async(), "request")


def test_a_group_from_a_generator(story):
    story.run(group(story.shop.add.s(n, n) for n in range(3)), MEMBERS.format(n=3), show=["reason"], collapse=2)


def test_nested_groups_are_one(story):
    add = story.shop.add
    nested = group(add.s(1, 1), group(add.s(2, 2), group(add.s(3, 3), add.s(4, 4))))
    story.run(nested, MEMBERS.format(n=4), show=["reason"], collapse=2)


def test_a_group_that_a_continued_task_publishes(story):
    add, publish = story.shop.add, story.shop.publish
    story.run(
        publish.s(group(add.s(1, 1), add.s(2, 2))),
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.add#1  link consumer -> run/shop.add#1
              apply_async/shop.add#2  link consumer -> run/shop.add#2
        run/shop.add#1                link producer -> apply_async/shop.add#1
        run/shop.add#2                link producer -> apply_async/shop.add#2
        """,
    )
