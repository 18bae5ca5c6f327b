"""All instruments, in one object, so that nobody else knows their names. Seconds throughout; no attribute per host.

Recording needs no tracer provider and no sampled trace. The span that a value belongs to is passed along with it, so
that exemplars lead from a slow bucket to its trace. Names and attributes, where they are not our own, follow the
conventions (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, set_span_in_context

from celery_otel_links._emit.attributes import ERROR_TYPE, STATE, TASK_NAME, Broker
from celery_otel_links._emit.recorder import Measurement, Pending, forgets
from celery_otel_links._rules.latency import Latency
from celery_otel_links._rules.message import Route

WAITING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Bucket boundaries of the waiting times, in seconds: 5 ms to 1 h."""
WORKING = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those that the messaging conventions give for durations."""

_HISTOGRAMS = {
    "celery.task.latency.queue": ("Waiting since the message was due, not asked for.", WAITING),
    "celery.task.latency.broker": ("The part of it that was spent in the broker.", WAITING),
    "celery.task.latency.prefetch": ("The part of it that was spent in the worker, for want of a process.", WAITING),
    "messaging.client.operation.duration": ("Duration of publishing a message.", WORKING),
    "messaging.process.duration": ("Duration of running a task.", WORKING),
}
_COUNTERS = {
    "messaging.client.sent.messages": ("{message}", "Messages that were published, or should have been."),
    "messaging.client.consumed.messages": ("{message}", "Messages that were delivered to a task."),
    "celery.task.outcomes": ("{task}", "Attempts that ended, by their state."),
}
_RUNTIME = "flower.task.runtime.seconds"
_MOST_SERIES = 2000
"""Series of one counter; what goes beyond has the attribute that OpenTelemetry's metrics SDK specifies for it."""


class Plan(Protocol):
    """What is known of all messages of a task on a queue."""

    @property
    def route(self) -> Route: ...
    @property
    def broker(self) -> Broker: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...


class Instruments:
    """The instruments of one provider. What is measured has a span, whose trace an exemplar may lead to."""

    def __init__(self, meter: Meter, *, timing: bool) -> None:
        self._meter = meter
        self._timing = timing
        self._pending = Pending()
        self._times = {name: _recording(_histogram(meter, name, *told)) for name, told in _HISTOGRAMS.items() if timing}
        self._counts: dict[str, dict[tuple[Any, ...], int]] = {name: {} for name in _COUNTERS}
        for name, (unit, description) in _COUNTERS.items():
            meter.create_observable_counter(name, [functools.partial(self._observe, name)], unit, description)
        forgets(self)

    def time_for_predecessor(self) -> None:
        """Record the histogram of ``opentelemetry-instrumentation-celery`` too."""
        if self._timing and _RUNTIME not in self._times:
            told = "The time it took to run the task."
            self._times[_RUNTIME] = _recording(self._meter.create_histogram(_RUNTIME, "seconds", told))

    def forget(self) -> None:
        """A forked child has counted nothing."""
        for counts in self._counts.values():
            counts.clear()

    def published(self, plan: Plan, seconds: float | None, error: str | None, span: SpanContext | None) -> None:
        """A message was published, or with ``error`` was not; without ``seconds``, nobody knows how long that took."""
        self._put((self._published, plan, seconds, error, span))

    def started(self, plan: Plan, latency: Latency | None, span: SpanContext | None) -> None:
        """A task starts to run; without a latency there was no message."""
        if latency is not None:
            self._put((self._started, plan, latency, span))

    def ended(
        self, plan: Plan, worker: str, seconds: float, state: str, error: str | None, span: SpanContext | None
    ) -> None:
        """An attempt is over."""
        self._put((self._ended, plan, worker, seconds, state, error, span))

    def unfinished(self, plan: Plan, state: str) -> None:
        """An attempt that could not end by itself, or never began."""
        self._put((self._count, "celery.task.outcomes", _outcome, plan.route.name, plan.route.queue, state))

    def _put(self, measurement: Measurement) -> None:
        if self._timing:
            self._pending.put(measurement)
        else:  # counting takes no time, and a process that forks is better off without one more thread
            self._pending.now(measurement)

    def _published(self, plan: Plan, seconds: float | None, error: str | None, span: SpanContext | None) -> None:
        operation = ("send", plan.attributes["messaging.destination.name"], plan.broker, error)
        self._count("messaging.client.sent.messages", _operation, *operation)
        if seconds is not None:
            attributes = _operation(*operation, typed=True)
            self._time("messaging.client.operation.duration", seconds, attributes, _context(span))

    def _started(self, plan: Plan, latency: Latency, span: SpanContext | None) -> None:
        operation = ("process", plan.attributes["messaging.destination.name"], plan.broker, None)
        self._count("messaging.client.consumed.messages", _operation, *operation)
        attributes, context = _task(plan.route.name, plan.route.queue), _context(span)
        self._time("celery.task.latency.queue", latency.queue, attributes, context)
        self._time("celery.task.latency.broker", latency.broker, attributes, context)
        self._time("celery.task.latency.prefetch", latency.prefetch, attributes, context)

    def _ended(
        self, plan: Plan, worker: str, seconds: float, state: str, error: str | None, span: SpanContext | None
    ) -> None:
        name, context = plan.route.name, _context(span)
        self._count("celery.task.outcomes", _outcome, name, plan.route.queue, state)
        operation = _operation("process", plan.attributes["messaging.destination.name"], plan.broker, error)
        self._time("messaging.process.duration", seconds, operation, context)
        self._time(_RUNTIME, seconds, {"task": name, "worker": worker}, context)

    def _count(self, name: str, attributes: Callable[..., dict[str, Any]], *of: Any) -> None:
        counts = self._counts[name]
        key = (attributes, *of)
        if key not in counts and len(counts) >= _MOST_SERIES:
            key = (_overflow,)  # whoever publishes chooses the name of an unknown task
        counts[key] = counts.get(key, 0) + 1

    def _time(self, name: str, seconds: float | None, attributes: dict[str, Any], context: Context) -> None:
        record = self._times.get(name)
        if record is not None and seconds is not None:
            record(seconds, attributes, context)

    def _observe(self, name: str, _: CallbackOptions) -> Iterable[Observation]:
        self._pending.drain()  # histograms too: the SDK asks all observers before it looks at what is recorded
        return [Observation(count, attributes(*of)) for (attributes, *of), count in list(self._counts[name].items())]


@functools.lru_cache(maxsize=1024)
def _operation(
    name: str, destination: str, broker: Broker, error: str | None, *, typed: bool = False
) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "messaging.operation.name": name,
        "messaging.system": broker.system,
        "messaging.destination.name": destination,
    }
    if typed:
        attributes["messaging.operation.type"] = name
    if error is not None:
        attributes[ERROR_TYPE] = error
    if broker.address is not None:
        attributes["server.address"] = broker.address
        if broker.port is not None:
            attributes["server.port"] = broker.port
    return attributes


@functools.lru_cache(maxsize=1024)
def _task(task: str, queue: str) -> dict[str, Any]:
    return {TASK_NAME: task, "messaging.destination.name": queue}


def _overflow() -> dict[str, Any]:
    return {"otel.metric.overflow": True}


def _outcome(task: str, queue: str, state: str) -> dict[str, Any]:
    return {**_task(task, queue), STATE: state}


# Not an empty context, which is false, and would make the SDK take the one that is current where this is recorded.
_NOWHERE = set_span_in_context(INVALID_SPAN, Context())


def _context(span: SpanContext | None) -> Context:
    return _NOWHERE if span is None else set_span_in_context(NonRecordingSpan(span), Context())


def _histogram(meter: Meter, name: str, description: str, boundaries: tuple[float, ...]) -> Any:
    create: Any = meter.create_histogram
    # The advice came with version 1.30 of the API; before it, only a view can set boundaries.
    if "explicit_bucket_boundaries_advisory" in inspect.signature(create).parameters:
        return create(name, "s", description, explicit_bucket_boundaries_advisory=boundaries)
    return create(name, "s", description)


def _recording(histogram: Any) -> Callable[[float, dict[str, Any], Context], None]:
    # The context, and exemplars with it, came with version 1.28 of the API.
    if "context" in inspect.signature(histogram.record).parameters:
        return histogram.record  # type: ignore[no-any-return]
    return lambda seconds, attributes, _: histogram.record(seconds, attributes)
