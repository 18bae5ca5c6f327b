"""The configuration: a mapping and the environment in, one frozen ``Config`` or a ``ConfigError`` out."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from celery_otel_links._config.modes import ConfigError, Patterns, mode_of, wrong
from celery_otel_links._rules.facts import MODES, Mode

ENVIRONMENT_PREFIX = "CELERY_OTEL_LINKS_"
__all__ = ["MODES", "Config", "ConfigError", "Mode", "Patterns", "mode_of"]
Hook: TypeAlias = Callable[[Any, Any], None]


@dataclass(frozen=True)
class Config:
    """What the library does, for the whole process. ``Config()`` holds the defaults.

    Every field is a key of ``app.conf.otel_links`` and, in upper case behind ``CELERY_OTEL_LINKS_``, a variable of
    the environment. Make one from a mapping with :meth:`from_mapping`, which validates.
    """

    default: Mode = "child"
    """The mode where no rule speaks."""
    tasks: Patterns = field(default_factory=Patterns)
    """Shell-style patterns over task names, in order: ``{"reports.*": "link"}``."""
    queues: Patterns = field(default_factory=Patterns)
    """Shell-style patterns over queue names, in order."""
    fan_out: Mode = "link"
    """The mode of the members of a group, the headers of a chord and the parts of chunks."""
    fan_out_threshold: int | None = 20
    """Messages published from one active span before those beyond it are linked; ``None``: never."""
    delay_threshold: float | None = 60.0
    """Seconds that an eta or countdown may lie ahead before the run is linked; ``None``: any."""
    baggage: bool | frozenset[str] = True
    """Whether baggage travels, or the names of the entries that do."""
    fan_in: bool | None = None
    """Whether a chord's body links to all its headers; ``None``: where the result backend makes it cheap."""
    trust: Patterns = field(default_factory=Patterns)
    """The most that a context which arrives on a queue may do, by queue pattern."""
    flush_timeout: float = 5.0
    """Seconds that a process which ends may spend on exporting what it still holds."""
    flush_interval: float | None = None
    """Seconds after which a worker process exports what it holds, between tasks; ``None``: the SDK's own schedule."""
    exclude: Patterns = field(default_factory=lambda: Patterns({"celery.chord_unlock": "none"}))
    """Patterns over the names of tasks that get no spans; the context passes through them."""
    contrib_names: bool = False
    """Whether all that contrib emits is there as well."""
    histograms: frozenset[str] = frozenset({"celery.task.latency.queue", "celery.task.duration"})
    """The names of the histograms that are recorded."""
    publish_hook: Hook | None = None
    """Called as ``publish_hook(span, message)`` when a recording PRODUCER span has started."""
    run_hook: Hook | None = None
    """Called as ``run_hook(span, request)`` when a recording CONSUMER span has started."""

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        where: str = "otel_links",
    ) -> Config:
        """Validate ``mapping`` under the variables of ``environ``, which outrank it key by key.

        Raises:
            ConfigError: a key, a type, a mode or a pattern is wrong.
        """
        if not isinstance(mapping, Mapping) and mapping is not None:
            raise ConfigError(f"{where}: {mapping!r} is not a mapping of options")
        values: dict[str, Any] = {}
        for key, value in (mapping or {}).items():
            if key not in _READERS:
                raise wrong(where, key, "an option", _READERS)
            values[key] = _READERS[key](value, f"{where}[{key!r}]")
        for name, text in environ.items():
            if not name.startswith(ENVIRONMENT_PREFIX):
                continue
            key = name[len(ENVIRONMENT_PREFIX) :].lower()
            if key not in _FROM_TEXT:
                raise wrong(name, key, "an option", _FROM_TEXT)
            values[key] = _READERS[key](_FROM_TEXT[key](text, name), name)
        return cls(**values)


def _patterns(value: object, where: str) -> Patterns:
    if not isinstance(value, Mapping):
        raise ConfigError(f'{where}: {value!r} is not a mapping of patterns to modes, like {{"reports.*": "link"}}')
    for pattern in value:
        if not isinstance(pattern, str) or not pattern:
            raise ConfigError(f"{where}: {pattern!r} is not a pattern; allowed: text with *, ? and [...]")
    return Patterns({pattern: mode_of(mode, f"{where}[{pattern!r}]") for pattern, mode in value.items()})


def _names(value: object, where: str) -> list[str]:
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(name, str) and name for name in value):
        return list(value)
    raise ConfigError(f"{where}: {value!r} is not a list of names")


def _excluded(value: object, where: str) -> Patterns:
    return Patterns(dict.fromkeys(_names(value, where), "none"))


def _baggage(value: object, where: str) -> bool | frozenset[str]:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        raise ConfigError(f"{where}: {value!r} is neither true, false nor a list of names")
    return frozenset(_names(value, where))


def _flag(value: object, where: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ConfigError(f"{where}: {value!r} is not one of true, false")


def _number(smallest: float, *, whole: bool = False, optional: bool = True) -> Callable[[object, str], float | None]:
    kind = "a whole number" if whole else "a number of seconds"

    def read(value: object, where: str) -> float | None:
        if value is None and optional:
            return None
        right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not right_type or not smallest <= value < math.inf:  # type: ignore[operator]
            raise ConfigError(
                f"{where}: {value!r} is not {kind}, {smallest:g} or more{', or None' if optional else ''}"
            )
        return value  # type: ignore[return-value]

    return read


def _hook(value: object, where: str) -> Hook | None:
    if value is None or callable(value):
        return value
    raise ConfigError(f"{where}: {value!r} cannot be called")


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "default": mode_of,
    "tasks": _patterns,
    "queues": _patterns,
    "fan_out": mode_of,
    "fan_out_threshold": _number(0, whole=True),
    "delay_threshold": _number(0),
    "baggage": _baggage,
    "fan_in": _flag,
    "trust": _patterns,
    "flush_timeout": _number(0, optional=False),
    "flush_interval": _number(0),
    "exclude": _excluded,
    "contrib_names": _flag,
    "histograms": _baggage,
    "publish_hook": _hook,
    "run_hook": _hook,
}
assert set(_READERS) == {option.name for option in fields(Config)}


def _text(text: str, _where: str) -> str:
    return text.strip()


def _text_number(text: str, where: str) -> float | int | None:
    if text.strip().lower() in ("", "none"):
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is not a number") from None


def _text_list(text: str, _where: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _text_rules(text: str, where: str) -> dict[str, str]:
    rules = [part.rpartition("=") for part in _text_list(text, where)]
    if not all(pattern.strip() for pattern, _, _ in rules):
        raise ConfigError(f"{where}: {text!r} is not a list of rules like 'reports.*=link,bulk*=child'")
    return {pattern.strip(): mode.strip() for pattern, _, mode in rules}


def _text_flag(text: str, _where: str) -> bool | str:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)


def _text_flag_or_list(text: str, where: str) -> bool | list[str]:
    flag = _text_flag(text, where)
    return flag if isinstance(flag, bool) else _text_list(text, where)


_FROM_TEXT: dict[str, Callable[[str, str], Any]] = {
    "default": _text,
    "tasks": _text_rules,
    "queues": _text_rules,
    "fan_out": _text,
    "fan_out_threshold": _text_number,
    "delay_threshold": _text_number,
    "baggage": _text_flag_or_list,
    "fan_in": _text_flag,
    "trust": _text_rules,
    "flush_timeout": _text_number,
    "flush_interval": _text_number,
    "exclude": _text_list,
    "contrib_names": _text_flag,
    "histograms": _text_list,
}
