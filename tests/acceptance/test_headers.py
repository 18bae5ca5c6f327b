"""What users and other tools put on a message stays; what is ours is always of this message; rubbish costs no task."""

from __future__ import annotations

import pytest

from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)

STALE = "00-11111111111111111111111111111111-2222222222222222-01"
FOREIGN = {"x-tenant": "42", "sentry-trace": "a-b-1", "elasticapm": "c", "x-count": 7}
RUBBISH = {
    "not a header at all": "§$%&",
    "empty": "",
    "an unknown version": "v=99;mode=link",
    "unknown keys": "v=1;t=1.5;mode=child;colour=red",
    "numbers that are none": "v=1;t=NaN;mode=link;rank=inf",
    "too long": "v=1;" + "x=y;" * 5000,
    "a context of zeros": "v=1;mode=link;reserved=" + "0" * 32 + "-" + "0" * 16 + "-01",
    "a number": 17,
    "a list": [1, [2, {"three": None}]],
    "a mapping": {"v": 1},
}


def test_headers_of_users_and_of_other_tools_reach_the_task_as_they_were(story):
    told = dict(FOREIGN)
    result = story.run(
        lambda: story.shop.headers.apply_async((list(FOREIGN),), headers=told),
        "request\n  apply_async/shop.headers\n    run/shop.headers",
    )
    assert result.get(timeout=10) == FOREIGN
    assert told == FOREIGN


def test_a_stale_context_in_the_headers_is_overwritten(story):
    story.run(
        lambda: story.shop.plain.apply_async(headers={"traceparent": STALE, "celery-otel-links": "v=1;mode=none"}),
        "request\n  apply_async/shop.plain\n    run/shop.plain",
    )


def test_a_retry_overwrites_every_field_that_it_inherits(story):
    story.run(
        story.shop.flaky.s(1),
        """
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
        """,
    )
    first, second = story.spans("run/shop.flaky")
    assert (
        second.attributes["celery.latency.since_first_enqueue"] > second.attributes["celery.latency.enqueue_to_start"]
    )
    assert "celery.latency.since_first_enqueue" not in first.attributes


def test_the_call_that_chose_the_mode_chose_it_for_the_retries_too(story):
    story.run(
        lambda: story.shop.flaky.apply_async((1,), headers={"otel-propagation": "none"}),
        """
        request
          apply_async/shop.flaky
        run/shop.flaky  RETRY  none by call
          apply_async/shop.flaky
        run/shop.flaky  retry 1  none by call
        """,
        show=["reason"],
    )


@pytest.mark.parametrize("value", RUBBISH.values(), ids=RUBBISH)
def test_a_broken_header_from_outside_costs_nothing(story, value):
    story.end()
    result = story.run(
        lambda: story.shop.add.apply_async((1, 2), headers={"celery-otel-links": value}),
        "request\nrun/shop.add",
    )
    assert result.get(timeout=10) == 3


@pytest.mark.parametrize("value", ["lnik", "", "§", "LINK"])
def test_a_mode_that_there_is_not_costs_nothing(story, value):
    story.run(
        lambda: story.shop.plain.apply_async(headers={"otel-propagation": value}),
        "request\n  apply_async/shop.plain\n    run/shop.plain",
    )
