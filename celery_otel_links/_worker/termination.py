"""A process that is told to end while our own code runs begins to end a moment later, when that is left.

Billiard's signal handler raises ``SystemExit`` wherever the process is: between the claim of an attempt and the end of
its span, which then nobody reports, or in an exporter. A second signal ends the process at once, by the default action
that billiard has set: it waits as well while our code ends the span and exports.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from celery_otel_links._worker.postponed import Postponed, in_our_code

_NAMES = ("SIGHUP", "SIGQUIT", "SIGTERM")
_BILLIARD = "billiard.common"


class Termination:
    """In front of billiard's handler of the signals by which a process ends its task, and itself."""

    def __init__(self, longest: Callable[[], float]) -> None:
        """``longest`` says after how many seconds code that still runs is taken to hang."""
        self._longest = longest
        self._postponed = Postponed()
        self._since: float | None = None
        """Since when a signal waits."""
        self._handlers: dict[int, Any] = {}
        self._held: list[int] = []
        self.begun: bool = False
        """Whether the process is about to end, by one of the signals."""

    def install(self) -> None:
        """In a process of a pool, before a task runs; nothing is done where the handler is not billiard's."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            handler = signal.getsignal(number)
            if getattr(handler, "__module__", None) == _BILLIARD:
                self._handlers[number] = handler
                signal.signal(number, self._strike)

    def hold(self) -> None:
        """From now on a second signal waits, too, for our code to be left."""
        for number in self._handlers:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._strike)
                self._held.append(number)

    def release(self) -> None:
        """A second signal ends the process at once again."""
        while self._held:
            signal.signal(self._held.pop(), signal.SIG_DFL)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        again, now = self._postponed.arrived(), time.monotonic()
        if self._since is None:
            self._since = now
        elif not again:
            return  # one waits already
        if in_our_code(frame) and now - self._since < self._longest():
            self._postponed.send_again(number)
            return
        self._since, self.begun = None, True
        self._handlers[number](number, frame)
