"""Where spans and metrics go, as far as providers let it be seen: what others have configured, in words.

Only the attributes of providers are read, most of them private ones of the SDK, and each may be missing: then what it
would say is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, TracerProvider

from celery_otel_links._config.options import Config

NOWHERE = (
    "no span goes anywhere: there is no OpenTelemetry tracer provider by now; call trace.set_tracer_provider(), "
    "or start with opentelemetry-instrument"
)
NO_PROCESSOR = "no span goes anywhere: the tracer provider has no span processor; add one, or set OTEL_TRACES_EXPORTER"
RATIO = (
    "the sampler %s decides on linked tasks by chance, whatever was decided on what they link to; put it into "
    "celery_otel_links.sampling.LinkedSampler, or set OTEL_TRACES_SAMPLER=linked_traceidratio"
)
PROMETHEUS = (
    "the Prometheus exporter shows the metrics of one process, and the prefork pool runs tasks in others; export by "
    "OTLP to a collector that Prometheus scrapes"
)
_RATIO = re.compile(r"ratio", re.IGNORECASE)
_CERTAIN = re.compile(r"ratio[a-z]*[={]\s*(0|1)(\.0*)?\s*[},]", re.IGNORECASE)
"""A ratio of everything or of nothing."""


class Destinations(NamedTuple):
    """Where the telemetry of this process goes by now."""

    spans: str | None
    """The exporters of spans; None: there is no provider."""
    sampler: str | None
    metrics: str | None
    processors: bool
    """Whether the provider of spans hands them to anybody, as far as can be seen."""

    @property
    def by_chance(self) -> bool:
        """Whether a ratio decides on each linked root by itself."""
        sampler = self.sampler or ""
        return bool(_RATIO.search(sampler)) and "LinkedSampler" not in sampler and not _CERTAIN.search(sampler)

    @property
    def scraped(self) -> bool:
        """Whether metrics wait in this process until somebody asks for them."""
        return "Prometheus" in (self.metrics or "")

    def line(self, version: str, config: Config) -> str:
        """All of it in one line."""
        nowhere = "nowhere by now"
        return (
            f"celery-otel-links {version}: spans to {self.spans or nowhere}, sampler {self.sampler or 'unknown'}, "
            f"metrics to {self.metrics or nowhere}, default {config.default}, fan-out {config.fan_out}"
        )


def destinations(tracers: TracerProvider, meters: MeterProvider) -> Destinations:
    """What these providers do with what they are given."""
    sampler = getattr(tracers, "sampler", None)
    describe = getattr(sampler, "get_description", None)
    processors = getattr(getattr(tracers, "_active_span_processor", None), "_span_processors", None)
    return Destinations(
        spans=_listed(tracers, (NoOpTracerProvider, ProxyTracerProvider), map(_exporter, processors or ())),
        sampler=describe() if callable(describe) else None,
        metrics=_listed(meters, (NoOpMeterProvider,), map(_exporter, _readers(meters))),
        processors=processors is None or len(processors) > 0,
    )


def _listed(provider: Any, empty: tuple[type, ...], exporters: Iterator[str]) -> str | None:
    kind = type(provider)
    if isinstance(provider, empty) or kind.__name__ == "_ProxyMeterProvider":
        return None
    if getattr(provider, "_disabled", False):
        return "nowhere (OTEL_SDK_DISABLED)"
    return ", ".join(exporters) or f"{kind.__module__}.{kind.__qualname__}"


def _readers(meters: Any) -> tuple[Any, ...]:
    older = getattr(getattr(meters, "_sdk_config", None), "metric_readers", ())
    return tuple(getattr(meters, "_metric_readers", None) or older)


def _exporter(holder: Any) -> str:
    """The exporter in a processor or reader, or that itself, with the host that it sends to."""
    batch = getattr(holder, "_batch_processor", holder)  # from 1.34 on
    exporter = getattr(batch, "span_exporter", None) or getattr(batch, "_exporter", None) or holder
    endpoint = getattr(exporter, "_endpoint", None)
    name = type(exporter).__name__
    return f"{name}({_without_secrets(endpoint)})" if isinstance(endpoint, str) else name


def _without_secrets(endpoint: str) -> str:
    """``http://collector:4318/v1/traces`` without user, password and query."""
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().removeprefix("//")
