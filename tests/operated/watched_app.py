"""The application that `watch` is called with; its metrics go to a file, if it is told one."""

from __future__ import annotations

import json
import os

from celery import Celery
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import celery_otel_links
from tests.harness.metering import JsonLinesMetricExporter
from tests.harness.workers import Settings
from tests.metrics.told import VARIABLE

settings = Settings.of_environment()
told = json.loads(os.environ.get(VARIABLE, "{}"))
app = Celery("watched", broker=settings.broker)
app.conf.update(settings.conf)
if "file" in told:
    exporter = JsonLinesMetricExporter(told["file"])
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=100)
    meters = MeterProvider([reader])
    # Every collection exports this at least.
    meters.get_meter("test").create_observable_gauge("beating", [lambda _: [Observation(1)]])
    celery_otel_links.setup(app, meter_provider=meters)
