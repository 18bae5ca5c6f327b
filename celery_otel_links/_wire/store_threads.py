"""A few daemon threads that write to and read from a store for everybody: many requests at once, nobody waits long.

The caller waits for ``TIMEOUT`` at most. What its request needs beyond that happens in the background: a late write
still counts, a late answer is thrown away. While the store is slow, nobody waits for a write at all.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.instrumentation.utils import suppress_instrumentation

from celery_otel_links._errors import contained

TIMEOUT = 0.1
"""Seconds that a caller waits."""
MOST_THREADS = 4
"""Each of them has a connection of its own. There is a second one only where requests come while the first is busy."""
MOST_WAITING = 1000
"""Requests beyond that are dropped."""
MOST_AT_ONCE = 32
"""Requests that one thread performs together."""


class Request:
    """Something to write or to read; ``answer`` is there once it is performed, and stays None where that failed."""

    def __init__(self, store: Any, content: Any, *, reads: bool) -> None:
        self.store = store
        self.content = content
        self.reads = reads
        self.answer: Any = None
        self.performed = threading.Event()
        self.abandoned = False


class StoreThreads:
    """The threads of this process. ``perform`` is called in one of them, with requests to one store."""

    def __init__(self, perform: Callable[[Any, list[Request]], None]) -> None:
        self._perform = perform
        self._waiting: queue.Queue[Request] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._slow = False

    def write(self, store: Any, content: Any) -> None:
        """Write, and wait until it is written, unless the store is slow."""
        request = Request(store, content, reads=False)
        if self._submit(request) and not self._slow:
            self._slow = not request.performed.wait(TIMEOUT)

    def read(self, store: Any, content: Any) -> Any:
        """The answer, or None where it fails or is late."""
        request = Request(store, content, reads=True)
        if self._submit(request) and not request.performed.wait(TIMEOUT):
            request.abandoned = True
        return request.answer

    def _submit(self, request: Request) -> bool:
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            return False
        with self._lock:
            if self._busy == self._threads < MOST_THREADS:
                thread = threading.Thread(target=self._work, name="otel-links-chord-store", daemon=True)
                # Instrumentations of threads hand on what is current here: the first task would be everybody's parent.
                contextvars.Context().run(thread.start)
                self._threads += 1
        return True

    def _work(self) -> None:
        with suppress_instrumentation():
            while True:
                requests = self._next()
                start = time.monotonic()
                try:
                    for store in dict.fromkeys(request.store for request in requests):
                        with contained("the fan-in of a chord"):
                            self._perform(store, [one for one in requests if one.store is store and not one.abandoned])
                finally:
                    with self._lock:
                        self._busy -= 1
                    if time.monotonic() - start < TIMEOUT:
                        self._slow = False
                    for request in requests:
                        request.performed.set()

    def _next(self) -> list[Request]:
        """All that waits, up to ``MOST_AT_ONCE``, as soon as anything does."""
        requests = [self._waiting.get()]
        with self._lock:
            self._busy += 1
        while len(requests) < MOST_AT_ONCE:
            try:
                requests.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return requests
