"""Every metric that is emitted, declared once: name, meaning, unit, attributes. In seconds; no attribute per host.

Names and attributes, where they are not our own, follow the conventions
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/).
"""

from __future__ import annotations

from typing import NamedTuple

from celery_otel_links._emit import attributes as names

WAITING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Bucket boundaries for what may take long, in seconds: 5 ms to 1 h."""
WORKING = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those that the messaging conventions give for durations."""
KIND = "celery.wait.kind"

_TASK = (names.TASK_NAME, names.DESTINATION)
_OPERATION = (names.SYSTEM, names.OPERATION, names.DESTINATION, "server.address", "server.port", names.ERROR_TYPE)


class Declared(NamedTuple):
    """An instrument: what it measures, in which unit, with which attributes, and a histogram's boundaries."""

    description: str
    attributes: tuple[str, ...]
    unit: str = "s"
    boundaries: tuple[float, ...] = ()


HISTOGRAMS = {
    "celery.task.latency.queue": Declared("Waiting since the message was due, not asked for.", _TASK, "s", WAITING),
    "celery.task.latency.broker": Declared("The part of it that was spent in the broker.", _TASK, "s", WAITING),
    "celery.task.latency.prefetch": Declared(
        "The part of it that was spent in the worker, for want of a process.", _TASK, "s", WAITING
    ),
    "celery.task.duration": Declared("Duration of an attempt.", (*_TASK, names.STATE, names.ERROR_TYPE), "s", WAITING),
    "messaging.process.duration": Declared("Duration of running a task.", _OPERATION, "s", WORKING),
    "messaging.client.operation.duration": Declared(
        "Duration of publishing a message.", (*_OPERATION, names.OPERATION_TYPE), "s", WORKING
    ),
    "flower.task.runtime.seconds": Declared("The time it took to run the task.", ("task", "worker"), "seconds"),
}
COUNTERS = {
    "celery.task.wait": Declared("Seconds waited, by what for.", (*_TASK, KIND)),
    "celery.task.published": Declared(
        "Messages that were published, or should have been.",
        (*_TASK, names.MODE, names.REASON, names.ERROR_TYPE),
        "{message}",
    ),
    "celery.task.outcomes": Declared(
        "Attempts that ended, and messages that never ran.", (*_TASK, names.STATE, names.ERROR_TYPE), "{task}"
    ),
    "celery.task.unstamped": Declared("Messages that came without our header.", _TASK, "{message}"),
    "messaging.client.sent.messages": Declared(
        "Messages that were published, or should have been.", _OPERATION, "{message}"
    ),
    "messaging.client.consumed.messages": Declared("Messages that were delivered to a task.", _OPERATION, "{message}"),
}
