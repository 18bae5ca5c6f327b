"""Whoever publishes, and however: no span stays open, no context attached, and every field is written anew."""

from __future__ import annotations

from uuid import UUID

import celery
import pytest
from celery import signals
from opentelemetry import baggage, trace
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.propagate import extract

from celery_otel_links._wire.header import HEADER, decode


def bare(shop, name, task_id="nested"):
    """Publish as celery-batches, beat's relatives and others do: not by `send_task`."""
    message = shop.app.amqp.as_task_v2(task_id, name, (), {})
    with shop.app.producer_or_acquire(None) as producer:
        shop.app.amqp.send_task_message(producer, name, message, queue="celery")


@pytest.fixture
def receiving():
    """Connects receivers of `before_task_publish`: `first`, ahead of ours, too."""
    connected = []

    def connect(receiver, *, first):
        before = list(signals.before_task_publish.receivers or ())
        signals.before_task_publish.connect(receiver, weak=False)
        connected.append(receiver)
        if first:
            added = [one for one in signals.before_task_publish.receivers if one not in before]
            signals.before_task_publish.receivers[:] = [*added, *before]

    yield connect
    for receiver in connected:
        signals.before_task_publish.disconnect(receiver)


def test_a_message_that_was_published_without_send_task_has_a_span_too(shop):
    bare(shop, "shop.add")
    (span,) = shop.spans
    assert (span.name, span.end_time is not None) == ("apply_async/shop.add", True)
    ((_, headers, _),) = shop.sent
    assert decode(headers[HEADER])[1].mode == "child"
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
@pytest.mark.parametrize("nested", ["shop.add", "shop.audit"], ids=["the same task", "another task"])
def test_a_receiver_that_publishes_leaves_no_span_open_and_no_context_attached(shop, receiving, first, nested):
    published = []

    def audit(sender, **_):
        if not published:
            published.append(sender)
            bare(shop, nested)

    receiving(audit, first=first)
    with shop.tracer.start_as_current_span("request") as request:
        shop.publish("shop.add", task_id="outer")
        assert trace.get_current_span() is request
    assert [name for name, _, _ in shop.sent] == [nested, "shop.add"]
    producers = [span for span in shop.spans if span.name.startswith("apply_async/")]
    assert sorted(span.attributes["messaging.message.id"] for span in producers) == ["nested", "outer"]
    assert all(span.end_time for span in producers)
    for _, headers, _ in shop.sent:  # each message names its own span
        (own,) = [one for one in producers if one.attributes["messaging.message.id"] == headers["id"]]
        named = trace.get_current_span(extract(headers, Context())).get_span_context()
        assert named.span_id == own.get_span_context().span_id


@pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
def test_a_receiver_that_publishes_by_send_task_is_a_publish_of_its_own(shop, receiving, first):
    published = []

    def audit(sender, **_):
        if not published:
            published.append(sender)
            shop.app.send_task("shop.audit", task_id="nested")

    receiving(audit, first=first)
    with shop.tracer.start_as_current_span("request") as request:
        shop.publish("shop.add", task_id="outer")
        assert trace.get_current_span() is request
    ids = [span.attributes.get("messaging.message.id") for span in shop.spans]
    assert sorted(filter(None, ids)) == ["nested", "outer"]


def test_a_receiver_that_raises_system_exit_leaves_nothing_open(shop, receiving):
    def stop(**_):
        raise SystemExit(1)

    receiving(stop, first=False)
    with pytest.raises(SystemExit):
        shop.publish("shop.add")
    (span,) = shop.spans
    assert span.end_time
    assert span.status.status_code is trace.StatusCode.ERROR


def retried(shop, without=None):
    """The headers of a message, and of the retry that its task publishes, which has removed an entry of its baggage."""

    def again(self):
        token = otel.attach(baggage.remove_baggage(without) if without else otel.get_current())
        try:
            raise self.retry(countdown=1)
        finally:
            otel.detach(token)

    task = shop.task("shop.again", again, bind=True)
    token = otel.attach(baggage.set_baggage("tenant", "42"))
    with shop.tracer.start_as_current_span("request"):
        headers = shop.publish("shop.add", task_id="the-id", headers={"x-tenant": "42"})
    otel.detach(token)
    shop.run(task, {**headers, "task": "shop.again"})
    return headers, shop.sent[-1][1]


def test_a_retry_writes_every_field_anew(shop):
    before, after = retried(shop)
    if celery.VERSION >= (5, 3):  # older ones copy no headers
        assert after["x-tenant"] == before["x-tenant"] == "42"
    assert after["baggage"] == before["baggage"] == "tenant=42"
    assert after["traceparent"] != before["traceparent"]
    assert decode(after[HEADER])[1].previous is not None
    assert "celery-otel-links-headers" not in after


def test_baggage_that_a_task_has_removed_does_not_travel_with_its_retry(shop):
    _, after = retried(shop, without="tenant")
    assert "baggage" not in after


@pytest.mark.parametrize("task_id", ["the-id", UUID(int=7), None], ids=["a text", "a UUID", "Celery's own"])
def test_the_end_of_a_publish_is_seen_whatever_its_id_is(shop, task_id):
    with pytest.raises(Exception, match="nonsense"):
        shop.publish("shop.add", task_id=task_id, serializer="nonsense")
    (span,) = shop.spans
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes["messaging.message.id"] == str(task_id or span.attributes["messaging.message.id"])


def test_an_id_may_be_given_by_its_place(shop):
    shop.app.send_task("shop.add", (), {}, None, None, "the-id")
    (span,) = shop.spans
    assert span.attributes["messaging.message.id"] == shop.sent[-1][1]["id"] == "the-id"
