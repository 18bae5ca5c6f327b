"""When a process exports what it holds: soon after each task, if that is asked for, and before it ends.

A process of a pool ends without its interpreter's knowing; a worker's main process and beat end with theirs.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable

from billiard.util import Finalize

from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker.flush import Call, Flush, WaitingThreads, in_new_thread
from celery_otel_links._worker.termination import Termination

_PROVIDERS = 3


class PeriodicFlush:
    """``flush_interval``: soon after the end of each task, by a thread that no task waits for.

    One flush at a time: while an exporter hangs, none is begun besides.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._task_ended = threading.Event()
        self._process: int | None = None
        """The one in which the thread runs: a fork takes no thread along."""

    def after_task(self) -> None:
        """``task_postrun``: have everything exported within the interval."""
        interval = self._telemetry.flush_interval
        if interval is None:
            return
        if self._process != os.getpid():  # the first task of this process
            self._process, self._task_ended = os.getpid(), threading.Event()
            task_ended = self._task_ended
            in_new_thread(lambda: self._repeat(task_ended, interval))
        self._task_ended.set()

    def _repeat(self, task_ended: threading.Event, interval: float) -> None:
        while task_ended.wait():
            time.sleep(interval)
            task_ended.clear()
            _flush_of(self._telemetry).begin(in_new_thread).wait_to_the_end()


class ChildFlush:
    """Of a process that ends without its interpreter's knowing: one of a pool, or the beat in a worker."""

    def __init__(self, telemetry: Telemetry, termination: Termination) -> None:
        self._telemetry = telemetry
        self._termination = termination
        self._last: Flush | None = None
        self._process: int | None = None

    def flush(self) -> bool:
        """Export everything. Returns whether ``flush_timeout`` was long enough.

        A task that takes its process along flushes, and its process again: both share one time limit.
        """
        self._termination.hold()
        flush = _flush_of(self._telemetry).begin(in_new_thread)
        if self._last is not None and self._process == os.getpid() and self._last.recent():
            flush.deadline = self._last.deadline
        self._last, self._process = flush, os.getpid()
        in_time = flush.wait()
        self._termination.release()
        return in_time

    def after_task(self) -> None:
        """``task_postrun`` in a process of a pool: at once, if the task takes its process along."""
        if isinstance(sys.exc_info()[1], SystemExit):
            self.flush()

    def in_embedded_beat(self) -> None:
        """``beat_embedded_init``: it is a process of billiard's, which is terminated when its worker stops."""
        Finalize(None, self.flush, exitpriority=0)


class ExitFlush:
    """Of a process that ends with its interpreter: a worker's main process, be its stop warm or cold, or beat."""

    def __init__(self, telemetry: Telemetry, settle: Callable[[], None]) -> None:
        """``settle`` makes the last spans of a main process, when nothing runs any more."""
        self._telemetry = telemetry
        self._settle = settle
        self._process: int | None = None
        self._threads: WaitingThreads | None = None
        self._begun: Flush | None = None
        self._installed = False

    def install(self) -> None:
        """``worker_ready`` and ``beat_init``: so late that it comes before what providers have registered for
        themselves."""
        self.remove()
        self._installed = True
        _at_exit(self._run)

    def prepare(self) -> None:
        """While threads can still be started: from now on there may be something to export at the end."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._threads = WaitingThreads(2 * _PROVIDERS)  # begun when the stop begins, and at its end

    def begin(self) -> None:
        """``worker_shutting_down``: begin to export, while the pool still works.

        If the collector does not answer, its time is up already when the pool has ended, whose processes have waited
        for it too.
        """
        if self._threads is not None and self._process == os.getpid() and self._begun is None:
            self._begun = _flush_of(self._telemetry).begin(self._threads.start)

    def remove(self) -> None:
        """Undo :meth:`install`."""
        self._installed = False
        atexit.unregister(self._run)

    def _run(self) -> None:
        threads, begun = self._threads, self._begun
        if not self._installed or threads is None or self._process != os.getpid():
            return
        self._installed = False
        self._settle()
        flush = _flush_of(self._telemetry).begin(threads.start)
        if begun is not None and not begun.done():
            flush.deadline = min(flush.deadline, begun.deadline)
        if not flush.wait():
            for shutdown in _calls_of(self._telemetry, "shutdown"):
                atexit.unregister(shutdown)  # with which providers would wait for it all over again


def _at_exit(call: Callable[[], None]) -> None:
    """Have it called when the interpreter ends, ahead of all that is registered for that by now.

    From Python 3.14 on, nothing of that can be taken back any more once the first of it is called. So it is called
    where executors wait for their threads, a moment earlier.
    """
    register = getattr(threading, "_register_atexit", None) if sys.version_info >= (3, 14) else None
    (register or atexit.register)(call)


def _flush_of(telemetry: Telemetry) -> Flush:
    """A flush of the providers of spans, metrics and logs within ``flush_timeout``; it has not begun yet."""
    return Flush(_calls_of(telemetry, "force_flush"), telemetry.flush_timeout)


def _calls_of(telemetry: Telemetry, method: str) -> list[Call]:
    """The method of each provider that has it."""
    return [getattr(provider, method) for provider in telemetry.providers() if hasattr(provider, method)]
