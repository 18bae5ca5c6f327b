"""Propagation modes, patterns that choose them, and the error for what a developer configured wrong."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Mapping

from celery.exceptions import ImproperlyConfigured

from celery_otel_links._rules.facts import MODES, Mode


class ConfigError(ImproperlyConfigured):  # type: ignore[misc, unused-ignore]
    """Something that a developer configured is wrong: says where, what, and what is allowed."""

    __module__ = "celery_otel_links"  # where users find it, and what a traceback calls it


class Patterns:
    """Ordered ``pattern: mode`` rules over names; the first shell-style pattern that matches speaks.

    Matching is done once per name and remembered, since the names of tasks and queues are few.
    """

    def __init__(self, rules: Mapping[str, Mode] | None = None) -> None:
        self.rules: dict[str, Mode] = dict(rules or {})
        compiled = [(re.compile(fnmatch.translate(pattern)), mode) for pattern, mode in self.rules.items()]

        @functools.lru_cache(maxsize=1024)
        def first(name: str) -> Mode | None:
            return next((mode for pattern, mode in compiled if pattern.match(name)), None)

        self.first: Callable[[str], Mode | None] = first if compiled else _silent

    def __eq__(self, other: object) -> bool:
        # The order of the rules decides, so it is part of what they are.
        return isinstance(other, Patterns) and list(self.rules.items()) == list(other.rules.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.rules)


def _silent(_name: str) -> Mode | None:
    return None


def mode_of(value: object, where: str) -> Mode:
    """``value`` as a mode.

    Raises:
        ConfigError: it is none; ``where`` says whose it was.
    """
    if isinstance(value, str) and value in MODES:
        return value  # type: ignore[return-value, unused-ignore]
    raise wrong(where, value, "a propagation mode", MODES)


def wrong(where: str, value: object, wanted: str, allowed: Iterable[str]) -> ConfigError:
    """The error that says where ``value`` stands, that it is no such thing, and what is allowed."""
    allowed = list(allowed)
    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"{where}: {value!r} is not {wanted}; allowed: {', '.join(allowed)}.{hint}")
