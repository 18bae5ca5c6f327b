"""Metrics of many processes in one file: a JSON object for every data point that is exported."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData


class JsonLinesMetricExporter(MetricExporter):
    """Appends each data point as one line by one write."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            for point in _points(metrics_data):
                os.write(descriptor, json.dumps({**point, "pid": os.getpid()}).encode() + b"\n")
        finally:
            os.close(descriptor)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


def points(path: Path) -> list[dict[str, Any]]:
    """All data points that were exported so far: `name`, `count`, `attributes`, `pid`."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _points(data: MetricsData) -> Iterator[dict[str, Any]]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    count = getattr(point, "count", None) or getattr(point, "value", 0)
                    yield {"name": metric.name, "count": count, "attributes": dict(point.attributes or {})}
