"""The instrumentor: which receiver listens to which signal, and the one function that is wrapped. No decisions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import celery
import wrapt
from celery import Celery, signals
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from celery_otel_links._config.options import Config, ConfigError
from celery_otel_links._config.sources import config_of, read_config
from celery_otel_links._contrib import Predecessor
from celery_otel_links._errors import guarded
from celery_otel_links._tracing.beat import tick
from celery_otel_links._tracing.handover import OnCommit
from celery_otel_links._tracing.publish import Publisher
from celery_otel_links._tracing.run import Runner, report
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker import startup as _start
from celery_otel_links._worker.attempt_board import AttemptBoard
from celery_otel_links._worker.child import Child
from celery_otel_links._worker.last_flush import ChildFlush, ExitFlush
from celery_otel_links._worker.lost_attempts import LostAttempts
from celery_otel_links._worker.method_hooks import during
from celery_otel_links._worker.never_ran import NeverRan
from celery_otel_links._worker.periodic_flush import PeriodicFlush
from celery_otel_links._worker.receipts import Receipts
from celery_otel_links._worker.takeover import Takeover

logger = logging.getLogger("celery_otel_links")


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
        unknown = options.keys() - {"app", "config", "tracer_provider", "meter_provider"}
        if unknown:
            allowed = "app, config, tracer_provider, meter_provider"
            raise ConfigError(f"instrument(): {', '.join(sorted(unknown))!r} is not an option; allowed: {allowed}.")
        given = options.get("config")
        self.telemetry = Telemetry(
            app=options.get("app"),
            config=Config.from_mapping(given) if isinstance(given, Mapping) else given,
            read=config_of,
            tracer_provider=options.get("tracer_provider"),
            meter_provider=options.get("meter_provider"),
        )
        self._board = AttemptBoard()
        self._child = Child(self._board)
        receipts, reported = Receipts(), partial(report, self.telemetry)
        takeover = Takeover(self._board, reported)
        self._lost = LostAttempts(self._board, receipts, takeover)
        self._never_ran = NeverRan(receipts, reported)
        self._periodic_flush = PeriodicFlush(self.telemetry)
        self._child_flush = ChildFlush(self.telemetry)
        self._exit_flush = ExitFlush(self.telemetry, takeover.settle)
        self._publisher = Publisher(self.telemetry)
        self._runner = Runner(self.telemetry, begin=self._child.begin, claim=self._child.claim, ended=self._task_ended)
        wrapt.wrap_function_wrapper(celery.Celery, "send_task", self._publisher.send_task)
        self._on_commit = OnCommit()
        for signal, receiver in self._wiring():
            signal.connect(receiver, weak=False)
        self._predecessor = Predecessor()
        self._predecessor.switch_off()

    def _uninstrument(self, **_: Any) -> None:
        for signal, receiver in self._wiring():
            signal.disconnect(receiver)
        unwrap(celery.Celery, "send_task")
        self._on_commit.release()
        self._exit_flush.remove()
        self._predecessor.release()
        self.telemetry = None

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
            (signals.task_rejected, self.task_rejected),
            (signals.task_unknown, self.task_unknown),
            (signals.worker_process_init, self.worker_process_init),
            (signals.worker_shutting_down, self.worker_shutting_down),
            (signals.worker_process_shutdown, self.worker_process_shutdown),
            (signals.beat_init, self.beat_init),
            (signals.beat_embedded_init, self.beat_embedded_init),
        )

    @guarded
    def celeryd_init(self, *, instance: Any, **_: Any) -> None:
        if self.telemetry is not None:
            _start.install(instance, self.telemetry, self._board)

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
    def task_rejected(self, *, sender: Any, message: Any, **_: Any) -> None:
        self._never_ran.rejected(sender.app, message)

    @guarded
    def task_unknown(self, *, sender: Any, message: Any, name: str, **_: Any) -> None:
        self._never_ran.unknown(sender.app, message, name)

    @guarded
    def worker_ready(self, *, sender: Any, **_: Any) -> None:
        self._exit_flush.install()
        self._lost.watch(sender)
        self._never_ran.watch(sender)

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
        during(sender.scheduler, "apply_async", tick)

    @guarded
    def beat_embedded_init(self, **_: Any) -> None:
        self._child_flush.in_embedded_beat()


def setup(
    app: Celery,
    *,
    config: Config | Mapping[str, Any] | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Celery:
    """Trace ``app``; in producers and workers alike, next to where the app is made. Returns the app.

    The configuration is ``config``, or else ``app.conf.otel_links``, read when it is first needed. It holds for the
    whole process, since Celery's publish signals do not say which app they come from.

    Raises:
        ConfigError: something in the configuration is wrong, or it is another one than the process has already.
    """
    given = Config.from_mapping(config) if isinstance(config, Mapping) else config
    if given is None and getattr(app, "configured", False):
        given = read_config(app)
    instrumentor = CeleryLinksInstrumentor()
    telemetry = instrumentor.telemetry
    if telemetry is None:
        instrumentor.instrument(
            app=app, config=config and given, tracer_provider=tracer_provider, meter_provider=meter_provider
        )
    else:
        telemetry.join(app, given)
    return app
