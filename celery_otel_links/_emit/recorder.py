"""Measurements on their way to the instruments: taken in a microsecond, recorded off the task's path, none lost.

The SDK takes seven microseconds for one value of one histogram. So a measurement is put aside; a thread records what
has come together, and every collection records what is left before it looks.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from typing import Any

logger = logging.getLogger("celery_otel_links")

Measurement = tuple[Any, ...]
"""A function, and what to call it with."""

_INTERVAL = 1.0
_MANY = 1024
_MOST = 8192
# How many are recorded in one go, in less than half a millisecond: a task may be waiting for the interpreter. Each
# pause between two goes costs a wake-up.
_BATCH = 64
_PAUSE = 1e-4


class Recorder:
    """The measurements of one meter provider. Safe to use from threads, greenlets, and after a fork."""

    def __init__(self) -> None:
        self._queue: deque[Measurement] = deque()
        self._level = logging.ERROR
        self.forget()

    def forget(self) -> None:
        """What a forked child inherits is its parent's to record, and its threads and locks are of no use."""
        self._queue.clear()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, measurement: Measurement) -> None:
        """Take a measurement. It is recorded within about a second, and before the next collection in any case."""
        self._queue.append(measurement)
        if self._thread is None:
            self._start()
        elif len(self._queue) > _MANY:
            if len(self._queue) > _MOST:
                self._record(_BATCH)  # the thread can't keep up, or is gone: whoever measures has to do the work
            elif not self._wake.is_set():
                self._wake.set()

    def now(self, measurement: Measurement) -> None:
        """Record a measurement at once."""
        self._queue.append(measurement)
        self.drain()

    def drain(self) -> None:
        """Record everything that has been put, also if another thread is just doing that. For a collection."""
        self._record(len(self._queue))

    def drain_gently(self) -> None:
        """The same, step by step, so that nobody waits for the interpreter meanwhile."""
        for _ in range(0, len(self._queue), _BATCH):
            self._record(_BATCH)
            time.sleep(_PAUSE)

    def _record(self, most: int) -> None:
        # Whoever gets the lock finds nothing half done: what has left the queue has been recorded.
        with self._lock:
            for _ in range(min(most, len(self._queue))):
                record, *values = self._queue.popleft()
                try:
                    record(*values)
                except Exception:
                    self._failed()

    def _failed(self) -> None:
        level, self._level = self._level, logging.DEBUG
        logger.log(level, "recording a measurement failed; it is left out (said once)", exc_info=True)

    def _start(self) -> None:
        thread = threading.Thread(
            target=_regularly, args=(weakref.ref(self), self._wake), name="otel-links-metrics", daemon=True
        )
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            logger.debug("no thread can be started, as when the interpreter ends; a collection will do", exc_info=True)


def _regularly(reference: weakref.ref[Recorder], wake: threading.Event) -> None:
    while True:
        wake.wait(_INTERVAL)
        wake.clear()
        recorder = reference()
        if recorder is None:
            return
        recorder.drain_gently()
        del recorder
