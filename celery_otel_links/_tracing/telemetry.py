"""What the instrumentor holds while it is active: the configuration, the tracer and the instruments."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from typing import Any

from celery import Celery
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from celery_otel_links._config.options import Config, ConfigError, mode_of
from celery_otel_links._emit.attributes import Style
from celery_otel_links._emit.metrics import Metrics
from celery_otel_links._emit.spans import Spans
from celery_otel_links._rules.message import Route
from celery_otel_links._tracing.plans import TASK_ATTRIBUTE, Plan, finalized, make_plan

VERSION = "0.1.0"
_MOST_PLANS = 4096


class Telemetry:
    """Configuration, tracer and instruments of this process."""

    def __init__(
        self,
        *,
        app: Celery | None,
        config: Config | Mapping[str, Any] | None,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self.app = app
        self.style = Style.from_environment()
        self.spans = Spans(tracer_provider, VERSION)
        self.metrics = Metrics(meter_provider, VERSION, predecessor=self.style.predecessor)
        self._config = Config.from_mapping(config) if isinstance(config, Mapping) else config
        self._planned: Celery | None = None
        self._plans: weakref.WeakKeyDictionary[Celery, dict[Hashable, Plan]] = weakref.WeakKeyDictionary()

    @property
    def resolved(self) -> Config | None:
        """The configuration, unless nobody needed it yet."""
        return self._config

    def config(self, app: Celery) -> Config:
        """The configuration, read when it is first needed: from the app of ``setup``, or the first that is seen.

        Raises:
            ConfigError: it is wrong, or a task of the app names a mode that there is not.
        """
        if self._config is None:
            app = self.app or app
            config = read_config(app)
            check_tasks(app)
            self._config = config
        return self._config

    def join(self, app: Celery, config: Config | None) -> None:
        """Another ``setup`` in the same process.

        Raises:
            ConfigError: ``config`` is not what this process has already.
        """
        current = self._config or (read_config(self.app) if self.app not in (None, app) else config)
        if config is not None and config != current:
            raise ConfigError(f"setup(): this process is traced with another configuration already: {current!r}")
        self.app = self.app or app

    def plans(self, app: Celery) -> dict[Hashable, Plan]:
        """The plans that there are for the messages of ``app``."""
        if app is self._planned:
            return self._plans[app]
        plans = self._plans.get(app)
        if plans is None:
            plans = self._plans[app] = {}
        self._planned = app
        return plans

    def plan(self, app: Celery, key: Hashable, operation: str, route: Route, task: Any = None) -> Plan:
        """A new plan for the messages that ``key`` stands for; ``task`` is theirs, if it is known."""
        plans = self.plans(app)
        if len(plans) >= _MOST_PLANS:
            plans.clear()
        plan = plans[key] = make_plan(app, operation, route, task, self.config(app), self.style)
        return plan


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
