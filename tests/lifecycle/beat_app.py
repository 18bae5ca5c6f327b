"""The application of a beat that publishes twice a second, and whose spans only a flush exports."""

from __future__ import annotations

import os
from pathlib import Path

from celery.signals import beat_init

from tests.lifecycle.app import app, settings

__all__ = ["app"]

app.conf.beat_schedule = {"often": {"task": "end.succeed", "schedule": 0.2}}
app.conf.beat_schedule_filename = f"{settings.spans}.schedule"
app.conf.beat_max_loop_interval = 0.1


@beat_init.connect(weak=False)
def say_ready(**_: object) -> None:
    if settings.ready.endswith("beat-ready"):
        Path(settings.ready).write_text(str(os.getpid()))
