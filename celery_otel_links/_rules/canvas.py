"""What a message is within its canvas, from the signatures that Celery puts into headers and bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from celery_otel_links._rules.facts import Request, Shape

UNLOCK = "celery.chord_unlock"
DEEPEST = 4
"""How many chords within chords are distinguished."""


class Publisher(NamedTuple):
    """The task that is running while a message is published."""

    request: Request
    id: str
    name: str
    retries: int
    next_id: str | None
    """The id of the next step of its chain, remembered because up to Celery 5.5 it is popped before publishing."""
    body_ids: frozenset[str]
    """The ids under which the body of its chord is published."""
    plain: bool
    """It is in no canvas and has no callbacks: what it publishes is no part of its own workflow but a retry."""

    @classmethod
    def of(cls, request: Request, name: str, next_id: str | None) -> Publisher:
        """The task of this name that ``request`` runs. To be made once: the body of a chord may be large."""
        chord = _chord_of(request, name)
        return cls(
            request=request,
            id=str(request.id),
            name=name,
            retries=whole(request.retries),
            next_id=next_id,
            body_ids=frozenset(_ids(chord)),
            plain=not (chord or next_id or request.callbacks or request.errbacks or name == UNLOCK),
        )


def next_id(fields: Mapping[str, Any]) -> str | None:
    """The id of the next step of the chain that a request with these fields is in; to be asked when its task starts."""
    chain = fields.get("chain")
    return option(chain[-1], "task_id") if chain and isinstance(chain, list) else None


def shape_of(name: str, identifier: str, retries: int, group: Any, index: Any, publisher: Publisher) -> Shape | None:
    """What ``publisher`` publishes; None where it is no more than anybody could see. The first line that holds decides.

    The order, and the traps that it avoids, were found by experiment.
    """
    request = publisher.request
    if name == UNLOCK:
        return Shape.PLUMBING
    if identifier == publisher.id:
        return Shape.RETRY if retries > publisher.retries else Shape.REPLACEMENT
    if identifier in publisher.body_ids or (isinstance(group, str) and group in publisher.body_ids):
        return Shape.CHORD_BODY
    if _called_back(name, index, option(_chord_of(request, publisher.name), "link_error")):
        return Shape.CALLBACK
    if publisher.name == UNLOCK:
        return Shape.CHORD_BODY
    if identifier == publisher.next_id:
        return Shape.CHAIN_STEP
    if _called_back(name, index, request.callbacks) or _called_back(name, index, request.errbacks):
        return Shape.CALLBACK
    return None


def _chord_of(request: Request, name: str) -> Any:
    fields = vars(request)
    return unlocked(fields.get("args")) if name == UNLOCK else fields.get("chord")


def fans_out(group: Any, index: Any, chord: Any, last: Any, stamped: bool) -> bool:
    """Whether a message looks like one of several that are published at once.

    Since 5.6 the body of a chord carries the group of its headers, without an index; 5.2, whose messages are not
    ``stamped``, gives the members of a group no index either. A step of a chain says it in the ``last`` one.
    """
    if chord is not None or (group is not None and (index is not None or not stamped)):
        return True
    return last is not None and (_ending(last, "group_id") is not None or _ending(last, "chord") is not None)


def header_task_ids(request: Request) -> list[str]:
    """The ids of the header tasks of a chord, from the arguments of the ``celery.chord_unlock`` that runs."""
    kwargs = getattr(request, "kwargs", None)
    return list(_result_ids(kwargs.get("result"))) if isinstance(kwargs, Mapping) else []


def unlocked(args: Any) -> Any:
    """The body of the chord that a ``celery.chord_unlock`` with these arguments waits for."""
    return args[1] if isinstance(args, (list, tuple)) and len(args) > 1 else None


def whole(value: object) -> int:
    """``value`` where it is a number that something is counted with, otherwise 0."""
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def option(signature: Any, name: str) -> Any:
    """An option of a signature, whatever stands in its place."""
    options = signature.get("options") if isinstance(signature, Mapping) else None
    return options.get(name) if isinstance(options, Mapping) else None


def _called_back(name: str, index: Any, signatures: Any) -> bool:
    """Several callbacks, and even a single errback, are published as a group, in which they have an ``index``."""
    if not signatures:
        return False
    signatures = signatures if isinstance(signatures, (list, tuple)) else (signatures,)
    if isinstance(index, int) and index >= len(signatures):
        return False
    return any(isinstance(one, Mapping) and one.get("task") == name for one in signatures)


def _ids(signature: Any) -> Iterator[str]:
    """The ids under which the parts of a body are published: its own, and those of the tasks it consists of."""
    if not isinstance(signature, Mapping):
        return
    for name in ("task_id", "group_id"):
        identifier = option(signature, name)
        if isinstance(identifier, str):
            yield identifier
    kwargs = signature.get("kwargs")
    for part in ("tasks", "header"):
        members = kwargs.get(part) if isinstance(kwargs, Mapping) else None
        for member in members if isinstance(members, (list, tuple)) else (members,):
            yield from _ids(member)


def chord_keys(chord: Any, last: Any) -> tuple[str | None, ...]:
    """What distinguishes the chords that a message is in, the innermost first: the ids of their bodies.

    A message is in the chord that it is a header of, or that the ``last`` step of its chain is.
    """
    body = chord or _ending(last, "chord")
    keys: list[str | None] = []
    while body and len(keys) < DEEPEST:
        keys.append(next(_ids(body), None))
        body = _ending(body, "chord")
    return tuple(keys)


def _ending(signature: Any, name: str) -> Any:
    """An option of ``signature``, or of what it ends in: a chain in its last step, a chord in its body.

    The rest of a chain may hang on a step as its option, in reversed order.
    """
    for _ in range(DEEPEST):
        value = option(signature, name)
        kwargs = signature.get("kwargs") if isinstance(signature, Mapping) else None
        if value is not None or not isinstance(kwargs, Mapping):
            return value
        kind, tasks, steps = signature.get("subtask_type"), kwargs.get("tasks"), option(signature, "chain")
        if steps and isinstance(steps, list):
            signature = steps[0]
        elif kind == "chain" and isinstance(tasks, (list, tuple)) and tasks:
            signature = tasks[-1]
        elif kind == "chord":
            signature = kwargs.get("body")
        else:
            return None
    return None


def _result_ids(results: Any) -> Iterator[str]:
    """The ids in results as tuples: of a task ``((id, parent), None)``, of a group ``((id, parent), [result, …])``."""
    for result in results if isinstance(results, (list, tuple)) else ():
        match result:
            case [_, [*members]]:
                yield from _result_ids(members)
            case [[str(identifier), *_], *_]:
                yield identifier
