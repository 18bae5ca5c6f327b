"""A delivery: from the headers of a message and what the worker knows to its decision, relation and latency."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.app.task import Context as Request
from kombu import Queue
from opentelemetry import baggage, trace
from opentelemetry import context as otel
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from celery_otel_links._config.conventions import Style
from celery_otel_links._config.options import Config
from celery_otel_links._rules.facts import Claims, Decision, Relation
from celery_otel_links._rules.message import incoming
from celery_otel_links._rules.policy import NO_CONTEXT, RANKS
from celery_otel_links._tracing.delivery import deliver
from celery_otel_links._wire.header import CALL_HEADER, HEADER, HEADERS_HEADER, encode, encode_headers
from tests.unit.planning import plans_of

START = 1_700_000_000.0


def context(trace, span):
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(1))


CREATION, ORIGIN, RESERVED, PREVIOUS, FIRST = context(1, 1), context(2, 1), context(3, 1), context(1, 2), context(1, 3)
HEADER_RUN, CHORD = context(4, 1), context(1, 4)
TRACEPARENT = {"traceparent": "00-" + "0" * 31 + "1-" + "0" * 15 + "1-01"}
DEFAULT = Decision("child", "default", RANKS["default"])


def delivered(headers, *, task=None, style=None, most=128, queue="celery", **config):
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_queues = [Queue("celery"), Queue("public")]
    chosen = Config.from_mapping(config, environ={})
    plans = plans_of(chosen, style)
    info = {"routing_key": queue, "exchange": "", "redelivered": False}
    request = Request({"id": "the-id", "delivery_info": info, **headers})
    plan = plans.to_run(app, task and type("Task", (), {"otel_propagation": task}), "shop.add", info, None)
    return deliver(chosen, plan, incoming(request, "shop.add"), request, START, most)


def header(mode="child", reason="default", rank=RANKS["default"], *, published=START - 5, **claims):
    return {HEADER: encode(published, Claims(mode, reason, rank, **claims))}


ETA = {"eta": "2023-11-14T22:15:00+00:00"}  # 100 s after START
# The headers, what the worker knows; then the decision, what the span says of it, the parent and the kinds of links.
CASES = {
    "as its publisher decided": (
        TRACEPARENT | header(),
        {},
        (DEFAULT, "default"),
        (CREATION, []),
    ),
    "a publisher that links": (
        TRACEPARENT | header("link", "fan-out", 5),
        {},
        (Decision("link", "fan-out", 5), "fan-out"),
        (None, ["producer"]),
    ),
    "the worker's task outranks a default": (
        TRACEPARENT | header(),
        {"task": "link"},
        (Decision("link", "task", 2), "task"),
        (None, ["producer"]),
    ),
    "a call outranks the worker's task": (
        TRACEPARENT | header("none", "call", 1),
        {"task": "link"},
        (Decision("none", "call", 1), "call"),
        (None, []),
    ),
    "between equals the publisher's holds": (
        TRACEPARENT | header("child", "task", 2),
        {"task": "link"},
        (Decision("child", "task", 2), "task"),
        (CREATION, []),
    ),
    "a rule of the worker's": (
        TRACEPARENT | header(),
        {"tasks": {"shop.*": "none"}},
        (Decision("none", "task-rule", 3), "task-rule"),
        (None, []),
    ),
    "a reason that is not said": (
        TRACEPARENT | {HEADER: "v=1;mode=link;rank=1"},
        {},
        (Decision("link", "unknown", 1), "unknown"),
        (None, ["producer"]),
    ),
    "a mode without a rank is none": (
        TRACEPARENT | {HEADER: "v=1;mode=link"},
        {},
        (DEFAULT, "default"),
        (CREATION, []),
    ),
    "nothing said": (TRACEPARENT, {}, (DEFAULT, "default"), (CREATION, [])),
    "nothing said but by the call": (
        TRACEPARENT | {CALL_HEADER: "link"},
        {},
        (Decision("link", "call", 1), "call"),
        (None, ["producer"]),
    ),
    "a call that says nonsense": (TRACEPARENT | {CALL_HEADER: "lnik"}, {}, (DEFAULT, "default"), (CREATION, [])),
    "the member of a group that nobody has stamped": (
        TRACEPARENT | {"group": "g", "group_index": 0},
        {},
        (Decision("link", "fan-out", 5), "fan-out"),
        (None, ["producer"]),
    ),
    "a delay that nobody has stamped": (
        TRACEPARENT | ETA | {"celery-otel-links-received": START},
        {},
        (Decision("link", "delay", 8), "delay"),
        (None, ["producer"]),
    ),
    "a delay that nobody has stamped, at its start": (
        TRACEPARENT | ETA,
        {},
        (Decision("link", "delay", 8), "delay"),
        (None, ["producer"]),
    ),
    "a delay that has been decided": (
        TRACEPARENT | ETA | header(),
        {},
        (DEFAULT, "default"),
        (CREATION, []),
    ),
    "no context at all": ({}, {}, (DEFAULT, "no-context"), (None, [])),
    "no context, but a header": (
        header("link", "call", 1),
        {},
        (Decision("link", "call", 1), "no-context"),
        (None, []),
    ),
    "no context, whatever the rules say": (
        {},
        {"task": "link"},
        (Decision("link", "task", 2), "no-context"),
        (None, []),
    ),
    "no context but an origin": (
        header("link", "call", 1, origin=ORIGIN),
        {},
        (Decision("link", "call", 1), "call"),
        (None, ["origin"]),
    ),
    "a retry": (
        {**TRACEPARENT, "retries": 1, **header(previous=PREVIOUS, first=FIRST)},
        {},
        (DEFAULT, "default"),
        (FIRST, ["previous-attempt"]),
    ),
    "the body of a chord": (
        {**TRACEPARENT, **header(body=CHORD), HEADERS_HEADER: encode_headers([HEADER_RUN])},
        {},
        (DEFAULT, "default"),
        (CHORD, ["header"]),
    ),
    "the current conventions": (
        TRACEPARENT | header(),
        {"style": Style(current_names=True)},
        (DEFAULT, "default"),
        (CREATION, ["producer"]),
    ),
    "a queue that may be linked to": (
        TRACEPARENT | header(),
        {"trust": {"celery": "link"}},
        (Decision("link", "trust", RANKS["default"]), "trust"),
        (None, ["producer"]),
    ),
    "a queue that is dark": (
        TRACEPARENT | header("link", "call", 1, origin=ORIGIN),
        {"trust": {"celery": "none"}},
        (Decision("none", "trust", 1), "trust"),
        (None, []),
    ),
    "a key that no queue of the worker has": (
        TRACEPARENT | header(),
        {"trust": {"public": "link"}, "queue": "celery.invented"},
        (Decision("link", "trust", RANKS["default"]), "trust"),
        (None, ["producer"]),
    ),
    "a retry from a queue that may be linked to": (
        {**TRACEPARENT, "retries": 1, **header(previous=PREVIOUS, first=FIRST)},
        {"trust": {"celery": "link"}},
        (Decision("link", "trust", RANKS["default"]), "trust"),
        (None, ["previous-attempt", "producer"]),
    ),
}


@pytest.mark.parametrize(("headers", "known", "decided", "related"), CASES.values(), ids=CASES)
def test_what_becomes_of_a_message(headers, known, decided, related):
    delivery = delivered(headers, **known)
    reason = delivery.stamp.attributes["celery.propagation.reason"]
    assert (delivery.decision, reason) == decided
    assert (delivery.relation.parent, [kind for kind, _ in delivery.relation.links]) == related


def test_a_root_without_a_context_says_that_its_mode_is_none():
    delivery = delivered({})
    assert delivery.stamp.decision == NO_CONTEXT == Decision("none", "no-context", 0)
    assert delivery.stamp.attributes["celery.propagation.mode"] == "none"
    assert (delivery.creation, delivery.origin, delivery.published) == (None, None, None)


@pytest.mark.parametrize(
    ("headers", "trust", "reserved", "second"),
    [
        (header("link", "call", 1, reserved=RESERVED), {}, RESERVED, False),
        (header("link", "call", 1, reserved=RESERVED, origin=ORIGIN), {}, RESERVED, False),
        (header("child", "call", 1, reserved=RESERVED), {}, None, False),
        (header("link", "call", 1, reserved=RESERVED), {"celery": "link"}, None, False),
        (header("link", "call", 1, reserved=RESERVED) | {"celery-otel-links-second": True}, {}, RESERVED, True),
        (
            header("link", "call", 1, reserved=RESERVED) | {"delivery_info": {"redelivered": True}},
            {},
            RESERVED,
            True,
        ),
    ],
)
def test_what_is_reserved_is_taken_where_the_queue_is_trusted(headers, trust, reserved, second):
    relation = delivered(TRACEPARENT | headers, trust=trust).relation
    assert (relation.reserved, relation.second) == (reserved, second)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (header(), None),
        (header("link", "call", 1), CREATION),  # the story leaves its first trace here
        (header("link", "call", 1, origin=ORIGIN), ORIGIN),
        (header(origin=ORIGIN), ORIGIN),
    ],
)
def test_where_the_story_began(headers, expected):
    assert delivered(TRACEPARENT | headers).origin == expected


def test_the_latency_is_known_before_there_is_a_span():
    headers = TRACEPARENT | header(captured=START - 8) | {"celery-otel-links-received": START - 3}
    latency = delivered(headers).latency
    assert (latency.enqueue_to_start, latency.queue, latency.broker, latency.prefetch) == (5, 5, 2, 3)
    assert (latency.scheduled, latency.since_first_enqueue, latency.handover) == (None, None, 3)
    retried = delivered(TRACEPARENT | header(previous=PREVIOUS, first_published=START - 50) | {"retries": 1})
    assert retried.latency.since_first_enqueue == 50
    assert delivered(TRACEPARENT | header(first_published=START - 50)).latency.since_first_enqueue is None


def test_an_eager_task_runs_below_the_span_that_is_current_and_has_waited_for_nothing():
    token = otel.attach(set_span_in_context(NonRecordingSpan(CREATION)))
    try:
        delivery = delivered({"is_eager": True, **header("link", "call", 1)}, trust={"*": "none"})
    finally:
        otel.detach(token)
    assert delivery.relation == Relation(CREATION)
    assert delivery.latency is None
    assert trace.get_current_span(delivery.carried).get_span_context() == CREATION


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"tenant": "42", "plan": "gold"}),
        ({"baggage": ["plan"]}, {"plan": "gold"}),
        ({"baggage": False}, {}),
        ({"trust": {"*": "link"}}, {}),
    ],
)
def test_the_baggage_that_is_allowed_is_carried(config, expected):
    carried = delivered(TRACEPARENT | header() | {"baggage": "tenant=42,plan=gold"}, **config).carried
    assert dict(baggage.get_all(carried)) == expected


def test_as_many_links_as_a_span_can_have():
    runs = [context(trace, 1) for trace in range(10, 40)]
    relation = delivered({**TRACEPARENT, **header(body=CHORD), HEADERS_HEADER: encode_headers(runs, dropped=7)}, most=8)
    assert (len(relation.relation.links), relation.relation.dropped) == (8, 22 + 7)
