"""Where spans and metrics go, as far as providers let it be seen: what others have configured, in words.

Only the attributes of providers are read, most of them private ones of the SDK, and each may be missing: then what it
would say is left out. Where one raises, that is noted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, TracerProvider

from celery_otel_links._config.options import Config
from celery_otel_links._errors import in_words

T = TypeVar("T")
NOWHERE = (
    "no span goes anywhere: there is no OpenTelemetry tracer provider by now; call trace.set_tracer_provider(), "
    "or start with opentelemetry-instrument"
)
DISABLED = "nowhere (OTEL_SDK_DISABLED)"
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
    exporters: Mapping[str, Any]
    """The exporters of spans, by names that differ."""
    unknown: tuple[str, ...]
    """What can't be described, and why: a sentence for each."""

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
    unknown: list[str] = []
    processors = getattr(getattr(tracers, "_active_span_processor", None), "_span_processors", None)
    handed = processors is None or len(processors) > 0
    named = _named(processors or (), unknown)
    spans = _listed(tracers, (NoOpTracerProvider, ProxyTracerProvider), named)
    exporters = {name: exporter for name, exporter in named.items() if exporter is not None}
    if spans is not None and handed and not exporters:
        unknown.append(f"whether spans are exported can't be described: {spans} shows no exporter")
    return Destinations(
        spans=spans,
        sampler=noted(unknown, "the sampler", lambda: _description(getattr(tracers, "sampler", None))),
        metrics=_listed(meters, (NoOpMeterProvider,), _named(_readers(meters), unknown)),
        processors=handed,
        exporters=exporters,
        unknown=tuple(unknown),
    )


def noted(unknown: list[str], what: str, ask: Callable[[], T]) -> T | None:
    """What ``ask`` returns; where it raises, which code of others may do for any reason, None, and a sentence more."""
    try:
        return ask()
    except Exception as error:
        unknown.append(f"{what} can't be described: {in_words(error)}")
        return None


def _description(sampler: Any) -> str | None:
    return None if sampler is None else str(sampler.get_description())


def _listed(provider: Any, empty: tuple[type, ...], names: Iterable[str]) -> str | None:
    kind = type(provider)
    if isinstance(provider, empty) or kind.__name__ == "_ProxyMeterProvider":
        return None
    if getattr(provider, "_disabled", False):
        return DISABLED
    return ", ".join(names) or f"{kind.__module__}.{kind.__qualname__}"


def _readers(meters: Any) -> tuple[Any, ...]:
    older = getattr(getattr(meters, "_sdk_config", None), "metric_readers", ())
    return tuple(getattr(meters, "_metric_readers", None) or older)


def _named(holders: Iterable[Any], unknown: list[str]) -> dict[str, Any]:
    """The exporters in processors or readers, each with the host that it sends to; None where one is not seen."""
    named: dict[str, Any] = {}
    for holder in holders:
        exporter = noted(unknown, type(holder).__name__, partial(_exporter, holder))
        kind = type(holder if exporter is None else exporter).__name__
        endpoint = noted(unknown, f"the endpoint of {kind}", partial(_endpoint, exporter))
        name = kind if endpoint is None else f"{kind}({endpoint})"
        alike = sum(other.partition(" #")[0] == name for other in named)
        named[f"{name} #{alike + 1}" if alike else name] = exporter
    return named


def _exporter(holder: Any) -> Any:
    """The exporter of a processor or a reader."""
    batch = getattr(holder, "_batch_processor", holder)  # from 1.34 on
    exporter = getattr(batch, "span_exporter", None)
    return getattr(batch, "_exporter", None) if exporter is None else exporter


def _endpoint(exporter: Any) -> str | None:
    endpoint = getattr(exporter, "_endpoint", None)
    return _without_secrets(endpoint) if isinstance(endpoint, str) else None


def _without_secrets(endpoint: str) -> str:
    """``http://collector:4318/v1/traces`` without user, password and query."""
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().removeprefix("//")
