"""A tiny OTLP/HTTP collector inside the demo: keeps what arrives, and passes it on to the reader's own collector."""

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from example_project.demo.record import Span, Wait, Waits, spans_of

TRACES, METRICS = "/v1/traces", "/v1/metrics"


class CollectorDown(Exception):
    """The reader's own collector does not take what it gets; the message says why."""


class Collector:
    """Serves from construction to `close`; `endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self, forward_to: str | None = None) -> None:
        self._forward_to = forward_to.rstrip("/") if forward_to else None
        self._changed = threading.Condition()
        self._spans: list[Span] = []
        self._waits: list[Wait] = []
        self._histograms = Waits()
        self.forwarded = 0
        self.not_forwarded = 0
        if self._forward_to:
            self._send(TRACES, ExportTraceServiceRequest().SerializeToString())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._take))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="collector").start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list[Span]:
        """All spans so far, in the order of their start."""
        with self._changed:
            return sorted(self._spans, key=lambda span: span.start)

    @property
    def waits(self) -> list[Wait]:
        """All queue latencies so far, in the order of their export."""
        with self._changed:
            return sorted(self._waits, key=lambda wait: wait.time)

    def wait_for_more(self, timeout: float) -> None:
        """Until something arrives, or `timeout` seconds."""
        with self._changed:
            self._changed.wait(timeout)

    def _take(self, path: str, body: bytes) -> None:
        with self._changed:
            if path == TRACES:
                self._spans += spans_of(ExportTraceServiceRequest.FromString(body))
            elif path == METRICS:
                self._waits += self._histograms.of(ExportMetricsServiceRequest.FromString(body))
            self._changed.notify_all()
        if self._forward_to:
            try:
                self._send(path, body)
                self.forwarded += 1
            except CollectorDown:
                self.not_forwarded += 1

    def _send(self, path: str, body: bytes) -> None:
        try:
            request = Request(f"{self._forward_to}{path}", body, {"Content-Type": "application/x-protobuf"})
            urlopen(request, timeout=3).close()
        except HTTPError as error:
            raise CollectorDown(f"it answered {error.code} {error.reason} to {path}") from error
        except URLError as error:
            raise CollectorDown(str(getattr(error.reason, "strerror", None) or error.reason)) from error
        except (OSError, ValueError) as error:  # an answer that is not HTTP (a gRPC port), or not a URL at all
            raise CollectorDown(str(error) or type(error).__name__) from error


def _handler(take: Callable[[str, bytes], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                take(self.path, body)
            except DecodeError:
                self.send_response(400)
            else:
                self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not on the reader's terminal."""

    return Handler
