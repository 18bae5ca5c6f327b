"""Text that every exporter can encode, and that is bounded, whoever chose it. Pure.

A lone surrogate, which JSON and file names let through, can't be encoded as UTF-8: an exporter would give up the whole
batch of spans in which it stands.
"""

from __future__ import annotations

import traceback

LONGEST_NAME = 255
"""Of names and ids: longer ones are cut, and nothing is kept under them."""
_LONGEST_MESSAGE = 4096
_LONGEST_TRACEBACK = 32768


def printable(text: str, longest: int = LONGEST_NAME) -> str:
    """``text`` without what can't be encoded, and no longer than ``longest``."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def text_of(value: object) -> str:
    """``str(value)``, printable and bounded; of an object that cannot be a string, the name of its class."""
    try:
        return printable(str(value), _LONGEST_MESSAGE)
    except Exception:
        return type(value).__qualname__


def type_name(error: BaseException) -> str:
    """The class of an exception, as ``error.type`` wants it: with its module unless it is a builtin."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return printable(name)


def traceback_of(error: BaseException) -> str:
    """The traceback as Python would print it; empty of an error whose own text fails."""
    try:
        return printable("".join(traceback.format_exception(error)), _LONGEST_TRACEBACK)
    except Exception:
        return ""
