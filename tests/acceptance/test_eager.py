"""An eager task runs where it is called: under the span that is current, without having waited."""

from __future__ import annotations

import pytest
from celery import group

RUN = "request\n  run/shop.{task}"


def no_latency(span):
    return not [name for name in span.attributes if name.startswith("celery.latency")]


@pytest.mark.parametrize("task", ["plain", "linked", "unrelated"])
def test_apply_runs_under_the_current_span_whatever_the_mode(story, task):
    story.run(lambda: story.shop.__dict__[task].apply(), RUN.format(task=task))
    assert no_latency(story.span(f"run/shop.{task}"))


def test_always_eager_runs_under_the_current_span(story, monkeypatch):
    monkeypatch.setitem(story.app.conf, "task_always_eager", True)
    story.run(story.shop.plain.s(), RUN.format(task="plain"))
    assert no_latency(story.span("run/shop.plain"))


def test_an_eager_group_runs_under_the_current_span(story):
    add = story.shop.add
    story.run(lambda: group(add.s(1, 1), add.s(2, 2)).apply(), "request\n  run/shop.add  x 2", collapse=2)


def test_an_eager_failure_is_an_error(story):
    story.run(lambda: story.shop.fail.apply(), "request\n  run/shop.fail  ERROR")


def test_an_eager_failure_that_is_thrown_is_an_error(story):
    with pytest.raises(Exception, match="sold out"), story.request():
        story.shop.fail.apply(throw=True)
    story.expect("request  ERROR\n  run/shop.fail  ERROR")


def test_an_eager_task_that_publishes_is_the_parent_of_what_it_publishes(story):
    story.run(
        lambda: story.shop.publish.apply((dict(story.shop.plain.s()),)),
        """
        request
          run/shop.publish
            apply_async/shop.plain
              run/shop.plain
        """,
    )
