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
        self._pending: dict[AsyncResult[Any], tuple[str, str]] = {}
        """For which worker, and to which queue."""
        self._reasons: dict[str, str] = {}

    def missing(self) -> list[str]:
        """The workers that have run none, as far as they have answered."""
        return [name for name in self._queues if name not in self.answers]

    def reason(self, name: str) -> str:
        """Why a worker is missing."""
        return self._reasons.get(name, "no answer in time" if self._queues[name] else "it consumes no queue")

    def send(self, number: int, expires: float) -> None:
        """One for each missing worker: in each round to another of its queues, first to one that it alone consumes."""
        for name in filter(self._queues.get, self.missing()):
            queue = self._queues[name][number % len(self._queues[name])]
            if (name, queue) in self._pending.values() and self._consumers[queue] == 1:
                continue  # nobody else takes that one
            # By the default exchange a message comes to a queue without anything that has to be known of that.
            target: dict[str, Any] = {"queue": Queue(queue, no_declare=True), "exchange": "", "routing_key": queue}
            try:
                sent = self._app.send_task(PROBE, (time.time(),), ignore_result=False, expires=expires, **target)
                self._pending[sent] = name, queue
            except Exception as error:
                self._reasons[name] = in_words(error)

    def collect(self, until: float) -> None:
        """Wait for answers, no longer than ``until`` and than workers are missing."""
        for result, (name, _) in list(self._pending.items()):
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
                self._reasons[name] = in_words(error)
            del self._pending[result]
