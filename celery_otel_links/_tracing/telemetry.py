"""What the instrumentor holds while it is active: the configuration, the tracer, the instruments and the plans."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from celery import Celery
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from celery_otel_links._config.conventions import Style
from celery_otel_links._config.modes import ConfigError, mode_of
from celery_otel_links._config.options import Config
from celery_otel_links._emit.metrics import Metrics
from celery_otel_links._emit.recorder import forgets
from celery_otel_links._emit.spans import Spans
from celery_otel_links._tracing.plans import TASK_ATTRIBUTE, Plans, finalized

VERSION = "0.1.0"
_SPANS_COUNTED = 4096


class Telemetry:
    """Configuration, tracer, instruments and plans of this process."""

    def __init__(
        self,
        *,
        app: Celery | None,
        config: Config | Mapping[str, Any] | None,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self.app = app
        self.spans = Spans(tracer_provider, VERSION)
        self.metrics = Metrics(meter_provider, VERSION)
        self.published = PublishCounts()
        self._given = Config.from_mapping(config) if isinstance(config, Mapping) else config
        self.style = Style()
        """Which conventions are emitted, once the configuration is known."""
        self._plans: Plans | None = None

    @property
    def resolved(self) -> Config | None:
        """The configuration, unless nobody needed it yet."""
        return self._plans.config if self._plans is not None else self._given

    def plans(self, app: Celery) -> Plans:
        """The plans, and with them the configuration: read when it is first needed, from the app of ``setup`` or this.

        Raises:
            ConfigError: it is wrong, or a task of the app names a mode that there is not.
        """
        if self._plans is None:
            app = self.app or app
            config = self._given
            if config is None:
                config = read_config(app)
                check_tasks(app)
            self.style = Style.of(config.contrib_names)
            contrib = {"flower.task.runtime.seconds"} if self.style.contrib_names else set()
            self.metrics.histograms = contrib.union(config.histograms)
            self._plans = Plans(config, self.style)
        return self._plans

    def config(self, app: Celery) -> Config:
        """The configuration.

        Raises:
            ConfigError: as :meth:`plans` does.
        """
        return self.plans(app).config

    def join(self, app: Celery, config: Config | None) -> None:
        """Another ``setup`` in the same process.

        Raises:
            ConfigError: ``config`` is not what this process has already.
        """
        current = self.resolved or (read_config(self.app) if self.app not in (None, app) else config)
        if config is not None and config != current:
            raise ConfigError(f"setup(): this process is traced with another configuration already: {current!r}")
        self.app = self.app or app


class PublishCounts:
    """How many messages each span has published, whichever thread or task of the process they came from."""

    def __init__(self) -> None:
        self.forget()
        forgets(self)

    def forget(self) -> None:
        """In a forked child, where a lock that another thread held would never be released."""
        self._lock = threading.Lock()
        self._counts: dict[int, int] = {}

    def with_one_more(self, span_id: int) -> int:
        """The number of messages that this span has published, with the one that it is publishing."""
        with self._lock:
            counts = self._counts
            count = counts[span_id] = counts.pop(span_id, 0) + 1
            if len(counts) > _SPANS_COUNTED:  # the one that has published nothing for longest
                del counts[next(iter(counts))]
            return count


def read_config(app: Celery) -> Config:
    """The configuration in ``app.conf``, under the environment.

    Raises:
        ConfigError: something in it is wrong.
    """
    for key in ("otel_links", "OTEL_LINKS"):  # upper case: set without a namespace
        mapping = app.conf.get(key)
        if mapping is not None:
            return mapping if isinstance(mapping, Config) else Config.from_mapping(mapping, where=f"app.conf.{key}")
    return Config.from_mapping()


def check_tasks(app: Celery) -> None:
    """Look at the propagation mode of every task that is registered so far.

    Raises:
        ConfigError: one is no mode.
    """
    if finalized(app):
        for name, task in app.tasks.items():
            mode = getattr(task, TASK_ATTRIBUTE, None)
            if mode is not None:
                mode_of(mode, f"task {name!r}: {TASK_ATTRIBUTE}")
