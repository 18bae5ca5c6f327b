"""What `opentelemetry-instrument` was asked to set up in this process, and what it lacks for that.

It reads names of exporters from the environment, and looks for them among the entry points of installed packages. If
one is missing it makes no provider, and instruments nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

SIGNALS = ("traces", "metrics", "logs")
PACKAGES = {
    "otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "otlp_proto_http": "opentelemetry-exporter-otlp-proto-http",
    "prometheus": "opentelemetry-exporter-prometheus",
    "zipkin_json": "opentelemetry-exporter-zipkin-json",
    "zipkin_proto": "opentelemetry-exporter-zipkin-proto-http",
}
"""Which package offers which exporter."""
_PROTOCOLS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


def zero_code() -> dict[str, Any]:
    """Whether `opentelemetry-instrument` has started this process; whether a distro is there, and each exporter."""
    if "opentelemetry.instrumentation.auto_instrumentation" not in sys.modules:
        return {"auto": False}
    return {
        "auto": True,
        "distro": bool(entry_points(group="opentelemetry_distro")),
        "missing": list(missing(os.environ)),
    }


def missing(environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The exporters that are asked for and that no package offers: by which variable, the package, what it may be."""
    for signal in SIGNALS:
        variable = f"OTEL_{signal.upper()}_EXPORTER"
        offered = {one.name for one in entry_points(group=f"opentelemetry_{signal}_exporter")}
        for name in map(str.strip, environ.get(variable, "").split(",")):
            exporter = by_protocol(name, signal, environ)
            if exporter in offered or exporter.lower() in ("", "none"):
                continue
            package, allowed = PACKAGES.get(exporter), ["none", *sorted(offered)]
            if name == "otlp" and package is None:
                variable, allowed = _protocol(signal, environ)[0], list(_PROTOCOLS)
            yield {"variable": variable, "exporter": exporter, "package": package, "allowed": allowed}


def by_protocol(name: str, signal: str, environ: Mapping[str, str]) -> str:
    """The name of an exporter among the entry points: ``otlp`` is one of two, which the protocol says."""
    protocol = _protocol(signal, environ)[1]
    return _PROTOCOLS.get(protocol, f"otlp over {protocol}") if name == "otlp" else name


def _protocol(signal: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that says it, and what it says."""
    own, common = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    variable = own if environ.get(own) else common
    return variable, (environ.get(variable) or "grpc").strip()
