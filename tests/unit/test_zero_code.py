"""Which exporters the environment asks for, and that no package offers."""

from __future__ import annotations

import pytest

from celery_otel_links._worker.zero_code import missing

GRPC, HTTP = "opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-http"
ROWS = [
    ({}, []),
    ({"OTEL_TRACES_EXPORTER": " None "}, []),
    ({"OTEL_TRACES_EXPORTER": "console, there"}, []),
    ({"OTEL_TRACES_EXPORTER": "otlp"}, [("OTEL_TRACES_EXPORTER", "otlp_proto_grpc", GRPC)]),
    (
        {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        [("OTEL_LOGS_EXPORTER", "otlp_proto_http", HTTP)],
    ),
    (
        {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
        },
        [("OTEL_METRICS_EXPORTER", "otlp_proto_grpc", GRPC)],
    ),
    ({"OTEL_TRACES_EXPORTER": "there,jaeger"}, [("OTEL_TRACES_EXPORTER", "jaeger", None)]),
    (
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/xml"},
        [("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "otlp over http/xml", None)],
    ),
]


class Offered:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(("environ", "expected"), ROWS)
def test_what_is_asked_for_and_is_not_there(monkeypatch, environ, expected):
    offered = [Offered("console"), Offered("there")]  # what is installed here has more
    monkeypatch.setattr("celery_otel_links._worker.zero_code.entry_points", lambda **_: offered)
    found = [(one["variable"], one["exporter"], one["package"]) for one in missing(environ)]
    assert found == expected
