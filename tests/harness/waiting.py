"""Waiting for a condition until a deadline: the only place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    condition: Callable[[], T], *, what: str | Callable[[], str], timeout: float = 15.0, steady: float = 0.0
) -> T:
    """The condition's first true value, which has to stay true for `steady` seconds.

    `what` says what is waited for, or is asked for it when the deadline (`timeout` seconds) has passed. Then
    `TimeoutError` says that, and the value that the condition had last.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + timeout
    pause = 0.005
    true_since: float | None = None
    while True:
        seen = condition()
        now = time.monotonic()
        if not seen:
            true_since = None
        elif true_since is None:
            true_since = now
        if true_since is not None and now - true_since >= steady:
            return seen
        if now >= deadline:
            described = what() if callable(what) else what
            raise TimeoutError(f"not within {timeout:g} s: {described}; last seen: {seen!r}")
        time.sleep(pause if true_since is None else min(pause, true_since + steady - now))
        pause = min(pause * 1.5, 0.05)
