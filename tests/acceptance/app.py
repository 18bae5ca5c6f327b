"""The application that the scenarios' workers run: the shop, instrumented, its spans going to a file."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Task
from celery.signals import task_prerun, worker_ready
from celery.utils.log import get_task_logger
from opentelemetry import context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from celery_otel_links._wire import store_threads
from tests.acceptance import ambient
from tests.acceptance.shop import open_shop
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings

settings = Settings.of_environment()
app = open_shop(settings.broker, settings.backend, settings.conf)
app.set_current()
app.set_default()
logger = get_task_logger(__name__)


def _processor() -> SpanProcessor:
    exporter = JsonLinesSpanExporter(settings.spans)
    if settings.processor == "batch":
        return BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000, max_queue_size=8192)
    return SimpleSpanProcessor(exporter)


@worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))


# A busy machine may be slower than what a header task waits for the store; how long that is, one test says.
store_threads.TIMEOUT = float(os.environ.get("OTEL_LINKS_TEST_TIMEOUT", "10"))


@task_prerun.connect(weak=False)  # the first receiver: before anybody has attached anything for this task
def complain_of_what_the_last_task_left(task: Task, **_: object) -> None:
    if not task.request.is_eager and context.get_current():
        logger.error("Left attached: %r", context.get_current())


provider = TracerProvider(resource=Resource.create({"service.name": "worker"}))
provider.add_span_processor(_processor())
app.conf.otel_links = dict(settings.otel_links)

for one in settings.instrumentation.split("-then-"):
    if one == "contrib":
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().instrument(tracer_provider=provider)
    elif one == "ours":
        import celery_otel_links

        celery_otel_links.setup(app, tracer_provider=provider)
    elif one in ("attach", "detach"):
        getattr(ambient, one)()
