"""What a worker's main process writes into each message that it receives, and what it remembers of it."""

from __future__ import annotations

import time
import weakref
from typing import Any

from celery_otel_links._rules.request import RECEIVED, SECOND
from celery_otel_links._wire import header as wire

_MOST_REMEMBERED = 10_000


class Receipts:
    """The messages that the main process has received: requests for as long as they live, and their headers.

    A delivery is known by the time of its receipt, and not by the id of its task: a broker may deliver a message again
    while the first attempt still runs.
    """

    def __init__(self) -> None:
        self._requests: weakref.WeakValueDictionary[float, Any] = weakref.WeakValueDictionary()
        self._headers: dict[int, None] = {}
        self.unstamped: int = 0
        """How many of them had no header of ours."""
        self._reported: weakref.WeakKeyDictionary[Any, set[int | None]] = weakref.WeakKeyDictionary()

    def stamp(self, request: Any) -> float:
        """Write down when ``request`` was received, and whether its message has come before. Returns the time."""
        # What stands in this dict reaches task.request in every pool, over process boundaries too.
        fields = request.request_dict
        fields[RECEIVED] = received = time.time()
        header = fields.get(wire.HEADER)
        if header is None:
            self.unstamped += 1
        elif self._known(header):
            fields[SECOND] = True
        return received

    def keep(self, request: Any, received: float) -> None:
        """Remember a request whose task runs in another process: nothing else knows that process and the start."""
        self._requests[received] = request

    def of(self, request: Any) -> Any:
        """The worker's request that a task's ``request`` was made of, if it is remembered."""
        return self._requests.get(vars(request).get(RECEIVED, 0.0))

    def first_report(self, request: Any, pid: int | None) -> bool:
        """Whether nobody has asked this yet about the attempt in that process; None is a task that never ran."""
        reported = self._reported.setdefault(request, set())
        if pid in reported or None in reported:
            return False
        reported.add(pid)
        return True

    def _known(self, header: object) -> bool:
        """Each publishing of a message writes another header, which is its time at least."""
        if not isinstance(header, str):
            return False
        mark, known = hash(header), self._headers
        if mark in known:
            return True
        known[mark] = None
        if len(known) > _MOST_REMEMBERED:
            del known[next(iter(known))]
        return False
