"""How an attempt ended: Celery's state and exception -> what the span has. Pure; there is always a ``celery.state``."""

from __future__ import annotations

from typing import Any, NamedTuple

from billiard.common import human_status
from billiard.exceptions import Terminated
from celery.exceptions import Ignore, Reject, Retry

from celery_otel_links._rules.texts import text_of

_CONTROL = ((Retry, "RETRY"), (Reject, "REJECTED"), (Ignore, "IGNORED"))
_KILLED_GREENLET = {"GreenletExit"}


class Outcome(NamedTuple):
    """The end of an attempt."""

    state: str
    error: BaseException | None = None
    """Only for what Celery calls a failure."""
    reason: str | None = None
    """Why it is retried."""


SUCCESS = Outcome("SUCCESS")


def outcome(state: str | None, value: Any, propagating: BaseException | None, throws: Any) -> Outcome:
    """The outcome of an attempt.

    ``state`` and ``value`` are those of ``task_postrun``; without a state an exception is ``propagating`` through
    Celery: ``SystemExit``, or with ``throw=True`` whatever the task raised. ``throws`` is what the task expects, in
    any form that ``isinstance`` takes: that is what Celery does with it.
    """
    if state == "SUCCESS":
        return SUCCESS
    if state is None:
        if signum := _ended_by(propagating):
            return Outcome("TERMINATED", error=Terminated(human_status(-signum)))
        state = next((name for kind, name in _CONTROL if isinstance(propagating, kind)), "FAILURE")
        value = propagating
    if state == "RETRY":
        return Outcome(state, reason=text_of(value))
    if state != "FAILURE" or not isinstance(value, BaseException):
        return Outcome(state)
    return Outcome(state, error=None if _expected(value, throws) else value)


def _expected(error: BaseException, throws: Any) -> bool:
    try:
        return isinstance(error, throws or ())
    except TypeError:  # what is no class, Celery takes for unexpected with a log line of its own
        return False


def _ended_by(error: BaseException | None) -> int | None:
    """The signal that ended the process, or the greenlet, in which the task ran."""
    if isinstance(error, SystemExit) and isinstance(error.code, int) and -256 < error.code < -256 + 65:
        return error.code + 256  # how billiard's handler leaves the process
    return 15 if type(error).__name__ in _KILLED_GREENLET else None
