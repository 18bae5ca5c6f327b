"""What is said in the log, once: by this process, or by it and all the processes that it forks together."""

from __future__ import annotations

import enum
import logging
import mmap
import reprlib

from celery_otel_links._config.modes import MODES, TASK_ATTRIBUTE, Mode, wrong

logger = logging.getLogger("celery_otel_links")
MOST_NOTICES = 1000
"""Kept in mind at most: what is said after so many is said at DEBUG."""


class Family(enum.IntEnum):
    """What a process and those that it forks say once between them."""

    CONTRIB_OFF = 0
    CONTRIB_LINKS = 4
    NOWHERE = 1
    RATIO = 2
    PROMETHEUS = 3
    NO_LOGS = 5


_said: set[str] = set()
_said_by_family = mmap.mmap(-1, len(Family))  # anonymous memory is shared with the processes that are forked


def log_once(level: int, message: str, *arguments: object, key: str | None = None) -> None:
    """Log ``message``; at DEBUG when this process has logged it before, or another one with the same ``key``."""
    key = key or (message % arguments if arguments else message)
    if key in _said or len(_said) >= MOST_NOTICES:
        level = logging.DEBUG
    else:
        _said.add(key)
    logger.log(level, message, *arguments)


def warn_once(about: Family, message: str, *arguments: object) -> None:
    """Warn, unless this process or one that shares its memory has warned of that already."""
    if _said_by_family[about]:
        return
    _said_by_family[about] = 1
    logger.warning(message, *arguments)


def forget() -> None:
    """Say everything anew."""
    _said.clear()
    _said_by_family[:] = bytes(len(Family))


def mode_of_call(value: object, task: str) -> Mode | None:
    """The mode that a call names; one that is none is ignored, and logged once per task."""
    if value is None or (isinstance(value, str) and value in MODES):
        return value  # type: ignore[return-value, unused-ignore]
    value = value[:40] if isinstance(value, str) else reprlib.repr(value)
    error = wrong(f"a call of task {task!r}: {TASK_ATTRIBUTE}", value, "a propagation mode", MODES)
    log_once(logging.ERROR, "%s It is ignored.", error, key=f"mode of a call of {task}")
    return None
