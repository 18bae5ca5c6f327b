"""A meter provider for a command, from the variables of the environment, where nobody has made one."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any

import click
from opentelemetry import metrics

from celery_otel_links._worker.zero_code import by_protocol

NEEDS = "install what exports: pip install 'celery-otel-links[sdk,otlp]'"


def provide() -> None:
    """Set the global meter provider as ``OTEL_METRICS_EXPORTER`` and the exporter's own variables say.

    Raises:
        ClickException: the SDK or the exporter is not installed, or no exporter is asked for.
    """
    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    except ImportError as error:
        raise click.ClickException(f"there is no meter provider, and no SDK to make one; {NEEDS}") from error
    readers: list[Any] = []
    for name in os.environ.get("OTEL_METRICS_EXPORTER", "otlp").split(","):
        if name.strip() not in ("", "none"):
            made = _exporter(name.strip())()
            readers.append(made if isinstance(made, MetricReader) else PeriodicExportingMetricReader(made))
    if not readers:
        raise click.ClickException("OTEL_METRICS_EXPORTER names no exporter, so nothing would leave this process")
    metrics.set_meter_provider(MeterProvider(readers))


def _exporter(name: str) -> Any:
    """The class of this name in OpenTelemetry's entry points."""
    for found in entry_points(group="opentelemetry_metrics_exporter", name=by_protocol(name, "metrics", os.environ)):
        return found.load()
    raise click.ClickException(f"there is no exporter of metrics called {name!r} here; {NEEDS}")
