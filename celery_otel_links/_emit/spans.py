"""The only caller of ``start_span``: both kinds of span are started, and ended with an outcome, here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer, TracerProvider

from celery_otel_links._declared import names
from celery_otel_links._emit.attributes import Attributes
from celery_otel_links._emit.clean_attributes import CleanAttributes, give
from celery_otel_links._emit.reserved_ids import choose, generator_of, random_flag, start_as
from celery_otel_links._rules.facts import LINK_KINDS, MAX_LINKS, Relation
from celery_otel_links._rules.texts import text_of, traceback_of, type_name

_KINDS = {kind: {names.LINK_KIND: kind} for kind in LINK_KINDS}
# How the SDK's sampler describes that below a parent which is not sampled nothing is.
_STAYS_UNSAMPLED = re.compile(
    r"ParentBased\{.*,remoteParentNotSampled:AlwaysOffSampler,"
    r"localParentSampled:\w+,localParentNotSampled:AlwaysOffSampler\}",
    re.DOTALL,
)


class Spans:
    """Makes spans with the tracer of a provider, or of the global one, whenever that is set."""

    def __init__(self, provider: TracerProvider | None, version: str) -> None:
        self._given = provider
        self._version = version
        self._provider: TracerProvider | None = None
        self._tracer: Tracer = trace.NoOpTracer()
        self._clean = CleanAttributes(self._tracer)
        self._generator: Any = None
        self._random = 0
        self.most_links: int = MAX_LINKS
        self._skips = False

    def provider(self) -> TracerProvider:
        """The provider of spans, by now."""
        return self._given or trace.get_tracer_provider()

    @contextmanager
    def given_to(self, provider: TracerProvider) -> Iterator[None]:
        """Spans that are started within the block are those of this provider."""
        before, self._given = self._given, provider
        try:
            yield
        finally:
            self._given = before

    def tracer(self) -> Tracer:
        """The tracer. A provider that is set late, such as in a worker's child, counts from then on."""
        provider = self._given or trace.get_tracer_provider()
        if provider is not self._provider:
            self._settle(provider)
        return self._tracer

    def _settle(self, provider: TracerProvider) -> None:
        self._tracer = tracer = provider.get_tracer(names.SCOPE, self._version, schema_url=names.SCHEMA)
        self._clean = CleanAttributes(tracer)
        self._generator = generator_of(tracer)
        self._random = random_flag(self._generator)
        most = getattr(getattr(tracer, "_span_limits", None), "max_links", None)
        self.most_links = min(most, MAX_LINKS) if isinstance(most, int) else MAX_LINKS
        self._skips = _drops_below_unsampled(getattr(tracer, "sampler", None))
        self._provider = provider

    def skips(self, parent: SpanContext) -> bool:
        """Whether a span below ``parent`` would be dropped for sure: it is then not even started."""
        _, _, _, flags, _, valid = parent  # its properties are Python calls
        if flags & 1 or not valid:
            return False
        self.tracer()
        return self._skips

    def producer(self, name: str, context: Context, attributes: Attributes) -> Span:
        """A started PRODUCER span under the one in ``context``, which is the current one."""
        tracer, late = self.tracer(), self._clean.come_late(attributes)
        span = tracer.start_span(name, context, SpanKind.PRODUCER, None if late else attributes)
        return give(span, attributes) if late else span

    def consumer(
        self, name: str, context: Context, relation: Relation, attributes: Attributes, start: float | None = None
    ) -> Span:
        """A started CONSUMER span in ``context`` with the relation's links and, where one is reserved, its identity.

        ``start`` is in seconds since the epoch; None is now.
        """
        tracer, links = self.tracer(), ()
        if relation.links:
            links = [Link(target, _KINDS[kind]) for kind, target in relation.links]  # type: ignore[assignment]
        late, nanoseconds = self._clean.come_late(attributes, links), None if start is None else int(start * 1e9)
        arguments = (name, context, SpanKind.CONSUMER, None if late else attributes, links, nanoseconds)
        if relation.reserved is None or self._generator is None:
            span = tracer.start_span(*arguments)
        else:
            span = start_as(tracer, relation.reserved, relation.second, arguments)
        return give(span, attributes) if late else span

    def reserve(self, producer: Span, parent: SpanContext | None) -> SpanContext | None:
        """Choose the identity of the run span that will follow, and link ``producer`` to it.

        The trace is the one of ``parent``, or a new one. None where the tracer lets nobody choose.
        """
        if self._generator is None or not producer.is_recording():
            return None
        identity = choose(self._generator, self._random, producer.get_span_context(), parent)
        # Added after the start: a sampler that follows links must not see one that points forward.
        producer.add_link(identity, _KINDS["consumer"])
        return identity

    def finish(self, span: Span, state: str | None, error: BaseException | None, end: int | None = None) -> None:
        """End ``span`` at ``end`` (nanoseconds since the epoch; None is now).

        A span without an error keeps the status UNSET, as the conventions ask.
        """
        try:
            if state is not None:
                self._clean.set(span, names.STATE, state)
            if error is not None and span.is_recording():
                _fail(span, error)
        finally:
            span.end(end)


def is_sampled(span: Span | None) -> bool:
    """Whether the trace of ``span`` is sampled: only then an exemplar leads somewhere, whatever filter lets it pass."""
    return span is not None and bool(span.get_span_context().trace_flags & 1)


def _drops_below_unsampled(sampler: Any) -> bool:
    """Whether a sampler is known to drop whatever has a parent that is not sampled; one derived from it may not."""
    kind = type(sampler).__name__
    if kind == "ParentBased":
        with suppress(Exception):  # of a sampler in it, which somebody else has written
            return _STAYS_UNSAMPLED.fullmatch(sampler.get_description()) is not None
    return kind == "LinkedSampler"


def _fail(span: Span, error: BaseException) -> None:
    """As the SDK's ``record_exception`` does it, with text that can be encoded."""
    message, name = text_of(error), type_name(error)
    span.set_attribute(names.ERROR_TYPE, name)
    span.set_status(Status(StatusCode.ERROR, message))
    event = {
        names.EXCEPTION_TYPE: name,
        names.EXCEPTION_MESSAGE: message,
        names.EXCEPTION_STACKTRACE: traceback_of(error),
        names.EXCEPTION_ESCAPED: "False",
    }
    span.add_event(names.EXCEPTION, event)
