"""The application of workers that Prometheus scrapes, at the port that the environment says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import prometheus_client
from celery import Celery, signals
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import NoOpTracerProvider

import celery_otel_links
from tests.harness.workers import Settings

settings = Settings.of_environment()
prometheus_client.start_http_server(int(os.environ["OTEL_LINKS_TEST_PORT"]), "127.0.0.1")
app = Celery("alerted", broker=settings.broker, backend=settings.backend, set_as_current=True)
app.conf.update({"broker_connection_retry_on_startup": True, "worker_send_task_events": False, **settings.conf})
celery_otel_links.setup(
    app, tracer_provider=NoOpTracerProvider(), meter_provider=MeterProvider([PrometheusMetricReader()])
)


@app.task(name="alerted.work")
def work(seconds: float = 0.0) -> None:
    time.sleep(seconds)


@app.task(name="alerted.fail")
def fail() -> None:
    raise LookupError("on purpose")


@app.task(name="alerted.die")
def die() -> None:
    """As the kernel does it where there is no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


@signals.worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
