"""The only caller of ``start_span``: starting both kinds of span, reserving identities, ending with an outcome."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
)

from celery_otel_links._emit.attributes import ERROR_TYPE, STATE
from celery_otel_links._rules.relation import LINK_KIND, Relation

SCOPE = "celery_otel_links"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
_RANDOM = 2
"""The W3C trace flag that says that a trace id is random (level 2 of the recommendation)."""
_KINDS = {kind: {LINK_KIND: kind} for kind in ("producer", "origin", "previous-attempt", "header", "consumer")}
_reserved: ContextVar[SpanContext | None] = ContextVar("celery_otel_links_reserved", default=None)


class Spans:
    """Makes spans with the tracer of a provider, or of the global one, whenever that is set."""

    def __init__(self, provider: TracerProvider | None, version: str) -> None:
        self._given = provider
        self._version = version
        self._provider: TracerProvider | None = None
        self._tracer: Tracer = trace.NoOpTracer()
        self._reserving: _Reserving | None = None

    def provider(self) -> TracerProvider:
        """The provider of spans, by now."""
        return self._given or trace.get_tracer_provider()

    def tracer(self) -> Tracer:
        """The tracer. A provider that is set late, such as in a worker's child, counts from then on."""
        provider = self.provider()
        if provider is not self._provider:
            self._tracer = provider.get_tracer(SCOPE, self._version, schema_url=SCHEMA)
            self._reserving = _Reserving.of(self._tracer)
            self._provider = provider
        return self._tracer

    def producer(self, name: str, attributes: Mapping[str, Any]) -> Span:
        """A started PRODUCER span under the current one."""
        return self.tracer().start_span(name, None, SpanKind.PRODUCER, attributes)

    def consumer(
        self,
        name: str,
        context: Context | None,
        relation: Relation,
        attributes: Mapping[str, Any],
        start: float | None = None,
    ) -> Span:
        """A started CONSUMER span in ``context`` with the relation's links and, where one is reserved, its identity.

        ``start`` is in seconds since the epoch; None is now.
        """
        start_span = self.tracer().start_span
        if relation.reserved is not None and self._reserving is not None:
            start_span = self._reserving.start_span(relation.reserved)
        links = [Link(target, _KINDS[kind]) for kind, target in relation.links] if relation.links else ()
        nanoseconds = None if start is None else int(start * 1e9)
        return start_span(name, context, SpanKind.CONSUMER, attributes, links, nanoseconds)

    def reserve(self, producer: Span, parent: SpanContext | None) -> SpanContext | None:
        """Choose the identity of the run span that will follow, and link ``producer`` to it.

        The trace is the one of ``parent``, or a new one. None where the tracer lets nobody choose.
        """
        if self._reserving is None or not producer.is_recording():
            return None
        generator = self._reserving.generator
        trace_id = parent.trace_id if parent else generator.generate_trace_id()
        random = parent.trace_flags & _RANDOM if parent else _RANDOM * _random(generator)
        flags = TraceFlags(producer.get_span_context().trace_flags & ~_RANDOM | random)
        context = SpanContext(trace_id, generator.generate_span_id(), is_remote=True, trace_flags=flags)
        # Added after the start: a sampler that follows links must not see one that points forward.
        producer.add_link(context, _KINDS["consumer"])
        return context


def finish(span: Span, *, state: str | None, error: BaseException | None, end: float | None = None) -> str | None:
    """End ``span`` at ``end`` (seconds since the epoch; None is now). Returns the ``error.type``, if any.

    A span without an error keeps the status UNSET, as the conventions ask.
    """
    error_type = None if error is None else type_name(error)
    try:
        if span.is_recording():
            if state is not None:
                span.set_attribute(STATE, state)
            if error is not None:
                span.set_attribute(ERROR_TYPE, error_type or "")
                span.set_status(Status(StatusCode.ERROR, text_of(error)))
                with suppress(Exception):  # it renders the exception, whose own text may fail
                    span.record_exception(error)
    finally:
        span.end(None if end is None else int(end * 1e9))
    return error_type


def type_name(error: BaseException) -> str:
    """The class of an exception, as ``error.type`` wants it: with its module unless it is a builtin."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def text_of(value: object) -> str:
    """``str(value)``, bounded; of an object that cannot be a string, the name of its class."""
    try:
        return str(value)[:4096]
    except Exception:
        return type(value).__qualname__


class _Reserving:
    """A twin of an SDK tracer that starts spans under identities that were chosen before."""

    def __init__(self, tracer: Any, generator: Any) -> None:
        self.generator = generator
        self._tracer = copy.copy(tracer)
        self._tracer.id_generator = _Identities(generator)

    @classmethod
    def of(cls, tracer: Any) -> _Reserving | None:
        """Of an SDK tracer, whose ``id_generator`` is public; of any other tracer None."""
        generator = getattr(tracer, "id_generator", None)
        if not all(callable(getattr(generator, name, None)) for name in ("generate_trace_id", "generate_span_id")):
            return None
        try:
            return cls(tracer, generator)
        except Exception:  # a tracer that can't be copied
            return None

    def start_span(self, identity: SpanContext) -> Callable[..., Span]:
        """``start_span`` of a span that is to be ``identity``."""

        def start_span(*args: Any) -> Span:
            token = _reserved.set(identity)
            try:
                return self._tracer.start_span(*args)  # type: ignore[no-any-return]
            finally:
                _reserved.reset(token)

        return start_span


class _Identities:
    """In front of an id generator: hands out the reserved identity."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def generate_trace_id(self) -> int:
        reserved = _reserved.get()
        return reserved.trace_id if reserved else self._generator.generate_trace_id()

    def generate_span_id(self) -> int:
        reserved = _reserved.get()
        return reserved.span_id if reserved else self._generator.generate_span_id()

    def is_trace_id_random(self) -> bool:
        reserved = _reserved.get()
        return bool(reserved.trace_flags & _RANDOM) if reserved else _random(self._generator)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


def _random(generator: Any) -> bool:
    """Whether its trace ids are random, as the W3C flag says; generators that are older than the flag do not tell."""
    tells = getattr(generator, "is_trace_id_random", None)
    return bool(tells and tells())
