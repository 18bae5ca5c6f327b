"""The attributes of spans: all that the predecessor emits for the same message, and what is ours."""

from __future__ import annotations

import pytest
from celery import Celery, signals
from celery.app.trace import build_tracer
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._emit import attributes as _attributes
from celery_otel_links._emit.attributes import Broker, Lazy, Style
from celery_otel_links._rules.latency import Latency
from celery_otel_links._rules.message import Route

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


def spans_of(instrumentor, options):
    """The PRODUCER and the CONSUMER span that this instrumentation makes of one message."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
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
    instrumentor.instrument(tracer_provider=provider)
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
def test_everything_that_the_predecessor_says_is_said(options):
    theirs = spans_of(CeleryInstrumentor(), options)
    ours = spans_of(CeleryLinksInstrumentor(), options)
    for their, our in zip(theirs, ours, strict=True):
        assert (our.name, our.kind) == (their.name, their.kind)
        said = {name: value for name, value in their.attributes.items() if name not in VARYING}
        assert {name: our.attributes.get(name) for name in said} == said
        assert VARYING & set(their.attributes) <= set(our.attributes)


FIXED = {
    "messaging.system": "redis",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": "bulk",
    "celery.task_name": "shop.add",
    "server.address": "shop.example",
    "server.port": 6379,
}
PREDECESSOR = {
    "celery.action": "apply_async",
    "celery.exchange": "shop",
    "messaging.destination": "bulk.mail",
    "messaging.destination_kind": "topic",
}


def test_what_all_spans_of_a_task_on_a_queue_have_in_common():
    assert _attributes.fixed(ROUTE, "send", BROKER, Style()) == {**FIXED, **PREDECESSOR}


def test_the_current_conventions_alone():
    assert _attributes.fixed(ROUTE, "send", BROKER, Style(True, False)) == FIXED


@pytest.mark.parametrize(
    ("route", "destination"),
    [
        (ROUTE, "shop:bulk.mail:bulk"),
        (Route("a", "a", "celery", "", "celery"), "celery"),
        (Route("a", "a", "", "", ""), "amq.default"),
    ],
)
def test_rabbitmq_has_its_own_destination(route, destination):
    told = _attributes.fixed(route, "process", Broker("rabbitmq"), Style(True, False))
    assert told["messaging.destination.name"] == destination
    assert told["messaging.rabbitmq.destination.routing_key"] == route.routing_key
    assert "server.address" not in told


@pytest.mark.parametrize(
    ("opted", "expected"),
    [
        ("", Style(current_names=False, predecessor=True)),
        ("http", Style(current_names=False, predecessor=True)),
        ("messaging", Style(current_names=True, predecessor=False)),
        ("http, messaging", Style(current_names=True, predecessor=False)),
        ("messaging/dup", Style(current_names=True, predecessor=True)),
        ("messaging,messaging/dup", Style(current_names=True, predecessor=True)),
    ],
)
def test_which_conventions_are_emitted(opted, expected):
    assert Style.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": opted}) == expected


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


@pytest.mark.parametrize(
    ("latency", "expected"),
    [
        (Latency(), {}),
        (Latency(prefetch=0.0), {"celery.latency.prefetch": 0.0}),
        (Latency(clock_skew=True), {"celery.latency.clock_skew": True}),
        (
            Latency(5, 0, 5, 2, 3, 9),
            {
                "celery.latency.enqueue_to_start": 5,
                "celery.latency.scheduled": 0,
                "celery.latency.queue": 5,
                "celery.latency.broker": 2,
                "celery.latency.prefetch": 3,
                "celery.latency.since_first_enqueue": 9,
            },
        ),
    ],
)
def test_the_waiting_that_is_known(latency, expected):
    assert _attributes.waiting(latency) == expected


def test_lazy_attributes_are_made_once_and_only_when_looked_at():
    made = []

    def make(value):
        made.append(value)
        return {"a": value}

    lazy = Lazy(make, 1)
    assert made == []
    assert (lazy["a"], len(lazy), list(lazy), dict(lazy.items()), lazy.get("b")) == (1, 1, ["a"], {"a": 1}, None)
    assert made == [1]
