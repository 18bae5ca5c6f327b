"""The names of all that is emitted, each written here alone, and the instruments with meaning, unit and attributes.

A constant is called like its name, without ``celery.`` or ``messaging.``. What an attribute, a link or a span means
stands in :mod:`~celery_otel_links._declared.attributes` and :mod:`~celery_otel_links._declared.spans`, which only
tests and the documentation import. Names that are not our own are those of the messaging conventions
(https://opentelemetry.io/docs/specs/semconv/messaging/), and contrib's.
"""

from __future__ import annotations

from typing import NamedTuple

SCOPE = "celery_otel_links"
MAIN_SCOPE = f"{SCOPE}.main"
"""Of the metrics of a main process whose children run the tasks."""
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

SEND, PROCESS = "send", "process"
"""The two operations: one message is published, one attempt runs."""
ACTIONS = {SEND: "apply_async", PROCESS: "run"}
"""How span names call them, and contrib."""
DOCTOR = "otel-links doctor"
"""The span with which ``doctor`` tries an exporter."""

LINK_KIND = "celery.link.kind"
MODE = "celery.propagation.mode"
REASON = "celery.propagation.reason"
TASK_NAME = "celery.task_name"
STATE = "celery.state"
HOSTNAME = "celery.hostname"
RETRIES = "celery.retries"
RETRY_REASON = "celery.retry.reason"
REDELIVERED = "celery.redelivered"
LINKS_DROPPED = "celery.links.dropped"
BEAT_ENTRY = "celery.beat.entry"
BEAT_DRIFT = "celery.beat.drift"  # an instrument, too
LATENCY_ENQUEUE_TO_START = "celery.latency.enqueue_to_start"
LATENCY_SCHEDULED = "celery.latency.scheduled"
LATENCY_QUEUE = "celery.latency.queue"
LATENCY_BROKER = "celery.latency.broker"
LATENCY_PREFETCH = "celery.latency.prefetch"
LATENCY_SINCE_FIRST_ENQUEUE = "celery.latency.since_first_enqueue"
LATENCY_HANDOVER = "celery.latency.handover"
LATENCY_CLOCK_SKEW = "celery.latency.clock_skew"
WAIT_KIND = "celery.wait.kind"
WAIT_KINDS = ("scheduled", "broker", "prefetch")
WHERE = "celery.otel_links.where"

ERROR_TYPE = "error.type"
SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
BATCH_COUNT = "messaging.batch.message_count"
ROUTING_KEY = "messaging.rabbitmq.destination.routing_key"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
OVERFLOW = "otel.metric.overflow"

ACTION = "celery.action"
COMPRESSION = "celery.compression"
COUNTDOWN = "celery.countdown"
DELIVERY_INFO = "celery.delivery_info"
ETA = "celery.eta"
EXCHANGE = "celery.exchange"
EXPIRES = "celery.expires"
PRIORITY = "celery.priority"
QUEUE = "celery.queue"
REPLY_TO = "celery.reply_to"
SERIALIZER = "celery.serializer"
TIMELIMIT = "celery.timelimit"
CONTRIB_CONVERSATION_ID = "messaging.conversation_id"
CONTRIB_DESTINATION = "messaging.destination"
CONTRIB_DESTINATION_KIND = "messaging.destination_kind"
CONTRIB_TASK = "task"
CONTRIB_WORKER = "worker"

EXCEPTION = "exception"
"""The event of a span that failed."""
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
EXCEPTION_ESCAPED = "exception.escaped"
EVENT_NAME = "event.name"
TASK_STARTED = "celery.task.started"
"""The log event of a task that runs for long."""

TASK_LATENCY_QUEUE = "celery.task.latency.queue"
TASK_LATENCY_BROKER = "celery.task.latency.broker"
TASK_LATENCY_PREFETCH = "celery.task.latency.prefetch"
TASK_DURATION = "celery.task.duration"
PROCESS_DURATION = "messaging.process.duration"
CLIENT_OPERATION_DURATION = "messaging.client.operation.duration"
CONTRIB_RUNTIME = "flower.task.runtime.seconds"
TASK_WAIT = "celery.task.wait"
TASK_PUBLISHED = "celery.task.published"
TASK_OUTCOMES = "celery.task.outcomes"
TASK_UNSTAMPED = "celery.task.unstamped"
TASK_REDELIVERED = "celery.task.redelivered"
FAILURES = "celery.otel_links.failures"
SENT_MESSAGES = "messaging.client.sent.messages"
CONSUMED_MESSAGES = "messaging.client.consumed.messages"
WORKER_PROCESSES = "celery.worker.processes"
WORKER_ACTIVE = "celery.worker.active"
WORKER_RESERVED = "celery.worker.reserved"
WORKER_SCHEDULED = "celery.worker.scheduled"
QUEUE_DEPTH = "celery.queue.depth"
QUEUE_OLDEST_AGE = "celery.queue.oldest_age"
QUEUE_CONSUMERS = "celery.queue.consumers"

WAITING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Bucket boundaries for what may take long, in seconds: 5 ms to 1 h."""
WORKING = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those that the messaging conventions give for durations."""

_TASK = (TASK_NAME, DESTINATION)
_OPERATION = (SYSTEM, OPERATION, DESTINATION, SERVER_ADDRESS, SERVER_PORT, ERROR_TYPE)


class Declared(NamedTuple):
    """An instrument: what it measures, in which unit, with which attributes, and a histogram's boundaries."""

    description: str
    attributes: tuple[str, ...]
    unit: str = "s"
    boundaries: tuple[float, ...] = ()


HISTOGRAMS = {
    TASK_LATENCY_QUEUE: Declared("Waiting since the message was due, not asked for.", _TASK, "s", WAITING),
    TASK_DURATION: Declared("Duration of an attempt.", (*_TASK, STATE, ERROR_TYPE), "s", WAITING),
    TASK_LATENCY_BROKER: Declared("The part of the waiting that was spent in the broker.", _TASK, "s", WAITING),
    TASK_LATENCY_PREFETCH: Declared(
        "The part of the waiting that was spent in the worker, for want of a process.", _TASK, "s", WAITING
    ),
    PROCESS_DURATION: Declared("Duration of running a task.", _OPERATION, "s", WORKING),
    CLIENT_OPERATION_DURATION: Declared(
        "Duration of publishing a message.", (*_OPERATION, OPERATION_TYPE), "s", WORKING
    ),
    CONTRIB_RUNTIME: Declared("The time it took to run the task.", (CONTRIB_TASK, CONTRIB_WORKER), "seconds"),
}
"""Each is recorded if the option ``histograms`` names it."""
BEAT_HISTOGRAMS = {BEAT_DRIFT: Declared("How late beat was with a tick.", (BEAT_ENTRY,), "s", WAITING)}
COUNTERS = {
    TASK_WAIT: Declared("Seconds waited, by what for.", (*_TASK, WAIT_KIND)),
    TASK_PUBLISHED: Declared(
        "Messages that were published, or should have been.", (*_TASK, MODE, REASON, ERROR_TYPE), "{message}"
    ),
    TASK_OUTCOMES: Declared("Attempts that ended, and messages that never ran.", (*_TASK, STATE, ERROR_TYPE), "{task}"),
    TASK_UNSTAMPED: Declared("Messages that came without our header.", _TASK, "{message}"),
    TASK_REDELIVERED: Declared(
        "Deliveries that started and may be the second ones of their messages.", _TASK, "{message}"
    ),
    FAILURES: Declared("What failed in this library, which no task notices.", (WHERE,), "{failure}"),
    SENT_MESSAGES: Declared("Messages that were published, or should have been.", _OPERATION, "{message}"),
    CONSUMED_MESSAGES: Declared("Messages that were delivered to a task.", _OPERATION, "{message}"),
}
GAUGES = {  # of a worker's main process
    WORKER_PROCESSES: Declared("Tasks that the worker can run at once.", (), "{process}"),
    WORKER_ACTIVE: Declared("Tasks that run.", (), "{task}"),
    WORKER_RESERVED: Declared("Messages that wait in the worker and are due.", (), "{message}"),
    WORKER_SCHEDULED: Declared("Messages that the worker holds until their eta.", (), "{message}"),
}
QUEUE_GAUGES = {  # observed by `celery otel-links watch`
    QUEUE_DEPTH: Declared("Messages that wait in the broker.", (DESTINATION,), "{message}"),
    QUEUE_OLDEST_AGE: Declared("Since the message that waits longest was published.", (DESTINATION,)),
    QUEUE_CONSUMERS: Declared("Workers that consume the queue.", (DESTINATION,), "{consumer}"),
}
