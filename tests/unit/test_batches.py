"""What a batch says, all of its messages together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.app.task import Context
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._rules.request import RECEIVED, gathered, is_batch_task, messages_of
from celery_otel_links._tracing.batches import batch_of
from celery_otel_links._wire import header as wire

START = 1_700_000_000.0


def creation(trace: int, span: int = 1) -> SpanContext:
    return SpanContext(trace, span, True, TraceFlags(1))


def message(published: float | None = None, **fields: object) -> Context:
    text = {} if published is None else {wire.HEADER: f"v=1;t={published:.6f};mode=child;reason=default;rank=9"}
    return Context({"id": "an id", **text, **fields})


def simple(**fields: object) -> SimpleNamespace:
    """A message as celery-batches hands it to the task."""
    return SimpleNamespace(id="an id", hostname="worker@here", delivery_info={"routing_key": "bulk"}, **fields)


def test_a_batch_is_a_root_linked_to_the_creation_of_each_message():
    batch = batch_of([(message(), creation(1)), (message(), creation(2))], "child", START, 128)
    assert batch.relation.parent is None
    assert batch.relation.links == (("producer", creation(1)), ("producer", creation(2)))
    assert (batch.decision.mode, batch.decision.reason) == ("link", "batch")


def test_links_beyond_the_most_are_counted():
    batch = batch_of([(message(), creation(trace)) for trace in range(1, 6)], "child", START, 3)
    assert (len(batch.relation.links), batch.relation.dropped) == (3, 2)


@pytest.mark.parametrize(
    ("trust", "decided", "links"),
    [("child", ("link", "batch"), 1), ("link", ("link", "trust"), 1), ("none", ("none", "trust"), 0)],
)
def test_a_queue_is_trusted_as_far_as_it_is_configured(trust, decided, links):
    batch = batch_of([(message(), creation(1))], trust, START, 128)
    assert (batch.decision.mode, batch.decision.reason) == decided
    assert len(batch.relation.links) == links


def test_messages_without_any_context_make_a_root_that_says_so():
    batch = batch_of([(message(), None), (message(), None)], "child", START, 128)
    assert (batch.decision.mode, batch.decision.reason) == ("none", "no-context")


def test_the_latency_is_that_of_the_message_that_was_published_first():
    ages = (2.0, 5.0, 3.0)
    batch = batch_of([(message(START - age), creation(1)) for age in ages], "child", START, 128)
    assert batch.published == START - 5
    assert batch.latency.queue == 5
    assert sorted(latency.queue for latency in batch.others) == [2, 3]


@pytest.mark.parametrize(("traces", "origin"), [((7, 7), creation(7)), ((7, 8), None)])
def test_what_it_publishes_names_an_origin_only_if_all_have_it(traces, origin):
    batch = batch_of([(message(), creation(trace)) for trace in traces], "child", START, 128)
    assert batch.origin == origin


def test_a_request_without_an_id_and_a_list_of_messages_is_a_batch():
    both = [simple(request_dict={RECEIVED: START}), simple(request_dict={RECEIVED: START + 1})]
    request = gathered(Context(), [both])
    assert [vars(one)[RECEIVED] for one in messages_of(request)] == [START, START + 1]
    assert vars(request)[RECEIVED] == START
    assert request.delivery_info == {"routing_key": "bulk"}


@pytest.mark.parametrize("args", [None, [], [[]], [[1, 2]], ["text"], ({"a": 1},)])
def test_nothing_else_is_one(args):
    request = Context()
    assert gathered(request, args) is request
    assert messages_of(request) == []


def test_a_task_of_code_that_has_no_module_is_none():
    """Such as what somebody has pasted into a console that executes it without a name."""
    assert is_batch_task(type("Pasted", (), {"__module__": None})()) is False
