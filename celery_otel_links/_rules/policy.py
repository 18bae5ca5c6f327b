"""Which mode a message gets: facts -> decision. Pure; the table ``RULES`` is the whole of it.

The publisher decides and stamps the decision on the message. The worker decides again with what only it knows, with
the stamped decision as one more voice: the higher rank (the smaller number) wins, and between equals the stamped one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from celery_otel_links._rules.facts import MODES, Decision, Mode
from celery_otel_links._rules.texts import LONGEST_NAME

_MOST_DECISIONS = 4096


class Facts(NamedTuple):
    """What a decision depends on."""

    task: str
    queue: str
    call: Mode | None = None
    """Asked for by the call: by its option, its header, or the innermost ``with propagation()``."""
    attribute: Mode | None = None
    """The task's own ``otel_propagation``."""
    fan_out: bool = False
    looped: bool = False
    """One of more than ``fan_out_threshold`` messages published from the active span, and beyond it."""
    publishes_itself: bool = False
    delayed: bool = False
    """Its eta is further away than ``delay_threshold``."""
    inherited: Decision | None = None
    """Made before: by the publisher, or for the attempt that this message retries."""


Choose = Callable[[str], "Mode | None"]


def _nothing(_name: str) -> Mode | None:
    return None


class Settings(NamedTuple):
    """What is configured about modes."""

    default: Mode = "child"
    fan_out: Mode = "link"
    tasks: Choose = _nothing
    """What the configured patterns choose for the name of a task."""
    queues: Choose = _nothing
    """The same for the name of a queue."""


Rule = Callable[[Facts, Settings], "Mode | None"]

RULES: tuple[tuple[str, Rule], ...] = (
    ("call", lambda facts, _: facts.call),
    ("task", lambda facts, _: facts.attribute),
    ("task-rule", lambda facts, settings: settings.tasks(facts.task)),
    ("queue-rule", lambda facts, settings: settings.queues(facts.queue)),
    ("fan-out", lambda facts, settings: settings.fan_out if facts.fan_out else None),
    ("loop", lambda facts, _: "link" if facts.looped else None),
    ("self", lambda facts, _: "link" if facts.publishes_itself else None),
    ("delay", lambda facts, _: "link" if facts.delayed else None),
    ("default", lambda _, settings: settings.default),
)
"""Reason and rule; the rank is the place in the table, from 1."""
RANKS = {reason: rank for rank, (reason, _) in enumerate(RULES, start=1)}

NO_CONTEXT = Decision("none", "no-context", 0)
"""Of a message that came without any context: its run is a root, whatever the rules say."""


class Policy:
    """The rules as they are configured, with the one cache of decisions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remembered = functools.lru_cache(maxsize=_MOST_DECISIONS)(self._decide)

    def decide(self, facts: Facts) -> Decision:
        """The first rule that has an answer decides, unless an inherited decision ranks as high."""
        long = len(facts.task) > LONGEST_NAME or len(facts.queue) > LONGEST_NAME
        return self._decide(facts) if long else self._remembered(facts)

    def _decide(self, facts: Facts) -> Decision:
        inherited = facts.inherited
        for rank, (reason, rule) in enumerate(RULES, start=1):
            if inherited is not None and inherited.rank <= rank:
                return inherited
            if mode := rule(facts, self._settings):
                return Decision(mode, reason, rank)
        raise AssertionError("the last rule always has an answer")  # pragma: no cover


def capped(decision: Decision, most: Mode) -> Decision:
    """``decision``, but no closer to the incoming context than ``most``; ``child`` is closest and ``none`` farthest.

    Below ``child`` the reason is ``trust`` even where another rule chose the same mode: the sender may have chosen that
    rule, and by the reason a sampler knows whom not to follow.
    """
    if most == "child" or MODES.index(decision.mode) > MODES.index(most):
        return decision
    return Decision(most, "trust", decision.rank)


def trusted(trust: Choose, routing_key: str, queues: Mapping[str, str]) -> Mode:
    """The most that a context may do which came with ``routing_key`` to a worker of ``queues`` (name: routing key).

    Celery gives a task the routing key, which whoever publishes chooses, and not the queue: a key that belongs to none
    of the worker's queues may have come through any of them.
    """
    names = [name for name, key in queues.items() if routing_key in (name, key)] or list(queues)
    limits = [mode for mode in map(trust, [routing_key, *names]) if mode is not None]
    return max(limits, key=MODES.index, default="child")


def beyond(value: float, threshold: float | None) -> bool:
    """Whether ``value`` is over a threshold, if there is one."""
    return threshold is not None and value > threshold
