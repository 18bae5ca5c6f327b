"""The fast W3C path reads and writes what the propagator would; nothing that stands on the wire raises or is logged."""

from __future__ import annotations

import logging
import re

import pytest
from celery.app.task import Context as Request
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, get_current_span
from opentelemetry.trace import set_span_in_context as put

from celery_otel_links._wire import w3c as _w3c
from tests.unit.strategies import anything, contexts

ONE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
TRACEPARENT = "00-" + "0" * 31 + "1-" + "0" * 15 + "2-01"
SEPARATORS = "=,;-%\n\t\x00é€\ud800 @*/_aZ0"
dirty = st.text() | st.text(SEPARATORS) | st.lists(st.text(SEPARATORS, max_size=8), max_size=40).map(",".join)
traceparents = st.one_of(
    contexts.map(lambda c: f"00-{c.trace_id:032x}-{c.span_id:016x}-{c.trace_flags:02x}"),
    st.from_regex(r"[0-9a-fA-F]{2}-[0-9a-fA-F]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?\n?", fullmatch=True),
    dirty,
)
states = st.just("rojo=00f067aa0ba902b7,a@b=1") | dirty
bags = st.just("tenant=42, plan = gold;p;q=r,empty=,quoted=%20%C3%A9") | dirty


def encodable(text):
    """The propagator itself raises otherwise."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def request(**headers):
    return Request({"id": "1", **headers})


def read(headers, allowed=True):
    """What is read of a message's headers; the span that is told is the one in the context."""
    context, span_context = _w3c.extract(request(**headers), allowed)
    assert span_context == _w3c.creation(context)
    return seen(context)


def write(headers, context, allowed=True):
    _w3c.inject(headers, context, get_current_span(context).get_span_context(), allowed)


def seen(context):
    """What a context carries, in comparable form."""
    span = get_current_span(context).get_span_context()
    state = dict(span.trace_state.items())
    return span.is_valid and (span.trace_id, span.span_id, int(span.trace_flags), state), dict(baggage.get_all(context))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "traceparent": traceparents.filter(encodable),
            "tracestate": states.filter(encodable),
            "baggage": bags.filter(encodable),
        },
    )
)
def test_what_is_read_is_what_the_propagator_reads(headers):
    bare = dict(headers)
    if "baggage" in headers:  # of which older propagators read less
        bare["baggage"] = re.sub(r"[ \t]*([,;=])[ \t]*", r"\1", headers["baggage"].strip(" \t"))
    assert read(headers) == seen(propagate.extract(bare, Context()))


entries = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True), st.text(max_size=8), max_size=4)
trace_states = st.sampled_from([TraceState(), TraceState([("rojo", "1")])])


@given(st.none() | contexts, trace_states, entries)
def test_what_is_written_is_what_the_propagator_writes(span_context, state, bag):
    context = Context()
    if span_context is not None:
        span_context = SpanContext(*span_context[:3], span_context.trace_flags, state)
        context = put(NonRecordingSpan(span_context), context)
    for name, value in bag.items():
        context = baggage.set_baggage(name, value, context)
    ours, theirs = {}, {}
    write(ours, context)
    propagate.inject(theirs, context)
    assert ours == theirs
    assert read(ours) == seen(propagate.extract(theirs, Context()))


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), anything | traceparents | bags))
def test_nothing_on_the_wire_raises(headers):
    context, bag = read(headers)
    assert context is False or isinstance(headers["traceparent"], str)
    assert not bag or isinstance(headers["baggage"], str)


@given(st.fixed_dictionaries({"traceparent": traceparents, "tracestate": states, "baggage": bags}))
@example({"traceparent": TRACEPARENT + "-" * 600, "tracestate": "a=1," * 2000, "baggage": "a=" + "b" * 5000})
@example({"traceparent": TRACEPARENT, "tracestate": ",".join(f"k{n}=1" for n in range(40)), "baggage": "a=1," * 300})
def test_nothing_on_the_wire_is_logged(headers):
    lines = []
    handler = logging.Handler()
    handler.emit = lines.append
    logging.getLogger("opentelemetry").addHandler(handler)
    try:
        read(headers)
    finally:
        logging.getLogger("opentelemetry").removeHandler(handler)
    assert [line.getMessage() for line in lines] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": TRACEPARENT + " " * 9000},
        {"traceparent": TRACEPARENT.replace("0", "\u0660")},
        {"traceparent": [TRACEPARENT]},
        {"traceparent": {"a": TRACEPARENT}},
        {"traceparent": 7},
        {"traceparent": TRACEPARENT.encode()},
        {"baggage": "a=" + "b" * 9000},
        {"tracestate": "a=1"},
        {"headers": {"traceparent": None}},
    ],
)
def test_what_is_too_long_or_no_text_is_not_there(headers):
    assert read(headers) == (False, {})


def test_what_is_nested_is_read_beside_what_is_not():
    """Celery 5.2 gives a task no custom headers but those in a header called so, and people put theirs there."""
    assert read({"traceparent": TRACEPARENT, "headers": {"baggage": "a=b"}})[1] == {"a": "b"}


@pytest.mark.parametrize("entry", ["k{}=v", "k{}=" + "v" * 100, "k{}=" + "v" * 4080])
def test_as_much_baggage_as_the_limits_allow_is_read(entry):
    text = ",".join(entry.format(number) for number in range(1000))[: _w3c.MAX_LENGTH]
    bag = read({"baggage": text})[1]
    assert bag == seen(propagate.extract({"baggage": text}, Context()))[1]
    assert 1 <= len(bag) <= 180


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(True, {"a": "1", "b": "2"}), (False, {}), (frozenset({"b", "c"}), {"b": "2"}), (frozenset(), {})],
)
def test_the_baggage_that_is_allowed_travels(allowed, expected):
    context = baggage.set_baggage("b", "2", baggage.set_baggage("a", "1", put(NonRecordingSpan(ONE), Context())))
    headers = {}
    write(headers, context, allowed)
    assert seen(propagate.extract(headers, Context())) == ((1, 2, 1, {}), expected)
    assert read({"traceparent": TRACEPARENT, "baggage": "a=1,b=2"}, allowed) == ((1, 2, 1, {}), expected)


class Failing(TextMapPropagator):
    fields = {"x-trace"}

    def extract(self, carrier, context=None, getter=None):
        raise ValueError(getter.get(carrier, "x-trace"))

    def inject(self, carrier, context=None, setter=None):
        carrier["x-trace"] = "1"


def test_a_propagator_that_fails_costs_the_context_alone(monkeypatch):
    monkeypatch.setattr(propagate, "get_global_textmap", Failing)
    monkeypatch.setattr(propagate, "extract", lambda *arguments: Failing().extract(*arguments))
    assert _w3c.extract(request(**{"x-trace": "1"}), True) == ({}, None)
    headers = {"x-trace": "0", "other": "1"}
    _w3c.drop(headers)
    assert headers == {"other": "1"}


CARRIED = SpanContext(1, 2, True, TraceFlags(1), TraceState([("rojo", "1")]))


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (None, False),
        (CARRIED, (1, 2, 1, {"rojo": "1"})),
        (SpanContext(1, 3, True, TraceFlags(0)), (1, 3, 0, {"rojo": "1"})),
        (SpanContext(4, 5, True, TraceFlags(1)), (4, 5, 1, {})),
    ],
)
def test_a_trace_state_goes_with_its_trace_and_baggage_always(parent, expected):
    context = baggage.set_baggage("a", "1", put(NonRecordingSpan(CARRIED), Context()))
    assert seen(_w3c.below(context, CARRIED, parent)) == (expected, {"a": "1"})
