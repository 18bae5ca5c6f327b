"""How the value of an option is read: from Python, and from the text of a variable of the environment.

What is wrong raises ``ValueError`` with a sentence that says where, what and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Hook: TypeAlias = Callable[[Any, Any], None]


class Kind(NamedTuple):
    """A kind of value."""

    read: Callable[[Any, str], Any]
    """``read(value, where)``: what the value is to the library."""
    parse: Callable[[str, str], Any] | None
    """``parse(text, where)``: the value that a variable's text stands for; None: no text can stand for one."""


def text(value: str, _where: str) -> str:
    """A word."""
    return value.strip()


def comma_separated(value: str, _where: str) -> list[str]:
    """``a,b``."""
    return [name for name in (part.strip() for part in value.split(",")) if name]


def comma_separated_rules(value: str, where: str) -> dict[str, str]:
    """``reports.*=link,bulk*=child``."""
    rules = [part.rpartition("=") for part in comma_separated(value, where)]
    if not all(pattern.strip() for pattern, _, _ in rules):
        raise ValueError(f"{where}: {value!r} is not a list of rules like 'reports.*=link,bulk*=child'")
    return {pattern.strip(): mode.strip() for pattern, _, mode in rules}


def names(value: object, where: str) -> tuple[str, ...]:
    """A list of names."""
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise ValueError(f"{where}: {value!r} is not a list of names")


def _flag(*, optional: bool) -> Callable[[object, str], bool | None]:
    allowed = "true, false, None" if optional else "true, false"

    def read(value: object, where: str) -> bool | None:
        if isinstance(value, bool) or (value is None and optional):
            return value
        raise ValueError(f"{where}: {value!r} is not one of {allowed}")

    return read


def _text_flag(value: str, _where: str) -> bool | str:
    return _FLAGS.get(value.strip().lower(), value)


def _text_optional_flag(value: str, where: str) -> bool | str | None:
    return None if value.strip().lower() in _NOTHING else _text_flag(value, where)


def _number(smallest: float, *, whole: bool = False, optional: bool = True) -> Callable[[object, str], float | None]:
    kind = "a whole number" if whole else "a number of seconds"

    def read(value: object, where: str) -> float | None:
        if value is None and optional:
            return None
        right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not right_type or not smallest <= value < math.inf:  # type: ignore[operator]
            raise ValueError(f"{where}: {value!r} is not {kind}, {smallest:g} or more{', or None' if optional else ''}")
        return value  # type: ignore[return-value]

    return read


def _text_number(value: str, where: str) -> float | int | None:
    if value.strip().lower() in _NOTHING:
        return None
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    raise ValueError(f"{where}: {value!r} is not a number")


def _names_or_flag(value: object, where: str) -> bool | frozenset[str]:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        raise ValueError(f"{where}: {value!r} is neither true, false nor a list of names")
    return frozenset(names(value, where))


def _text_names_or_flag(value: str, where: str) -> bool | list[str]:
    flag = _text_flag(value, where)
    return flag if isinstance(flag, bool) else comma_separated(value, where)


def _hook(value: object, where: str) -> Hook | None:
    if value is None or callable(value):
        return value
    raise ValueError(f"{where}: {value!r} cannot be called")


_NOTHING = ("", "none")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}

FLAG = Kind(_flag(optional=False), _text_flag)
OPTIONAL_FLAG = Kind(_flag(optional=True), _text_optional_flag)
SECONDS = Kind(_number(0, optional=False), _text_number)
OPTIONAL_SECONDS = Kind(_number(0), _text_number)
OPTIONAL_COUNT = Kind(_number(0, whole=True), _text_number)
NAMES_OR_FLAG = Kind(_names_or_flag, _text_names_or_flag)
HOOK = Kind(_hook, None)
