"""Celery's headers, bodies and requests -> frozen facts. The only file that knows how Celery lays them out.

Most messages are plain: no canvas, no retry, no eta. They all have the same facts, ``PLAIN_OUT`` and ``PLAIN_IN``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, NamedTuple

from celery.app.task import Context

from celery_otel_links._rules.canvas import (
    UNLOCK,
    Publisher,
    Request,
    Shape,
    chord_keys,
    fans_out,
    next_id,
    shape_of,
    unlocked,
    whole,
)

RECEIVED = "celery-otel-links-received"
"""Not on the wire: under this name a worker's main process puts the time of receipt into a request."""
SECOND = "celery-otel-links-second"
"""Not on the wire: under this name it notes that it has received the message before."""
MAPPERS = frozenset({"celery.map", "celery.starmap", "celery.chunks"})
_SPECIAL = MAPPERS | {UNLOCK}
_KINDS = {"direct": "queue", "topic": "topic"}
# RabbitMQ's native delayed delivery hides the queue behind 28 binary digits, a different row for every countdown.
_DELAYED_KEY_LENGTH = 28 * len("0.")
_DELAYED_KEY = re.compile(r"(?:[01]\.){28}(?=.)")


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
        return str(self.fields.get("id"))


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


PLAIN_OUT = Outgoing()
PLAIN_IN = Incoming()


def outgoing(message: Message, publisher: Publisher | None, app: Any) -> Outgoing:
    """The facts of a message that Celery is about to publish, for protocols 2 (tuple body) and 1 (dict body)."""
    name, headers, body = message[:3]
    if isinstance(body, dict):
        fields, args, embed = body, body.get("args"), body
    elif isinstance(body, (tuple, list)) and len(body) > 2:
        fields, args, embed = headers, body[0], body[2]
    else:
        fields, args, embed = headers, None, {}
    get = fields.get
    chain, chord = embed.get("chain"), embed.get("chord")
    group, eta, retries = get("group"), get("eta"), get("retries")
    if publisher is not None and publisher.plain and get("id") != publisher.id:
        publisher = None
    if not (publisher or chain or chord or group or eta or retries) and name not in _SPECIAL:
        return PLAIN_OUT
    last = chain[0] if chain else None  # the list is reversed: its first element is the last step
    identifier, index = str(get("id")), get("group_index")
    shape = None if publisher is None else shape_of(name, identifier, whole(retries), group, index, publisher)
    if shape is None:
        many = fans_out(group, index, chord, last, "stamps" in fields)
        shape = Shape.PLUMBING if name == UNLOCK else Shape.FAN_OUT if many else Shape.SINGLE
    if name == UNLOCK:
        chord = unlocked(args)
    return Outgoing(
        shape=shape,
        retries=whole(retries),
        eta=None if eta is None else epoch(eta, app),
        chords=() if chord is None and last is None else chord_keys(chord, last),
    )


def incoming(request: Request, name: str, app: Any) -> Incoming:
    """The facts of a message as the worker sees it."""
    fields = vars(request)
    get = fields.get
    info, group, chord, chain = get("delivery_info") or {}, get("group"), get("chord"), get("chain")
    eta, retries, eager = get("eta"), get("retries"), get("is_eager")
    redelivered, second = info.get("redelivered"), get(SECOND)
    if not (group or chord or chain or eta or retries or eager or redelivered or second) and name not in _SPECIAL:
        return PLAIN_IN
    last = chain[0] if chain and isinstance(chain, list) else None
    return Incoming(
        retries=whole(retries),
        eta=None if eta is None else epoch(eta, app),
        fan_out=fans_out(group, get("group_index"), chord, last, "stamps" in fields),
        redelivered=bool(redelivered),
        second=bool(redelivered or second),
        eager=bool(eager),
        chords=chord_keys(unlocked(get("args")) if name == UNLOCK else chord, last),
        header_of=str(group) if chord and group else None,
        next_id=next_id(fields),
    )


def received_at(request: Request) -> float | None:
    """When the worker's main process received the message of ``request``, in seconds since the epoch."""
    received = vars(request).get(RECEIVED)
    return received if isinstance(received, float) and 0 < received < 1e11 else None


def rule_name(name: str, kwargs: Any) -> str:
    """The name under which rules look a task up: of ``map``, ``starmap`` and ``chunks`` that of the task they run."""
    if name in MAPPERS and isinstance(kwargs, Mapping):
        inner = kwargs.get("task")
        return str(inner.get("task") or name) if isinstance(inner, Mapping) else name
    return name


def sent_kwargs(body: Any) -> Any:
    """The keyword arguments in the body of a message, for protocols 2 and 1."""
    if isinstance(body, dict):
        return body.get("kwargs")
    return body[1] if isinstance(body, (tuple, list)) and len(body) > 2 else None


def route_out(message: Message, rules: str) -> Route:
    """Where ``message`` goes, from what the signal says; ``rules`` is its name for rules."""
    queue = message.declare[0] if message.declare else None
    key = undelayed(str(message.routing_key or ""))
    return Route(
        name=message.name,
        rule_name=rules,
        queue=str(getattr(queue, "name", None) or key),
        exchange=str(getattr(message.exchange, "name", message.exchange) or ""),
        routing_key=key,
        destination_kind=_KINDS.get(getattr(getattr(queue, "exchange", None), "type", None) or ""),
    )


def route_in(name: str, rules: str, info: Mapping[str, Any]) -> Route:
    """Where a message came from; ``info`` is the delivery info of its request."""
    key = undelayed(str(info.get("routing_key") or ""))
    return Route(name=name, rule_name=rules, queue=key, exchange=str(info.get("exchange") or ""), routing_key=key)


def undelayed(routing_key: str) -> str:
    """A routing key without the digits that RabbitMQ's native delayed delivery puts in front of it."""
    return _DELAYED_KEY.sub("", routing_key) if len(routing_key) > _DELAYED_KEY_LENGTH else routing_key


def unstarted(fields: Mapping[str, Any], *, message: Any = None) -> Request:
    """A request for a task that has not started: of the fields of a worker's request, or of a bare ``message``."""
    if message is not None:
        body = None
        if not fields.get("id"):  # protocol 1 has them in the body
            with suppress(Exception):  # what cannot be decoded
                body = message.payload
        info = getattr(message, "delivery_info", None)
        properties = getattr(message, "properties", None) or {}
        fields = {**(body if isinstance(body, Mapping) else {}), **fields, "delivery_info": info, **properties}
    request: Any = Context({str(name): value for name, value in fields.items()})
    return request  # type: ignore[no-any-return]


def header(request: Request, name: str) -> Any:
    """A header of the message that ``request`` came with, wherever this version of Celery keeps it."""
    value = vars(request).get(name)
    if value is None:
        headers = request.headers
        return headers.get(name) if isinstance(headers, dict) else None
    return value


def epoch(eta: object, app: Any) -> float | None:
    """An eta in seconds since the epoch. It is ISO 8601 text on the wire; without an offset it is as workers read it.

    They take it as UTC whatever ``timezone`` is, unless ``enable_utc`` is off (``celery.utils.time.maybe_make_aware``).
    """
    if not isinstance(eta, str):
        return None
    try:
        moment = datetime.fromisoformat(eta.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc if app.conf.enable_utc else app.timezone or timezone.utc)
        seconds = moment.timestamp()
    except Exception:  # what stands on the wire never raises
        return None
    return seconds if math.isfinite(seconds) else None
