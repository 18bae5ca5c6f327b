"""Where messages go to and come from: task, queue, exchange and routing key. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from celery_otel_links._rules.facts import Message, Route

MAPPERS = frozenset({"celery.map", "celery.starmap", "celery.chunks"})
_KINDS = {"direct": "queue", "topic": "topic"}
# RabbitMQ's native delayed delivery hides the queue behind 28 binary digits, a different row for every countdown.
_DELAYED_KEY_LENGTH = 28 * len("0.")
_DELAYED_KEY = re.compile(r"(?:[01]\.){28}(?=.)")


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


def route_in(name: str, rules: str, info: Mapping[str, Any], queues: Mapping[str, str]) -> Route:
    """Where a message came from; ``info`` is the delivery info of its request, ``queues`` what is consumed here."""
    key, exchange = undelayed(str(info.get("routing_key") or "")), str(info.get("exchange") or "")
    return Route(name=name, rule_name=rules, queue=queue_of(key, queues), exchange=exchange, routing_key=key)


def queue_of(routing_key: str, queues: Mapping[str, str]) -> str:
    """The one of ``queues`` (name: its routing key) that a message with this key came through, as far as that is known.

    Celery gives a task the routing key alone. The keys of a topic exchange are many, and its queues few.
    """
    if not routing_key or routing_key in queues:
        return routing_key
    exact = [name for name, key in queues.items() if key == routing_key]
    bound = exact or [name for name, key in queues.items() if _binds(key, routing_key)]
    return bound[0] if len(bound) == 1 else routing_key


def _binds(binding: str, routing_key: str) -> bool:
    """Whether a queue with this ``binding`` to a topic exchange gets messages with ``routing_key``."""
    if not isinstance(binding, str) or not ("*" in binding or "#" in binding):
        return False
    words = [{"*": r"[^.]+", "#": r".*"}.get(word, re.escape(word)) for word in binding.split(".")]
    pattern = r"\.".join(words).replace(r"\..*", r"(?:\..*)?").replace(r".*\.", r"(?:.*\.)?")
    return re.fullmatch(pattern, routing_key) is not None


def undelayed(routing_key: str) -> str:
    """A routing key without the digits that RabbitMQ's native delayed delivery puts in front of it."""
    return _DELAYED_KEY.sub("", routing_key) if len(routing_key) > _DELAYED_KEY_LENGTH else routing_key


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
