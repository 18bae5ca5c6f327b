"""Steps that may fail, for any reason, without costing anybody a task or more than one line in the log."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from billiard.exceptions import SoftTimeLimitExceeded

PASSING = (SoftTimeLimitExceeded,)
"""What Celery raises into a task, wherever that is: it is never ours to swallow."""

logger = logging.getLogger("celery_otel_links")
F = TypeVar("F", bound=Callable[..., Any])


class Failures:
    """How often each place has failed in this process: the places are those in our code, so they are few."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A forked child has failed nowhere; a lock that another thread held would never be released there."""
        self._lock = threading.RLock()  # some receivers are called by signal handlers, amidst all else
        self._counts: dict[str, int] = {}
        self._fresh: dict[str, int] = {}

    def one_more(self, where: str) -> int:
        """Count a failure. Returns how many there have been in this place."""
        with self._lock:
            self._fresh[where] = self._fresh.get(where, 0) + 1
            count = self._counts[where] = self._counts.get(where, 0) + 1
            return count

    def fresh(self) -> dict[str, int]:
        """Those since the last call: each failure is counted by one instrument, however many there are."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
            return fresh

    def counts(self) -> dict[str, int]:
        """The number of failures by place."""
        with self._lock:
            return dict(self._counts)


failures = Failures()


def in_words(error: BaseException) -> str:
    """What went wrong: the class of an exception and its text, unless it has none or that fails as well."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def guarded(function: F) -> F:
    """A receiver that may fail, for any reason, without anybody's noticing but one line in the log."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except PASSING:
            raise
        except Exception:
            swallow(function.__qualname__)
            return None

    return cast(F, call)


class contained:
    """A step that may fail, for any reason, while those after it still happen."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> bool:
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, PASSING):
            return False
        swallow(self.what)
        return True


def swallow(what: str) -> None:
    """Count the exception that is handled, and log it: at ERROR the first time, at DEBUG from then on."""
    level = logging.ERROR if failures.one_more(what) == 1 else logging.DEBUG
    logger.log(level, "%s failed; the task goes on without it (said once)", what, exc_info=True)
