"""What the instrumentor holds while it is active: the configuration, the tracer, the instruments and the plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any, Protocol

from celery import Celery
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanContext, TracerProvider

from celery_otel_links._config.conventions import Style
from celery_otel_links._config.modes import Patterns
from celery_otel_links._config.options import Config
from celery_otel_links._declared.names import CONTRIB_RUNTIME
from celery_otel_links._emit.metrics import Metrics
from celery_otel_links._emit.spans import Spans
from celery_otel_links._forks import forgets
from celery_otel_links._rules.policy import Policy, Settings
from celery_otel_links._tracing.plans import Plans
from celery_otel_links._version import __version__

_SPANS_COUNTED = 4096


class Configured(Protocol):
    """What says the configuration as soon as that is needed."""

    app: Celery | None
    """The app of ``setup``."""
    resolved: Config | None
    """The configuration, unless nobody needed it yet."""
    links_taken_over: bool
    """Whether contrib was configured to link."""

    def of(self, app: Celery) -> Config:
        """The configuration, read when it is first needed."""

    def link_by_default(self) -> None:
        """From now on ``default`` is ``link``, unless somebody says what it is."""


class Telemetry:
    """Configuration, tracer, instruments and plans of this process."""

    def __init__(
        self,
        *,
        configuration: Configured,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self._configuration = configuration
        self.spans: Spans = Spans(tracer_provider, __version__)
        self.metrics: Metrics = Metrics(meter_provider, __version__)
        self.published: PublishCounts = PublishCounts()
        self.style: Style = Style()
        """Which conventions are emitted, once the configuration is known."""
        self.flush_interval: float | None = None
        """How long after the end of a task everything is exported, if that is asked for."""
        self.settled: tuple[Config, Plans] | None = None
        """The configuration and the plans under it, once they were needed."""

    @property
    def app(self) -> Celery | None:
        """The app of ``setup``."""
        return self._configuration.app

    @property
    def resolved(self) -> Config | None:
        """The configuration, unless nobody needed it yet."""
        return self._configuration.resolved

    @property
    def links_taken_over(self) -> bool:
        """Whether contrib was configured to link."""
        return self._configuration.links_taken_over

    def settle(self, app: Celery) -> tuple[Config, Plans]:
        """The configuration and the plans under it: read when first needed, from the app of ``setup`` or this one."""
        if self.settled is None:
            config = self._configuration.of(app)
            self.style = Style.of(config.contrib_names)
            contrib = {CONTRIB_RUNTIME} if self.style.contrib_names else set()
            self.metrics.histograms = contrib.union(config.histograms, self.metrics.histograms)
            settings = Settings(config.default, config.fan_out, config.tasks.first, config.queues.first)
            # What turns out too late to be switched off gets no more spans while the rest is undone.
            exclude = config.exclude if config.enabled else Patterns({"*": "none"})
            plans = Plans(Policy(settings), exclude.first, config.trust.first, self.style)
            self.published.most, self.flush_interval = config.fan_out_threshold, config.flush_interval
            self.settled = (config, plans)
        return self.settled

    def link_by_default(self) -> None:
        """Contrib was configured to link: what was planned without that is planned anew."""
        self._configuration.link_by_default()
        self.settled = None

    @property
    def flush_timeout(self) -> float:
        """Seconds that a process which ends may spend on exporting what it still holds."""
        return (self.resolved or Config()).flush_timeout

    def providers(self) -> list[Any]:
        """The providers of spans, metrics and logs, by now."""
        providers: list[Any] = [self.spans.provider(), self.metrics.provider()]
        with suppress(ImportError):  # an API without logs
            from opentelemetry._logs import get_logger_provider

            providers.append(get_logger_provider())
        return providers


class PublishCounts:
    """How many messages each span has published, whichever thread or task of the process they came from."""

    def __init__(self) -> None:
        self.most: int | None = None
        """How many of them are no loop yet; None: any number."""
        self.forget()
        forgets(self)

    def forget(self) -> None:
        """In a forked child, which has published nothing yet."""
        self._counter: Callable[[int], Iterator[int]] = lru_cache(_SPANS_COUNTED)(count)

    def looped(self, span: SpanContext) -> bool:
        """Whether this span has published more than that many, with the message that it is publishing."""
        _, span_id, _, _, _, valid = span  # its properties are Python calls
        return valid and self.most is not None and self.with_one_more(span_id) > self.most

    def with_one_more(self, span_id: int) -> int:
        """The number of messages that this span has published, with the one that it is publishing."""
        counter = self._counter(span_id)
        number = next(counter) - span_id + 1  # each counts from the id of its span
        # Without a GIL several threads can be the first at once, each with a counter of which one is kept.
        if number == 1 and (kept := self._counter(span_id)) is not counter:
            number = next(kept) - span_id + 1
        return number
