"""A workflow as far as it is known: what was found out about its tasks -> tree, chords, and what is wrong. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

NOTHING_STORED = "PENDING"
"""Celery's word for a task of which there is no result; also for one that never existed."""
HELD = ("active", "reserved", "scheduled")
FAILED = ("FAILURE", "REVOKED", "REJECTED")
_DEPENDENCY = re.compile(r"Dependency (\S+) raised")


class Known(NamedTuple):
    """What is known of one task; None and empty where it is not."""

    id: str
    name: str | None = None
    state: str = NOTHING_STORED
    error: str | None = None
    worker: str | None = None
    seconds: float | None = None
    """How long it has been running."""
    parent: str | None = None
    root: str | None = None
    group: str | None = None
    children: tuple[tuple[str, str | None], ...] = ()
    """The tasks that it has published, each with its group."""
    bodies: tuple[str, ...] = ()
    """Of a header task of a chord: the body."""
    trace: str | None = None

    def joined(self, other: Known) -> Known:
        """Both together. Where a worker holds the task, its state is the worker's."""
        held = next((one.state for one in (other, self) if one.state in HELD), None)
        stored = next((one.state for one in (self, other) if one.state not in (NOTHING_STORED, *HELD)), NOTHING_STORED)
        merged = {name: value or getattr(other, name) for name, value in self._asdict().items()}
        ended = stored in (*FAILED, "SUCCESS", "IGNORED")
        return Known(**{**merged, "state": stored if ended else held or stored})


class Chord(NamedTuple):
    """A chord: its header tasks, its bodies as far as their ids are known, and why a body has not come."""

    group: str
    headers: tuple[str, ...]
    bodies: tuple[str, ...]
    came: bool | None
    """Whether its body has run or runs; None where that can't be known."""
    wrong: tuple[str, ...]
    """The header tasks that failed or have not ended, each in a sentence."""


def of_result(meta: Mapping[str, Any], identifier: str) -> Known:
    """What a stored result says of its task; whatever stands in it."""
    state, result = str(meta.get("status") or NOTHING_STORED), meta.get("result")
    error = f"{type(result).__name__}: {result}" if isinstance(result, BaseException) else None
    return Known(
        id=identifier,
        name=_text(meta.get("name")),
        state=state,
        error=error,
        worker=_text(meta.get("worker")),
        parent=_text(meta.get("parent_id")),
        group=_text(meta.get("group_id")),
        children=tuple(published(meta.get("children"))),
    )


def published(children: Any, group: str | None = None) -> Iterator[tuple[str, str | None]]:
    """The ids in results as tuples or as Celery's objects, each with the group that it is in."""
    for one in children if isinstance(children, (list, tuple)) else ():
        one = one.as_tuple() if hasattr(one, "as_tuple") else one
        match one:
            case [[str(identifier), *_], [*members]]:
                yield from published(members, identifier)
            case [[str(identifier), *_], *_]:
                yield identifier, group


def culprit(task: Known) -> str | None:
    """The header task that a body which never ran was failed for: Celery stores that under the body's id."""
    found = _DEPENDENCY.search(task.error or "")
    return found[1] if found else None


def mentioned(task: Known) -> set[str]:
    """The ids of other tasks that are known by this one."""
    other = {task.parent, task.root, culprit(task), *task.bodies, *(identifier for identifier, _ in task.children)}
    return {one for one in other if one}


def parents(tasks: Mapping[str, Known]) -> dict[str, str]:
    """Who has published each task, as far as that is known; nobody is above himself."""
    above: dict[str, str] = {}
    for task in tasks.values():
        if task.parent in tasks and not _is_above(task.id, str(task.parent), above):
            above[task.id] = str(task.parent)
    for task in tasks.values():
        for child, _ in task.children:
            if child in tasks and child not in above and not _is_above(child, task.id, above):
                above[child] = task.id
    return above


def _is_above(one: str, other: str, above: Mapping[str, str]) -> bool:
    while other != one:
        if other not in above:
            return False
        other = above[other]
    return True


def chords(tasks: Mapping[str, Known], stored: Mapping[str, set[str]]) -> list[Chord]:
    """The chords among the tasks; ``stored``: which header tasks of a group have left their spans, as only those do."""
    groups: dict[str, set[str]] = {group: set(ids) for group, ids in stored.items()}
    for task in tasks.values():
        if task.group and task.bodies:
            groups.setdefault(task.group, set()).add(task.id)
        cause = tasks.get(culprit(task) or "")
        if cause is not None and cause.group:
            groups.setdefault(cause.group, set()).add(cause.id)
    for task in tasks.values():
        for child, group in task.children:
            if group in groups:
                groups[group].add(child)
    return [_chord(group, headers, tasks) for group, headers in groups.items() if headers]


def _chord(group: str, headers: set[str], tasks: Mapping[str, Known]) -> Chord:
    bodies = {body for one in headers if one in tasks for body in tasks[one].bodies}
    for task in tasks.values():
        if task.id not in headers and (culprit(task) in headers or (task.group == group and task.parent in headers)):
            bodies.add(task.id)
    members = [tasks.get(one, Known(one)) for one in sorted(headers)]
    came: bool | None = None
    if any(tasks[body].state != NOTHING_STORED and culprit(tasks[body]) is None for body in bodies if body in tasks):
        came = True
    elif any(one.state in (*FAILED, *HELD) for one in members):  # Celery publishes it when all have succeeded
        came = False
    wrong = [text for one in members if (text := _what_is_wrong(one))]
    return Chord(group, tuple(sorted(headers)), tuple(sorted(bodies)), came, () if came else tuple(wrong))


def _what_is_wrong(task: Known) -> str | None:
    if task.state == "SUCCESS":
        return None
    called = f"{task.id} ({task.name})" if task.name else task.id
    if task.state in FAILED:
        return f"{called} ended as {task.state}" + (f": {task.error}" if task.error else "")
    if task.state == "active":
        since = "" if task.seconds is None else f" for {task.seconds:.0f} s"
        return f"{called} has not ended: it has been running{since} at {task.worker}"
    if task.state in HELD:
        return f"{called} has not begun: {task.worker} holds it ({task.state})"
    if task.state == NOTHING_STORED and task.trace:
        return f"{called} began and has left no result, and no worker that answers holds it: its worker may have died"
    if task.state == NOTHING_STORED:
        return f"{called} has no result and no worker that answers holds it: it waits in the broker, or was lost"
    return f"{called} has not ended: {task.state}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
