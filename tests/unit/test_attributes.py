"""The attributes of spans: lean by default, all that contrib emits for the same message where that is asked for."""

from __future__ import annotations

import pytest
from celery import Celery, signals
from celery.app.trace import build_tracer
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._config.conventions import Broker, Style
from celery_otel_links._emit import attributes as _attributes
from celery_otel_links._rules.facts import PLAIN_IN, PLAIN_OUT, Decision, Incoming, Message, Outgoing, Route
from celery_otel_links._rules.latency import Latency

BROKER = Broker("redis", "shop.example", 6379)
ROUTE = Route("shop.add", "shop.add", "bulk", "shop", "bulk.mail", "topic")
CALLS = {
    "plain": {},
    "with everything": {
        "countdown": 5,
        "expires": 3600,
        "priority": 3,
        "time_limit": 30,
        "soft_time_limit": 20,
        "compression": "gzip",
        "queue": "bulk",
        "reply_to": "replies",
    },
    "one limit": {"time_limit": 30, "serializer": "json"},
    "a retry": {"retries": 2},
    "told its exchange": {"exchange": "shop", "routing_key": "bulk.mail"},
    "of a group": {"group_id": "gid", "root_id": "root", "parent_id": "parent"},
}


def spans_of(instrumentor, options, limits=None, **how):
    """The PRODUCER and the CONSUMER span that this instrumentation makes of one message."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(span_limits=limits)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.broker_transport_options = {"polling_interval": 0.01}
    sent = {}

    @app.task(shared=False, name="shop.add")
    def add(x, y):
        return x + y

    def capture(headers, **_):
        sent.update(headers)

    app.set_current()
    instrumentor.instrument(tracer_provider=provider, **how)
    signals.after_task_publish.connect(capture, weak=False)
    try:
        add.apply_async((1, 2), task_id="the-id", **options)
        info = {"routing_key": "bulk", "exchange": "", "priority": 0, "redelivered": False}
        request = {**sent, "delivery_info": info, "hostname": "worker@here", "correlation_id": "the-id"}
        build_tracer("shop.add", add, app=app)("the-id", (1, 2), {}, request)
    finally:
        signals.after_task_publish.disconnect(capture)
        instrumentor.uninstrument()
        app.close()
    producer, consumer = exporter.get_finished_spans()
    return producer, consumer


VARYING = {"celery.eta", "celery.expires"}  # absolute times, a moment apart
RENAMED = {"celery.state"}  # there are more states to tell than theirs


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_with_contrib_names_everything_that_contrib_emits_is_there(options):
    theirs = spans_of(CeleryInstrumentor(), options)
    ours = spans_of(CeleryLinksInstrumentor(), options, config={"contrib_names": True})
    for their, our in zip(theirs, ours, strict=True):
        assert (our.name, our.kind) == (their.name, their.kind)
        said = {name: value for name, value in their.attributes.items() if name not in VARYING}
        assert {name: our.attributes.get(name) for name in said} == said
        assert VARYING & set(their.attributes) <= set(our.attributes)


OURS = {
    "messaging.system": "memory",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": "bulk",
    "celery.task_name": "shop.add",
    "celery.propagation.mode": "child",
    "celery.propagation.reason": "default",
    "messaging.message.conversation_id": "root",
    "messaging.message.id": "the-id",
}
RUN = {"messaging.operation.name": "process", "messaging.operation.type": "process", "celery.hostname": "worker@here"}
WAITED = {"celery.latency.enqueue_to_start", "celery.latency.queue"}


def test_by_default_no_span_says_anything_twice():
    producer, consumer = spans_of(CeleryLinksInstrumentor(), {**CALLS["with everything"], "root_id": "root"})
    assert producer.attributes == OURS
    waits = {name: value for name, value in consumer.attributes.items() if name.startswith("celery.latency.")}
    assert set(waits) == {*WAITED, "celery.latency.scheduled"}
    assert consumer.attributes == {**OURS, **RUN, **waits, "celery.state": "SUCCESS"}


def test_what_matters_most_survives_a_limit_on_the_number_of_attributes():
    limits = SpanLimits(max_span_attributes=9)
    _, consumer = spans_of(CeleryLinksInstrumentor(), {"root_id": "root"}, limits)
    assert set(consumer.attributes) == {
        "celery.propagation.mode",
        "celery.propagation.reason",
        "celery.hostname",
        *WAITED,
        "messaging.message.conversation_id",
        "messaging.message.id",
        "celery.state",
        "celery.task_name",
    }


FIXED = {
    "messaging.system": "redis",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": "bulk",
    "celery.task_name": "shop.add",
    "server.address": "shop.example",
    "server.port": 6379,
}
CONTRIB = {
    "celery.action": "apply_async",
    "celery.exchange": "shop",
    "messaging.destination": "bulk.mail",
    "messaging.destination_kind": "topic",
}
LINKED = Decision("link", "call", 1)


def test_what_all_spans_of_a_task_on_a_queue_have_in_common():
    assert _attributes.fixed(ROUTE, "send", BROKER, Style()) == FIXED
    assert _attributes.fixed(ROUTE, "send", BROKER, Style(contrib_names=True)) == {**FIXED, **CONTRIB}
    stamped = _attributes.decided(FIXED, LINKED)
    assert stamped == {**FIXED, "celery.propagation.mode": "link", "celery.propagation.reason": "call"}


@pytest.mark.parametrize(
    ("route", "destination"),
    [
        (ROUTE, "shop:bulk.mail:bulk"),
        (Route("a", "a", "celery", "", "celery"), "celery"),
        (Route("a", "a", "", "", ""), "amq.default"),
    ],
)
def test_rabbitmq_has_its_own_destination(route, destination):
    told = _attributes.fixed(route, "process", Broker("rabbitmq"), Style())
    assert told["messaging.destination.name"] == destination
    assert told["messaging.rabbitmq.destination.routing_key"] == route.routing_key
    assert "server.address" not in told


@pytest.mark.parametrize(
    ("operation", "style", "name"),
    [
        ("send", Style(), "apply_async/shop.add"),
        ("process", Style(), "run/shop.add"),
        ("send", Style(current_names=True), "send bulk"),
        ("process", Style(current_names=True), "process bulk"),
    ],
)
def test_the_names_of_spans(operation, style, name):
    assert _attributes.span_name(ROUTE, operation, style) == name


WAITS = [
    (None, {}),
    (Latency(), {}),
    (Latency(prefetch=0.0), {"celery.latency.prefetch": 0.0}),
    (Latency(clock_skew=True), {"celery.latency.clock_skew": True}),
    (
        Latency(5, 0, 5, 2, 3, 9, 7),
        {
            "celery.latency.enqueue_to_start": 5,
            "celery.latency.scheduled": 0,
            "celery.latency.queue": 5,
            "celery.latency.broker": 2,
            "celery.latency.prefetch": 3,
            "celery.latency.since_first_enqueue": 9,
            "celery.latency.handover": 7,
        },
    ),
]


@pytest.mark.parametrize(("latency", "expected"), WAITS)
def test_the_waiting_that_is_known(latency, expected):
    told = _attributes.consumer({}, PLAIN_IN, {"id": "the-id"}, latency, 0, False)
    assert told == {**expected, "messaging.message.id": "the-id"}


@pytest.mark.parametrize(
    ("facts", "dropped", "expected"),
    [
        (PLAIN_IN, 0, {}),
        (PLAIN_IN, 3, {"celery.links.dropped": 3}),
        (Incoming(retries=2), 0, {"celery.retries": 2}),
        (Incoming(redelivered=True, second=True), 0, {"celery.redelivered": True}),
        (Incoming(second=True), 0, {}),
    ],
)
def test_what_is_special_about_a_run(facts, dropped, expected):
    told = _attributes.consumer(FIXED, facts, {"id": "the-id"}, None, dropped, False)
    assert told == {**FIXED, **expected, "messaging.message.id": "the-id"}


@pytest.mark.parametrize(
    ("facts", "fields", "expected"),
    [
        (PLAIN_OUT, {}, {}),
        (Outgoing(retries=2), {}, {"celery.retries": 2}),
        (PLAIN_OUT, {"root_id": "the-id"}, {}),  # a root says no more than its own id
        (PLAIN_OUT, {"root_id": "root"}, {"messaging.message.conversation_id": "root"}),
    ],
)
def test_what_is_special_about_a_message(facts, fields, expected):
    message = Message("shop.add", {"id": "the-id", **fields}, ((), {}, {}), {"correlation_id": "another"})
    told = _attributes.producer(FIXED, message, facts, False)
    assert told == {**FIXED, **expected, "messaging.message.id": "the-id"}


def test_what_spans_have_in_common_is_not_changed_by_any_of_them():
    common = dict(FIXED)
    _attributes.producer(common, Message("shop.add", {"id": "1"}, ((), {}, {}), {}), Outgoing(retries=1), True)
    _attributes.consumer(common, Incoming(retries=1), {"id": "1"}, Latency(1), 1, True)
    assert common == FIXED
