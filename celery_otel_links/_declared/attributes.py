"""The attributes that are emitted: of which type, on what, when, and what they mean.

For tests and for the documentation: nothing that runs in an application imports this.
"""

from __future__ import annotations

from typing import NamedTuple

from celery_otel_links._declared import names
from celery_otel_links._declared.spans import CONSUMER, LINKS, PRODUCER
from celery_otel_links._rules.facts import MODES

LINK, METRIC = "link", "metric"
ALWAYS = "always"
_RUN = (CONSUMER,)
_BOTH = (PRODUCER, CONSUMER)
_COMMON = (*_BOTH, names.TASK_STARTED)
"""What all spans of a task on a queue have in common stands on its log event, too."""
_EVENT = (names.EXCEPTION,)
_COPIED = "string | int | double"
"""Of what a message says, in whichever of these types it says it."""


class Attribute(NamedTuple):
    """One attribute."""

    name: str
    type: str
    """As OpenTelemetry calls it; one of several is written with ``|``."""
    on: tuple[str, ...]
    """Kinds of spans, ``link``, names of events; ``metric`` where only instruments have it."""
    meaning: str
    when: str = ALWAYS
    values: tuple[str, ...] = ()
    """All that there are; empty where they can't be listed."""
    unit: str = ""


_DECISION = (
    Attribute(names.MODE, "string", _COMMON, "The propagation mode.", values=MODES),
    Attribute(
        names.REASON,
        "string",
        _COMMON,
        "[Which rule](../configuration.md#which-mode) chose the mode; `trust`, `no-context` and `batch` outrank them.",
    ),
    Attribute(names.LINK_KIND, "string", (LINK,), "What the link leads to.", values=tuple(LINKS)),
)
_TASK = (
    Attribute(names.TASK_NAME, "string", _COMMON, "The task."),
    Attribute(
        names.STATE,
        "string",
        _RUN,
        "Celery's state at the end, or `EXPIRED`, `UNKNOWN`, `TERMINATED`: [lifecycle](../lifecycle.md).",
    ),
    Attribute(names.HOSTNAME, "string", _RUN, "The worker.", "where it is known"),
    Attribute(names.RETRIES, "int", _BOTH, "How many attempts came before.", "from the first retry on"),
    Attribute(names.RETRY_REASON, "string", _RUN, "Why the task is retried.", "when it is retried"),
    Attribute(
        names.REDELIVERED, "boolean", _RUN, "The broker has delivered the message again.", "where the broker says so"
    ),
    Attribute(names.LINKS_DROPPED, "int", _RUN, "Links that had no room.", "where there were more than 128"),
    Attribute(names.BEAT_ENTRY, "string", (PRODUCER,), "The entry of beat's schedule.", "in beat"),
)
_LATENCY = (
    Attribute(
        names.LATENCY_QUEUE,
        "double",
        (CONSUMER, names.TASK_STARTED),
        "Waited without being asked to: from when the message was due to the start. The number to alert on.",
        "where our publisher said when it published",
        unit="s",
    ),
    Attribute(
        names.LATENCY_BROKER,
        "double",
        _RUN,
        "The part of it in the broker.",
        "where the time of receipt is known as well",
        unit="s",
    ),
    Attribute(
        names.LATENCY_PREFETCH,
        "double",
        _RUN,
        "The part of it in the worker, for want of a process.",
        "where the time of receipt is known",
        unit="s",
    ),
    Attribute(
        names.LATENCY_SCHEDULED,
        "double",
        _RUN,
        "Waited because an eta or a countdown asked for it.",
        "where there was an eta",
        unit="s",
    ),
    Attribute(
        names.LATENCY_ENQUEUE_TO_START,
        "double",
        _RUN,
        "From publishing to start: all of it.",
        "where our publisher said when it published",
        unit="s",
    ),
    Attribute(
        names.LATENCY_SINCE_FIRST_ENQUEUE,
        "double",
        _RUN,
        "From publishing the first attempt to this start.",
        "of retries",
        unit="s",
    ),
    Attribute(
        names.LATENCY_HANDOVER,
        "double",
        _BOTH,
        "From `capture()`, or a call that waits for a commit, to publishing.",
        "of messages that were published later",
        unit="s",
    ),
    Attribute(
        names.LATENCY_CLOCK_SKEW,
        "boolean",
        _RUN,
        "The clocks of publisher and worker contradict each other, and a value was clamped.",
        "where it is true",
    ),
    Attribute(
        names.BEAT_DRIFT,
        "double",
        (PRODUCER,),
        "How long ago the entry was due.",
        "in beat, where the schedule says it",
        unit="s",
    ),
)
_MESSAGING = (
    Attribute(names.SYSTEM, "string", _COMMON, "The broker, such as `redis`, `rabbitmq`, `aws_sqs`."),
    Attribute(names.OPERATION, "string", _COMMON, "What is done.", values=(names.SEND, names.PROCESS)),
    Attribute(names.OPERATION_TYPE, "string", _COMMON, "The type of that.", values=(names.SEND, names.PROCESS)),
    Attribute(
        names.DESTINATION,
        "string",
        _COMMON,
        "The queue; on spans with RabbitMQ exchange, routing key and queue, as the conventions say.",
    ),
    Attribute(names.MESSAGE_ID, "string", _COMMON, "The id of the task.", "always, but on the run of a batch"),
    Attribute(
        names.CONVERSATION_ID,
        "string",
        _BOTH,
        "The id of the workflow's root task: all tasks of a workflow are found by it, whatever traces they are in.",
        "where it is not the message's own id; with `contrib_names` on each PRODUCER span, from the correlation id",
    ),
    Attribute(names.BATCH_COUNT, "int", _RUN, "How many messages the run is for.", "with celery-batches"),
    Attribute(names.SERVER_ADDRESS, "string", _COMMON, "The host of the broker.", "where its address says it"),
    Attribute(names.SERVER_PORT, "int", _COMMON, "The port of the broker.", "where its address says it"),
    Attribute(names.ROUTING_KEY, "string", _COMMON, "The routing key.", "with RabbitMQ"),
    Attribute(names.ERROR_TYPE, "string", _BOTH, "The class of the exception.", "on failures"),
)
_EVENTS = (
    Attribute(names.EXCEPTION_TYPE, "string", _EVENT, "The class of the exception."),
    Attribute(names.EXCEPTION_MESSAGE, "string", _EVENT, "Its text."),
    Attribute(names.EXCEPTION_STACKTRACE, "string", _EVENT, "Its traceback."),
    Attribute(names.EXCEPTION_ESCAPED, "string", _EVENT, "`False`, as the SDK has it.", values=("False",)),
    Attribute(
        names.EVENT_NAME,
        "string",
        (names.TASK_STARTED,),
        "The name of the event, for backends that have no field for it.",
        values=(names.TASK_STARTED,),
    ),
)
_METRICS = (
    Attribute(names.WAIT_KIND, "string", (METRIC,), "What was waited for.", values=names.WAIT_KINDS),
    Attribute(names.WHERE, "string", (METRIC,), "The place in the source that failed."),
    Attribute(
        names.OVERFLOW,
        "boolean",
        (METRIC,),
        "The series holds all that had no room; it is its only attribute.",
        "beyond 2,000 series of one instrument",
    ),
)

ATTRIBUTES = {one.name: one for one in (*_DECISION, *_TASK, *_LATENCY, *_MESSAGING, *_EVENTS, *_METRICS)}

CONTRIB_ATTRIBUTES = {
    one.name: one
    for one in (
        Attribute(names.ACTION, "string", _COMMON, "What is done.", values=tuple(names.ACTIONS.values())),
        Attribute(names.CONTRIB_DESTINATION, "string", _COMMON, "The routing key."),
        Attribute(names.CONTRIB_DESTINATION_KIND, "string", _COMMON, "The type of the exchange.", "where it is known"),
        Attribute(names.EXCHANGE, "string", (PRODUCER,), "The exchange."),
        Attribute(names.CONTRIB_CONVERSATION_ID, "string", _RUN, "The correlation id.", "but on the run of a batch"),
        Attribute(names.COMPRESSION, _COPIED, _RUN, "How the message is compressed.", "where it says so"),
        Attribute(names.COUNTDOWN, _COPIED, _RUN, "The countdown.", "where the message says it"),
        Attribute(names.DELIVERY_INFO, _COPIED, _RUN, "What the broker says of the delivery.", "where it says so"),
        Attribute(names.ETA, _COPIED, _RUN, "The eta.", "where there is one"),
        Attribute(names.EXPIRES, _COPIED, _RUN, "When the message expires.", "where it does"),
        Attribute(names.PRIORITY, _COPIED, _RUN, "The priority.", "where the message says it"),
        Attribute(names.QUEUE, _COPIED, _RUN, "The queue.", "where the message says it"),
        Attribute(names.REPLY_TO, _COPIED, _RUN, "The queue of results.", "where the message says it"),
        Attribute(names.SERIALIZER, _COPIED, _RUN, "The serializer.", "where the message says it"),
        Attribute(
            names.TIMELIMIT, "int[] | double[] | string[]", _RUN, "Soft and hard time limit.", "where there is one"
        ),
        Attribute(names.CONTRIB_TASK, "string", (METRIC,), "The task."),
        Attribute(names.CONTRIB_WORKER, "string", (METRIC,), "The worker."),
    )
}
"""Those of contrib, which are there as well with the option ``contrib_names``. ``celery.hostname`` is then what the
message says of its publisher."""
