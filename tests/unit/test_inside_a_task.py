"""What a task finds as it would be without us, and what it publishes belongs to its story however it is called."""

from __future__ import annotations

import contextvars
import copy
import json
import pickle
import threading

import pytest

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda request: pickle.loads(pickle.dumps(request)),
    "json": lambda request: json.dumps(vars(request)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_request_can_be_copied_and_serialised(shop, copied):
    def body():
        return copied(task.request) is not None

    task = shop.task("shop.add", body)
    headers = shop.publish("shop.later")
    assert shop.run(task, headers).retval is True


def as_a_function(inner):
    inner()


def by_apply(inner):
    inner.apply()


def in_a_thread(inner):
    thread = threading.Thread(target=contextvars.copy_context().run, args=(inner,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("way", [as_a_function, by_apply, in_a_thread])
def test_the_origin_is_known_wherever_a_task_publishes(shop, way):
    """The first linked trace is where the story left the request; its second hop still leads there."""

    def publish():
        last.apply_async(otel_propagation="link")

    def call():
        way(inner)

    last, inner, outer = shop.task("shop.last"), shop.task("shop.inner", publish), shop.task("shop.outer", call)
    with shop.tracer.start_as_current_span("request"):
        outer.apply_async(otel_propagation="link")
    (origin,) = shop.named("apply_async/shop.outer")
    shop.run(outer, shop.sent[-1][1])
    shop.run(last, shop.sent[-1][1])
    (run,) = shop.named("run/shop.last")
    kinds = {link.attributes["celery.link.kind"]: link.context for link in run.links}
    assert kinds["origin"].span_id == origin.context.span_id
    assert kinds["origin"].trace_id == origin.context.trace_id
