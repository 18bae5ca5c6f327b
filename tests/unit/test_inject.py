"""What is written into a message's headers beside what stands there already: whose field it is, and what stays."""

from __future__ import annotations

import logging

import pytest
from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, get_current_span
from opentelemetry.trace import set_span_in_context as put
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from celery_otel_links._wire import w3c as _w3c

ONE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
STATEFUL = SpanContext(*ONE[:4], TraceState([("azul", "2")]))
TRACEPARENT = "00-" + "0" * 31 + "1-" + "0" * 15 + "2-01"


def context_of(span_context=ONE, **entries):
    context = Context() if span_context is None else put(NonRecordingSpan(span_context), Context())
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    return context


def written(headers, context, allowed=True):
    """What becomes of these headers."""
    headers = dict(headers)
    _w3c.inject(headers, context, get_current_span(context).get_span_context(), allowed)
    return headers


@pytest.mark.parametrize("current", [{}, {"mine": "1"}])
@pytest.mark.parametrize(
    ("span_context", "expected"),
    [
        (ONE, {"traceparent": TRACEPARENT}),
        (STATEFUL, {"traceparent": TRACEPARENT, "tracestate": "azul=2"}),
        (None, {"traceparent": "theirs", "tracestate": "rojo=1"}),  # without a span of ours the caller's own stays
    ],
    ids=["a span", "with a state", "no span"],
)
def test_a_trace_state_of_another_trace_never_stands_beside_our_traceparent(current, span_context, expected):
    copied = {"traceparent": "theirs", "tracestate": "rojo=1", "x-tenant": "42"}
    headers = written(copied, context_of(span_context, **current))
    headers.pop("baggage", None)
    assert headers == {**expected, "x-tenant": "42"}


MERGED = {  # what somebody else has put there, our own entries, and what is sent
    "nothing of ours": ("a=1,b=2", {}, "a=1,b=2"),
    "nothing of theirs": (None, {"c": "3"}, "c=3"),
    "both": ("a=1,b=2;p=q", {"c": "3"}, "a=1,b=2;p=q,c=3"),
    "ours in place of theirs": ("a=1, b = 2", {"b": "3"}, "a=1,b=3"),
    "nothing but the same": ("b=2", {"b": "3"}, "b=3"),
    "rubbish": ("a,,=,b=1", {"c": "3"}, "a,,=,b=1,c=3"),
    "no text": (7, {"c": "3"}, "c=3"),
}


@pytest.mark.parametrize(("theirs", "ours", "expected"), MERGED.values(), ids=MERGED)
def test_entries_of_baggage_that_somebody_else_has_put_there_stay(theirs, ours, expected):
    headers = {} if theirs is None else {"baggage": theirs}
    assert written(headers, context_of(**ours)) == {"baggage": expected, "traceparent": TRACEPARENT}


@pytest.mark.parametrize("allowed", [False, frozenset({"other"})])
@pytest.mark.parametrize("current", [{}, {"mine": "1"}])
def test_baggage_that_a_caller_copied_is_no_way_around_a_limit(allowed, current):
    assert written({"baggage": "a=1"}, context_of(**current), allowed) == {"traceparent": TRACEPARENT}


def test_what_is_allowed_is_all_that_is_sent():
    headers = written({"baggage": "a=1"}, context_of(mine="1", other="2"), frozenset({"other"}))
    assert headers == {"traceparent": TRACEPARENT, "baggage": "other=2"}


class Own(TextMapPropagator):
    """Writes a field of its own, or fails before or after that."""

    fields = {"x-trace"}

    def __init__(self, fails=""):
        self._fails = fails

    def extract(self, carrier, context=None, getter=None):
        return context

    def inject(self, carrier, context=None, setter=None):
        if self._fails == "before":
            raise ValueError("broken")
        carrier["x-trace"] = "1"
        if self._fails == "after":
            raise ValueError("broken")


@pytest.fixture
def with_propagators(monkeypatch):
    """Makes these the global ones."""

    def use(*propagators):
        composite = CompositePropagator(list(propagators))
        monkeypatch.setattr(propagate, "get_global_textmap", lambda: composite)
        monkeypatch.setattr(propagate, "inject", composite.inject)

    return use


def test_another_propagator_writes_its_fields_and_no_others(with_propagators):
    with_propagators(Own())
    assert written({"baggage": "a=1"}, context_of(c="3")) == {"x-trace": "1", "baggage": "a=1"}


def test_without_a_propagator_nothing_is_written(with_propagators):
    with_propagators()
    assert written({"x-tenant": "42"}, context_of(c="3")) == {"x-tenant": "42"}


W3C = (TraceContextTextMapPropagator(), W3CBaggagePropagator())


@pytest.mark.parametrize("fails", ["before", "after"])
@pytest.mark.parametrize("state", [ONE, STATEFUL], ids=["plain", "with a state"])
@pytest.mark.parametrize("ours", [{}, {"c": "3"}])
def test_a_propagator_that_raises_costs_what_it_would_have_written(with_propagators, caplog, fails, state, ours):
    failing = Own(fails)
    with_propagators(*W3C, failing)
    with caplog.at_level(logging.CRITICAL):
        headers = written({"baggage": "a=1", "x-tenant": "42"}, context_of(state, **ours))
    headers.pop("x-trace", None)
    expected = {"traceparent": TRACEPARENT, "x-tenant": "42", "baggage": ",".join(["a=1", *(["c=3"] if ours else [])])}
    assert headers == (expected | {"tracestate": "azul=2"} if state is STATEFUL else expected)


@pytest.mark.parametrize("ours", [{}, {"c": "3"}])
def test_the_one_that_raises_first_costs_nothing_that_stood_there(with_propagators, ours):
    with_propagators(Own("before"), *W3C)
    headers = written({"baggage": "a=1", "x-tenant": "42"}, context_of(**ours))
    assert headers == {"traceparent": TRACEPARENT, "x-tenant": "42", "baggage": "a=1"}


def test_a_limit_on_baggage_holds_even_if_a_propagator_raises(with_propagators):
    with_propagators(*W3C, Own("after"))
    headers = written({"baggage": "a=1"}, context_of(c="3", d="4"), frozenset({"d"}))
    assert headers == {"traceparent": TRACEPARENT, "baggage": "d=4", "x-trace": "1"}
