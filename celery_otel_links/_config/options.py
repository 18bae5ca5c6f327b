"""Every option, declared once: its default, how it is read from a value and from text, and what it means."""

# ruff: noqa: RUF009  (_option makes a field)
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypedDict

from celery_otel_links._config import values
from celery_otel_links._config.modes import MODES, ConfigError, Mode, Patterns, mode_of, wrong
from celery_otel_links._config.values import Hook, Kind
from celery_otel_links._declared.names import HISTOGRAMS, TASK_DURATION, TASK_LATENCY_QUEUE

KEY = "otel_links"
ENVIRONMENT_PREFIX = f"CELERY_{KEY.upper()}_"
__all__ = ["MODES", "OPTIONS", "Config", "ConfigError", "Hook", "Mode", "Option", "Options", "Patterns", "mode_of"]


def _rules(value: object, where: str) -> Patterns:
    if not isinstance(value, Mapping):
        raise ConfigError(f'{where}: {value!r} is not a mapping of patterns to modes, like {{"reports.*": "link"}}')
    return Patterns({pattern: _rule(pattern, mode, where) for pattern, mode in value.items()})


def _rule(pattern: object, mode: object, where: str) -> Mode:
    if not isinstance(pattern, str) or not pattern:
        raise ConfigError(f"{where}: {pattern!r} is not a pattern; allowed: text with *, ? and [...]")
    return mode_of(mode, f"{where}[{pattern!r}]")


def _excluded(value: object, where: str) -> Patterns:
    return Patterns(dict.fromkeys(values.names(value, where), "none"))


def _histograms(value: object, where: str) -> tuple[str, ...]:
    for name in values.names(value, where):
        if name not in HISTOGRAMS:
            raise wrong(where, name, "a histogram", tuple(HISTOGRAMS))
    return values.names(value, where)


MODE = Kind(mode_of, values.text)
RULES = Kind(_rules, values.comma_separated_rules)
EXCLUDED = Kind(_excluded, values.comma_separated)
NAMES_OF_HISTOGRAMS = Kind(_histograms, values.comma_separated)


class Option(NamedTuple):
    """What there is to know about one option."""

    name: str
    default: Any
    """As one writes it."""
    kind: Kind
    meaning: str
    text: str | None
    """An example for the environment; None: it can't be set there."""

    @property
    def variable(self) -> str:
        """Its variable of the environment."""
        return ENVIRONMENT_PREFIX + self.name.upper()


def _option(default: Any, kind: Kind, meaning: str, text: str | None = None) -> Any:
    """A field of ``Config`` that carries its :class:`Option`."""
    about = {"default": default, "kind": kind, "meaning": meaning, "text": text}
    return field(default_factory=lambda: kind.read(default, "the default"), metadata=about)


@dataclass(frozen=True)
class Config:
    """What the library does, for the whole process. ``Config()`` holds the defaults.

    Every field is a key of ``app.conf.otel_links`` and, in upper case behind ``CELERY_OTEL_LINKS_``, a variable of
    the environment. Make one from a mapping with :meth:`from_mapping`, which validates.
    """

    enabled: bool = _option(True, values.FLAG, "`False`: `setup()` and the entry point do nothing at all", "false")
    default: Mode = _option("child", MODE, "the mode where no other rule decides", "link")
    tasks: Patterns = _option(
        {}, RULES, "shell-style patterns over task names, the first match in order", "reports.*=link,mail.*=child"
    )
    queues: Patterns = _option({}, RULES, "patterns over queue names", "bulk*=link")
    fan_out: Mode = _option(
        "link", MODE, "members of groups, headers of chords, `chunks`, first steps of chains in a group", "child"
    )
    fan_out_threshold: int | None = _option(
        20,
        values.OPTIONAL_COUNT,
        "messages published from one span before those after them are linked; `None`: any",
        "none",
    )
    delay_threshold: float | None = _option(
        60, values.OPTIONAL_SECONDS, "seconds that an eta may lie ahead before the run is linked; `None`: any", "300"
    )
    baggage: bool | frozenset[str] = _option(
        True, values.NAMES_OR_FLAG, "whether baggage travels; a list: the entries that do", "tenant,user"
    )
    fan_in: bool | None = _option(
        None,
        values.OPTIONAL_FLAG,
        "whether a chord's body links to all its headers; `None`: with Redis, cache and filesystem results, where a "
        "header costs one fast round trip; `True`: with every result backend",
        "true",
    )
    trust: Patterns = _option(
        {}, RULES, "by queue pattern, the most that an incoming context may do: [trust](trust.md)", "public*=link"
    )
    exclude: Patterns = _option(
        ["celery.chord_unlock"],
        EXCLUDED,
        "patterns of tasks without spans; the context passes through them",
        "health.*",
    )
    flush_timeout: float = _option(
        5,
        values.SECONDS,
        "seconds that a process which ends may spend on exporting what it still holds: [lifecycle](lifecycle.md)",
        "2.5",
    )
    flush_interval: float | None = _option(
        None,
        values.OPTIONAL_SECONDS,
        "seconds after which a worker process exports what it holds, between tasks; `None`: the SDK's own schedule",
        "1",
    )
    contrib_names: bool = _option(
        False, values.FLAG, "all that `opentelemetry-instrumentation-celery` emits is there too, with its names", "true"
    )
    histograms: tuple[str, ...] = _option(
        [TASK_LATENCY_QUEUE, TASK_DURATION],
        NAMES_OF_HISTOGRAMS,
        "the histograms that are recorded, by name",
        TASK_DURATION,
    )
    started_after: float | None = _option(
        None, values.OPTIONAL_SECONDS, "seconds after which a task that still runs says so; `None`: never", "30"
    )
    publish_hook: Hook | None = _option(
        None, values.HOOK, "called as `publish_hook(span, message)` when a recording PRODUCER span has started"
    )
    run_hook: Hook | None = _option(
        None, values.HOOK, "called as `run_hook(span, request)` when a recording CONSUMER span has started"
    )

    @classmethod
    def from_mapping(
        cls,
        mapping: Options | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        where: str = "otel_links",
    ) -> Config:
        """Validate ``mapping`` under the variables of ``environ``, which outrank it key by key.

        Raises:
            ConfigError: a key, a type, a mode or a pattern is wrong.
        """
        said = said_in({} if mapping is None else mapping, where)
        outranking = said_in_environment(environ)
        if said.wrong or outranking.wrong:
            raise ConfigError("\n".join(said.wrong + outranking.wrong))
        return cls(**{**said.values, **outranking.values})


OPTIONS: dict[str, Option] = {one.name: Option(name=one.name, **one.metadata) for one in fields(Config)}


class Options(TypedDict, total=False):
    """The same as a mapping, so that a type checker sees a misspelt key."""

    enabled: bool
    default: Mode
    tasks: Mapping[str, Mode]
    queues: Mapping[str, Mode]
    fan_out: Mode
    fan_out_threshold: int | None
    delay_threshold: float | None
    baggage: bool | list[str] | tuple[str, ...] | set[str] | frozenset[str]
    fan_in: bool | None
    trust: Mapping[str, Mode]
    exclude: list[str] | tuple[str, ...] | set[str] | frozenset[str]
    flush_timeout: float
    flush_interval: float | None
    contrib_names: bool
    histograms: list[str] | tuple[str, ...]
    started_after: float | None
    publish_hook: Hook | None
    run_hook: Hook | None


class Said(NamedTuple):
    """What one source says: the options that are right, and a sentence for each thing that is wrong."""

    values: dict[str, Any]
    wrong: list[str]

    def take(self, option: Option, value: object, where: str) -> None:
        """Add what ``option`` is said to be. Of a mapping of rules, those that are right hold."""
        if option.kind is not RULES or not isinstance(value, Mapping):
            with self.noting():
                self.values[option.name] = option.kind.read(value, where)
            return
        rules: dict[Any, Mode] = {}
        for pattern, mode in value.items():
            with self.noting():
                rules[pattern] = _rule(pattern, mode, where)
        self.values[option.name] = Patterns(rules)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """A step whose error is one of the things that are wrong."""
        try:
            yield
        except (ValueError, ConfigError) as error:
            self.wrong.append(str(error))


def said_in(mapping: object, where: str, others: tuple[str, ...] = ()) -> Said:
    """What a mapping of options says; ``others`` are what else may be meant by a key that is none."""
    said = Said({}, [])
    if not isinstance(mapping, Mapping):
        said.wrong.append(f"{where}: {mapping!r} is not a mapping of options")
        return said
    for key, value in mapping.items():
        if key in OPTIONS:
            said.take(OPTIONS[key], value, f"{where}[{key!r}]")
        else:
            said.wrong.append(str(wrong(where, key, "an option", (*OPTIONS, *others))))
    return said


def said_in_environment(environ: Mapping[str, str]) -> Said:
    """What the variables say whose names this release knows."""
    said = Said({}, [])
    for option in OPTIONS.values():
        variable, parse = option.variable, option.kind.parse
        if variable in environ and parse is not None:
            with said.noting():
                said.take(option, parse(environ[variable], variable), variable)
    return said
