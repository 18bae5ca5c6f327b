"""Looking at the queues of one broker again and again, each time within a limit, whatever the broker does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from celery import Celery
from opentelemetry.instrumentation.utils import suppress_instrumentation

from celery_otel_links._errors import in_words
from celery_otel_links.cli import queues

_MOST_HANGING = 4
"""Looks that never came to an end; while there are so many, no other is begun."""
_LONGEST_ASKING = 1.0
"""Seconds for the workers' answers."""


class Row(NamedTuple):
    """Of one queue; None is what is not known."""

    queue: str
    depth: int | None
    oldest_age: float | None
    """Seconds."""
    consumers: int | None


class Watcher:
    """Looks at the queues of an application, at those that are named, and at those that its workers consume."""

    def __init__(self, app: Celery, names: Collection[str], limit: float) -> None:
        """``limit``: seconds that a look may take."""
        self._app = app
        self._names = names
        self._limit = limit
        self._hanging: list[threading.Thread] = []
        self.rows: list[Row] | None = None
        """What the last look saw; None where it saw nothing."""
        self.reason: str = ""
        """Why it saw nothing."""

    def look(self) -> list[Row] | None:
        """Look once. Never raises, and never takes longer than the limit."""
        seen: list[Any] = []
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) < _MOST_HANGING:
            thread = threading.Thread(target=self._look, args=(seen,), name="otel-links-watch", daemon=True)
            thread.start()
            thread.join(self._limit)
            if thread.is_alive():
                self._hanging.append(thread)
        found = seen[-1] if seen else f"the broker did not answer within {self._limit:g} s"
        self.rows, self.reason = (None, found) if isinstance(found, str) else (found, "")
        return self.rows

    def _look(self, seen: list[Any]) -> None:
        try:
            with suppress_instrumentation():
                self._read(seen)
        except Exception as error:  # whatever the broker's client raises
            if not seen:
                seen.append(f"the broker does not answer: {in_words(error)}")

    def _read(self, seen: list[Any]) -> None:
        """What the broker tells at once, and then all that the workers answer."""
        with self._app.connection_for_read() as connection:
            driver = connection.transport.driver_type
        # Sockets that end by themselves leave no thread behind. Other transports take other options.
        options = dict.fromkeys(_TIMEOUTS.get(driver, ()), self._limit)
        with self._app.connection_for_read(connect_timeout=self._limit, transport_options=options) as connection:
            connection.connect()  # raises, where a channel would be tried for until the broker is back
            names = dict.fromkeys([*self._app.amqp.queues, *self._names])
            found = _rows(queues.read(connection, names))
            seen.append(found)
            consumers = self._consumers(connection) if driver in _ASKED else None
            if consumers is not None:
                found = found + _rows(queues.read(connection, [name for name in consumers if name not in names]))
                knows = driver == "redis"  # which does not know by itself
                seen.append([row._replace(consumers=consumers[row.queue]) if knows else row for row in found])

    def _consumers(self, connection: Any) -> Counter[str] | None:
        """How many workers say that they consume each queue; None where nobody may be asked."""
        if not self._app.conf.worker_enable_remote_control:
            return None
        asking = min(_LONGEST_ASKING, self._limit / 2)
        answers = self._app.control.inspect(timeout=asking, connection=connection).active_queues() or {}
        return Counter(queue["name"] for consumed in answers.values() for queue in consumed or ())


def _rows(readings: Mapping[str, queues.Reading]) -> list[Row]:
    now = time.time()
    return [
        Row(name, one.depth, None if one.published is None else max(0.0, now - one.published), one.consumers)
        for name, one in readings.items()
    ]


_TIMEOUTS = {"redis": ("socket_timeout", "socket_connect_timeout"), "amqp": ("read_timeout", "write_timeout")}
_ASKED = ("redis", "amqp")
