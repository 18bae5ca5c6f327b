"""Facts -> the attributes of a span, one dict per span, complete when it starts.

By default a superset of what ``opentelemetry-instrumentation-celery`` emits, with the current messaging conventions
(https://opentelemetry.io/docs/specs/semconv/messaging/) beside its older names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, ItemsView, Iterator, Mapping
from typing import Any, NamedTuple

from celery_otel_links._rules.canvas import Request
from celery_otel_links._rules.latency import Latency
from celery_otel_links._rules.message import Incoming, Outgoing, Route
from celery_otel_links._rules.policy import Decision

Attributes = dict[str, Any]

MODE = "celery.propagation.mode"
REASON = "celery.propagation.reason"
STATE = "celery.state"
REDELIVERED = "celery.redelivered"
RETRIES = "celery.retries"
RETRY_REASON = "celery.retry.reason"
LINKS_DROPPED = "celery.links.dropped"
ERROR_TYPE = "error.type"
TASK_NAME = "celery.task_name"


class Lazy(Mapping[str, Any]):
    """Attributes that are made when somebody looks: not at all for a span that its sampler drops unseen."""

    __slots__ = ("_arguments", "_made", "_make")

    def __init__(self, make: Callable[..., Attributes], *arguments: Any) -> None:
        self._make = make
        self._arguments = arguments
        self._made: Attributes | None = None

    def _all(self) -> Attributes:
        if self._made is None:
            self._made = self._make(*self._arguments)
        return self._made

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[str, Any]:
        return self._all().items()

    def copy(self) -> Attributes:
        """What older SDKs ask of the attributes that a sampler has seen."""
        return self._all().copy()


class Style(NamedTuple):
    """Which conventions are emitted; chosen by ``OTEL_SEMCONV_STABILITY_OPT_IN``."""

    current_names: bool = False
    """Span names are ``{operation} {destination}`` instead of ``run/<task>``, and children link to their producer."""
    predecessor: bool = True
    """The attributes of ``opentelemetry-instrumentation-celery`` are there too."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Style:
        """``messaging``: the current conventions alone; ``messaging/dup``: both, and that wins over the first."""
        opted = {part.strip() for part in environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")}
        if "messaging/dup" in opted:
            return cls(current_names=True, predecessor=True)
        return cls(current_names=True, predecessor=False) if "messaging" in opted else cls()


class Broker(NamedTuple):
    """The broker of an app, as the conventions name it."""

    system: str
    address: str | None = None
    port: int | None = None


def span_name(route: Route, operation: str, style: Style) -> str:
    """The name of a span; ``operation`` is ``send`` or ``process``."""
    if style.current_names:
        return f"{operation} {route.queue}"
    return f"{_ACTIONS[operation]}/{route.name}"


def fixed(route: Route, operation: str, broker: Broker, style: Style) -> Attributes:
    """The attributes that all spans of a task on a queue have in common."""
    attributes: Attributes = {
        "messaging.system": broker.system,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": route.queue,
        TASK_NAME: route.name,
    }
    if broker.address is not None:
        attributes["server.address"] = broker.address
    if broker.port is not None:
        attributes["server.port"] = broker.port
    if broker.system == "rabbitmq":
        parts = dict.fromkeys(part for part in (route.exchange, route.routing_key, route.queue) if part)
        attributes["messaging.destination.name"] = ":".join(parts) or "amq.default"
        attributes["messaging.rabbitmq.destination.routing_key"] = route.routing_key
    if style.predecessor:
        attributes["celery.action"] = _ACTIONS[operation]
        attributes["messaging.destination"] = route.routing_key
        if operation == "send":
            attributes["celery.exchange"] = route.exchange
        if route.destination_kind is not None:
            attributes["messaging.destination_kind"] = route.destination_kind
    return attributes


def producer(fixed: Attributes, message: Outgoing, decision: Decision) -> Attributes:
    """The attributes of the PRODUCER span of ``message``."""
    correlation = message.properties.get("correlation_id") or message.id
    return {**fixed, **_own(message, str(correlation), decision)}


def consumer(
    fixed: Attributes,
    message: Incoming,
    request: Request,
    decision: Decision,
    latency: Latency | None,
    dropped: int,
    style: Style,
) -> Attributes:
    """The attributes of the CONSUMER span of ``message``."""
    get = vars(request).get
    correlation = str(get("correlation_id") or message.id)
    attributes = {**fixed, **_own(message, correlation, decision)}
    if message.redelivered:
        attributes[REDELIVERED] = True
    if latency is not None:
        attributes.update(waiting(latency))
    if dropped:
        attributes[LINKS_DROPPED] = dropped
    if style.predecessor:
        attributes["messaging.conversation_id"] = correlation
        fields = vars(request)
        for key in _PREDECESSOR.keys() & fields.keys():
            value = fields[key]
            if value is not None and value != "":
                attributes[_PREDECESSOR[key]] = value if isinstance(value, (str, int, float)) else str(value)
        if origin := fields.get("origin"):
            attributes["celery.hostname"] = str(origin)  # the publisher, as the predecessor has it
        limits = get("timelimit")
        if isinstance(limits, (list, tuple)) and any(limit is not None for limit in limits):
            numbers = {type(limit) for limit in limits} in ({int}, {float})
            texts = ["" if limit is None else str(limit) for limit in limits]
            attributes["celery.timelimit"] = list(limits) if numbers else texts
    return attributes


def waiting(latency: Latency) -> Attributes:
    """The latencies that are known, in seconds."""
    attributes: Attributes = {
        name: value for name, value in zip(_LATENCIES, latency, strict=False) if value is not None
    }
    if latency.clock_skew:
        attributes["celery.latency.clock_skew"] = True
    return attributes


def _own(message: Outgoing | Incoming, correlation: str, decision: Decision) -> Attributes:
    attributes: Attributes = {
        "messaging.message.id": message.id,
        "messaging.message.conversation_id": correlation,
        MODE: decision.mode,
        REASON: decision.reason,
    }
    if message.retries:
        attributes[RETRIES] = message.retries
    return attributes


_ACTIONS = {"send": "apply_async", "process": "run"}
_LATENCIES = tuple(f"celery.latency.{name}" for name in Latency._fields if name != "clock_skew")
_PREDECESSOR = {
    "compression": "celery.compression",
    "delivery_info": "celery.delivery_info",
    "countdown": "celery.countdown",
    "eta": "celery.eta",
    "expires": "celery.expires",
    "hostname": "celery.hostname",
    "priority": "celery.priority",
    "queue": "celery.queue",
    "reply_to": "celery.reply_to",
    "serializer": "celery.serializer",
}
