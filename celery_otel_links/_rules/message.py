"""Celery's headers, bodies and requests -> frozen facts. The only file that knows how Celery lays them out."""

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
    Request,
    Running,
    Shape,
    chord_keys,
    fans_out,
    shape_of,
    unlocked,
    whole,
)

_KINDS = {"direct": "queue", "topic": "topic"}
_MAPPERS = frozenset({"celery.map", "celery.starmap", "celery.chunks"})
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


class Outgoing(NamedTuple):
    """A message that is about to be published."""

    name: str
    rule_name: str
    id: str
    retries: int
    eta: float | None
    shape: Shape
    chords: tuple[str | None, ...]
    """The chords that it is in, innermost first: the ids of their bodies."""
    body_of_group: str | None
    """Of the body of a chord that its last header task publishes: the id of the headers' group."""
    headers: dict[str, Any]
    properties: Mapping[str, Any]
    body: Any


class Incoming(NamedTuple):
    """A message whose task is about to run."""

    name: str
    rule_name: str
    id: str
    queue: str
    exchange: str
    retries: int
    eta: float | None
    fan_out: bool
    """Looks like the member of a group, as far as a worker can tell; for messages that do not say their mode."""
    redelivered: bool
    eager: bool
    chords: tuple[str | None, ...]
    header_of: str | None
    """Of the header task of a chord: the id of the headers' group."""


def outgoing(
    name: str,
    headers: dict[str, Any],
    body: Any,
    properties: Mapping[str, Any],
    current: Running | None,
    app: Any,
) -> Outgoing:
    """The facts of a message that Celery is about to publish, for protocols 2 (tuple body) and 1 (dict body)."""
    if isinstance(body, dict):
        fields: Mapping[str, Any] = body
        embed, args, kwargs = body, body.get("args"), body.get("kwargs")
    else:
        fields = headers
        args, kwargs, embed = body[:3] if isinstance(body, (tuple, list)) and len(body) > 2 else (None, None, {})
    get = fields.get
    chain, chord, group = embed.get("chain"), embed.get("chord"), get("group")
    last = chain[0] if chain else None  # the list is reversed: its first element is the last step
    identifier, retries, eta, index = str(get("id")), whole(get("retries")), get("eta"), get("group_index")
    many = fans_out(group, index, chord, last, "stamps" in fields)
    if current is not None:
        shape = shape_of(name, identifier, retries, group, index, many, current)
    elif name == UNLOCK:
        shape = Shape.PLUMBING
    else:
        shape = Shape.FAN_OUT if many else Shape.SINGLE
    if name == UNLOCK:
        chord = unlocked(args)
    return Outgoing(
        name,
        _rule_name(name, kwargs),
        identifier,
        retries,
        None if eta is None else epoch(eta, app),
        shape,
        () if chord is None and last is None else chord_keys(chord, last),
        current.request.group if shape is Shape.CHORD_BODY and current is not None else None,
        headers,
        properties,
        body,
    )


def route(message: Outgoing, exchange: Any, routing_key: Any, declare: Any) -> Route:
    """Where ``message`` goes, from what the signal says."""
    queue = declare[0] if declare else None
    return Route(
        message.name,
        message.rule_name,
        str(getattr(queue, "name", None) or routing_key or ""),
        str(getattr(exchange, "name", exchange) or ""),
        str(routing_key or ""),
        _KINDS.get(getattr(getattr(queue, "exchange", None), "type", None) or ""),
    )


def incoming(request: Request, name: str, kwargs: Any, app: Any) -> Incoming:
    """The facts of a message as the worker sees it."""
    fields = vars(request)
    get = fields.get
    info = get("delivery_info") or {}
    queue = str(info.get("routing_key") or "")
    if len(queue) > _DELAYED_KEY_LENGTH:
        queue = _DELAYED_KEY.sub("", queue)
    group, chord, chain, eta = get("group"), get("chord"), get("chain"), get("eta")
    last = chain[0] if chain and isinstance(chain, list) else None
    return Incoming(
        name,
        _rule_name(name, kwargs),
        str(request.id),
        queue,
        str(info.get("exchange") or ""),
        whole(get("retries")),
        None if eta is None else epoch(eta, app),
        fans_out(group, get("group_index"), chord, last, "stamps" in fields),
        bool(info.get("redelivered")),
        bool(get("is_eager")),
        chord_keys(unlocked(get("args")) if name == UNLOCK else chord, last),
        group if chord else None,
    )


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
    value = getattr(request, name, None)
    if value is None:
        headers = request.headers
        return headers.get(name) if isinstance(headers, dict) else None
    return value


def header_names(request: Request) -> list[str]:
    """The names that :func:`header` might find."""
    return [*vars(request), *(request.headers if isinstance(request.headers, dict) else ())]


def epoch(eta: object, app: Any) -> float | None:
    """An eta in seconds since the epoch. It is ISO 8601 text on the wire; without an offset it is in the app's zone."""
    if not isinstance(eta, str):
        return None
    try:
        moment = datetime.fromisoformat(eta.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=app.timezone or timezone.utc)
        seconds = moment.timestamp()
    except Exception:  # what stands on the wire never raises
        return None
    return seconds if math.isfinite(seconds) else None


def _rule_name(name: str, kwargs: Any) -> str:
    if name in _MAPPERS and isinstance(kwargs, Mapping):
        inner = kwargs.get("task")
        return str(inner.get("task") or name) if isinstance(inner, Mapping) else name
    return name
