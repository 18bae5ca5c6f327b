"""The matrix: for every way in which an attempt can end, the pools that know it and the run spans that it leaves.

A run is written as its `celery.state`, then `ERROR` with its `error.type` where its status is an error (otherwise it is
unset), then `0 s` where it never ran and has no length.
"""

from __future__ import annotations

from typing import NamedTuple

import celery

ALL = ("prefork", "threads", "solo", "gevent")
FORKED = ("prefork",)
VERSION = tuple(map(int, celery.__version__.split(".")[:2]))
# From 5.5 on a cold stop cancels what runs, which the solo pool answers with an error inside the task.
CANCELS = VERSION >= (5, 5)
# Since then, too, the gevent pool can end a task.
ENDS_GREENLETS = CANCELS
LOST = "FAILURE ERROR billiard.exceptions.WorkerLostError"
TERMINATED = "TERMINATED ERROR billiard.exceptions.Terminated"


class End(NamedTuple):
    """What is expected of one end: in which pools, and of which runs, in their order."""

    pools: tuple[str, ...]
    runs: tuple[str, ...]
    lasts: float = 0.0
    """Seconds that each of them takes at least."""
    or_else: tuple[str, ...] = ()
    """What may be there instead: the pool terminates it before or after it gives it to a process."""


TABLE = {
    "success": End(ALL, ("SUCCESS",)),
    "failure": End(ALL, ("FAILURE ERROR ValueError",)),
    "expected failure": End(ALL, ("FAILURE",)),
    "retry": End(ALL, ("RETRY", "SUCCESS")),
    "ignore": End(ALL, ("IGNORED",)),
    "reject": End(ALL, ("REJECTED",)),
    "unserialisable result": End(ALL, ("FAILURE ERROR kombu.exceptions.EncodeError",)),
    "soft limit": End(FORKED, ("FAILURE ERROR billiard.exceptions.SoftTimeLimitExceeded",), lasts=0.2),
    "sys.exit": End(("prefork", "threads", "gevent"), ("FAILURE ERROR SystemExit",)),
    # What the process could not tell, its main process does.
    "hard limit": End(FORKED, ("FAILURE ERROR billiard.exceptions.TimeLimitExceeded",), lasts=0.5),
    "SIGKILL": End(FORKED, (LOST,), lasts=0.2),
    "SIGKILL, redelivered": End(FORKED, (LOST, "SUCCESS")),
    "os._exit": End(FORKED, (LOST,)),
    "terminate, SIGTERM": End(("prefork", "gevent") if ENDS_GREENLETS else FORKED, (TERMINATED,)),
    "terminate, SIGKILL": End(FORKED, (TERMINATED,)),
    # What never ran.
    "revoked at receipt": End(ALL, ("REVOKED 0 s",)),
    "revoked before its ETA": End(ALL, ("REVOKED 0 s",)),
    "terminated before its start": End(FORKED, ("REVOKED 0 s",), or_else=(TERMINATED,)),
    "expired at receipt": End(ALL, ("EXPIRED 0 s",)),
    "expired before its ETA": End(ALL, ("EXPIRED 0 s",)),
    "unregistered": End(ALL, ("UNKNOWN ERROR celery.exceptions.NotRegistered 0 s",)),
    "malformed, no task": End(ALL, ("REJECTED 0 s",)),
    "malformed, no date": End(ALL, ("REJECTED 0 s",)),
    "malformed, undecodable": End(ALL, ("REJECTED 0 s",)),
    "malformed, arguments undecodable": End(ALL, ("REJECTED 0 s",)),
    # The end of a process.
    "pool shrunk": End(FORKED, ("SUCCESS",) * 9),
    "recycled child": End(FORKED, ("SUCCESS",) * 3),
    "warm stop": End(ALL, ("SUCCESS",), lasts=0.3),
    "cold stop": End(("prefork", "gevent") if CANCELS else FORKED, (TERMINATED,)),
    "cold stop, waited for": End(("threads",) if CANCELS else ("threads", "solo", "gevent"), ("SUCCESS",), lasts=0.5),
    "cold stop, cancelled": End(("solo",) if CANCELS else (), ("FAILURE ERROR NotImplementedError",)),
}


def ends_of(pool: str) -> list[str]:
    """The ends that a pool knows."""
    return [name for name, end in TABLE.items() if pool in end.pools]
