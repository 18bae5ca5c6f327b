"""``flush_interval``: what a task has left is exported soon after its end, by a thread that no task waits for."""

from __future__ import annotations

import os
import threading
import time

from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker.flush import flush_of, in_new_thread


class PeriodicFlush:
    """One flush at a time: while an exporter hangs, none is begun besides."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._task_ended = threading.Event()
        self._process: int | None = None
        """The one in which the thread runs: a fork takes no thread along."""

    def after_task(self) -> None:
        """``task_postrun``: have everything exported within the interval."""
        config = self._telemetry.resolved
        if config is None or config.flush_interval is None:
            return
        if self._process != os.getpid():  # the first task of this process
            self._process, self._task_ended = os.getpid(), threading.Event()
            task_ended, interval = self._task_ended, config.flush_interval
            in_new_thread(lambda: self._repeat(task_ended, interval))
        self._task_ended.set()

    def _repeat(self, task_ended: threading.Event, interval: float) -> None:
        while task_ended.wait():
            time.sleep(interval)
            task_ended.clear()
            flush_of(self._telemetry).begin(in_new_thread).wait_to_the_end()
