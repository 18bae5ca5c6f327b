"""Which result backend can keep the span contexts of header tasks, and how: distinguished by what they can do.

What is kept expires, or the clean-up of the results removes it; where it would be seen among the results it is removed
as soon as it has been read. A backend that does neither keeps nothing.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from celery.backends.base import Backend, BaseKeyValueStoreBackend
from celery.backends.cache import CacheBackend
from celery.backends.filesystem import FilesystemBackend
from celery.result import GroupResult

SUFFIX = ".otel-links"


class Entry(NamedTuple):
    """What one header task leaves."""

    group_id: str
    task_id: str
    text: str


class Way(NamedTuple):
    """How backends of one sort keep entries."""

    possible: Callable[[Any], bool]
    cheap: Callable[[Any], bool]
    """Whether a header task costs no more than one fast round trip."""
    write: Callable[[Any, list[Entry]], None]
    read: Callable[[Any, str | None, list[str]], Iterable[object]]
    """The texts that the header tasks of a group left; the group or the ids of its tasks may be unknown."""


def way_of(backend: Any) -> Way | None:
    """How this backend keeps entries: the first way that is possible."""
    if not _ends(backend):
        return None
    return next((way for way in WAYS if way.possible(backend)), None)


def _ends(backend: Any) -> bool:
    """Whether what is kept ends some day, even if nobody ever reads it."""
    # Django's caches do not say that they expire.
    return backend.supports_autoexpire or _overrides(backend, Backend, "cleanup") or _is_django_cache(backend)


def _overrides(backend: Any, base: type, name: str) -> bool:
    return getattr(type(backend), name, None) is not getattr(base, name)


# Redis: one hash for a group. It is not removed when it has been read: a body that is a group is published in parts.


def _is_redis(backend: Any) -> bool:
    return hasattr(backend, "connparams") and hasattr(backend.client, "hset")


def _write_hash(backend: Any, entries: list[Entry]) -> None:
    with backend.client.pipeline(transaction=False) as pipe:
        for entry in entries:
            pipe.hset(_hash_key(backend, entry.group_id), entry.task_id, entry.text)
        if backend.expires:
            for group_id in dict.fromkeys(entry.group_id for entry in entries):
                pipe.expire(_hash_key(backend, group_id), backend.expires)
        pipe.execute()


def _read_hash(backend: Any, group_id: str | None, _: list[str]) -> Iterable[object]:
    return () if group_id is None else map(_plain, backend.client.hvals(_hash_key(backend, group_id)))


def _hash_key(backend: Any, group_id: str) -> Any:
    return backend.get_key_for_group(group_id, SUFFIX)


# Files, caches, and other stores of keys and values: one key for a task.


def _is_key_value_store(backend: Any) -> bool:
    return isinstance(backend, BaseKeyValueStoreBackend)


def _is_django_cache(backend: Any) -> bool:
    return hasattr(type(backend), "cache_backend")


def _is_fast(backend: Any) -> bool:
    return isinstance(backend, (CacheBackend, FilesystemBackend)) or _is_django_cache(backend)


def _write_keys(backend: Any, entries: list[Entry]) -> None:
    for entry in entries:
        backend.set(backend.get_key_for_task(entry.task_id, SUFFIX), entry.text)


def _read_keys(backend: Any, group_id: str | None, task_ids: list[str]) -> Iterable[object]:
    if not task_ids and group_id is not None:  # the last header task publishes the body, and knows no other's id
        task_ids = [result.id for result in _leaves(GroupResult.restore(group_id, backend=backend))]
    keys = [backend.get_key_for_task(task_id, SUFFIX) for task_id in task_ids]
    if not _overrides(backend, BaseKeyValueStoreBackend, "mget"):
        return [_plain(backend.get(key)) for key in keys]
    found = backend.mget(keys)
    # The clients of the cache backend answer with a dict.
    return map(_plain, found.values() if hasattr(found, "values") else found)


def _leaves(result: Any) -> Iterator[Any]:
    for child in getattr(result, "results", None) or ():
        yield from _leaves(child) if hasattr(child, "results") else (child,)


def _plain(value: object) -> object:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


# Backends that know results only: a result of its own for a task. In the state STARTED neither they nor the cache of
# the reader hold on to it: a retry overwrites it.


def _is_any(_: Any) -> bool:
    return True


def _is_none(_: Any) -> bool:
    return False


def _write_results(backend: Any, entries: list[Entry]) -> None:
    for entry in entries:
        backend.store_result(entry.task_id + SUFFIX, entry.text, "STARTED")


def _read_results(backend: Any, _: str | None, task_ids: list[str]) -> Iterable[object]:
    names = [task_id + SUFFIX for task_id in task_ids]
    texts = [backend.get_task_meta(name).get("result") for name in names]
    if not backend.supports_autoexpire:
        for name in names:
            backend.forget(name)
    return texts


# SQLAlchemy: the same results, by one query for all of them.


def _is_sqlalchemy(backend: Any) -> bool:
    return hasattr(backend, "ResultSession") and hasattr(backend, "task_cls")


def _read_rows(backend: Any, _: str | None, task_ids: list[str]) -> Iterable[object]:
    session, table = backend.ResultSession(), backend.task_cls
    try:
        ours = table.task_id.in_([task_id + SUFFIX for task_id in task_ids])
        found = [row[0] for row in session.query(table.result).filter(ours)]
        session.query(table).filter(ours).delete(synchronize_session=False)
        session.commit()
        # From Celery 5.7 on they are stored serialized.
        return [backend.decode(value) if isinstance(value, bytes) else value for value in found]
    finally:
        session.close()


# Django's models: the same, but the last header task publishes the body and knows no other's id. The group stands in
# front of the names.


def _is_django(backend: Any) -> bool:
    return hasattr(backend, "TaskModel") and hasattr(backend, "decode_content")


def _write_models(backend: Any, entries: list[Entry]) -> None:
    with _django_connection():
        for entry in entries:
            backend.store_result(f"{entry.group_id}{SUFFIX}.{entry.task_id}", entry.text, "STARTED")


def _read_models(backend: Any, group_id: str | None, _: list[str]) -> Iterable[object]:
    if group_id is None:
        return ()
    with _django_connection():
        ours = backend.TaskModel._default_manager.filter(task_id__startswith=f"{group_id}{SUFFIX}.")
        texts = [backend.decode_content(row, row.result) for row in ours]
        ours.delete()
        return texts


@contextlib.contextmanager
def _django_connection() -> Iterator[None]:
    """Django closes the connections of requests and of tasks; those of this thread are ours to close."""
    try:
        yield
    finally:
        importlib.import_module("django.db").close_old_connections()


def left(backend: Any, group_id: str, task_ids: list[str]) -> dict[str, object]:
    """What the header tasks of a chord have left, by their ids; Redis alone knows more of them than ``task_ids``.

    For people who look: unlike by ``Way.read``, nothing is removed.
    """
    if _is_redis(backend):
        found = backend.client.hgetall(_hash_key(backend, group_id))
        return {str(_plain(task_id)): _plain(text) for task_id, text in found.items()}
    if _is_key_value_store(backend):
        return {one: _plain(backend.get(backend.get_key_for_task(one, SUFFIX))) for one in task_ids}
    if _is_django(backend):
        return {one: backend.get_task_meta(f"{group_id}{SUFFIX}.{one}").get("result") for one in task_ids}
    return {one: backend.get_task_meta(one + SUFFIX).get("result") for one in task_ids}


WAYS = (
    Way(_is_redis, _is_any, _write_hash, _read_hash),
    Way(_is_key_value_store, _is_fast, _write_keys, _read_keys),
    Way(_is_sqlalchemy, _is_none, _write_results, _read_rows),
    Way(_is_django, _is_none, _write_models, _read_models),
    Way(_is_any, _is_none, _write_results, _read_results),
)
