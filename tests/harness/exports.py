"""OTLP exports, whatever process they come from: their attributes, and what of them is not declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.harness.declared import Ended, Undeclared, in_metric, in_span


def in_export(path: str, body: bytes) -> Iterator[Undeclared]:
    """`path` ends with that of OTLP/HTTP."""
    if path.endswith("/v1/traces"):
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield from in_span(_ended(scope.scope.name, span))
    elif path.endswith("/v1/metrics"):
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    data = getattr(metric, kind)
                    series = [attributes(point.attributes) for point in data.data_points]
                    kind = "counter" if kind == "sum" and data.is_monotonic else kind
                    yield from in_metric(scope.scope.name, metric.name, metric.unit, kind, series)


def kind_of(span: trace_pb2.Span) -> str:
    """`PRODUCER`, `CONSUMER`, …"""
    return trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _ended(scope: str, span: trace_pb2.Span) -> Ended:
    return Ended(
        scope=scope,
        kind=kind_of(span),
        name=span.name,
        attributes=attributes(span.attributes),
        links=[attributes(link.attributes) for link in span.links],
        events=[(event.name, attributes(event.attributes)) for event in span.events],
        dropped=span.dropped_attributes_count,
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
