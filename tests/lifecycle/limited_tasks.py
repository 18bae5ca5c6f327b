"""Tasks that a time limit or a signal ends, or not."""

from __future__ import annotations

import os
import time
from pathlib import Path

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery

from tests.lifecycle.tasks import PREFIX, take, task


def declare(app: Celery) -> None:
    """Declare them besides the others."""

    @task(app)
    def run_for(seconds: float, _: str = "") -> None:
        take(seconds)

    @task(app)
    def cling(path: str) -> None:
        """Goes on when it is to end, and says so in the file."""
        Path(path).write_text(str(os.getpid()))
        try:
            take(30)
        finally:
            Path(path).write_text("clings")
            take(30)

    @task(app)
    def nothing() -> None:
        pass

    @task(app)
    def publish_until_limited(queue: str, seconds: float) -> str:
        """Says by what it was ended: its soft time limit, or nothing in so many seconds."""
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                app.send_task(PREFIX + "nothing", queue=queue)
        except SoftTimeLimitExceeded:
            return "limited"
        return "not limited"

    app.finalize()
