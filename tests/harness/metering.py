"""Metrics of many processes in one file, a JSON object per export, and the reader that adds them up like a backend."""

from __future__ import annotations

import bisect
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

Labels = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Exemplar:
    """A value with the span (trace id, span id, hexadecimal) in which it was taken."""

    value: float
    key: tuple[str, str] | None


@dataclass(frozen=True)
class Point:
    """One series of one process as it was exported last; of a counter, the count alone."""

    pid: int
    scope: str
    name: str
    unit: str
    labels: Labels
    count: int
    sum: float = 0.0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()


@dataclass(frozen=True)
class Total:
    """What several series hold together."""

    count: int = 0
    sum: float = 0.0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()

    def __sub__(self, before: Total) -> Total:
        buckets = (
            now - then for now, then in zip(self.buckets, before.buckets or (0,) * len(self.buckets), strict=True)
        )
        return Total(self.count - before.count, self.sum - before.sum, self.bounds, tuple(buckets))

    def up_to(self, bound: float) -> int:
        """How many values are no greater than this boundary."""
        return sum(self.buckets[: self.bounds.index(bound) + 1])

    def quantile(self, share: float) -> float:
        """As a backend estimates it: linear between the boundaries of its bucket."""
        wanted, below = share * self.count, 0
        for index, count in enumerate(self.buckets):
            if below + count >= wanted and count:
                if index == len(self.bounds):
                    return self.bounds[-1]
                low, high = self.bounds[index - 1] if index else 0.0, self.bounds[index]
                return low + (high - low) * (wanted - below) / count
            below += count
        raise ValueError("there are no values")


def histogram(values: Iterable[float], bounds: tuple[float, ...]) -> Total:
    """The histogram of these values."""
    held, buckets = list(values), [0] * (len(bounds) + 1)
    for value in held:
        buckets[bisect.bisect_left(bounds, value)] += 1
    return Total(len(held), sum(held), bounds, tuple(buckets))


class JsonLinesMetricExporter(MetricExporter):
    """Appends each export as one line by one write, so that processes can share the file; safe to use after a fork."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._path = os.fspath(path)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, json.dumps([_encode(*one) for one in points(metrics_data)]).encode() + b"\n")
        finally:
            os.close(descriptor)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


@dataclass
class MetricFile:
    """A growing file of exports: every look reads what is new. Exemplars are exported once, and kept here."""

    path: Path
    _latest: dict[tuple[Any, ...], Point] = field(default_factory=dict)
    _offset: int = 0

    def points(self, name: str = "", **labels: Any) -> list[Point]:
        """The last point of every series of every process, with this name and these labels; `__` stands for a dot."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                complete, newline, _ = file.read().rpartition(b"\n")
            self._offset += len(complete) + len(newline)
            for line in complete.splitlines():
                for point in map(_decode, json.loads(line)):
                    key = (point.pid, point.scope, point.name, point.labels)
                    earlier = self._latest[key].exemplars if key in self._latest else ()
                    self._latest[key] = replace(point, exemplars=(*earlier, *point.exemplars))
        wanted = {key.replace("__", "."): value for key, value in labels.items()}.items()
        return [one for one in self._latest.values() if name in ("", one.name) and wanted <= dict(one.labels).items()]

    def total(self, name: str, **labels: Any) -> Total:
        """The sum over processes and series."""
        found = self.points(name, **labels)
        if not found:
            return Total()
        buckets = tuple(sum(counts) for counts in zip(*(one.buckets for one in found), strict=True))
        return Total(sum(one.count for one in found), sum(one.sum for one in found), found[0].bounds, buckets)


def points(data: MetricsData | None) -> Iterable[tuple[str, Any, Any]]:
    """Scope, metric and point of everything in a collection."""
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield scope.scope.name, metric, point


def _encode(scope: str, metric: Any, point: Any) -> dict[str, Any]:
    told = {"pid": os.getpid(), "scope": scope, "name": metric.name, "unit": metric.unit}
    told["labels"] = sorted(point.attributes.items())
    if hasattr(point, "bucket_counts"):
        told |= {"count": point.count, "sum": point.sum}
        told |= {"bounds": list(point.explicit_bounds), "buckets": list(point.bucket_counts)}
    else:
        told["count"] = point.value
    told["exemplars"] = [
        [one.value, one.trace_id and [f"{one.trace_id:032x}", f"{one.span_id:016x}"]]
        for one in getattr(point, "exemplars", ())
    ]
    return told


def _decode(record: Mapping[str, Any]) -> Point:
    exemplars = (Exemplar(value, (key[0], key[1]) if key else None) for value, key in record["exemplars"])
    lists = {name: tuple(record.get(name, ())) for name in ("bounds", "buckets")}
    labels = tuple((key, value) for key, value in record["labels"])
    return Point(**{**record, **lists, "labels": labels, "exemplars": tuple(exemplars)})
