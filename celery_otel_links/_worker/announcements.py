"""What is said once when a process starts to work: where telemetry goes, and where that is not what people want."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from billiard.process import current_process
from celery import signals

from celery_otel_links._config.destinations import (
    NO_PROCESSOR,
    NOWHERE,
    PROMETHEUS,
    RATIO,
    Destinations,
    destinations,
)
from celery_otel_links._config.notices import Family, log_once, warn_once
from celery_otel_links._config.options import Config
from celery_otel_links._errors import guarded
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._version import __version__
from celery_otel_links._worker.attempt_board import has_processes


class Announcements:
    """Says once what is done here: when a worker is ready, and with the first publish of any other process."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def wiring(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        """Which receiver listens to which signal, after those that do the work."""
        return (
            (signals.celeryd_init, self.celeryd_init),
            (signals.worker_ready, self.worker_ready),
            (signals.before_task_publish, self.first_publish),
            (signals.task_prerun, self.first_task),
        )

    @guarded
    def celeryd_init(self, **_: Any) -> None:
        """A worker, and every process that it forks, is no producer that has to say anything."""
        signals.before_task_publish.disconnect(self.first_publish)

    @guarded
    def worker_ready(self, *, sender: Any, **_: Any) -> None:
        """What a pool's processes do with spans is theirs to say: they may make a provider of their own."""
        worker = sender.controller
        found = self._say(self._telemetry.settle(worker.app)[0])
        if not has_processes(worker.pool_cls):
            _warn(found)
        elif found.scraped:
            warn_once(Family.PROMETHEUS, PROMETHEUS)

    @guarded
    def first_publish(self, **_: Any) -> None:
        """The configuration has been read by now: this comes after the receiver that does the work."""
        signals.before_task_publish.disconnect(self.first_publish)
        config = self._telemetry.resolved
        if config is not None and not _in_pool():
            _warn_of_nowhere(self._say(config))

    @guarded
    def first_task(self, **_: Any) -> None:
        """In a pool's process: whoever makes a provider there has made it by now."""
        signals.task_prerun.disconnect(self.first_task)
        config = self._telemetry.resolved
        if config is None or not config.enabled:
            return
        found = self._found()
        _warn(found)
        if found.scraped and _in_pool():
            warn_once(Family.PROMETHEUS, PROMETHEUS)

    def _found(self) -> Destinations:
        return destinations(self._telemetry.spans.provider(), self._telemetry.metrics.provider())

    def _say(self, config: Config) -> Destinations:
        found = self._found()
        log_once(logging.INFO, found.line(__version__, config))
        return found


def _warn(found: Destinations) -> None:
    _warn_of_nowhere(found)
    if found.by_chance:  # where tasks run: on what is published the sampler decides with the rest of its trace
        warn_once(Family.RATIO, RATIO, found.sampler)


def _warn_of_nowhere(found: Destinations) -> None:
    if found.spans is None:
        warn_once(Family.NOWHERE, NOWHERE)
    elif not found.processors and os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() != "none":
        warn_once(Family.NOWHERE, NO_PROCESSOR)


def _in_pool() -> bool:
    """Whether this is a process of a pool, forked or spawned."""
    return bool(current_process().name != "MainProcess")
