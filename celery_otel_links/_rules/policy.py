"""Which mode a message gets: facts + configuration -> decision. Pure; the table ``RULES`` is the whole of it.

The publisher decides and stamps the decision on the message. The worker decides again with what only it knows, with
the stamped decision as one more voice: the higher rank (the smaller number) wins, and between equals the stamped one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from celery_otel_links._config.options import MODES, Config, Mode, Patterns


class Facts(NamedTuple):
    """What a decision depends on."""

    task: str
    queue: str
    call: str | None = None
    """Said by the call: its header, or the innermost ``with propagation()``."""
    attribute: str | None = None
    """Said by the task: its ``otel_propagation``."""
    fan_out: bool = False
    looped: bool = False
    """One of more than ``fan_out_threshold`` messages published from the active span, and beyond it."""
    publishes_itself: bool = False
    delayed: bool = False
    """Its eta is further away than ``delay_threshold``."""
    inherited: Decision | None = None
    """Made before: by the publisher, or for the attempt that this message retries."""


class Decision(NamedTuple):
    """A mode, the name of the rule that chose it and the rule's rank."""

    mode: str
    reason: str
    rank: int


Rule = Callable[[Facts, Config], "str | None"]

RULES: tuple[tuple[str, Rule], ...] = (
    ("call", lambda facts, _: facts.call),
    ("task", lambda facts, _: facts.attribute),
    ("task-rule", lambda facts, config: config.tasks.first(facts.task)),
    ("queue-rule", lambda facts, config: config.queues.first(facts.queue)),
    ("fan-out", lambda facts, config: config.fan_out if facts.fan_out else None),
    ("loop", lambda facts, _: "link" if facts.looped else None),
    ("self", lambda facts, _: "link" if facts.publishes_itself else None),
    ("delay", lambda facts, _: "link" if facts.delayed else None),
    ("default", lambda _, config: config.default),
)
"""Reason and rule; the rank is the place in the table, from 1."""


def decide(facts: Facts, config: Config) -> Decision:
    """The first rule that speaks wins, unless an inherited decision ranks as high."""
    inherited = facts.inherited
    for rank, (reason, rule) in enumerate(RULES, start=1):
        if inherited is not None and inherited.rank <= rank:
            return inherited
        if mode := rule(facts, config):
            return Decision(mode, reason, rank)
    raise AssertionError("the last rule always speaks")  # pragma: no cover


def capped(decision: Decision, most: Mode | None) -> Decision:
    """``decision``, but no closer to the incoming context than ``most``; ``child`` is closest and ``none`` farthest.

    Below ``child`` the reason is ``trust`` even where another rule says the same: the sender may have chosen that one,
    and by the reason a sampler knows whom not to follow.
    """
    if most is None or most == "child" or MODES.index(decision.mode) > MODES.index(most):
        return decision
    return Decision(most, "trust", decision.rank)


def trusted(trust: Patterns, routing_key: str, queues: Mapping[str, str]) -> Mode | None:
    """The most that a context may do which came with ``routing_key`` to a worker of ``queues`` (name: routing key).

    Celery tells a task the routing key, which whoever publishes chooses, and not the queue: a key that belongs to none
    of the worker's queues may have come through any of them.
    """
    names = [name for name, key in queues.items() if routing_key in (name, key)] or list(queues)
    said = [mode for mode in map(trust.first, [routing_key, *names]) if mode is not None]
    return max(said, key=MODES.index, default=None)


def beyond(value: float, threshold: float | None) -> bool:
    """Whether ``value`` is over a threshold, if there is one."""
    return threshold is not None and value > threshold
