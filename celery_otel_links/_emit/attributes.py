"""Facts -> the attributes of a span, one dict per span, complete when it starts.

Lean by default: nothing that another attribute says already. A limit on their number makes the SDK drop those that were
set first, so what matters most (ids, mode, latency) comes last. The names that are not our own are those of the
messaging conventions (https://opentelemetry.io/docs/specs/semconv/messaging/).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from celery_otel_links._config.conventions import Broker, Style
from celery_otel_links._declared import names
from celery_otel_links._rules.facts import PLAIN_IN, Decision, Incoming, Message, Outgoing, Route
from celery_otel_links._rules.latency import Latency
from celery_otel_links._rules.texts import printable, text_of

Attributes = dict[str, Any]


def span_name(route: Route, operation: str, style: Style) -> str:
    """The name of a span; ``operation`` is ``send`` or ``process``."""
    name = f"{operation} {route.queue}" if style.current_names else f"{names.ACTIONS[operation]}/{route.name}"
    return printable(name)


def fixed(route: Route, operation: str, broker: Broker, style: Style) -> Attributes:
    """The attributes that all spans of a task on a queue have in common."""
    attributes: Attributes = {names.SYSTEM: broker.system, names.OPERATION: operation, names.OPERATION_TYPE: operation}
    if broker.address is not None:
        attributes[names.SERVER_ADDRESS] = printable(broker.address)
    if broker.port is not None:
        attributes[names.SERVER_PORT] = broker.port
    if broker.system == "rabbitmq":
        attributes[names.ROUTING_KEY] = printable(route.routing_key)
    if style.contrib_names:
        attributes[names.ACTION] = names.ACTIONS[operation]
        attributes[names.CONTRIB_DESTINATION] = printable(route.routing_key)
        if operation == names.SEND:
            attributes[names.EXCHANGE] = printable(route.exchange)
        if route.destination_kind is not None:
            attributes[names.CONTRIB_DESTINATION_KIND] = route.destination_kind
    attributes[names.DESTINATION] = destination(route, operation, broker)
    attributes[names.TASK_NAME] = printable(route.name)
    return attributes


def destination(route: Route, operation: str, broker: Broker) -> str:
    """The destination as the conventions name it: of RabbitMQ exchange, routing key and, for a consumer, queue."""
    if broker.system != "rabbitmq":
        return printable(route.queue)
    parts = [route.exchange, route.routing_key, *([route.queue] if operation == names.PROCESS else ())]
    return printable(":".join(dict.fromkeys(filter(None, parts))) or "amq.default")


def decided(fixed: Attributes, decision: Decision) -> Attributes:
    """The same with a decision: what all spans of a task on a queue with one decision have in common."""
    return {**fixed, names.MODE: decision.mode, names.REASON: decision.reason}


def producer(stamped: Attributes, message: Message, facts: Outgoing, contrib: bool) -> Attributes:
    """The attributes of the PRODUCER span of ``message``, from those that it has in common with others."""
    attributes = stamped.copy()
    if facts.retries:
        attributes[names.RETRIES] = facts.retries
    fields = message.fields
    identifier = str(fields.get("id"))
    if contrib:
        attributes[names.CONVERSATION_ID] = text_of(message.properties.get("correlation_id") or identifier)
    _identify(attributes, identifier, fields.get("root_id"))
    return attributes


def consumer(
    stamped: Attributes,
    facts: Incoming,
    fields: Mapping[str, Any],
    latency: Latency | None,
    dropped: int,
    contrib: bool,
) -> Attributes:
    """The attributes of the CONSUMER span of a request with these ``fields``, from those that it has in common."""
    attributes = stamped.copy()
    identifier = str(fields.get("id"))
    if hostname := fields.get("hostname"):
        attributes[names.HOSTNAME] = _hostname(str(hostname))
    if facts is not PLAIN_IN or dropped or contrib:
        if facts.redelivered:
            attributes[names.REDELIVERED] = True
        if facts.retries:
            attributes[names.RETRIES] = facts.retries
        if dropped:
            attributes[names.LINKS_DROPPED] = dropped
        if contrib and not facts.messages:
            attributes.update(_contrib_on_run(fields, identifier))
    if latency is not None:
        _wait(attributes, latency)
    if facts.messages:
        attributes[names.BATCH_COUNT] = facts.messages
    else:
        _identify(attributes, identifier, fields.get("root_id"))
    return attributes


@lru_cache(maxsize=16)
def _hostname(name: str) -> str:
    """The name of a worker, which all its tasks share."""
    return printable(name)


def _identify(attributes: Attributes, identifier: str, root: object) -> None:
    """Name the message and, where it is part of a workflow, the root task of that."""
    if root is not None and root != identifier:
        attributes[names.CONVERSATION_ID] = printable(str(root))
    attributes[names.MESSAGE_ID] = printable(identifier)


def _wait(attributes: Attributes, latency: Latency) -> None:
    """Add the latencies that are known, in seconds."""
    whole, scheduled, queue, broker, prefetch, since_first, handover, skewed = latency
    if skewed:
        attributes[names.LATENCY_CLOCK_SKEW] = True
    if handover is not None:
        attributes[names.LATENCY_HANDOVER] = handover
    if since_first is not None:
        attributes[names.LATENCY_SINCE_FIRST_ENQUEUE] = since_first
    if scheduled is not None:
        attributes[names.LATENCY_SCHEDULED] = scheduled
    if broker is not None:
        attributes[names.LATENCY_BROKER] = broker
    if prefetch is not None:
        attributes[names.LATENCY_PREFETCH] = prefetch
    if whole is not None:
        attributes[names.LATENCY_ENQUEUE_TO_START] = whole
        attributes[names.LATENCY_QUEUE] = queue


def _contrib_on_run(fields: Mapping[str, Any], identifier: str) -> Attributes:
    """What contrib emits besides on a run span, from the request's ``fields``."""
    attributes: Attributes = {names.CONTRIB_CONVERSATION_ID: text_of(fields.get("correlation_id") or identifier)}
    for key, name in _CONTRIB:
        value = fields.get(key)
        if value is not None and value != "":
            attributes[name] = value if isinstance(value, (int, float)) else text_of(value)
    limits = fields.get("timelimit")
    if isinstance(limits, (list, tuple)) and any(limit is not None for limit in limits):
        numbers = {type(limit) for limit in limits} in ({int}, {float})
        attributes[names.TIMELIMIT] = (
            list(limits) if numbers else ["" if one is None else text_of(one) for one in limits]
        )
    return attributes


_CONTRIB = (
    ("compression", names.COMPRESSION),
    ("delivery_info", names.DELIVERY_INFO),
    ("countdown", names.COUNTDOWN),
    ("eta", names.ETA),
    ("expires", names.EXPIRES),
    ("priority", names.PRIORITY),
    ("queue", names.QUEUE),
    ("reply_to", names.REPLY_TO),
    ("serializer", names.SERIALIZER),
    ("origin", names.HOSTNAME),  # of the publisher, as contrib has it
)
