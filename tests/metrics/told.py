"""What a worker is told about its metrics, in a variable of its environment, and names that both sides use."""

from __future__ import annotations

VARIABLE = "OTEL_LINKS_TEST_METERING"
"""JSON: where they go (`file`, `otlp`, `prometheus`), `every` so many milliseconds; `fine`, `stopwatch`, `untraced`."""
LATENCIES = ("celery.task.latency.queue", "celery.task.latency.broker", "celery.task.latency.prefetch")
FINE = tuple(0.001 * 1.02**step for step in range(600))
"""Boundaries of the histograms `fine.<name>`: two percent apart."""
