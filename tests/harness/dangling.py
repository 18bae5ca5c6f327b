"""Relations that must not be: to a span that does not exist, or between a run and the publishing of another task."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tests.harness.causality import Causality
from tests.harness.recording import Span

SAME_TASK = ("producer", "previous-attempt", "consumer")


def dangling(spans: Iterable[Span], *, allow: Iterable[str] = ()) -> list[str]:
    """One line for each wrong relation: `run/shop.add: link origin to nothing`, `run/shop.add: parent of another task`.

    `allow` holds patterns of lines that are right all the same: messages that never ran, chord bodies.
    """
    world = Causality(spans)
    found = [problem for span in world.spans for problem in _problems(world, span)]
    return [problem for problem in found if not any(fnmatchcase(problem, pattern) for pattern in allow)]


def _problems(world: Causality, span: Span) -> Iterable[str]:
    parent = world.parent(span)
    if span.parent and parent is None:
        yield f"{span.name}: parent is nothing"
    if parent and span.kind == "CONSUMER" and parent.kind == "PRODUCER" and parent.message_id != span.message_id:
        yield f"{span.name}: parent of another task"
    for link in span.links:
        target = world.target(link)
        if target is None:
            yield f"{span.name}: link {link.kind} to nothing"
        elif link.kind in SAME_TASK and target.message_id != span.message_id:
            yield f"{span.name}: link {link.kind} to another task"
