"""The public API as a typed application uses it: mypy and pyright check this file, nothing runs it."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, Task
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Span, TracerProvider
from typing_extensions import assert_type

from celery_otel_links import (
    CeleryLinksInstrumentor,
    Config,
    ConfigError,
    __version__,
    attach,
    capture,
    propagation,
    setup,
)
from celery_otel_links.logs import TaskContextFilter
from celery_otel_links.sampling import LinkedSampler
from celery_otel_links.testing import captured_spans
from celery_otel_links.typed import shared_task

app: Celery = setup(Celery("shop"), config={"tasks": {"reports.*": "link"}, "delay_threshold": 60.0})
sampler = LinkedSampler(TraceIdRatioBased(0.1))
log_filter: logging.Filter = TaskContextFilter()


def configured(tracers: TracerProvider, meters: MeterProvider) -> Config:
    config = Config.from_mapping({"default": "child"})
    try:
        setup(Celery("bank"), config=config, tracer_provider=tracers, meter_provider=meters)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    return config


def tag(span: Span, _: object) -> None:
    span.set_attribute("shop.tenant", "acme")


@propagation("link")
def decorated(number: int) -> int:
    return number


def in_a_block() -> int:
    with propagation("none"):
        return decorated(1)


def handed_over() -> dict[str, str]:
    carrier = capture()
    with attach(carrier):
        mail.delay("acme")
    return carrier


class Report(Task[Any, Any]):
    """Tasks of this class are linked."""

    otel_propagation = "link"


@shared_task
def plain(number: int) -> int:
    return number


@shared_task(otel_propagation="link")
def mail(address: str) -> bool:
    return bool(address)


@shared_task(bind=True, name="shop.pack", otel_propagation="none")
def pack(self: Task[Any, Any], number: int) -> int:
    return number


@shared_task(base=Report, name="shop.report")
def report(number: int) -> None: ...


@app.task(otel_propagation="link")
def of_app(number: int) -> int:
    return number


@app.task(base=Report)
def of_class(number: int) -> int:
    return number


def called() -> None:
    assert_type(mail.delay("acme").get(), bool)
    app.send_task("shop.mail", ("acme",), otel_propagation="child")
    mail.apply_async(("acme",), headers={"otel-propagation": "child"})
    with propagation("child"):
        mail.s("acme").apply_async()


def seen() -> str:
    with captured_spans(app) as captured:
        return captured.forest()


release: str = __version__
everything: Config = Config(
    enabled=True, default="link", contrib_names=True, histograms=("celery.task.duration",), started_after=30
)
hooked: Config = Config.from_mapping(
    {"publish_hook": tag, "run_hook": tag, "baggage": ["tenant"], "trust": {"*": "none"}}
)


CeleryLinksInstrumentor().instrument(app=app)
CeleryLinksInstrumentor().uninstrument()
