"""The probe: a task of ours that each worker runs, so that the processes which run tasks say something of themselves.

A probe is sent to a queue, and whoever consumes that queue may run it: its answer says which worker did. So they are
sent in rounds, until each worker has run one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from celery import Celery
from celery.backends.base import DisabledBackend
from celery.exceptions import TaskRevokedError, TimeoutError
from celery.result import AsyncResult
from kombu import Queue

from celery_otel_links._errors import in_words
from celery_otel_links._worker.questions import PROBE, trouble
from celery_otel_links.cli.broker import CONNECTING

ROUNDS = 5
_LOOK = 0.05
"""Seconds in which an answer can be read that is there."""


def bound(timeout: float) -> float:
    """Seconds in which a worker has to run a probe, where it has ``timeout`` to answer a question.

    It is one task among others, and an exporter that hangs takes its time.
    """
    return 4 * timeout + 5


def probed(
    app: Celery, queues: Mapping[str, Iterable[str]], timeout: float, unknown: list[str]
) -> dict[str, dict[str, Any]]:
    """What the processes say that ran a probe, by worker; ``queues`` are those that each worker consumes."""
    if (reason := _unanswerable(app)) is not None:
        unknown.append(f"the processes that run tasks: {reason}")
        return {}
    probes, seconds = Probes(app, queues), bound(timeout)
    begun = time.monotonic()
    for number in range(ROUNDS):
        if probes.missing():
            until = begun + seconds * (number + 1) / ROUNDS
            probes.send(number, expires=begun + seconds - time.monotonic())
            probes.collect(until)
    unknown.extend(f"the processes of {name} that run tasks: {probes.reason(name)}" for name in probes.missing())
    return probes.answers


def _unanswerable(app: Celery) -> str | None:
    """Why the answers of probes, which are results, can't be read."""
    try:
        backend = app.backend
    except Exception as error:
        return f"the result backend can't be used: {in_words(error)}"
    if isinstance(backend, DisabledBackend):
        return "the application has no result backend (result_backend), by which a probe answers"
    if type(backend).__module__ == "celery.backends.rpc":  # that is the broker
        return None
    problem = trouble(CONNECTING, lambda: backend.get_task_meta("otel-links-doctor"))
    return problem and f"the result backend can't be read: {problem}"


class Probes:
    """Probes that are on their way, and the answers that have come, by worker."""

    def __init__(self, app: Celery, queues: Mapping[str, Iterable[str]]) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self._app = app
        self._consumers = Counter(queue for own in queues.values() for queue in own)
        self._queues = {name: sorted(own, key=self._consumers.__getitem__) for name, own in queues.items()}
        self._pending: dict[AsyncResult[Any], str] = {}
        """To which queue."""
        self._reasons: dict[str, str] = {}
        """Why probes in a queue have no answer."""

    def missing(self) -> list[str]:
        """The workers that have run none, as far as they have answered."""
        return [name for name in self._queues if name not in self.answers]

    def reason(self, name: str) -> str:
        """Why a worker is missing."""
        own = self._queues[name]
        if not own:
            return "it consumes no queue"
        return next((self._reasons[queue] for queue in own if queue in self._reasons), "no answer in time")

    def send(self, number: int, expires: float) -> None:
        """One for each consumer of a queue of each missing worker: in each round of another, first of one of its own.

        Brokers deliver to consumers in turn, so that one for the missing workers alone could come to the others again.
        """
        chosen = [own[number % len(own)] for own in map(self._queues.__getitem__, self.missing()) if own]
        for queue in dict.fromkeys(chosen):
            if self._consumers[queue] > 1 or queue not in self._pending.values():  # else it is on its way
                for _ in range(self._consumers[queue]):
                    self._send(queue, expires)

    def _send(self, queue: str, expires: float) -> None:
        # By the default exchange a message comes to a queue without anything that has to be known of that.
        target: dict[str, Any] = {"queue": Queue(queue, no_declare=True), "exchange": "", "routing_key": queue}
        try:
            sent = self._app.send_task(PROBE, (time.time(),), ignore_result=False, expires=expires, **target)
            self._pending[sent] = queue
        except Exception as error:
            self._reasons[queue] = in_words(error)

    def collect(self, until: float) -> None:
        """Wait for answers, no longer than ``until`` and than workers are missing; to older ones nobody may answer."""
        for result, queue in reversed(list(self._pending.items())):
            if not self.missing():
                break
            try:
                told = result.get(timeout=max(_LOOK, until - time.monotonic()))
                self.answers.setdefault(told["worker"], told)
            except TimeoutError:
                continue
            except TaskRevokedError:  # it has expired
                pass
            except Exception as error:
                self._reasons[queue] = in_words(error)
            del self._pending[result]
