"""What is measured of messages, and the instruments that it goes to.

Recording needs no tracer provider and no sampled trace. The context that a value belongs to is passed along with it, so
that exemplars lead from a slow bucket to its trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from celery_otel_links._declared import names
from celery_otel_links._emit.recorder import Measurement, Recorder
from celery_otel_links._errors import failures
from celery_otel_links._forks import forgets
from celery_otel_links._rules.facts import Decision
from celery_otel_links._rules.latency import Latency
from celery_otel_links._rules.texts import LONGEST_NAME

MOST_SERIES = 2000
"""Attribute sets of one instrument; what goes beyond has the attribute that OpenTelemetry specifies for it alone."""
OVERFLOW = {names.OVERFLOW: True}
Labels = tuple[Any, ...]
"""Values of an instrument's attributes, in their order; None where one is left out."""
_OVERFLOWED: Labels = ()
_TIMES = {**names.HISTOGRAMS, **names.BEAT_HISTOGRAMS}
forgets(failures)


class Series:
    """The attribute sets of one instrument: bounded in number, and in the length of each name."""

    def __init__(self, attributes: tuple[str, ...]) -> None:
        self._names = attributes
        self.sets: dict[Labels, dict[str, Any]] = {}

    def key(self, labels: Labels) -> Labels:
        """``labels``, or those of the series that holds what has no room."""
        if labels in self.sets:
            return labels
        long = any(isinstance(value, str) and len(value) > LONGEST_NAME for value in labels)
        if long or len(self.sets) >= MOST_SERIES:  # whoever publishes chooses the name of an unknown task
            self.sets.setdefault(_OVERFLOWED, OVERFLOW)
            return _OVERFLOWED
        pairs = zip(self._names, labels, strict=False)
        self.sets[labels] = {name: value for name, value in pairs if value is not None}
        return labels


class Counter:
    """Numbers that are kept here, and observed by each collection: a counter costs next to nothing like that."""

    def __init__(self, declared: names.Declared) -> None:
        self._series = Series(declared.attributes)
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels, value: float = 1) -> None:
        """Count ``value`` more."""
        values = self._values
        if labels not in values:
            labels = self._series.key(labels)
        values[labels] = values.get(labels, 0) + value

    def clear(self) -> None:
        """A forked child has counted nothing."""
        self._values.clear()

    def observations(self) -> list[Observation]:
        """What has been counted so far."""
        return [Observation(value, self._series.sets[labels]) for labels, value in self._values.copy().items()]


class Histogram:
    """A histogram of the SDK, with a bound on its series."""

    def __init__(self, meter: Meter, name: str, declared: names.Declared) -> None:
        self._series = Series(declared.attributes)
        self._sets = self._series.sets
        self._record = _recording(_created(meter, name, declared))

    def record(self, value: float, labels: Labels, context: Context | None) -> None:
        """Record a value; what has no room leads to no trace, which would stand for all of them."""
        attributes = self._sets.get(labels)
        if attributes is None:
            key = self._series.key(labels)
            attributes, context = self._sets[key], context if key is labels else None
        self._record(value, attributes, context or _NOWHERE)


class Instruments:
    """The instruments of one provider. What is measured has a context, to whose span an exemplar may lead."""

    def __init__(self, meter: Meter, *, timing: bool) -> None:
        self._meter = meter
        self._timing = timing
        self._recorder = Recorder()
        # Counting takes no time, and a process that forks is better off without one more thread.
        self._put: Callable[[Measurement], None] = self._recorder.put if timing else self._recorder.now
        self._times: dict[str, Histogram] = {}
        self._counts = {name: Counter(declared) for name, declared in names.COUNTERS.items()}
        for name, declared in names.COUNTERS.items():
            meter.create_observable_counter(name, [self._observer(name)], declared.unit, declared.description)
        self.gauges: Mapping[str, Callable[[], int | None]] = {}
        """What is observed when metrics are collected, by its name; where one says None, nothing is."""
        for name, declared in names.GAUGES.items():
            meter.create_observable_gauge(name, [self._looking(name)], declared.unit, declared.description)
        forgets(self)

    def record_in(self, histograms: Collection[str]) -> None:
        """The names of the histograms that are wanted. Each of them costs several microseconds per task."""
        wanted = [name for name in _TIMES if self._timing and name in histograms]
        self._times = {name: self._times.get(name) or Histogram(self._meter, name, _TIMES[name]) for name in wanted}

    def forget(self) -> None:
        """A forked child has counted nothing."""
        self._recorder.forget()
        for counter in self._counts.values():
            counter.clear()

    def published(
        self,
        task: Labels,
        operation: Labels,
        decision: Decision,
        error: str | None,
        seconds: float | None,
        context: Context | None,
    ) -> None:
        """A message was published, or with ``error`` was not; without ``seconds``, nobody knows how long that took."""
        self._put((self._published, task, operation, decision, error, seconds, context))

    def started(
        self, task: Labels, operation: Labels, latency: Latency, stamped: bool, context: Context | None
    ) -> None:
        """A task starts to run that came by a message; ``stamped``, if that had our header."""
        self._put((self._started, task, operation, latency, stamped, context))

    def redelivered(self, task: Labels) -> None:
        """A task starts to run whose message has, or may have, been delivered before."""
        self._put((self._counts[names.TASK_REDELIVERED].add, task))

    def ended(
        self, task: Labels, operation: Labels, end: tuple[str, str | None], seconds: float, context: Context | None
    ) -> None:
        """An attempt is over; its ``end`` are its state and the class of its error, if there was one."""
        self._put((self._ended, task, operation, end, seconds, context))

    def unfinished(self, task: Labels, end: tuple[str, str | None]) -> None:
        """An attempt that could not end by itself, or never began."""
        self._put((self._counts[names.TASK_OUTCOMES].add, (*task, *end)))

    def ran_on(self, name: str, worker: str, seconds: float) -> None:
        """As contrib measures an attempt."""
        self._put((self._time, names.CONTRIB_RUNTIME, seconds, (name, worker), None))

    def ticked(self, entry: str | None, drift: float, context: Context | None) -> None:
        """Beat has sent an entry."""
        self._put((self._time, names.BEAT_DRIFT, drift, (entry,), context))

    def _published(
        self,
        task: Labels,
        operation: Labels,
        decision: Decision,
        error: str | None,
        seconds: float | None,
        context: Context | None,
    ) -> None:
        self._counts[names.TASK_PUBLISHED].add((*task, decision.mode, decision.reason, error))
        self._counts[names.SENT_MESSAGES].add((*operation, error))
        if seconds is not None and names.CLIENT_OPERATION_DURATION in self._times:
            labels = (*operation, error, names.SEND)
            self._time(names.CLIENT_OPERATION_DURATION, seconds, labels, context)

    def _started(
        self, task: Labels, operation: Labels, latency: Latency, stamped: bool, context: Context | None
    ) -> None:
        self._counts[names.CONSUMED_MESSAGES].add((*operation, None))
        if not stamped:
            self._counts[names.TASK_UNSTAMPED].add(task)
        wait = self._counts[names.TASK_WAIT].add
        waited = (latency.scheduled, latency.broker, latency.prefetch)
        for kind, seconds in zip(names.WAIT_KINDS, waited, strict=True):
            if seconds is not None:
                wait((*task, kind), seconds)
        self._time(names.TASK_LATENCY_QUEUE, latency.queue, task, context)
        self._time(names.TASK_LATENCY_BROKER, latency.broker, task, context)
        self._time(names.TASK_LATENCY_PREFETCH, latency.prefetch, task, context)

    def _ended(
        self, task: Labels, operation: Labels, end: tuple[str, str | None], seconds: float, context: Context | None
    ) -> None:
        labels = (*task, *end)
        self._counts[names.TASK_OUTCOMES].add(labels)
        self._time(names.TASK_DURATION, seconds, labels, context)
        if names.PROCESS_DURATION in self._times:
            self._time(names.PROCESS_DURATION, seconds, (*operation, end[1]), context)

    def _time(self, name: str, seconds: float | None, labels: Labels, context: Context | None) -> None:
        histogram = self._times.get(name)
        if histogram is not None and seconds is not None:
            histogram.record(seconds, labels, context)

    def _looking(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            value = self.gauges[name]() if name in self.gauges else None
            return [] if value is None else [Observation(value)]

        return observe

    def _observer(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            # Histograms are recorded too: the SDK asks all observers before it looks at what is recorded.
            self._recorder.drain()
            for where, count in failures.fresh().items():
                self._counts[names.FAILURES].add((where,), count)
            return self._counts[name].observations()

        return observe


# Not an empty context, which is false, and would make the SDK take the one that is current where this is recorded.
_NOWHERE = set_span_in_context(INVALID_SPAN, Context())


def _created(meter: Meter, name: str, declared: names.Declared) -> Any:
    create: Any = meter.create_histogram
    # The advice came with version 1.30 of the API; before it, only a view can set boundaries.
    if declared.boundaries and "explicit_bucket_boundaries_advisory" in inspect.signature(create).parameters:
        advice = {"explicit_bucket_boundaries_advisory": declared.boundaries}
        return create(name, declared.unit, declared.description, **advice)
    return create(name, declared.unit, declared.description)


def _recording(histogram: Any) -> Callable[[float, dict[str, Any], Context], None]:
    # The context, and exemplars with it, came with version 1.28 of the API.
    if "context" in inspect.signature(histogram.record).parameters:
        return histogram.record  # type: ignore[no-any-return]
    return lambda seconds, attributes, _: histogram.record(seconds, attributes)
