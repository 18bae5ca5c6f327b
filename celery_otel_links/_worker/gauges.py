"""How busy a worker is: gauges of its main process, which knows it whatever the pool is.

They are looked at when metrics are collected, and cost a task nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from celery_otel_links._declared.names import WORKER_ACTIVE, WORKER_PROCESSES, WORKER_RESERVED, WORKER_SCHEDULED
from celery_otel_links._errors import contained


class Gauges:
    """What can be observed of the worker whose consumer this is."""

    def __init__(self, consumer: Any) -> None:
        # Imported where there is a worker: a producer that starts has no need of it.
        from celery.worker import request, state

        self._state, self._request = state, request.Request
        self._consumer = consumer
        self._pool = consumer.pool
        self._process = os.getpid()

    def by_name(self) -> dict[str, Callable[[], int | None]]:
        """Each gauge, and what it shows now: None in a process that the worker has forked, which is not the worker."""
        looks = {
            WORKER_PROCESSES: self._processes,
            WORKER_ACTIVE: lambda: len(self._state.active_requests),
            WORKER_RESERVED: self._reserved,
            WORKER_SCHEDULED: self._scheduled,
        }
        return {name: self._here(look) for name, look in looks.items()}

    def _here(self, look: Callable[[], int]) -> Callable[[], int | None]:
        def here() -> int | None:
            if os.getpid() == self._process:
                with contained("a gauge of the worker"):  # the worker goes on while we look
                    return look()
            return None

        return here

    def _processes(self) -> int:
        """How many tasks can run at once: processes that live, threads or greenlets."""
        living = getattr(getattr(self._pool, "_pool", None), "_pool", None)  # of billiard
        return len(living) if isinstance(living, list) else int(self._pool.limit or 1)

    def _reserved(self) -> int:
        """Messages that wait here for a process, or under a rate limit for their turn."""
        limited = sum(len(bucket.contents) for bucket in list(self._consumer.task_buckets.values()) if bucket)
        # Celery keeps what runs among what is reserved, until it has ended.
        return max(0, len(self._state.reserved_requests) - len(self._state.active_requests)) + limited

    def _scheduled(self) -> int:
        """Messages that are held here until their eta: entries of the timer for a request."""
        waiting = [one.entry for one in list(self._consumer.timer.schedule.queue)]  # a copy: the worker goes on
        return sum(isinstance(next(iter(one.args or ()), None), self._request) and not one.canceled for one in waiting)
