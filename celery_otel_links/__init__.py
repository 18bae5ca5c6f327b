"""Trace Celery applications with OpenTelemetry: tasks continue a trace or link to it, and say how long they waited."""

from celery_otel_links._config.modes import ConfigError
from celery_otel_links._config.options import Config
from celery_otel_links._tracing.handover import attach, capture, propagation
from celery_otel_links._version import __version__
from celery_otel_links.instrumentor import CeleryLinksInstrumentor, setup

__all__ = [
    "CeleryLinksInstrumentor",
    "Config",
    "ConfigError",
    "__version__",
    "attach",
    "capture",
    "propagation",
    "setup",
]
