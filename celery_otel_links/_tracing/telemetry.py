"""What the instrumentor holds while it is active: the configuration, the tracer and the instruments."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Any

from celery import Celery
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from celery_otel_links._config.options import Config
from celery_otel_links._config.sources import Configuration
from celery_otel_links._emit.attributes import Style
from celery_otel_links._emit.metrics import Metrics
from celery_otel_links._emit.spans import Spans
from celery_otel_links._rules.message import Route
from celery_otel_links._tracing.plans import Plan, make_plan
from celery_otel_links._version import __version__

_MOST_PLANS = 4096


class Telemetry:
    """Configuration, tracer and instruments of this process."""

    def __init__(
        self,
        *,
        configuration: Configuration,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self.configuration = configuration
        self.style = Style.from_environment()
        self.spans = Spans(tracer_provider, __version__)
        self.metrics = Metrics(meter_provider, __version__, predecessor=self.style.predecessor)
        self._planned: Celery | None = None
        self._plans: weakref.WeakKeyDictionary[Celery, dict[Hashable, Plan]] = weakref.WeakKeyDictionary()

    @property
    def app(self) -> Celery | None:
        """The app of ``setup``."""
        return self.configuration.app

    @property
    def resolved(self) -> Config | None:
        """The configuration, unless nobody needed it yet."""
        return self.configuration.resolved

    def config(self, app: Celery) -> Config:
        """The configuration, read when it is first needed."""
        return self.configuration.of(app)

    def link_by_default(self) -> None:
        """Contrib was told to link: what was planned without that is planned anew."""
        self.configuration.link_by_default()
        self._planned = None
        self._plans.clear()

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
