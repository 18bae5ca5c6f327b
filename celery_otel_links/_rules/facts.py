"""The records that everything else is about: they are made once, and never changed. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args

from opentelemetry.trace import SpanContext

Mode: TypeAlias = Literal["child", "link", "none"]
MODES: tuple[Mode, ...] = get_args(Mode)
LinkKind: TypeAlias = Literal["producer", "origin", "previous-attempt", "header", "consumer"]
LINK_KINDS: tuple[LinkKind, ...] = get_args(LinkKind)
MAX_LINKS = 128
"""The number of links that a span keeps by default (``OTEL_SPAN_LINK_COUNT_LIMIT``)."""
ROOT = "root"
"""In place of the span whose trace the body of a chord continues: it continues none."""


class Request(Protocol):
    """What we need of ``celery.app.task.Context``, whose attributes are the headers of the message and more."""

    id: str
    headers: dict[str, Any] | None
    delivery_info: Mapping[str, Any] | None
    retries: int
    eta: str | None
    group: str | None
    group_index: int | None
    chain: list[Any] | None
    chord: Any
    callbacks: list[Any] | None
    errbacks: list[Any] | None
    is_eager: bool


class Shape(Enum):
    """What a message is within its canvas."""

    SINGLE = "single"
    FAN_OUT = "fan-out"
    CHAIN_STEP = "chain step"
    CALLBACK = "callback"
    CHORD_BODY = "chord body"
    RETRY = "retry"
    REPLACEMENT = "replacement"
    PLUMBING = "plumbing"


class Route(NamedTuple):
    """What all messages of a task on a queue have in common."""

    name: str
    rule_name: str
    """The name under which rules look the task up: of ``map``, ``starmap`` and ``chunks`` the task that they run."""
    queue: str
    exchange: str
    routing_key: str
    destination_kind: str | None = None


class Message(NamedTuple):
    """A message that is about to be published, as ``before_task_publish`` describes it; what ``publish_hook`` gets."""

    name: str
    headers: dict[str, Any]
    body: Any
    properties: dict[str, Any]
    exchange: Any = None
    routing_key: Any = None
    declare: Any = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """Where the task's id and options are: with protocol 1 in the body, with protocol 2 in the headers."""
        return self.body if isinstance(self.body, dict) else self.headers

    @property
    def id(self) -> str:
        """The id of the task."""
        return str(self.headers.get("id") or self.fields.get("id"))


class Outgoing(NamedTuple):
    """What is special about a message that is about to be published."""

    shape: Shape = Shape.SINGLE
    retries: int = 0
    eta: float | None = None
    chords: tuple[str | None, ...] = ()
    """The chords that it is in, innermost first: the ids of their bodies."""


class Incoming(NamedTuple):
    """What is special about a message whose task is about to run."""

    retries: int = 0
    eta: float | None = None
    fan_out: bool = False
    """Looks like the member of a group, as far as a worker can tell; for messages that do not say their mode."""
    redelivered: bool = False
    second: bool = False
    """It may be the second delivery of its message: the broker says so, or this worker knows the first."""
    eager: bool = False
    chords: tuple[str | None, ...] = ()
    header_of: str | None = None
    """Of the header task of a chord: the id of the header tasks' group."""
    next_id: str | None = None
    """Of a step of a chain: the id of the next."""
    messages: int = 0
    """Of a batch: how many there are."""


PLAIN_OUT = Outgoing()
PLAIN_IN = Incoming()


class Decision(NamedTuple):
    """A mode, the name of the rule that chose it and the rule's rank."""

    mode: Mode
    reason: str
    rank: int


class Chord(NamedTuple):
    """The publishing of a chord."""

    published: float
    context: SpanContext | None
    """The span that was current then, whose trace the body continues."""


class Claims(NamedTuple):
    """What one message says about itself besides the time; every part of it may be missing."""

    mode: Mode | None = None
    reason: str | None = None
    rank: int | None = None
    origin: SpanContext | None = None
    first: SpanContext | None = None
    """Where the attempts of a retried task belong: their parent."""
    previous: SpanContext | None = None
    """The run span of the attempt that published this retry."""
    reserved: SpanContext | None = None
    """The span context that the run span is to have, to which its PRODUCER span links already."""
    first_published: float | None = None
    """When the first attempt was published."""
    chords: tuple[Chord, ...] | None = None
    """The chords whose headers this task is among, the innermost first."""
    body: SpanContext | str | None = None
    """Of the body of a chord: the span whose trace it continues, or ``ROOT``."""
    captured: float | None = None
    """When the context was captured that a message was published with, if that was earlier."""


NOTHING = Claims()


class Relation(NamedTuple):
    """Where a run span belongs."""

    parent: SpanContext | None
    links: tuple[tuple[LinkKind, SpanContext], ...] = ()
    """Kind and target, nearest first."""
    dropped: int = 0
    """How many links had to be left out."""
    reserved: SpanContext | None = None
    """The context that the span is to have, where its publisher reserved one."""
    second: bool = False
    """The reserved context may be taken: the span gets the trace of it, and an id of its own."""


class LostAttempt(NamedTuple):
    """An attempt as the main process of a pool knows it: its own process can't report it, or it never ran."""

    request: Request
    state: str
    app: Any = None
    """None where Celery does not say it."""
    task: Any = None
    """None where it is not registered here, or not known."""
    name: str | None = None
    """Of the task, where the message does not say it."""
    error: BaseException | None = None
    start: float | None = None
    """In seconds since the epoch; None of a task that never ran: its span has no length."""
