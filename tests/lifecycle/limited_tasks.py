"""Tasks that a time limit ends, or not."""

from __future__ import annotations

import threading
import time

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery

from tests.lifecycle.tasks import PREFIX, task


def declare(app: Celery) -> None:
    """Declare them besides the others."""

    @task(app)
    def run_for(seconds: float, _: str = "") -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.01)

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

    @task(app)
    def flushing_threads() -> int:
        return sum(thread.name == "otel-links-flush" for thread in threading.enumerate())

    app.finalize()
