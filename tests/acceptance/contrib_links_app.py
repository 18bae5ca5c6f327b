"""The scenarios' application as somebody has it who comes from contrib: its instrumentation is asked to link."""

from __future__ import annotations

import os

from celery.signals import worker_process_init
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from tests.acceptance.app import app, provider  # noqa: F401


def instrument(**_: object) -> None:
    CeleryInstrumentor().instrument(tracer_provider=provider, use_span_links=True)


if os.environ.get("OTEL_LINKS_TEST_CONTRIB") == "in the pool":  # as contrib's documentation has it
    worker_process_init.connect(instrument, weak=False)
else:
    instrument()
