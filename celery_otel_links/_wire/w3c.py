"""W3C context and baggage in and out of messages, through the global propagator (``OTEL_PROPAGATORS``)."""

from __future__ import annotations

import re
from typing import Any

from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import (
    DEFAULT_TRACE_STATE,
    NonRecordingSpan,
    SpanContext,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from celery_otel_links._errors import contained
from celery_otel_links._rules.facts import Request
from celery_otel_links._rules.request import header
from celery_otel_links._wire.header import IDS, context_of

MAX_LENGTH = 8192
"""Longer fields are not read: the W3C limit for baggage, the longest of them."""
_LONGEST_PARENT = 512
_MOST_MEMBERS = 32
_LONGEST_ENTRY = 4096
_MOST_ENTRIES = 180
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = re.compile(_KEY + r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_TOKEN = r"[ \t]*[!#-'*+.^_`|~0-9A-Za-z-]+[ \t]*"
_VALUE = r"=[ \t]*[!#-+\--:<-\[\]-~]*[ \t]*"
_ENTRY = re.compile(f"{_TOKEN}{_VALUE}(?:;{_TOKEN}(?:{_VALUE})?)*")
_TRACEPARENT = re.compile(f"00-{IDS}")
_BESIDES = frozenset({"tracestate", "baggage"})
_EMPTY = Context()


class _RequestGetter(Getter[Request]):
    def get(self, carrier: Request, key: str) -> list[str] | None:
        value = header(carrier, key)
        if not isinstance(value, str) or len(value) > MAX_LENGTH:
            return None
        reader = _READERS.get(key)
        return [value if reader is None else reader(value)]

    def keys(self, carrier: Request) -> list[str]:
        return [*vars(carrier), *(carrier.headers if isinstance(carrier.headers, dict) else ())]


def _parent(text: str) -> str:
    return text if len(text) <= _LONGEST_PARENT else ""


def _state(text: str) -> str:
    """A ``tracestate`` that is well-formed as a whole, or nothing."""
    members = [member for member in map(_strip, text.split(",")) if member]
    return text if len(members) <= _MOST_MEMBERS and all(map(_MEMBER.fullmatch, members)) else ""


def _entries(text: str) -> str:
    """The well-formed entries of a ``baggage``."""
    entries = [part for part in text.split(",") if len(part) <= _LONGEST_ENTRY and _ENTRY.fullmatch(part)]
    # Older propagators take no blanks, which are allowed around what stands in an entry, and nowhere within it.
    return ",".join(entries[:_MOST_ENTRIES]).replace(" ", "").replace("\t", "")


def _strip(text: str) -> str:
    return text.strip(" \t")


# The propagators log a line for every part that is broken: anybody who may publish could fill the log.
_READERS = {"traceparent": _parent, "tracestate": _state, "baggage": _entries}
_GETTER = _RequestGetter()


class _W3C:
    """Whether the global propagator is the default one.

    Its plainest case, a ``traceparent`` alone, is then read and written here, at a fifth of what the propagator needs:
    the difference is a quarter of all that an unsampled task costs.
    """

    propagator: TextMapPropagator | None = None
    default = False

    def look(self, propagator: TextMapPropagator) -> bool:
        kinds = [type(part) for part in getattr(propagator, "_propagators", ())]
        self.default = kinds == [TraceContextTextMapPropagator, W3CBaggagePropagator]
        self.propagator = propagator
        return self.default


_w3c = _W3C()


def _plain() -> bool:
    propagator = propagate.get_global_textmap()
    return _w3c.default if propagator is _w3c.propagator else _w3c.look(propagator)


def inject(
    headers: dict[str, Any], context: Context, span_context: SpanContext, allowed: bool | frozenset[str]
) -> None:
    """Write ``context``, whose span is ``span_context``, into a message's headers, with the ``allowed`` baggage.

    Entries of ``baggage`` that somebody else has put into the headers stay, unless baggage is limited. A propagator
    that fails costs what it would have written, and no more.
    """
    trace_id, span_id, _, flags, state, valid = span_context  # its properties are Python calls
    if valid and "tracestate" in headers:
        del headers["tracestate"]  # of another trace
    traceparent = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    if valid and len(context) == 1 and state is DEFAULT_TRACE_STATE and _plain():
        headers["traceparent"] = traceparent  # nothing but a span is in this context, and so no baggage
        if allowed is not True:
            headers.pop("baggage", None)
        return
    others = headers.pop("baggage", None) if allowed is not True or len(context) > 1 else None
    if not _propagated(headers, context, allowed) and valid:
        headers["traceparent"] = traceparent
    if allowed is True and isinstance(others, str):
        headers["baggage"] = _merged(others, headers.get("baggage"))


def _propagated(headers: dict[str, Any], context: Context, allowed: bool | frozenset[str]) -> bool:
    """Whether the global propagator has written ``context``, with the ``allowed`` baggage."""
    with contained("a propagator"):
        propagate.inject(headers, context if allowed is True else _with_baggage(context, allowed))
        return True
    return False


def _merged(others: str, ours: str | None) -> str:
    """The entries of both, with ours in place of those of the same name."""
    if not ours:
        return others
    names = {entry.partition("=")[0].strip() for entry in ours.split(",")}
    kept = [entry for entry in others.split(",") if entry.partition("=")[0].strip() not in names]
    return ",".join([*kept, ours])


def drop(headers: dict[str, Any]) -> None:
    """Remove the propagator's fields, which a retry has copied from the message it retries."""
    for field in propagate.get_global_textmap().fields:
        headers.pop(field, None)


def extract(request: Request, allowed: bool | frozenset[str]) -> tuple[Context, SpanContext | None]:
    """The context that the message of ``request`` carries and nothing else, with the ``allowed`` baggage; its span."""
    fields, nested = vars(request), request.headers
    text, alone = fields.get("traceparent"), fields.keys().isdisjoint(_BESIDES)
    if alone and nested.__class__ is dict:  # people nest headers for Celery 5.2
        alone = nested.keys().isdisjoint(_BESIDES)
    if alone and isinstance(text, str) and _plain():
        found = _TRACEPARENT.fullmatch(text)
        if found is not None:
            parent = context_of(*found.groups())
            return set_span_in_context(NonRecordingSpan(parent), _EMPTY), parent
    try:
        context = propagate.extract(request, _EMPTY, _GETTER)
    except Exception:  # what stands on the wire never raises, whosever propagator reads it
        return _EMPTY, None
    if allowed is not True:
        context = _with_baggage(context, allowed)
    return context, creation(context)


def creation(context: Context) -> SpanContext | None:
    """The span context in ``context``, if there is one."""
    span_context = get_current_span(context).get_span_context()
    return span_context if span_context.is_valid else None


def below(context: Context, carried: SpanContext | None, parent: SpanContext | None) -> Context:
    """``context``, which ``carried`` a span, with ``parent`` in its place; without a parent its baggage alone."""
    if parent is None:
        return _baggage_alone(context) if len(context) > 1 else _EMPTY
    if parent is carried:
        return context
    if carried is None or parent.trace_id != carried.trace_id:
        return set_span_in_context(NonRecordingSpan(parent), context)
    if parent.span_id == carried.span_id:
        return context
    # Another span of the same trace: what samplers keep in the trace state goes for it too.
    parent = SpanContext(parent.trace_id, parent.span_id, True, parent.trace_flags, carried.trace_state)
    return set_span_in_context(NonRecordingSpan(parent), context)


def _baggage_alone(context: Context) -> Context:
    alone = _EMPTY
    for name, value in baggage.get_all(context).items():
        alone = baggage.set_baggage(name, value, alone)
    return alone


def _with_baggage(context: Context, allowed: bool | frozenset[str]) -> Context:
    """``context`` with the ``allowed`` entries of its baggage alone."""
    for name in baggage.get_all(context):
        if not allowed or (allowed is not True and name not in allowed):
            context = baggage.remove_baggage(name, context)
    return context
