"""A publish that fails is a span with an error, and leaves everything else as it was before."""

from __future__ import annotations

import contextlib

import pytest
from celery import group
from kombu.exceptions import EncodeError
from opentelemetry import trace

from tests.acceptance.shop import open_shop
from tests.harness.servers import free_port

FAILED = """
    request
      apply_async/shop.add    ERROR
      apply_async/shop.plain
        run/shop.plain
"""


DOWN = Exception  # which one depends on the releases of kombu and of redis-py
ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}


@pytest.fixture
def down(request):
    """The shop, with a broker that nobody listens for: a Redis, unless the test says which."""
    transport = getattr(request, "param", "redis")
    shop = open_shop(f"{transport}://127.0.0.1:{free_port()}/0", conf={"broker_transport_options": ONCE})
    yield shop
    shop.close()


def then_publish_well(story):
    """After a failure in the request: its span is still current, and a good publish is its child."""
    assert trace.get_current_span().name == "request"
    story.follow(story.shop.plain.delay())


@pytest.mark.parametrize("down", ["redis", "amqp"], indirect=True)
@pytest.mark.parametrize(
    "policy", [{"retry": False}, {"retry": True, "retry_policy": ONCE}], ids=["without-retry", "with-retry"]
)
def test_a_broker_that_is_down(story, down, policy):
    with story.request():
        with pytest.raises(DOWN, match=r".") as caught:
            down.tasks["shop.add"].apply_async((1, 2), **policy)
        then_publish_well(story)
    story.expect(FAILED)
    failed = story.span("apply_async/shop.add")
    assert failed.attributes["error.type"].rpartition(".")[2] == type(caught.value).__name__
    assert failed.description == str(caught.value)
    assert [event["name"] for event in failed.events] == ["exception"]


def test_a_broker_that_is_down_without_a_span_around(story, down):
    with pytest.raises(DOWN, match=r"."):
        down.tasks["shop.add"].apply_async((1, 2), retry=False)
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_an_argument_that_can_not_be_serialised(story):
    with story.request():
        with pytest.raises(EncodeError):
            story.shop.add.delay(object(), 2)
        then_publish_well(story)
    story.expect(FAILED)
    assert story.span("apply_async/shop.add").attributes["error.type"].endswith("EncodeError")


def test_a_group_with_a_member_that_can_not_be_serialised(story):
    with story.request():
        with pytest.raises(EncodeError):
            group(story.shop.swallow.s(object()), story.shop.swallow.s(2)).apply_async()
        then_publish_well(story)
    story.expect(
        """
        request
          apply_async/shop.plain
            run/shop.plain
          apply_async/shop.swallow  ERROR  link consumer -> ?
    """,
        allow=["apply_async/shop.swallow: link consumer to nothing"],
    )


def test_many_failures_leave_nothing_behind(story, down):
    with story.request():
        for _ in range(10):
            with contextlib.suppress(DOWN):
                down.tasks["shop.add"].apply_async((1, 2), retry=False)
        then_publish_well(story)
    story.expect(
        """
        request
          apply_async/shop.add  ERROR  x 10
          apply_async/shop.plain
            run/shop.plain
        """,
        collapse=2,
    )


def test_a_publish_that_fails_in_a_task_does_not_change_what_comes_after(story):
    story.run(
        story.shop.publish_badly.s(story.shop.plain.s()),
        """
        request
          apply_async/shop.publish_badly
            run/shop.publish_badly
              apply_async/shop.add    ERROR
              apply_async/shop.plain
                run/shop.plain
        """,
    )
