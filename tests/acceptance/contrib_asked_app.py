"""The shop as somebody has it who comes from contrib, to be started by the zero-code command."""

from __future__ import annotations

from opentelemetry.instrumentation.celery import CeleryInstrumentor

from tests.acceptance.bare_app import app  # noqa: F401

CeleryInstrumentor().instrument(use_span_links=True)
