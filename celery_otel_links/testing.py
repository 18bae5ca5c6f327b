"""The spans of tasks in your own tests, as soon as they have ended, and what became of a request as text.

Needs the SDK (``celery-otel-links[sdk]``). Nothing is exported: the spans stay in this process.
"""

from __future__ import annotations

# The SDK's provider uses it in a forked child, which hangs unless this module has learned of forks before the provider.
import concurrent.futures.thread  # noqa: F401
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, Tracer

from celery_otel_links import CeleryLinksInstrumentor  # as anybody does who is no part of the path of a message
from celery_otel_links._declared.names import ERROR_TYPE, LINK_KIND, MODE, REASON, RETRIES, STATE, TASK_NAME

PING = "celery.ping"
"""With which ``celery.contrib.testing.worker.start_worker`` begins; it is no task of anybody's test."""


class CapturedSpans:
    """What has ended so far. Threads of a worker may add to it at any time."""

    def __init__(self) -> None:
        self._ended: list[ReadableSpan] = []
        self._changed = threading.Condition()
        # Neither the environment nor a detector of resources, which may ask the network, has a say here.
        self.tracer_provider: TracerProvider = TracerProvider(ALWAYS_ON, Resource.get_empty(), shutdown_on_exit=False)
        self.tracer_provider._disabled = False  # OTEL_SDK_DISABLED, with which a whole test run may be quiet
        self.tracer_provider.add_span_processor(_Adding(self))

    @property
    def tracer(self) -> Tracer:
        """Makes spans that are captured too: ``with captured.tracer.start_as_current_span("request"):``."""
        return self.tracer_provider.get_tracer("celery_otel_links.testing")

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans that have ended, in the order of their ends: PRODUCER spans, CONSUMER spans, and your own."""
        with self._changed:
            return list(self._ended)

    def of(self, task_name: str) -> list[ReadableSpan]:
        """The spans of a task that have ended, in the order of their starts: its publishes and its runs."""
        return sorted((span for span in self.spans if _said(span, TASK_NAME) == task_name), key=_start)

    def wait_for_runs(self, count: int, task_name: str | None = None, timeout: float = 10.0) -> list[ReadableSpan]:
        """Wait until ``count`` runs, of this task or of any, have ended; returns them in the order of their ends.

        A worker stores the result of a task before its span ends, so ``result.get()`` alone is too early.

        Raises:
            TimeoutError: fewer have ended after ``timeout`` seconds. It shows those that have.
        """

        def runs() -> list[ReadableSpan]:
            of_task = (span for span in self._ended if task_name in (None, _said(span, TASK_NAME)))
            return [span for span in of_task if span.kind is SpanKind.CONSUMER]

        with self._changed:
            if self._changed.wait_for(lambda: len(runs()) >= count, timeout):
                return runs()
            ended = len(runs())
        what = "runs" if task_name is None else f"runs of {task_name}"
        raise TimeoutError(f"{ended} of {count} {what} have ended within {timeout:g} s:\n{self.forest()}")

    def forest(self) -> str:
        """The spans that have ended as text: a line each, children indented, the same whatever the timing was.

        After the name of a span come its mode and the reason for it, ``retry N``, the state and the error of a run,
        and its links back. Spans that links lead to are numbered where several have their name.
        """
        return "\n".join(_Forest(self.spans).lines())

    def _add(self, span: ReadableSpan) -> None:
        if _said(span, TASK_NAME) != PING:
            with self._changed:
                self._ended.append(span)
                self._changed.notify_all()


@contextmanager
def captured_spans(app: Celery | None = None) -> Iterator[CapturedSpans]:
    """Capture the spans of all tasks that this process publishes and runs within the block.

    They go to the block alone, and not to the provider that is set otherwise; all are sampled. Where nothing is
    instrumented yet, everything is for the block, with the configuration of ``app`` or of the first app that is used.

    Raises:
        ConfigError: the configuration of ``app`` is wrong.
        RuntimeError: the configuration says ``enabled: False``.
    """
    captured, instrumentor = CapturedSpans(), CeleryLinksInstrumentor()
    before = instrumentor.is_instrumented_by_opentelemetry
    if not before:
        instrumentor.instrument(tracer_provider=captured.tracer_provider, **({} if app is None else {"app": app}))
    try:
        if instrumentor.telemetry is None:
            raise RuntimeError("no spans are there to be captured: the configuration says enabled: False")
        with instrumentor.telemetry.spans.given_to(captured.tracer_provider):
            yield captured
    finally:
        if not before and instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


class _Adding(SpanProcessor):
    def __init__(self, captured: CapturedSpans) -> None:
        self._captured = captured

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        self._captured._add(span)


class _Forest:
    """Spans with their parents and links, in an order that depends on who published first and not on who ran first."""

    def __init__(self, spans: list[ReadableSpan]) -> None:
        self._by_id = {_id(span.context): span for span in spans}
        self._spans = sorted(spans, key=self._path)
        counted = Counter(span.name for span in spans)
        targets = {target.name for span in spans for link in _back(span) if (target := self._target(link))}
        seen: Counter[str] = Counter()
        self._numbers: dict[tuple[int, int], int] = {}
        for span in self._spans:
            if counted[span.name] > 1 and span.name in targets:
                seen[span.name] += 1
                self._numbers[_id(span.context)] = seen[span.name]

    def lines(self) -> list[str]:
        roots = [span for span in self._spans if self._parent(span) is None]
        return [line for root in roots for line in self._tree(root)]

    def _tree(self, span: ReadableSpan) -> Iterator[str]:
        yield "  ".join((self._name(span), *_decision(span), *_outcome(span), *self._relations(span)))
        for child in self._spans:
            if self._parent(child) is span:
                yield from ("  " + line for line in self._tree(child))

    def _relations(self, span: ReadableSpan) -> Iterator[str]:
        if span.parent is not None and self._parent(span) is None:
            yield "parent -> not captured"
        for link in _back(span):
            target = self._target(link)
            kind = (link.attributes or {}).get(LINK_KIND, "untyped")
            yield f"link {kind} -> {'not captured' if target is None else self._name(target)}"

    def _name(self, span: ReadableSpan) -> str:
        number = self._numbers.get(_id(span.context))
        return span.name if number is None else f"{span.name}#{number}"

    def _parent(self, span: ReadableSpan) -> ReadableSpan | None:
        return None if span.parent is None else self._by_id.get(_id(span.parent))

    def _target(self, link: Link) -> ReadableSpan | None:
        return self._by_id.get(_id(link.context))

    def _path(self, span: ReadableSpan) -> tuple[int, ...]:
        """The starts of all that led to this span, and its own."""
        path, seen, at = [_start(span)], {_id(span.context)}, self._cause(span)
        while at is not None and _id(at.context) not in seen:
            seen.add(_id(at.context))
            path.append(_start(at))
            at = self._cause(at)
        return tuple(reversed(path))

    def _cause(self, span: ReadableSpan) -> ReadableSpan | None:
        targets = (self._target(link) for link in _back(span))
        return self._parent(span) or next((target for target in targets if target), None)


def _back(span: ReadableSpan) -> list[Link]:
    """The links to what came before; the one from a publish to its run says again what that says."""
    return [link for link in span.links if (link.attributes or {}).get(LINK_KIND) != "consumer"]


def _decision(span: ReadableSpan) -> Iterator[str]:
    if (mode := _said(span, MODE)) is not None:
        yield f"{mode} by {_said(span, REASON)}"


def _outcome(span: ReadableSpan) -> Iterator[str]:
    if span.kind is SpanKind.CONSUMER and (retries := _said(span, RETRIES)):
        yield f"retry {retries}"
    if (state := _said(span, STATE)) is not None:
        yield str(state)
    if span.status.status_code is StatusCode.ERROR:
        yield str(_said(span, ERROR_TYPE) or "ERROR")


def _said(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(name)


def _start(span: ReadableSpan) -> int:
    return span.start_time or 0


def _id(context: SpanContext | None) -> tuple[int, int]:
    return (0, 0) if context is None else (context.trace_id, context.span_id)
