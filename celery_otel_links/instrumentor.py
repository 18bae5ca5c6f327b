"""The instrumentor: which receiver listens to which signal, and the one function that is wrapped. No decisions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import celery
import wrapt
from celery import Celery, signals
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from celery_otel_links._config import notices
from celery_otel_links._config.early import EarlyLook
from celery_otel_links._config.options import Config, Options
from celery_otel_links._config.sources import ARGUMENTS, Configuration
from celery_otel_links._contrib import Contrib
from celery_otel_links._errors import guarded
from celery_otel_links._tracing.beat import tick
from celery_otel_links._tracing.handover import OnCommit
from celery_otel_links._tracing.publish import Publisher
from celery_otel_links._tracing.run import Runner, report
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker import startup
from celery_otel_links._worker.announcements import Announcements
from celery_otel_links._worker.attempt_board import AttemptBoard
from celery_otel_links._worker.child import Child
from celery_otel_links._worker.gauges import Gauges
from celery_otel_links._worker.lost_attempts import LostAttempts
from celery_otel_links._worker.method_hooks import during
from celery_otel_links._worker.never_ran import NeverRan
from celery_otel_links._worker.process_flush import ChildFlush, ExitFlush, PeriodicFlush
from celery_otel_links._worker.receipts import Receipts
from celery_otel_links._worker.started_after import StartedAfter
from celery_otel_links._worker.takeover import Takeover
from celery_otel_links._worker.termination import Termination

logger: logging.Logger = logging.getLogger("celery_otel_links")


class CeleryLinksInstrumentor(BaseInstrumentor):  # type: ignore[misc, unused-ignore]
    """Traces every Celery app of this process.

    There is one per process, however often it is made. Options of :meth:`instrument`, all optional: ``app``, the
    Celery app whose configuration counts; ``config``, a :class:`Config` or a mapping, instead of the app's;
    ``tracer_provider`` and ``meter_provider``, instead of the global ones.
    """

    telemetry: Telemetry | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The releases of Celery that this works with."""
        return ("celery >= 5.2",)

    def _instrument(self, **options: Any) -> None:
        arguments = {name: options.pop(name, None) for name in ARGUMENTS}
        app, given = arguments.pop("app"), arguments.pop("config")
        configuration = Configuration(app=app, given=given, options=options)
        # Without an app nobody wrote this call: opentelemetry-instrument would give up what comes after us.
        found = configuration.report(None) if app is None and given is None else configuration.checked(app)
        if not found.config.enabled:
            return
        self.configuration = configuration
        self.telemetry = telemetry = Telemetry(configuration=configuration, **arguments)
        self._board = AttemptBoard()
        termination = Termination(lambda: telemetry.flush_timeout)
        self._child = Child(self._board, termination)
        self.receipts: Receipts = Receipts()
        reported = partial(report, self.telemetry)
        takeover = Takeover(self._board, reported)
        self._lost = LostAttempts(self._board, self.receipts, takeover)
        self._never_ran = NeverRan(self.receipts, reported)
        self._periodic_flush = PeriodicFlush(self.telemetry)
        self._child_flush = ChildFlush(telemetry, termination)
        self._exit_flush = ExitFlush(self.telemetry, takeover.settle)
        self._publisher = Publisher(self.telemetry, self._enabled)
        self._runner = Runner(self.telemetry, begin=self._child.begin, claim=self._child.claim, ended=self._task_ended)
        wrapt.wrap_function_wrapper(celery.Celery, "send_task", self._publisher.send_task)
        self._on_commit = OnCommit()
        self._announcements = Announcements(self.telemetry)
        self._started_after = StartedAfter(self.telemetry)
        for signal, receiver in self._wiring():
            signal.connect(receiver, weak=False)
        self._contrib = Contrib(self.telemetry.link_by_default)
        self._contrib.switch_off()
        self.early_look: EarlyLook = EarlyLook(configuration, self._disable)
        self.early_look.begin()

    def _uninstrument(self, **_: Any) -> None:
        if self.telemetry is None:  # it was not enabled
            return
        for signal, receiver in self._wiring():
            signal.disconnect(receiver)
        unwrap(celery.Celery, "send_task")
        self._on_commit.release()
        self._exit_flush.remove()
        self._contrib.release()
        self.early_look.end()
        self.telemetry = None
        notices.forget()

    def _disable(self) -> None:
        if self.telemetry is not None:
            self.uninstrument()

    def _enabled(self, app: Celery) -> bool:
        """Whether anything is to be done, which may turn out when the settings of ``app`` are first needed."""
        if not self.configuration.of(app).enabled:
            self._disable()  # unless loading the settings has done it
        return self.telemetry is not None

    def _wiring(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        return (
            (signals.celeryd_init, self.celeryd_init),
            (signals.worker_ready, self.worker_ready),
            (signals.before_task_publish, self._publisher.before_task_publish),
            (signals.task_received, self.task_received),
            (signals.task_prerun, self._runner.task_prerun),
            (signals.task_postrun, self._runner.task_postrun),
            (signals.task_failure, self.task_failure),
            (signals.task_retry, self.task_retry),
            (signals.task_revoked, self.task_revoked),
            *self._never_ran.wiring(),
            (signals.worker_process_init, self.worker_process_init),
            (signals.worker_shutting_down, self.worker_shutting_down),
            (signals.worker_process_shutdown, self.worker_process_shutdown),
            (signals.beat_init, self.beat_init),
            (signals.beat_embedded_init, self.beat_embedded_init),
            *self._announcements.wiring(),
            *self._started_after.wiring(),
            (signals.task_postrun, self.first_end),
        )

    @guarded
    def celeryd_init(self, *, instance: Any, **_: Any) -> None:
        telemetry = self.telemetry
        if self._enabled(instance.app) and telemetry is not None:
            startup.install(instance, telemetry, self._board, self.configuration.checked)

    @guarded
    def first_end(self, **_: Any) -> None:
        """An eager task may be the first that needs the configuration; it has to end before everything is undone."""
        signals.task_postrun.disconnect(self.first_end)
        if self.telemetry is not None and self.telemetry.resolved is not None and not self.telemetry.resolved.enabled:
            self._disable()

    @guarded
    def task_received(self, *, request: Any, **_: Any) -> None:
        self._lost.received(request)

    def _task_ended(self, state: str | None) -> None:
        if state is None and self._child.runs_tasks:
            self._child_flush.after_task()
        self._periodic_flush.after_task()

    @guarded
    def task_failure(self, *, task_id: str, exception: BaseException, **_: Any) -> None:
        self._lost.failed(task_id, exception)

    @guarded
    def task_retry(self, *, request: Any, reason: Any = None, **_: Any) -> None:
        self._lost.failed(request.id, getattr(reason, "exc", None))

    @guarded
    def task_revoked(
        self, *, request: Any, terminated: bool = False, signum: Any = None, expired: bool = False, **_: Any
    ) -> None:
        if not (terminated and self._lost.terminated(request, signum)):
            self._never_ran.revoked(request, expired=expired)

    @guarded
    def worker_ready(self, *, sender: Any, **_: Any) -> None:
        self._exit_flush.install()
        self._exit_flush.prepare()
        self._lost.watch(sender)
        self._never_ran.watch(sender)
        if self.telemetry is not None:
            self.telemetry.metrics.observe(Gauges(sender).by_name())

    @guarded
    def worker_shutting_down(self, **_: Any) -> None:
        self._exit_flush.begin()

    @guarded
    def worker_process_init(self, **_: Any) -> None:
        self._child.started()

    @guarded
    def worker_process_shutdown(self, **_: Any) -> None:
        self._child_flush.flush()

    @guarded
    def beat_init(self, *, sender: Any, **_: Any) -> None:
        self._exit_flush.install()
        during(sender.scheduler, "apply_async", self._ticking)
        if self.telemetry is not None:
            self.telemetry.metrics.in_beat()

    @contextmanager
    def _ticking(self, *arguments: Any, **options: Any) -> Iterator[None]:
        self._exit_flush.prepare()
        with tick(*arguments, **options):
            yield

    @guarded
    def beat_embedded_init(self, **_: Any) -> None:
        self._child_flush.in_embedded_beat()


def setup(
    app: Celery,
    *,
    config: Config | Options | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Celery:
    """Trace ``app``; in producers and workers alike, next to where the app is made. Returns the app.

    The configuration is ``config``, or else ``app.conf.otel_links``. It is looked at here if the app is configured by
    now, and else as soon as it is. It holds for the whole process, since Celery's publish signals do not say which app
    they come from.

    Raises:
        ConfigError: something in the configuration is wrong, or it is another one than the process has already.
    """
    instrumentor = CeleryLinksInstrumentor()
    if not Configuration(app=app, given=config).checked(app).config.enabled:
        if instrumentor.telemetry is not None:
            instrumentor.uninstrument()
        return app
    telemetry = instrumentor.telemetry
    if telemetry is None:
        if instrumentor.is_instrumented_by_opentelemetry:  # and was not enabled then
            instrumentor.uninstrument()
        instrumentor.instrument(app=app, config=config, tracer_provider=tracer_provider, meter_provider=meter_provider)
    else:
        instrumentor.configuration.join(app, config)
        instrumentor.early_look.at(app)
    return app
