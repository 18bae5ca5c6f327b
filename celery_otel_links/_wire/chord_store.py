"""Fan-in of chords: each header task stores its span context, the publisher of the body gathers them.

They are kept where the results are, in one place per chord with Redis and per task elsewhere. A store that fails,
hangs or answers garbage costs the links, never the task: every access ends after ``PATIENCE``.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery
from celery.result import GroupResult
from opentelemetry.trace import SpanContext

from celery_otel_links._wire import header as _wire

PATIENCE = 0.1
"""Seconds that one access to the store may take."""
_SUFFIX = ".otel-links"
_CHEAP = {"RedisBackend", "FilesystemBackend", "CacheBackend"}


def store(app: Celery, group_id: str, task_id: str, context: SpanContext, enabled: bool | None) -> None:
    """Leave the span context of the header task that runs where the publisher of the body finds it."""
    if _enabled(app, enabled):
        text = _wire.encode_context(context)
        _bounded(lambda: _store(app.backend, group_id, task_id, text))


def gather(app: Celery, group_id: str | None, header_ids: list[str], enabled: bool | None) -> list[SpanContext]:
    """The span contexts that the header tasks of a chord have left, for its body."""
    if not _enabled(app, enabled):
        return []
    texts = _bounded(lambda: list(_load(app.backend, group_id, header_ids))) or []
    return [context for context in map(_wire.decode_context, texts) if context is not None]


def enabled_by_default(backend: Any) -> bool:
    """Whether a header task costs no more than one fast round trip with this result backend."""
    return not _CHEAP.isdisjoint(_names(backend))


def _enabled(app: Celery, enabled: bool | None) -> bool:
    return enabled_by_default(app.backend) if enabled is None else enabled


def _store(backend: Any, group: str, task_id: str, text: str) -> None:
    if "RedisBackend" in _names(backend):
        key = backend.get_key_for_group(group, _SUFFIX)
        with backend.client.pipeline() as pipe:
            pipe.hset(key, task_id, text)
            if backend.expires:
                pipe.expire(key, backend.expires)
            pipe.execute()
    elif hasattr(backend, "mget"):
        backend.set(backend.get_key_for_task(task_id, _SUFFIX), text)
    else:
        # Neither this one nor the reader's cache holds on to a result in this state: a retry overwrites it.
        backend.store_result(task_id + _SUFFIX, text, "STARTED")


def _load(backend: Any, group: str | None, task_ids: list[str]) -> Iterable[object]:
    if "RedisBackend" in _names(backend):
        if group is None:
            return []
        # Not deleted after reading: it expires with the results, and a body that is retried may read again.
        return map(_text, backend.client.hvals(backend.get_key_for_group(group, _SUFFIX)))
    if not task_ids and group is not None:
        task_ids = [result.id for result in _leaves(GroupResult.restore(group, backend=backend))]
    if hasattr(backend, "mget"):
        found = backend.mget([backend.get_key_for_task(task_id, _SUFFIX) for task_id in task_ids])
        # The clients of the cache backend answer with a dict.
        return map(_text, found.values() if hasattr(found, "values") else found)
    if "DatabaseBackend" in _names(backend):
        return _rows(backend, [task_id + _SUFFIX for task_id in task_ids])
    return (backend.get_task_meta(task_id + _SUFFIX).get("result") for task_id in task_ids)


def _rows(backend: Any, task_ids: list[str]) -> list[object]:
    """The results of these, by one query; the backend itself makes one for each."""
    session, table = backend.ResultSession(), backend.task_cls
    try:
        found = [row[0] for row in session.query(table.result).filter(table.task_id.in_(task_ids))]
        # From Celery 5.7 on they are stored serialized.
        return [backend.decode(value) if isinstance(value, bytes) else value for value in found]
    finally:
        session.close()


def _leaves(result: Any) -> Iterable[Any]:
    for child in getattr(result, "results", None) or ():
        yield from _leaves(child) if hasattr(child, "results") else (child,)


def _text(value: object) -> object:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _names(backend: Any) -> set[str]:
    return {kind.__name__ for kind in type(backend).__mro__}


class _Bounded:
    """Runs functions one after the other in a thread of its own; whoever asks waits for ``PATIENCE`` at most."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], list[Any], threading.Event]]
        self._busy_since: float | None = None

    def __call__(self, function: Callable[[], Any]) -> Any:
        """What ``function`` returns, or None where it fails or takes too long."""
        if self._pid != os.getpid():  # a thread does not survive a fork
            self._pid, self._busy_since = os.getpid(), None
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._jobs,), name="otel-links-fan-in", daemon=True).start()
        since = self._busy_since
        if since is not None and time.monotonic() - since > PATIENCE:
            return None  # the store hangs: nobody else shall wait for it
        answer: list[Any] = []
        done = threading.Event()
        self._jobs.put((function, answer, done))
        done.wait(PATIENCE)
        return answer[0] if answer else None

    def _work(self, jobs: queue.SimpleQueue[tuple[Callable[[], Any], list[Any], threading.Event]]) -> None:
        while True:
            function, answer, done = jobs.get()
            self._busy_since = time.monotonic()
            try:
                answer.append(function())
            except Exception:  # costs the links only
                answer.clear()
            finally:
                self._busy_since = None
                done.set()


_bounded = _Bounded()
