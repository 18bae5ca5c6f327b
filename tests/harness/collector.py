"""An OTLP/HTTP collector that writes the spans it receives into a span file, as the file exporter would have.

Whatever process they come from, what is not declared among spans and metrics is noted: it fails the test.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.harness.declared import Ended, Undeclared, in_metric, in_span
from tests.harness.watching import note

STATUS = {
    trace_pb2.Status.STATUS_CODE_UNSET: "UNSET",
    trace_pb2.Status.STATUS_CODE_OK: "OK",
    trace_pb2.Status.STATUS_CODE_ERROR: "ERROR",
}


@contextlib.contextmanager
def collector(path: Path) -> Iterator[str]:
    """A collector on a free port of this machine: its endpoint, without `/v1/traces`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                records = list(_records(ExportTraceServiceRequest.FromString(body)))
                note(lambda: (one for record in records for one in in_span(_ended(record))))
                _write(path, records)
            if self.path == "/v1/metrics":
                note(lambda: _in_metrics(ExportMetricsServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        for record in records:
            os.write(descriptor, json.dumps(record).encode() + b"\n")
    finally:
        os.close(descriptor)


def _records(request: ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {
                    "name": span.name,
                    "kind": trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex() or None,
                    "links": [
                        {
                            "target": [link.trace_id.hex(), link.span_id.hex()],
                            "attributes": _attributes(link.attributes),
                        }
                        for link in span.links
                    ],
                    "attributes": _attributes(span.attributes),
                    "status": STATUS[span.status.code],
                    "description": span.status.message or None,
                    "events": [{"name": event.name, **_attributes(event.attributes)} for event in span.events],
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "resource": resource,
                    "scope": scope_spans.scope.name,
                    "pid": resource.get("process.pid", 0),
                }


def _ended(record: dict[str, Any]) -> Ended:
    events = [(event["name"], {key: event[key] for key in event if key != "name"}) for event in record["events"]]
    links = [link["attributes"] for link in record["links"]]
    return Ended(record["scope"], record["kind"], record["name"], record["attributes"], links, events)


def _in_metrics(request: ExportMetricsServiceRequest) -> Iterator[Undeclared]:
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                kind = "counter" if kind == "sum" and data.is_monotonic else kind
                series = [_attributes(point.attributes) for point in data.data_points]
                yield from in_metric(scope_metrics.scope.name, metric.name, metric.unit, kind, series)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
