"""The public API as a typed application uses it: mypy checks this file in strict mode, nothing runs it."""

from __future__ import annotations

from celery import Celery
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import TracerProvider

from celery_otel_links import CeleryLinksInstrumentor, Config, ConfigError, __version__, propagation, setup
from celery_otel_links.sampling import LinkedSampler

app: Celery = setup(Celery("shop"), config={"tasks": {"reports.*": "link"}, "delay_threshold": 60.0})
sampler = LinkedSampler(TraceIdRatioBased(0.1))


def configured(tracers: TracerProvider, meters: MeterProvider) -> Config:
    config = Config.from_mapping({"default": "child"})
    try:
        setup(Celery("bank"), config=config, tracer_provider=tracers, meter_provider=meters)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    return config


@propagation("link")
def decorated(number: int) -> int:
    return number


def in_a_block() -> int:
    with propagation("none"):
        return decorated(1)


def wrong() -> None:
    propagation("links")  # type: ignore[arg-type]
    decorated("one")  # type: ignore[arg-type]
    setup(app, config={"defualt": "link"})  # type: ignore[arg-type]
    setup(app, config={"default": "lnik"})  # type: ignore[arg-type]
    Config.from_mapping({"delay_threshold": "soon"})  # type: ignore[arg-type]
    Config(defualt="link")  # type: ignore[call-arg]


release: str = __version__
everything: Config = Config(
    enabled=True, default="link", contrib_names=True, histograms=("celery.task.duration",), started_after=30
)


CeleryLinksInstrumentor().instrument(app=app)
CeleryLinksInstrumentor().uninstrument()
