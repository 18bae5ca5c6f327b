"""A message that is delivered again runs again: one run span per delivery, where the first one is, and it says so."""

from __future__ import annotations

import pytest

from tests.harness.waiting import until

CONTINUED = """
    request
      apply_async/shop.dies_once
        run/shop.dies_once        ERROR
        run/shop.dies_once        celery.redelivered=True
"""
LINKED = """
    request
      apply_async/shop.dies_once  link consumer -> run/shop.dies_once#1
    run/shop.dies_once#1          ERROR  link producer -> apply_async/shop.dies_once
    run/shop.dies_once#2          celery.redelivered=True  link producer -> apply_async/shop.dies_once
"""


def in_mode(mode, signature):
    return signature.set(headers={"otel-propagation": mode})


@pytest.mark.parametrize(("mode", "expected"), [("child", CONTINUED), ("link", LINKED)])
def test_a_lost_worker_has_its_span_and_so_has_the_next_one(story, mode, expected):
    story.run(in_mode(mode, story.shop.dies_once.s()), expected, show=["celery.redelivered"])
    reserved = [link.target for link in story.span("apply_async/shop.dies_once").links]
    first, second = story.spans("run/shop.dies_once")
    assert reserved in ([], [first.key])
    assert second.key != first.key


@pytest.mark.parametrize("mode", ["child", "link"])
def test_a_message_whose_visibility_timeout_is_over(story, mode):
    """Taken by a consumer that never acknowledges it, and put back by the function that the worker's timer calls."""
    elsewhere = f"held-{mode}-{story.stage.queue}"
    with story.request():
        result = in_mode(mode, story.shop.plain.s()).apply_async(queue=elsewhere)
    story.follow(result)
    with story.app.connection_for_read(transport_options={"visibility_timeout": 0}) as connection:
        channel = connection.channel()
        taken = channel.basic_get(elsewhere)
        assert taken is not None
        channel.qos.restore_visible(num=10)
        until(lambda: channel._size(elsewhere), what="the message back in its queue")
        channel.qos._delivered.clear()
    queues = story.app.control.inspect().active_queues()
    (worker,) = (name for name, there in queues.items() if any(q["name"] == story.stage.queue for q in there))
    story.app.control.add_consumer(elsewhere, destination=[worker], reply=True)
    linked = """
        request
          apply_async/shop.plain  link consumer -> ?
        run/shop.plain            celery.redelivered=True  link producer -> apply_async/shop.plain
    """
    continued = """
        request
          apply_async/shop.plain
            run/shop.plain        celery.redelivered=True
    """
    # The delivery that was reserved for never ran.
    story.expect(
        linked if mode == "link" else continued,
        show=["celery.redelivered"],
        allow=["apply_async/shop.plain: link consumer to nothing"],
    )
