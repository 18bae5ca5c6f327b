"""The shop as somebody who never heard of OpenTelemetry writes it: `opentelemetry-instrument` has to do the rest."""

from __future__ import annotations

import os
from pathlib import Path

from celery.signals import worker_ready

from tests.acceptance.shop import open_shop
from tests.harness.workers import Settings

settings = Settings.of_environment()
app = open_shop(settings.broker, settings.backend, settings.conf)
app.conf.otel_links = dict(settings.otel_links)
app.set_default()


@worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
