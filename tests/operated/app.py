"""The application of the workers that are operated: its log format names the task; it exports events to a file."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

from celery import Celery, signals
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import celery_otel_links
from celery_otel_links.logs import FIELDS, TaskContextFilter
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings
from tests.operated import MARK

FORMAT = f"%(levelname)s {MARK} " + " ".join(f"{name}=%({name})s" for name in FIELDS) + " : %(message)s"
settings = Settings.of_environment()
told: dict[str, Any] = json.loads(os.environ.get("OTEL_LINKS_TEST_OPERATED", "{}"))
app = Celery("operated", broker=settings.broker, backend=settings.backend)
app.conf.update(
    {"broker_connection_retry_on_startup": True, "worker_send_task_events": False, **settings.conf},
    worker_log_format=FORMAT,
    worker_task_log_format=FORMAT,
)
app.conf.otel_links = dict(settings.otel_links)
log = logging.getLogger("operated")


@signals.after_setup_logger.connect(weak=False)
@signals.after_setup_task_logger.connect(weak=False)
def add_the_filter(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.addFilter(TaskContextFilter())


@app.task(name="operated.say")
def say(text: str) -> None:
    log.warning("%s directly", text)
    thread = threading.Thread(target=copy_context().run, args=(log.warning, "%s in a thread", text))
    thread.start()
    thread.join()
    with trace.get_tracer("operated").start_as_current_span("inner"):
        log.warning("%s in a span", text)
    nested.apply((text,))


@app.task(name="operated.nested")
def nested(text: str) -> None:
    log.warning("%s eagerly", text)


@app.task(name="operated.sleeper")
def sleeper(seconds: float) -> None:
    time.sleep(seconds)


class Lines(getattr(log_export, "LogRecordExporter", None) or log_export.LogExporter):  # type: ignore[misc]
    """Writes one line of JSON for each record."""

    def export(self, batch: Sequence[Any]) -> Any:
        with open(told["logs"], "a") as file:
            for one in batch:
                record = one.log_record
                fields = {
                    "event": getattr(record, "event_name", None) or record.attributes["event.name"],
                    "trace": record.trace_id,
                    "span": record.span_id,
                    "at": record.timestamp / 1e9,
                    "attributes": dict(record.attributes),
                }
                file.write(json.dumps(fields) + "\n")

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(settings.spans)))
trace.set_tracer_provider(provider)
if "logs" in told:
    kind = getattr(log_export, "SimpleLogRecordProcessor", None)
    logs = LoggerProvider()
    logs.add_log_record_processor(kind(Lines()))
    _logs.set_logger_provider(logs)
celery_otel_links.setup(app)
app.set_current()
app.set_default()


@signals.worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
