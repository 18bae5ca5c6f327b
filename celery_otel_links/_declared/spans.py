"""The spans that are emitted, their links, and the events on them and beside them, with their meaning.

For tests and for the documentation: nothing that runs in an application imports this.
"""

from __future__ import annotations

from typing import NamedTuple

from celery_otel_links._declared.names import ACTIONS, DOCTOR, EXCEPTION, PROCESS, SEND, TASK_STARTED
from celery_otel_links._rules.facts import LinkKind

PRODUCER, CONSUMER, INTERNAL = "PRODUCER", "CONSUMER", "INTERNAL"


class Span(NamedTuple):
    """A kind of span."""

    kind: str
    name: str
    """With what stands for a part of it in angle brackets."""
    meaning: str
    opted: str = ""
    """Its name with ``OTEL_SEMCONV_STABILITY_OPT_IN=messaging``, where that is another one."""


class Link(NamedTuple):
    """A kind of link: the kind of span that has it, and what it leads to."""

    on: str
    meaning: str


class Event(NamedTuple):
    """Something that happens at a moment: an event of a span, or a log record with an event's name."""

    record: str
    meaning: str


SPANS = (
    Span(
        PRODUCER,
        f"{ACTIONS[SEND]}/<task>",
        "A message is published. It is current while it is sent, so that spans of the broker's client nest in it, and "
        "ends with ERROR if publishing fails.",
        f"{SEND} <queue>",
    ),
    Span(
        CONSUMER,
        f"{ACTIONS[PROCESS]}/<task>",
        "One attempt runs; or it was killed, or never ran: [lifecycle](../lifecycle.md).",
        f"{PROCESS} <queue>",
    ),
    Span(INTERNAL, DOCTOR, "[`doctor`](../doctor.md) tries an exporter; nothing else makes it."),
)

LINKS: dict[LinkKind, Link] = {
    "producer": Link(CONSUMER, "The publishing of the message; of a batch, that of each of its messages."),
    "origin": Link(CONSUMER, "The publishing with which the story left the trace where it began, if that is another."),
    "previous-attempt": Link(CONSUMER, "The run that this one retries."),
    "header": Link(CONSUMER, "The run of a header task of the chord whose body this is; one for each of them."),
    "consumer": Link(PRODUCER, "The run of the linked message, which is to come."),
}

EVENTS = {
    EXCEPTION: Event("event of a span", "The error with which the span ends."),
    TASK_STARTED: Event(
        "log record",
        "A task runs for longer than the option `started_after` says. It stands under the run span, and its time is "
        "that of the task's start.",
    ),
}
