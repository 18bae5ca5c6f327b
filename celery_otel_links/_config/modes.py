"""Propagation modes, patterns that choose them, and the error for what a developer configured wrong."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping

from celery.exceptions import ImproperlyConfigured

from celery_otel_links._rules.facts import MODES, Mode

__all__ = ["MODES", "TASK_ATTRIBUTE", "ConfigError", "Mode", "Patterns", "meant", "mode_of", "wrong"]
TASK_ATTRIBUTE = "otel_propagation"
"""What a task, a call or a signature says its mode by."""


class ConfigError(ImproperlyConfigured):  # type: ignore[misc, unused-ignore]
    """Something that a developer configured is wrong: says where, what, what is allowed and what was probably meant."""

    __module__ = "celery_otel_links"  # where users find it, and what a traceback calls it


class Patterns:
    """Ordered ``pattern: mode`` rules over names; the first shell-style pattern that matches counts."""

    def __init__(self, rules: Mapping[str, Mode] | None = None) -> None:
        self.rules: dict[str, Mode] = dict(rules or {})
        self._compiled = [(re.compile(fnmatch.translate(pattern)), mode) for pattern, mode in self.rules.items()]

    def first(self, name: str) -> Mode | None:
        """The mode of the first pattern that matches the whole ``name``; None where none does.

        Nothing is remembered, since names come from messages and may be of any length and number.
        """
        for pattern, mode in self._compiled:
            if pattern.match(name):
                return mode
        return None

    def __eq__(self, other: object) -> bool:  # and no hash
        # The order of the rules decides, so it is part of what they are.
        return isinstance(other, Patterns) and list(self.rules.items()) == list(other.rules.items())

    def __repr__(self) -> str:
        return repr(self.rules)


def mode_of(value: object, where: str) -> Mode:
    """``value`` as a mode.

    Raises:
        ConfigError: it is none; ``where`` says whose it was.
    """
    if isinstance(value, str) and value in MODES:
        return value  # type: ignore[return-value, unused-ignore]
    raise wrong(where, value, "a propagation mode", MODES)


def wrong(where: str, value: object, wanted: str, allowed: Iterable[str]) -> ConfigError:
    """The error that says where ``value`` stands, that it is no such thing, what is allowed and what was meant."""
    allowed = list(allowed)
    return ConfigError(f"{where}: {value!r} is not {wanted}; allowed: {', '.join(allowed)}.{meant(value, allowed)}")


def meant(value: object, allowed: Iterable[str], similar: float = 0.6) -> str:
    """`` Did you mean 'link'?``: the allowed word that is nearest to ``value``, or nothing where none is near."""
    words = {word.lower(): word for word in allowed}
    near = difflib.get_close_matches(str(value).lower(), words, n=1, cutoff=similar)
    return f" Did you mean {words[near[0]]!r}?" if near else ""
