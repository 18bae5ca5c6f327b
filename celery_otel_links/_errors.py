"""Steps that may fail, for any reason, without costing anybody a task or more than one line in the log."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from billiard.exceptions import SoftTimeLimitExceeded

PASSING = (SoftTimeLimitExceeded,)
"""What Celery raises into a task, wherever that is: it is never ours to swallow."""

logger = logging.getLogger("celery_otel_links")
F = TypeVar("F", bound=Callable[..., Any])
_failed: set[str] = set()


def guarded(function: F) -> F:
    """A receiver that may fail, for any reason, without anybody's noticing but one line in the log."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except PASSING:
            raise
        except Exception:
            log_once(function.__qualname__)
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
        log_once(self.what)
        return True


def log_once(what: str) -> None:
    """Log the exception that is handled: at ERROR the first time, at DEBUG from then on."""
    level = logging.DEBUG if what in _failed else logging.ERROR
    _failed.add(what)
    logger.log(level, "%s failed; the task goes on without it (said once)", what, exc_info=True)
