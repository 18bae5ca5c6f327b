"""What has been received so far, in memory and bounded: the oldest spans make room for new ones."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from itertools import islice

from celery_otel_links.cli.viewer.record import Span, Wait

MOST_WAITS = 20_000


class Recording:
    """Spans and queue latencies of one run of an application; every method may be called from any thread."""

    def __init__(self, keep: int) -> None:
        self._changed = threading.Condition()
        self._spans: deque[Span] = deque(maxlen=keep)
        self._waits: deque[Wait] = deque(maxlen=MOST_WAITS)
        self._received = 0
        self.closed: bool = False

    def add(self, spans: Iterable[Span] = (), waits: Iterable[Wait] = ()) -> None:
        """Keep these, and wake who waits for more."""
        new = list(spans)
        with self._changed:
            self._spans.extend(new)
            self._waits.extend(waits)
            self._received += len(new)
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody go who waits for more."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    @property
    def spans(self) -> list[Span]:
        """All spans that are held, in the order of their start."""
        with self._changed:
            return sorted(self._spans, key=lambda span: span.start)

    @property
    def waits(self) -> list[Wait]:
        """All queue latencies that are held, in the order of their export."""
        with self._changed:
            return sorted(self._waits, key=lambda wait: wait.time)

    def after(self, number: int, most: int) -> tuple[int, int, list[Span]]:
        """At most so many spans beyond the first `number` received: (number of the first that is held, next, spans)."""
        with self._changed:
            first = self._received - len(self._spans)
            begin = min(max(number, first), self._received)
            spans = list(islice(self._spans, begin - first, begin - first + most))
            return first, begin + len(spans), spans

    def wait_for_more(self, seconds: float, than: int | None = None) -> None:
        """Until something arrives, until it is not `than` spans in all, or for so many seconds."""
        deadline = time.monotonic() + seconds
        with self._changed:
            if than is None:
                self._changed.wait(seconds)
            while than is not None and self._received == than and not self.closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
