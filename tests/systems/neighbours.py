"""Others that live in the same process, each set up as its own documentation says, and silent towards the outside."""

from __future__ import annotations

import logging as python_logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings
from tests.lifecycle.metering import JsonLinesMetricExporter
from tests.systems import django_site

FOLDER = Path(os.environ.get("OTEL_LINKS_TEST_FOLDER", "."))
NOWHERE = "http://127.0.0.1:9"
LIBRARIES = {
    "django": "django",
    "sentry": "sentry_sdk",
    "ddtrace": "ddtrace",
    "elastic": "elasticapm",
    "structlog": "django_structlog",
    "correlation": "asgi_correlation_id",
    "redis": "opentelemetry.instrumentation.redis",
    "logging": "opentelemetry.instrumentation.logging",
    "threading": "opentelemetry.instrumentation.threading",
    "results": "django_celery_results",
    "logfire": "logfire",
}


def django() -> None:
    django_site.configure(FOLDER)


def sentry() -> None:
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration

    sentry_sdk.init(
        dsn="http://nobody@127.0.0.1:9/1",
        transport=lambda _: None,
        traces_sample_rate=1.0,
        integrations=[CeleryIntegration(monitor_beat_tasks=True)],
    )


def ddtrace() -> None:
    os.environ.update(
        DD_TRACE_AGENT_URL=NOWHERE,
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_CELERY_DISTRIBUTED_TRACING="true",
    )
    import ddtrace

    python_logging.getLogger("ddtrace").setLevel(python_logging.CRITICAL)  # nobody listens there
    ddtrace.patch(celery=True)


def elastic() -> None:
    import elasticapm
    from elasticapm.contrib.celery import register_exception_tracking, register_instrumentation

    client = elasticapm.Client(service_name="store", server_url=NOWHERE, disable_send=True, cloud_provider=False)
    elasticapm.instrument()
    register_exception_tracking(client)
    register_instrumentation(client)


def structlog() -> None:
    import structlog
    from django_structlog.celery.steps import DjangoStructLogInitStep

    django()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()],
        logger_factory=lambda *_: structlog.WriteLogger(open(FOLDER / "structlog", "a")),  # noqa: SIM115
    )
    structlog.contextvars.bind_contextvars(request_id="of the request", user_id=7)
    from celery import current_app

    current_app.steps["worker"].add(DjangoStructLogInitStep)


def correlation() -> None:
    from asgi_correlation_id.context import correlation_id
    from asgi_correlation_id.extensions.celery import load_celery_current_and_parent_ids, load_correlation_ids

    load_correlation_ids()
    load_celery_current_and_parent_ids()
    correlation_id.set("of-the-request")


def redis() -> None:
    from opentelemetry.instrumentation.redis import RedisInstrumentor

    RedisInstrumentor().instrument()


def logging() -> None:
    from opentelemetry.instrumentation.logging import LoggingInstrumentor

    LoggingInstrumentor().instrument(inject_trace_context=True)
    handler = python_logging.FileHandler(FOLDER / "log")
    handler.setFormatter(python_logging.Formatter("%(message)s %(otelTraceID)s %(otelSpanID)s"))
    python_logging.getLogger("store").addHandler(handler)


def threading() -> None:
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    ThreadingInstrumentor().instrument()


def results() -> None:
    django()


def logfire() -> None:
    import logfire
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = JsonLinesSpanExporter(Settings.of_environment().spans)
    reader = PeriodicExportingMetricReader(JsonLinesMetricExporter(str(FOLDER / "metrics")), 500)
    logfire.configure(
        send_to_logfire=False,
        console=False,
        service_name="store",
        additional_span_processors=[SimpleSpanProcessor(exporter)],
        distributed_tracing=True,
        metrics=logfire.MetricsOptions(additional_readers=[reader]),
    )


ALL: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        *(django, sentry, ddtrace, elastic, structlog, correlation),
        *(redis, logging, threading, results, logfire),
    )
}


@contextmanager
def request(beside: list[str]) -> Iterator[None]:
    """A request as a web framework would have it, for those of the neighbours that trace requests."""
    with ExitStack() as stack:
        if "sentry" in beside:
            import sentry_sdk

            stack.enter_context(sentry_sdk.start_transaction(op="http.server", name="request"))
        if "ddtrace" in beside:
            from ddtrace.trace import tracer

            stack.enter_context(tracer.trace("request"))
        if "elastic" in beside:
            import elasticapm

            client = elasticapm.get_client()
            client.begin_transaction("request")
            stack.callback(client.end_transaction, "request", "success")
        yield
