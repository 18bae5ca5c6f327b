"""A producer without our instrumentation, or with contrib: the worker decides alone, and makes its span."""

from __future__ import annotations

import pytest
from celery import group
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)


@pytest.fixture
def silent(story):
    """A story whose publisher is not instrumented at all."""
    story.end()
    return story


@pytest.fixture
def contrib(story):
    """A story whose publisher is instrumented by opentelemetry-instrumentation-celery."""
    story.end()
    CeleryInstrumentor().instrument(tracer_provider=story.provider)
    yield story
    CeleryInstrumentor().uninstrument()


@pytest.mark.parametrize("task", ["plain", "linked", "unrelated"])
def test_without_instrumentation_the_run_is_a_root_without_links(silent, task):
    silent.run(silent.shop.__dict__[task].s(), f"request\nrun/shop.{task}  none by no-context", show=["reason"])


def test_without_instrumentation_what_is_known_of_the_latency_is_told(silent):
    silent.run(silent.shop.plain.s(), "request\nrun/shop.plain")
    attributes = silent.span("run/shop.plain").attributes
    assert "celery.latency.queue" not in attributes
    assert 0 <= attributes["celery.latency.prefetch"] < 5


def test_contrib_is_continued(contrib):
    contrib.run(
        contrib.shop.plain.s(),
        """
        request
          apply_async/shop.plain
            run/shop.plain        child by default
        """,
        show=["reason"],
    )


def test_contrib_is_linked_to_when_the_task_says_so(contrib):
    contrib.run(
        contrib.shop.linked.s(),
        """
        request
          apply_async/shop.linked
        run/shop.linked            link by task  link producer -> apply_async/shop.linked
        """,
        show=["reason"],
    )


def test_contrib_is_linked_to_when_the_call_says_so(contrib):
    contrib.run(
        lambda: contrib.shop.plain.apply_async(headers={"otel-propagation": "link"}),
        """
        request
          apply_async/shop.plain
        run/shop.plain            link by call  link producer -> apply_async/shop.plain
        """,
        show=["reason"],
    )


def test_a_group_of_contrib_is_a_fan_out(contrib):
    add = contrib.shop.add
    contrib.run(
        group(add.s(1, 1), add.s(2, 2)),
        """
        request
          apply_async/shop.add#1
          apply_async/shop.add#2
        run/shop.add              link by fan-out  link producer -> apply_async/shop.add#1
        run/shop.add              link by fan-out  link producer -> apply_async/shop.add#2
        """,
        show=["reason"],
    )
