"""A small OTLP/HTTP collector on loopback that keeps what arrives, shows it as a page, and may pass it on.

What is sent to `/v1/traces` is the run that is shown. What is sent to `/before/v1/traces` is a run of the same
requests in another configuration, such as everything in child mode, with which the page compares it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from celery_otel_links.cli.viewer import http, page
from celery_otel_links.cli.viewer.record import Waits, spans_of
from celery_otel_links.cli.viewer.recording import Recording

TRACES, METRICS, LOGS = "/v1/traces", "/v1/metrics", "/v1/logs"
BEFORE = "/before"
KEEP = 50_000
MOST_PER_ANSWER = 5_000
LONGEST_WAIT = 20.0  # seconds in which a page is answered that nothing is new


class CollectorError(Exception):
    """It can't start; the message says why in one line."""


@dataclass(frozen=True)
class Action:
    """A button of the page. `call` gets the number that stands beside it, or 0."""

    label: str
    call: Callable[[int], None]
    number: int | None = None
    """What the field beside it holds at first; `None`: no field."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line for what is not the network's; a connection that resets is no event at all."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"otel-links view: {type(error).__name__}: {error}", file=sys.stderr)


class Collector:
    """Serves from construction to `close`; `endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT, and the page is there too."""

    def __init__(
        self,
        *,
        port: int = 0,
        keep: int = KEEP,
        forward_to: str | None = None,
        title: str = "Celery",
        actions: Mapping[str, Action] | None = None,
    ) -> None:
        self.recording: Recording = Recording(keep)
        self.before: Recording = Recording(keep)
        self.title = title
        self.actions: dict[str, Action] = dict(actions or {})
        self.forwarded: int = 0
        self.not_forwarded: int = 0
        self._forward_to = forward_to.rstrip("/") if forward_to else None
        self._waits = {"": Waits(), BEFORE: Waits()}
        self._taking = threading.Lock()
        if self._forward_to:
            self._check_forwarding(self._forward_to)
        try:
            self._server = _Server((http.LOOPBACK, port), http.handler(self))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise CollectorError(f"port {port} can't be had: {why}; --port 0 takes a free one") from error
        self.endpoint: str = f"http://{http.LOOPBACK}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="collector").start()

    def close(self) -> None:
        """Stop serving; what was received is still there."""
        self._server.shutdown()
        self._server.server_close()
        self.recording.close()
        self.before.close()

    def take(self, path: str, body: bytes) -> bool:
        """Keep one export; whether there is such a path. Raises ValueError for what can't be decoded."""
        run, where = (BEFORE, path[len(BEFORE) :]) if path.startswith(BEFORE + "/") else ("", path)
        recording = self.before if run else self.recording
        try:
            if where == TRACES:
                recording.add(spans=spans_of(ExportTraceServiceRequest.FromString(body)))
            elif where == METRICS:
                with self._taking:
                    recording.add(waits=list(self._waits[run].of(ExportMetricsServiceRequest.FromString(body))))
            elif where != LOGS:
                return False
        except (DecodeError, UnicodeError) as error:
            raise ValueError(f"not OTLP: {error}") from error
        if self._forward_to and not run:
            try:
                send(self._forward_to + where, body)
                self.forwarded += 1
            except CollectorError:
                self.not_forwarded += 1
        return True

    def page(self) -> str:
        """The page, which asks for its spans itself."""
        actions = {name: {"label": one.label, "number": one.number} for name, one in self.actions.items()}
        return page.html(page.Show(title=self.title, live=True, actions=actions))

    def news(self, run: str, number: int) -> str:
        """What has come beyond the first `number` spans of a run, as JSON; waits until there is something."""
        recording = self.before if run == "before" else self.recording
        recording.wait_for_more(LONGEST_WAIT, than=number)
        if recording.closed:
            raise http.Refused(HTTPStatus.SERVICE_UNAVAILABLE, "this has ended")
        first, following, spans = recording.after(number, MOST_PER_ANSWER)
        return page.compact({"first": first, "next": following, "spans": [page.plain(span) for span in spans]})

    def _check_forwarding(self, url: str) -> None:
        try:
            send(url + TRACES, ExportTraceServiceRequest().SerializeToString())
        except CollectorError as error:
            raise CollectorError(f"the collector {url} does not take OTLP over HTTP: {error}") from error


def send(url: str, body: bytes) -> None:
    """Post one export; `CollectorError` says why it was not taken."""
    try:
        request = Request(url, body, {"Content-Type": http.PROTOBUF})
        urlopen(request, timeout=3).close()
    except HTTPError as error:
        raise CollectorError(f"it answered {error.code} {error.reason}") from error
    except URLError as error:
        raise CollectorError(str(getattr(error.reason, "strerror", None) or error.reason)) from error
    except (OSError, ValueError) as error:  # an answer that is not HTTP (a gRPC port), or not a URL at all
        raise CollectorError(str(error) or type(error).__name__) from error
    except Exception as error:  # http.client's own exceptions
        raise CollectorError(f"it does not speak HTTP ({type(error).__name__})") from error
