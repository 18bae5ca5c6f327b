"""Plans: what is known of all messages of a task on a queue, worked out once and not per message."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from celery import Celery
from kombu.utils.url import parse_url

from celery_otel_links._config.options import MODES, Config, Mode
from celery_otel_links._emit.attributes import Broker, Style, fixed, span_name
from celery_otel_links._rules.message import Route
from celery_otel_links._rules.policy import Decision, Facts, decide, trusted

TASK_ATTRIBUTE = "otel_propagation"
_SYSTEMS = {"amqp": "rabbitmq", "pyamqp": "rabbitmq", "librabbitmq": "rabbitmq", "amqps": "rabbitmq", "sqs": "aws_sqs"}
_MOST_DECISIONS = 256


class Plan(NamedTuple):
    """What is known of all messages of a task on a queue, worked out once."""

    route: Route
    broker: Broker
    span_name: str
    attributes: dict[str, Any]
    excluded: bool
    """They get no spans, and the context passes through them."""
    trust: Mode | None
    attribute: Mode | None
    """What the task says of itself."""
    config: Config
    decisions: dict[Hashable, Decision]

    def decide(
        self,
        call: str | None,
        fan_out: bool = False,
        looped: bool = False,
        publishes_itself: bool = False,
        delayed: bool = False,
        inherited: Decision | None = None,
    ) -> Decision:
        """:func:`_policy.decide` on one of these messages, remembered: what is special about them is not much."""
        key = (call, fan_out, looped, publishes_itself, delayed, inherited)
        decision = self.decisions.get(key)
        if decision is None:
            if len(self.decisions) >= _MOST_DECISIONS:
                self.decisions.clear()
            route = self.route
            facts = Facts(
                route.rule_name,
                route.queue,
                call,
                self.attribute,
                fan_out,
                looped,
                publishes_itself,
                delayed,
                inherited,
            )
            decision = self.decisions[key] = decide(facts, self.config)
        return decision


def make_plan(app: Celery, operation: str, route: Route, task: Any, config: Config, style: Style) -> Plan:
    """The plan for the messages of a route; ``task`` is the one that they are for, or None where it has to be found."""
    if (task is None or route.rule_name != route.name) and finalized(app):
        task = app.tasks.get(route.rule_name)
    broker = _broker(app)
    return Plan(
        route,
        broker,
        span_name(route, operation, style),
        fixed(route, operation, broker, style),
        config.exclude.first(route.name) is not None,
        _trust(app, config, route.queue) if operation == "process" else config.trust.first(route.queue),
        said_by(task),
        config,
        {},
    )


def finalized(app: Celery) -> bool:
    """Whether the tasks of ``app`` can be looked at without a side effect."""
    return bool(getattr(app, "finalized", False))


def said_by(task: Any) -> Mode | None:
    """The mode that a task names; one that is no mode is as good as none once the start has been missed."""
    mode = getattr(task, TASK_ATTRIBUTE, None)
    return mode if mode in MODES else None


def _trust(app: Celery, config: Config, routing_key: str) -> Mode | None:
    if not config.trust.rules:
        return None
    queues = app.amqp.queues.consume_from
    return trusted(config.trust, routing_key, {name: queue.routing_key for name, queue in queues.items()})


def _broker(app: Celery) -> Broker:
    url = app.conf.broker_read_url or app.conf.broker_url or "amqp://"
    first = str(url[0] if isinstance(url, (list, tuple)) else url).split(";")[0]
    scheme = first.partition("://")[0].partition("+")[0].lower()
    system = _SYSTEMS.get(scheme, "redis" if scheme in ("rediss", "sentinel", "valkey") else scheme or "rabbitmq")
    try:
        parts = parse_url(first)
    except Exception:  # a transport's own kind of address
        return Broker(system)
    return Broker(system, parts.get("hostname") or None, parts.get("port") or None)
