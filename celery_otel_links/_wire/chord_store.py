"""Fan-in of chords: each header task stores its span context, the publisher of the body gathers them.

They are kept where the results are. A store that fails, hangs, is slow or answers garbage costs the links, never the
task: each call returns within ``store_threads.TIMEOUT``.
"""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery
from opentelemetry.trace import SpanContext

from celery_otel_links._errors import contained
from celery_otel_links._forks import forgets
from celery_otel_links._wire import header as _wire
from celery_otel_links._wire.result_backends import Entry, way_of
from celery_otel_links._wire.store_threads import Request, StoreThreads


def store(app: Celery, group_id: str, task_id: str, span_context: SpanContext | None, enabled: bool | None) -> None:
    """Leave the span context of the header task that starts where the publisher of the body finds it.

    ``enabled``: None leaves it to what that costs with the application's result backend.
    """
    with contained("storing the span of a header task"):
        if span_context is not None and span_context.is_valid and is_possible(app, enabled):
            _of_this_process.threads().write(app, Entry(group_id, task_id, _wire.encode_context(span_context)))


def gather(
    app: Celery, group_id: str | None, header_task_ids: Sequence[str], enabled: bool | None
) -> list[SpanContext]:
    """The span contexts that the header tasks of a group have left, in no order, as far as they are there.

    The ids of the header tasks are known to ``celery.chord_unlock`` only, which may not know the group.
    """
    with contained("gathering the spans of header tasks"):
        if is_possible(app, enabled):
            return _of_this_process.threads().read(app, (group_id, list(header_task_ids))) or []
    return []


def is_possible(app: Celery, enabled: bool | None) -> bool:
    """Whether the chords of ``app`` have links to their header tasks."""
    if enabled is False:
        return False
    way = way_of(app.backend)
    return way is not None and (enabled is True or way.cheap(app.backend))


def _perform(app: Celery, requests: list[Request]) -> None:
    """All writes together, then the reads, which see them."""
    backend = app.backend  # this thread's own: those of the tasks are not shared with anybody
    way = way_of(backend)
    if way is None:
        return
    if entries := [request.content for request in requests if not request.reads]:
        with contained("storing the spans of header tasks"):
            way.write(backend, entries)
    for request in requests:
        if request.reads:
            with contained("gathering the spans of header tasks"):
                contexts = map(_wire.decode_context, way.read(backend, *request.content))
                request.answer = [context for context in contexts if context is not None]


class _OfThisProcess:
    """Made when they are first needed: by then gevent and eventlet have replaced what threads are made of."""

    _threads: StoreThreads | None = None

    def threads(self) -> StoreThreads:
        """Those of this process."""
        if self._threads is None:
            self._threads = StoreThreads(_perform)
        return self._threads

    def forget(self) -> None:
        """Threads do not survive a fork."""
        self._threads = None


_of_this_process = _OfThisProcess()
forgets(_of_this_process)
