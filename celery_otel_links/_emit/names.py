"""The names of all that is emitted: attributes, and the metrics with their meaning, unit and attributes.

In seconds; no attribute per host. Names that are not our own are those of the messaging conventions
(https://opentelemetry.io/docs/specs/semconv/messaging/).
"""

from __future__ import annotations

from typing import NamedTuple

SCOPE = "celery_otel_links"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
LINK_KIND = "celery.link.kind"
MODE = "celery.propagation.mode"
REASON = "celery.propagation.reason"
STATE = "celery.state"
REDELIVERED = "celery.redelivered"
RETRIES = "celery.retries"
RETRY_REASON = "celery.retry.reason"
LINKS_DROPPED = "celery.links.dropped"
HOSTNAME = "celery.hostname"
ERROR_TYPE = "error.type"
TASK_NAME = "celery.task_name"
SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
ROUTING_KEY = "messaging.rabbitmq.destination.routing_key"
HANDOVER = "celery.latency.handover"
BATCH_COUNT = "messaging.batch.message_count"
BEAT_ENTRY = "celery.beat.entry"
BEAT_DRIFT = "celery.beat.drift"
STARTED = "celery.task.started"
"""The log event of a task that runs for long."""

WAITING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Bucket boundaries for what may take long, in seconds: 5 ms to 1 h."""
WORKING = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those that the messaging conventions give for durations."""
KIND = "celery.wait.kind"
WHERE = "celery.otel_links.where"

_TASK = (TASK_NAME, DESTINATION)
_OPERATION = (SYSTEM, OPERATION, DESTINATION, "server.address", "server.port", ERROR_TYPE)


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
    "celery.task.duration": Declared("Duration of an attempt.", (*_TASK, STATE, ERROR_TYPE), "s", WAITING),
    "messaging.process.duration": Declared("Duration of running a task.", _OPERATION, "s", WORKING),
    "messaging.client.operation.duration": Declared(
        "Duration of publishing a message.", (*_OPERATION, OPERATION_TYPE), "s", WORKING
    ),
    BEAT_DRIFT: Declared("How late beat was with a tick.", (BEAT_ENTRY,), "s", WAITING),
    "flower.task.runtime.seconds": Declared("The time it took to run the task.", ("task", "worker"), "seconds"),
}
COUNTERS = {
    "celery.task.wait": Declared("Seconds waited, by what for.", (*_TASK, KIND)),
    "celery.task.published": Declared(
        "Messages that were published, or should have been.",
        (*_TASK, MODE, REASON, ERROR_TYPE),
        "{message}",
    ),
    "celery.task.outcomes": Declared(
        "Attempts that ended, and messages that never ran.", (*_TASK, STATE, ERROR_TYPE), "{task}"
    ),
    "celery.task.unstamped": Declared("Messages that came without our header.", _TASK, "{message}"),
    "celery.task.redelivered": Declared(
        "Deliveries that started and may be the second ones of their messages.", _TASK, "{message}"
    ),
    "celery.otel_links.failures": Declared(
        "What failed in this library, which no task notices.", (WHERE,), "{failure}"
    ),
    "messaging.client.sent.messages": Declared(
        "Messages that were published, or should have been.", _OPERATION, "{message}"
    ),
    "messaging.client.consumed.messages": Declared("Messages that were delivered to a task.", _OPERATION, "{message}"),
}
GAUGES = {  # of a worker's main process
    "celery.worker.processes": Declared("Tasks that the worker can run at once.", (), "{process}"),
    "celery.worker.active": Declared("Tasks that run.", (), "{task}"),
    "celery.worker.reserved": Declared("Messages that wait in the worker and are due.", (), "{message}"),
    "celery.worker.scheduled": Declared("Messages that the worker holds until their eta.", (), "{message}"),
}
QUEUE_GAUGES = {  # observed by `celery otel-links watch`
    "celery.queue.depth": Declared("Messages that wait in the broker.", (DESTINATION,), "{message}"),
    "celery.queue.oldest_age": Declared("Since the message that waits longest was published.", (DESTINATION,)),
    "celery.queue.consumers": Declared("Workers that consume the queue.", (DESTINATION,), "{consumer}"),
}
