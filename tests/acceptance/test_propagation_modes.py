"""Who decides the mode of a task, in the order of their rank, and what each mode makes of the trace."""

from __future__ import annotations

import pytest

from celery_otel_links import propagation
from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)

CHILD = """
    request
      apply_async/shop.{task}
        run/shop.{task}        child by {reason}
"""
LINK = """
    request
      apply_async/shop.{task}  link consumer -> run/shop.{task}
    run/shop.{task}            link by {reason}  link producer -> apply_async/shop.{task}
"""
NONE = """
    request
      apply_async/shop.{task}
    run/shop.{task}            none by {reason}
"""
SHAPES = {"child": CHILD, "link": LINK, "none": NONE}


def shape(mode, task, reason):
    return SHAPES[mode].format(task=task, reason=reason)


def test_by_default_a_task_continues_the_trace_of_its_publisher(story):
    story.run(story.shop.plain.s(), shape("child", "plain", "default"), show=["reason"])


@pytest.mark.parametrize("mode", SHAPES)
def test_the_configured_default_decides(story, mode):
    story.begin({"default": mode})
    story.run(story.shop.plain.s(), shape(mode, "plain", "default"), show=["reason"])


@pytest.mark.parametrize("mode", SHAPES)
def test_a_header_of_the_call_decides(story, mode):
    story.run(
        lambda: story.shop.plain.apply_async(headers={"otel-propagation": mode}),
        shape(mode, "plain", "call"),
        show=["reason"],
    )


@pytest.mark.parametrize("mode", SHAPES)
def test_calls_inside_of_a_propagation_block_are_in_its_mode(story, mode):
    def publish():
        with propagation(mode):
            return story.shop.plain.delay()

    story.run(publish, shape(mode, "plain", "call"), show=["reason"])


def test_the_innermost_propagation_block_decides_and_then_the_outer_one_again(story):
    def publish():
        with propagation("link"):
            with propagation("none"):
                inner = story.shop.plain.delay()
            outer = story.shop.add.delay(1, 2)
        return [inner, outer, story.shop.sums.delay([1])]

    story.run(
        publish,
        """
        request
          apply_async/shop.add    link consumer -> run/shop.add
          apply_async/shop.plain
          apply_async/shop.sums
            run/shop.sums
        run/shop.add              link producer -> apply_async/shop.add
        run/shop.plain
        """,
    )


def test_a_header_of_the_call_outranks_a_propagation_block(story):
    def publish():
        with propagation("link"):
            return story.shop.plain.apply_async(headers={"otel-propagation": "child"})

    story.run(publish, shape("child", "plain", "call"), show=["reason"])


@pytest.mark.parametrize(
    ("task", "mode"),
    [("linked", "link"), ("continued", "child"), ("unrelated", "none")],
)
def test_the_task_decides_by_its_option(story, task, mode):
    story.run(story.shop.__dict__[task].s(), shape(mode, task, "task"), show=["reason"])


def test_the_task_inherits_the_option_of_its_base_class(story):
    story.run(story.shop.inherited.s(), shape("link", "inherited", "task"), show=["reason"])


def test_the_option_of_a_task_outranks_that_of_its_base_class(story):
    story.run(story.shop.overriding.s(), shape("child", "overriding", "task"), show=["reason"])


def test_task_annotations_decide(story):
    story.run(story.shop.annotated.s(), shape("link", "annotated", "task"), show=["reason"])


def test_the_call_outranks_the_task(story):
    story.run(
        lambda: story.shop.linked.apply_async(headers={"otel-propagation": "child"}),
        shape("child", "linked", "call"),
        show=["reason"],
    )


def test_the_first_pattern_of_tasks_that_matches_decides(story):
    story.begin({"tasks": {"shop.pl*": "link", "shop.plain": "none"}})
    story.run(story.shop.plain.s(), shape("link", "plain", "task-rule"), show=["reason"])


def test_the_task_outranks_the_patterns_of_tasks(story):
    story.begin({"tasks": {"*": "none"}})
    story.run(story.shop.linked.s(), shape("link", "linked", "task"), show=["reason"])


def test_a_pattern_of_tasks_outranks_a_pattern_of_queues(story):
    story.begin({"tasks": {"shop.plain": "none"}, "queues": {"*": "link"}})
    story.run(story.shop.plain.s(), shape("none", "plain", "task-rule"), show=["reason"])


def test_a_pattern_of_queues_decides(story):
    story.begin({"queues": {"shop-*": "link"}})
    story.run(story.shop.plain.s(), shape("link", "plain", "queue-rule"), show=["reason"])


def test_a_publisher_that_knows_only_the_name_is_outranked_by_the_task_of_the_worker(story):
    stranger = story.stranger()
    story.run(
        lambda: stranger.send_task("shop.linked"),
        """
        request
          apply_async/shop.linked
        run/shop.linked            link by task  link producer -> apply_async/shop.linked
        """,
        show=["reason"],
    )


def test_a_publisher_that_knows_only_the_name_is_obeyed_when_it_is_the_call_that_says(story):
    stranger = story.stranger()
    story.run(
        lambda: stranger.send_task("shop.linked", headers={"otel-propagation": "child"}),
        shape("child", "linked", "call"),
        show=["reason"],
    )


def test_both_spans_say_mode_and_reason(story):
    story.run(story.shop.linked.s(), shape("link", "linked", "task"), show=["reason"])
    for span in story.spans("apply_async/shop.linked") + story.spans("run/shop.linked"):
        assert span.attributes["celery.propagation.mode"] == "link"
        assert span.attributes["celery.propagation.reason"] == "task"


def test_a_linked_run_starts_under_the_context_that_its_publisher_reserved(story):
    story.run(story.shop.linked.s(), shape("link", "linked", "task"), show=["reason"])
    (consumer,) = story.span("apply_async/shop.linked").links
    assert (consumer.kind, consumer.target) == ("consumer", story.span("run/shop.linked").key)
    assert story.span("run/shop.linked").trace != story.span("request").trace


def test_the_run_span_is_current_in_the_task(story):
    result = story.run(story.shop.current.s(), "request\n  apply_async/shop.current\n    run/shop.current")
    assert tuple(result.get(timeout=10)) == story.span("run/shop.current").key
