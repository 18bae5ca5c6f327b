"""``started_after``: a task that runs for longer says so by a log event, so that it can be found while it runs.

One thread waits for all tasks of a process. A task costs it one entry of a dict, and nothing where nobody asked.
"""

from __future__ import annotations

import inspect
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from celery import signals
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context

from celery_otel_links._config.notices import Family, warn_once
from celery_otel_links._declared.names import EVENT_NAME, LATENCY_QUEUE, MESSAGE_ID, SCHEMA, SCOPE, TASK_STARTED
from celery_otel_links._errors import contained, guarded
from celery_otel_links._forks import forgets
from celery_otel_links._tracing.delivery import Attempt, current_attempt
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._version import __version__

NO_LOGS = (
    "started_after is set, and there is no OpenTelemetry logger provider by now: call _logs.set_logger_provider(), or "
    "set OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true with opentelemetry-instrument"
)


class StartedAfter:
    """The attempts of this process that have not run for so long yet, in the order of their start."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.forget()
        forgets(self)

    def forget(self) -> None:
        """A forked child runs tasks of its own, and has no thread."""
        self._due: dict[int, tuple[float, weakref.ref[Attempt]]] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def wiring(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        """Which receiver listens to which signal, after the one that begins the attempt."""
        return ((signals.task_prerun, self.task_prerun),)

    @guarded
    def task_prerun(self, **_: Any) -> None:
        """Note when the attempt that has begun will have run for so long."""
        config = self._telemetry.resolved
        if config is None:
            return
        if config.started_after is None:
            signals.task_prerun.disconnect(self.task_prerun)
            return
        attempt = current_attempt()
        if attempt is None or not attempt.traced:
            return
        due, key = self._due, id(attempt)
        due[key] = (time.monotonic() + config.started_after, weakref.ref(attempt, lambda _: due.pop(key, None)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="otel-links-started", daemon=True)
            self._thread.start()
        elif not self._wake.is_set():
            self._wake.set()

    def _watch(self) -> None:
        due, wake = self._due, self._wake
        while due is self._due:
            try:
                key, (when, reference) = next(iter(due.items()))
            except (StopIteration, RuntimeError):  # nothing runs; or a task began in this very moment
                wake.wait(1)
                wake.clear()
                continue
            left = when - time.monotonic()
            if left > 0:
                time.sleep(min(left, 1))  # the first of them may end, and the next is due later
                continue
            due.pop(key, None)
            attempt = reference()
            if attempt is not None and not attempt.over:
                with contained("started_after"):
                    _say(attempt)
            del attempt  # this thread keeps nothing alive


def _say(attempt: Attempt) -> None:
    """Emit the event under the attempt's run span."""
    from opentelemetry import _logs

    delivery, provider = attempt.delivery, _logs.get_logger_provider()
    if type(provider).__name__ in ("ProxyLoggerProvider", "NoOpLoggerProvider"):
        warn_once(Family.NO_LOGS, NO_LOGS)
        return
    attributes = {**delivery.stamp.attributes, MESSAGE_ID: delivery.id, EVENT_NAME: TASK_STARTED}
    if delivery.latency is not None and delivery.latency.queue is not None:
        attributes[LATENCY_QUEUE] = delivery.latency.queue
    span = attempt.span or (None if attempt.context is None else NonRecordingSpan(attempt.context))
    context = Context() if span is None else set_span_in_context(span, Context())
    logger = provider.get_logger(SCOPE, __version__, SCHEMA)
    logger.emit(_record(_logs, logger, delivery.start, context, f"{delivery.plan.route.name} still runs", attributes))


def _record(api: Any, logger: Any, start: float, context: Context, body: str, attributes: dict[str, Any]) -> Any:
    """A record as this release of OpenTelemetry takes it: its time is that of the task's start."""
    fields: dict[str, Any] = {
        "timestamp": int(start * 1e9),
        "observed_timestamp": time.time_ns(),
        "severity_text": "INFO",
        "severity_number": api.SeverityNumber.INFO,
        "body": body,
        "attributes": attributes,
    }
    # Before 1.37 the SDK exports records of its own class alone, which holds the resource.
    kind: Any = getattr(sys.modules[type(logger).__module__], "LogRecord", api.LogRecord)
    known = inspect.signature(kind.__init__).parameters
    if "resource" in known:
        fields["resource"] = getattr(logger, "resource", None)
    if "event_name" in known:
        fields["event_name"] = TASK_STARTED
    if "context" in known:
        return kind(**fields, context=context)
    span = get_current_span(context).get_span_context()
    return kind(**fields, trace_id=span.trace_id, span_id=span.span_id, trace_flags=span.trace_flags)
