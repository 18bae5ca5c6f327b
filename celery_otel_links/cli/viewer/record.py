"""What was exported, as plain records: OTLP's spans and histogram points in, `Span` and `Wait` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

LATENCY_METRIC = "celery.task.latency.queue"
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class Link:
    """One link of a span: where to, and its `celery.link.kind`."""

    trace_id: str
    span_id: str
    kind: str


@dataclass(frozen=True)
class Span:
    """One finished span; times in seconds since the epoch, `kind` in lower case ("producer", "consumer", …)."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    start: float
    end: float
    error: bool
    attributes: dict[str, Any]
    links: tuple[Link, ...] = ()
    message: str = ""
    """The description of its status."""

    @property
    def task(self) -> str:
        """The task's name, for spans of tasks."""
        return str(self.attributes.get("celery.task_name") or self.name.partition("/")[2])

    @property
    def is_run(self) -> bool:
        """Whether it is an attempt of a task."""
        return self.kind == "consumer"

    @property
    def state(self) -> str:
        """Celery's state at the end of a run (`SUCCESS`, `RETRY`, …); empty where it is not known."""
        return str(self.attributes.get("celery.state", ""))

    @property
    def went_wrong(self) -> bool:
        """Whether it failed, or never came to run."""
        return self.error or self.state in ("EXPIRED", "REVOKED")

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return int(self.attributes.get("celery.retries", 0)) + 1

    def latency(self, part: str) -> float | None:
        """`celery.latency.<part>` in seconds, if it was measured."""
        value = self.attributes.get(f"celery.latency.{part}")
        return float(value) if isinstance(value, (int, float)) else None


@dataclass(frozen=True)
class Wait:
    """What one process exported about one task at one time: how many runs, and their queue latency in total."""

    time: float
    task: str
    count: int
    seconds: float


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """All spans of one export."""
    for resource_spans in request.resource_spans:
        service = str(_plain(resource_spans.resource.attributes).get("service.name", ""))
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, service)


def _span(span: trace_pb2.Span, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=KINDS[span.kind] if span.kind < len(KINDS) else KINDS[0],
        service=service,
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes=_plain(span.attributes),
        links=tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), str(_plain(link.attributes).get("celery.link.kind", "link")))
            for link in span.links
        ),
        message=span.status.message,
    )


class Waits:
    """Turns exported histograms, which count from the start of their process, into what each export adds."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, ...], tuple[int, float]] = {}

    def of(self, request: ExportMetricsServiceRequest) -> Iterator[Wait]:
        """What is new in one export of queue latencies."""
        for resource_metrics in request.resource_metrics:
            process = _key(_plain(resource_metrics.resource.attributes))
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    if metric.name == LATENCY_METRIC:
                        for point in metric.histogram.data_points:
                            yield from self._news(process, point)

    def _news(self, process: tuple[Any, ...], point: Any) -> Iterator[Wait]:
        attributes = _plain(point.attributes)
        series = (process, point.start_time_unix_nano, _key(attributes))
        count, seconds = self._seen.get(series, (0, 0.0))
        self._seen[series] = (point.count, point.sum)
        if point.count > count:
            task = str(attributes.get("celery.task_name", ""))
            yield Wait(point.time_unix_nano / 1e9, task, point.count - count, point.sum - seconds)


def _key(attributes: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in attributes.items()))


def _plain(attributes: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    field = value.WhichOneof("value")
    if field == "array_value":
        return [_value(item) for item in value.array_value.values]
    if field == "kvlist_value":
        return _plain(value.kvlist_value.values)
    if field == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, field) if field else None
