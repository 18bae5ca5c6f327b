"""Exporting what a process holds before it ends, within a limit that the SDK's own calls do not keep."""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from celery_otel_links._tracing.telemetry import Telemetry

Call = Callable[[], Any]


class Flusher:
    """Flushes the providers of spans, metrics and logs, never longer than told."""

    def __init__(self, telemetry: Telemetry, settle: Call) -> None:
        """``settle`` makes the last spans of a main process, when nothing runs any more."""
        self._telemetry = telemetry
        self._settle = settle
        self._main: int | None = None
        self._standby: _Standby | None = None
        self._tried: _Flush | None = None
        self._leaving: _Flush | None = None
        self._ended = threading.Event()
        self._exporter: int | None = None

    def leave(self) -> bool:
        """Before a process of a pool ends: export everything. Returns whether ``flush_timeout`` was long enough.

        A task that takes its process along calls this, and its process again: both share one time limit.
        """
        flush = _Flush(self._calls("force_flush"), self._timeout(), _start_thread)
        if self._leaving is not None and self._leaving.pid == flush.pid and self._leaving.recent():
            flush.deadline = self._leaving.deadline
        self._leaving = flush
        return flush.wait()

    def after_task(self, state: str | None) -> None:
        """``task_postrun``: have it exported within the interval; at once, if the task takes its process along."""
        if state is None and isinstance(sys.exc_info()[1], SystemExit) and self._main not in (None, os.getpid()):
            self.leave()
            return
        config = self._telemetry.resolved
        if config is not None and config.flush_interval is not None:
            if self._exporter != os.getpid():  # the first task of this process
                self._exporter, self._ended = os.getpid(), threading.Event()
                _start_thread(partial(self._export, self._ended, config.flush_interval))
            self._ended.set()

    def _export(self, ended: threading.Event, interval: float) -> None:
        while ended.wait():
            time.sleep(interval)
            ended.clear()
            _Flush(self._calls("force_flush"), self._timeout(), _start_thread).wait()

    def install(self) -> None:
        """In a worker's main process: flush when the interpreter ends, be the stop warm or cold.

        Done when the worker is ready, so that it comes before what providers have registered for themselves.
        """
        self.remove()
        self._main = os.getpid()
        self._standby = _Standby()
        atexit.register(self._at_exit)

    def try_out(self) -> None:
        """``worker_shutting_down``: begin to export, while the pool still works.

        This tells later whether the collector answers: if not, its time is up already when the pool has ended, whose
        processes have waited for it too.
        """
        if self._standby is not None and self._main == os.getpid() and self._tried is None:
            self._tried = _Flush(self._calls("force_flush"), self._timeout(), self._standby.start)

    def remove(self) -> None:
        """Undo :meth:`install`."""
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        standby, tried = self._standby, self._tried
        if standby is None or self._main != os.getpid():
            return
        self._settle()
        flush = _Flush(self._calls("force_flush"), self._timeout(), standby.start)
        if tried is not None and not tried.done():
            flush.deadline = min(flush.deadline, tried.deadline)
        if not flush.wait():
            for shutdown in self._calls("shutdown"):
                atexit.unregister(shutdown)  # with which providers would wait for it all over again

    def _timeout(self) -> float:
        config = self._telemetry.resolved
        return 5.0 if config is None else config.flush_timeout

    def _calls(self, method: str) -> list[Call]:
        providers: list[Any] = [self._telemetry.spans.provider(), self._telemetry.metrics.provider()]
        with suppress(ImportError):  # an API without logs
            from opentelemetry._logs import get_logger_provider

            providers.append(get_logger_provider())
        return [getattr(provider, method) for provider in providers if hasattr(provider, method)]


class _Standby:
    """Threads that wait for work. When the interpreter ends, Python 3.12 and later start no more of them."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        for _ in range(6):  # three providers: tried out, flushed
            _start_thread(lambda: self._calls.get()())

    def start(self, call: Call) -> None:
        self._calls.put(call)


class _Flush:
    """All of ``calls`` at once, in threads that nobody waits for longer than ``timeout`` seconds."""

    def __init__(self, calls: Iterable[Call], timeout: float, start: Callable[[Call], object]) -> None:
        self.pid = os.getpid()
        self.deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._ends = []
        for call in calls:
            end = threading.Event()
            self._ends.append(end)
            start(partial(_quietly, call, end))

    def wait(self) -> bool:
        """Whether all of them end before the deadline."""
        return all(end.wait(max(0.0, self.deadline - time.monotonic())) for end in self._ends)

    def done(self) -> bool:
        """Whether all of them have ended."""
        return all(end.is_set() for end in self._ends)

    def recent(self) -> bool:
        """Whether its process can still be about to end because of it."""
        return time.monotonic() < self.deadline + self._timeout


def _quietly(call: Call, end: threading.Event) -> None:
    try:
        with suppress(Exception):  # an exporter's failure is the exporter's to log
            call()
    finally:
        end.set()


def _start_thread(call: Call) -> threading.Thread:
    thread = threading.Thread(target=call, name="otel-links-flush", daemon=True)
    thread.start()
    return thread
