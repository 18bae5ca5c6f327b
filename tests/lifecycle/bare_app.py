"""The lifecycle tests' application as somebody would write it who never heard of OpenTelemetry."""

from __future__ import annotations

import os
from pathlib import Path

from celery.signals import worker_ready

from tests.harness.workers import Settings
from tests.lifecycle.tasks import open_app

settings = Settings.of_environment()
app = open_app(settings.broker, settings.backend or "", settings.conf)
app.set_current()
app.set_default()


@worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
