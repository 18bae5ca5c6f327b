"""An OTLP/HTTP collector that writes the spans it receives into a span file, as the file exporter would have.

What is not declared in an export, whatever process that comes from, fails the test.
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

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.harness.exports import attributes, in_export, kind_of
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
            note(lambda: in_export(self.path, body))
            if self.path == "/v1/traces":
                _write(path, _records(ExportTraceServiceRequest.FromString(body)))
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
        resource = attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {
                    "name": span.name,
                    "kind": kind_of(span),
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex() or None,
                    "links": [
                        {
                            "target": [link.trace_id.hex(), link.span_id.hex()],
                            "attributes": attributes(link.attributes),
                        }
                        for link in span.links
                    ],
                    "attributes": attributes(span.attributes),
                    "status": STATUS[span.status.code],
                    "description": span.status.message or None,
                    "events": [{"name": event.name, **attributes(event.attributes)} for event in span.events],
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "resource": resource,
                    "scope": scope_spans.scope.name,
                    "pid": resource.get("process.pid", 0),
                }
