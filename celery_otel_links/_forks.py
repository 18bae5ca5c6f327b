"""State that belongs to one process, and is begun anew in a child that this process forks."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol

logger = logging.getLogger("celery_otel_links")


class Forgetful(Protocol):
    """What holds the state of one process, and none of it in a child that this process forks."""

    def forget(self) -> None:
        """Called in the child."""


_forgetful: weakref.WeakSet[Any] = weakref.WeakSet()


def forgets(one: Forgetful) -> None:
    """Have it forget in every child that this process forks."""
    _forgetful.add(one)


def _in_child() -> None:
    for one in list(_forgetful):
        try:
            one.forget()
        except Exception:
            logger.exception("starting anew in a forked process failed")


_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None:
    _register(after_in_child=_in_child)
