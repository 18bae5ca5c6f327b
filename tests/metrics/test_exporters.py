"""The instruments as Prometheus and OTLP show them: units, boundaries, and the same numbers everywhere."""

from __future__ import annotations

import contextlib
import gzip
import inspect
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.metrics import Meter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from celery_otel_links._declared.names import COUNTERS, HISTOGRAMS, WAIT_KIND, WAITING
from tests.harness.servers import free_port
from tests.harness.waiting import until

pytestmark = pytest.mark.stages("threads-valkey")

# Before version 1.30, boundaries were for views alone to set.
ADVICE = "explicit_bucket_boundaries_advisory" in inspect.signature(Meter.create_histogram).parameters
# What a worker measures that publishes nothing.
# A worker does not publish here, nor is it beat.
ELSEWHERE = {"messaging.client.operation.duration", "celery.beat.drift"}
TIMED = {name: declared for name, declared in HISTOGRAMS.items() if name not in ELSEWHERE}
COUNTED = ("messaging.client.consumed.messages", "celery.task.outcomes")


@contextlib.contextmanager
def receiver() -> Iterator[tuple[str, dict[str, object]]]:
    """An OTLP/HTTP receiver: its URL, and the metrics that came last, by name."""
    received: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    received.update((metric.name, metric) for metric in scope.metrics)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/metrics", received
    server.shutdown()
    server.server_close()


@pytest.fixture
def shown(metered_on):
    """What OTLP and Prometheus show after three tasks."""
    port = free_port()
    with receiver() as (otlp, received):
        metered = metered_on({"otlp": otlp, "prometheus": port})
        with metered.story.request():
            metered.story.follow([metered.shop.plain.delay() for _ in range(3)])
        metered.count("messaging.process.duration", 3)
        until(lambda: "celery.task.outcomes" in received, what="an export by OTLP")
        until(lambda: received["celery.task.outcomes"].sum.data_points[0].as_int == 3, what="three tasks by OTLP")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            families = {one.name: one for one in text_string_to_metric_families(answer.read().decode())}
        yield metered, dict(received), families


def test_otlp_and_prometheus_show_units_boundaries_and_the_same_numbers(shown):
    metered, otlp, prometheus = shown
    for name, declared in TIMED.items():
        assert (otlp[name].unit, otlp[name].description) == (declared.unit, declared.description)
        (point,) = otlp[name].histogram.data_points
        assert (point.count, point.sum) == (3, pytest.approx(metered.file.total(name).sum))
        family = found(name, prometheus)
        assert family.type == "histogram"
        buckets = {one.labels["le"]: one.value for one in family.samples if one.name.endswith("_bucket")}
        assert buckets["+Inf"] == 3
        if declared.boundaries and ADVICE:
            assert tuple(point.explicit_bounds) == declared.boundaries
            assert tuple(float(bound) for bound in buckets if bound != "+Inf") == declared.boundaries
        (total,) = (one.value for one in family.samples if one.name.endswith("_sum"))
        assert total == pytest.approx(point.sum)
    for name in COUNTED:
        assert otlp[name].unit == COUNTERS[name].unit
        assert otlp[name].sum.is_monotonic
        (sample,) = (one for one in found(name, prometheus).samples if one.name.endswith("_total"))
        assert sample.value == 3
    kinds = {}
    for point in otlp["celery.task.wait"].sum.data_points:
        kinds.update({one.value.string_value: point.as_double for one in point.attributes if one.key == WAIT_KIND})
    for kind in ("broker", "prefetch"):
        total = metered.file.total(f"celery.task.latency.{kind}").sum
        assert kinds.pop(kind) == pytest.approx(total)
    assert kinds == {}  # nobody asked to wait


def found(name, families):
    """The family of an instrument; what is appended for its unit differs between releases."""
    return next(one for shown, one in families.items() if shown.startswith(name.replace(".", "_")))


def test_the_boundaries_go_from_5_ms_to_1_h():
    assert (WAITING[0], WAITING[-1]) == (0.005, 3600)
    assert list(WAITING) == sorted(set(WAITING))
