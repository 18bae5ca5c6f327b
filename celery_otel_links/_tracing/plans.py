"""Plans: what is known of all messages of a task on a queue, worked out once and not per message."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from celery import Celery

from celery_otel_links._config.conventions import Broker, Style, broker_of, tasks_of
from celery_otel_links._config.modes import TASK_ATTRIBUTE
from celery_otel_links._declared.names import PROCESS, SEND
from celery_otel_links._emit.attributes import Attributes, decided, destination, fixed, span_name
from celery_otel_links._rules.facts import MODES, Claims, Decision, Message, Mode, Route
from celery_otel_links._rules.policy import RANKS, Choose, Facts, Policy, trusted
from celery_otel_links._rules.request import is_batch_task
from celery_otel_links._rules.routes import MAPPERS, route_in, route_out, rule_name, sent_kwargs
from celery_otel_links._rules.texts import LONGEST_NAME, printable
from celery_otel_links._wire.header import written

_MOST_PLANS = 4096
_MOST_STAMPS = 256


class Stamp(NamedTuple):
    """What all messages of a plan with one decision have in common."""

    decision: Decision
    attributes: Attributes
    claims: Claims
    """What such a message says about itself, if there is nothing special about it."""
    text: str
    """The same, as it stands in the header."""


class Reading(NamedTuple):
    """What a decision's text in a header means to the worker."""

    claims: Claims
    stamp: Stamp


class Plan:
    """What is known of all messages of a task on a queue."""

    __slots__ = (
        "_policy",
        "_stamps",
        "attribute",
        "attributes",
        "batch",
        "beside",
        "excluded",
        "known",
        "operation_labels",
        "plain",
        "readings",
        "route",
        "span_name",
        "task_labels",
        "trust",
    )

    def __init__(self, route: Route, operation: str, broker: Broker, plans: Plans) -> None:
        self._policy = plans.policy
        self._stamps: dict[Decision, Stamp] = {}
        self.route = route
        self.span_name = span_name(route, operation, plans.style)
        self.beside = plans.style.current_names
        """A run with a parent links to its producer as well, as the conventions ask."""
        self.attributes = fixed(route, operation, broker, plans.style)
        named = destination(route, operation, broker)
        self.task_labels = (_label(route.name), _label(route.queue))
        self.operation_labels = (broker.system, operation, named, broker.address, broker.port)
        self.excluded = False
        """Such messages get no spans, and the context passes through them."""
        self.trust: Mode = "child"
        """The most that an incoming context may do."""
        self.attribute: Mode | None = None
        """The task's own ``otel_propagation``."""
        self.batch = False
        """Whether it runs once for many messages."""
        self.known = False
        """Whether the task is registered here, so that its own mode is known."""
        self.readings: dict[str, Reading] = {}
        self.plain: Stamp | None = None
        """Of messages that have nothing special about them, once one was published."""

    def decide(self, **facts: Any) -> Decision:
        """:meth:`Policy.decide` on one of these messages, with what is special about it."""
        route = self.route
        return self._policy.decide(Facts(task=route.rule_name, queue=route.queue, attribute=self.attribute, **facts))

    def decide_plainly(self) -> Stamp:
        """The decision on messages that have nothing special about them, made once."""
        self.plain = stamp = self.stamp(self.decide())
        return stamp

    def reserves(self, decision: Decision) -> bool:
        """Whether the publisher of a linked message knows that the worker will link it, too.

        Only then can it link to the run: a worker's task may outrank everything but a call, and ``trust`` all.
        """
        return self.trust == "child" and not self.batch and (self.known or decision.rank <= RANKS["task"])

    def stamp(self, decision: Decision) -> Stamp:
        """What these messages have in common with ``decision``."""
        stamp = self._stamps.get(decision)
        if stamp is None:
            claims = Claims(decision.mode, decision.reason, decision.rank)
            stamp = Stamp(decision, decided(self.attributes, decision), claims, written(claims))
            if len(self._stamps) >= _MOST_STAMPS:  # a reason is text from the wire
                self._stamps.clear()
            self._stamps[decision] = stamp
        return stamp

    def keep(self, text: str, reading: Reading) -> Reading:
        """Remember what ``text`` means."""
        if len(self.readings) >= _MOST_STAMPS:
            self.readings.clear()
        self.readings[text] = reading
        return reading


class Plans:
    """All plans of a process, under one configuration. How many are kept, and how long their names are, is bounded."""

    def __init__(self, policy: Policy, exclude: Choose, trust: Choose, style: Style) -> None:
        """``exclude`` and ``trust`` choose by the name of a task, and of a queue."""
        self.policy = policy
        self.style = style
        self._exclude = exclude
        self._trust = trust
        self._of_apps: weakref.WeakKeyDictionary[Celery, dict[Hashable, Plan]] = weakref.WeakKeyDictionary()
        self._latest: tuple[Celery | None, dict[Hashable, Plan]] = (None, {})

    def to_publish(self, app: Celery, message: Message, task: Any) -> Plan:
        """The plan for a message that ``app`` publishes; ``task`` is the one that it is for, if that is known."""
        rules = name = message.name
        if name in MAPPERS:
            rules = rule_name(name, sent_kwargs(message.body))
        key = (rules, message.exchange, message.routing_key, name)
        latest, kept = self._latest
        if app is not latest:
            kept = self._of(app)
        return kept.get(key) or self._make(app, key, SEND, route_out(message, rules), task)

    def to_run(self, app: Celery, task: Any, name: str, info: Mapping[str, Any], kwargs: Any) -> Plan:
        """The plan for a message of ``name`` that was delivered to ``app``; ``info`` is its delivery info."""
        rules = rule_name(name, kwargs) if name in MAPPERS else name
        key: tuple[Any, ...] = (rules, info.get("exchange"), info.get("routing_key"), name, None)
        latest, kept = self._latest
        if app is not latest:
            kept = self._of(app)
        try:
            plan = kept.get(key)
        except TypeError:  # a broker gives anything
            key = tuple(map(str, key))
            plan = kept.get(key)
        return plan or self._make(app, key, PROCESS, route_in(name, rules, info, _consumed(app)), task)

    def _of(self, app: Celery) -> dict[Hashable, Plan]:
        kept = self._of_apps.setdefault(app, {})
        self._latest = (app, kept)
        return kept

    def _make(self, app: Celery, key: Hashable, operation: str, route: Route, task: Any) -> Plan:
        if task is None or route.rule_name != route.name:
            task = tasks_of(app).get(route.rule_name)
        publishing = operation == SEND
        plan = Plan(route, operation, broker_of(app, publishing=publishing), self)
        plan.excluded = self._exclude(route.name) is not None
        sent = self._trust(route.queue) or "child"
        plan.trust = sent if publishing else trusted(self._trust, route.routing_key, _consumed(app))
        plan.attribute = mode_of_task(task)
        plan.known = task is not None
        plan.batch = is_batch_task(task)
        kept = self._of(app)
        if all(len(text) <= LONGEST_NAME for text in route[:5]):
            if len(kept) >= _MOST_PLANS:
                kept.clear()
            kept[key] = plan
        return plan


def mode_of_task(task: Any) -> Mode | None:
    """The mode that a task asks for; what is no mode is as good as none once the start has been missed."""
    mode = getattr(task, TASK_ATTRIBUTE, None)
    return mode if mode in MODES else None


def _label(name: str) -> str:
    """A name as a metric's attribute: one that is too long stays so, and goes where such names are counted together."""
    return printable(name, LONGEST_NAME + 1)


def _consumed(app: Celery) -> dict[str, str]:
    """The queues that this process consumes, by name, with their routing keys."""
    return {name: queue.routing_key for name, queue in app.amqp.queues.consume_from.items()}
