"""What the doctor has found out about a set-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Told = Mapping[str, Any]
"""What a process says of itself (`_worker/description.py`)."""


class Facts(NamedTuple):
    """What was found out."""

    here: Told
    """This process, which stands for the producers."""
    broker: str | None = None
    """Why the broker can't be reached."""
    workers: Mapping[str, Told] = {}
    """The main processes of the workers that answered, by their names."""
    inactive: Mapping[str, Told] = {}
    """Workers that live, and in which the library is not active: then they may not know the question."""
    namesakes: tuple[str, ...] = ()
    """The names under which more than one worker has answered."""
    ahead: Mapping[str, float] = {}
    """Seconds that the clock of a worker is ahead of ours."""
    probes: Mapping[str, Told] = {}
    """The processes that ran our probe, by worker."""
    tasks: tuple[str, ...] = ()
    """The tasks that are registered here."""
    registered: frozenset[str] = frozenset()
    """The tasks that workers know."""
    queues: Mapping[str, str] = {}
    """The queues to which they are published, each with one of those tasks."""
    consumed: frozenset[str] = frozenset()
    """The queues that workers consume."""


def processes(facts: Facts) -> Iterator[tuple[str, Told]]:
    """This process, the main processes of workers, and those of their pools that have run a probe; by names."""
    yield "this process", facts.here
    yield from facts.workers.items()
    yield from facts.inactive.items()
    for name, told in facts.probes.items():
        yield f"a process of {name} that runs tasks", told
