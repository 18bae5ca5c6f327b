"""An application with a task of celery-batches, in workers and in publishing processes."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event
from typing import Any

from celery_batches import Batches

from tests.systems.app import app, beside
from tests.systems.neighbours import FOLDER

__all__ = ["app", "beside"]


@app.task(shared=False, name="store.together", base=Batches, flush_every=3, flush_interval=1)
def together(messages: list[Any]) -> None:
    """Runs once for up to three messages; the first argument of the first says what happens."""
    what = messages[0].args[0]
    if what == "publish":
        app.tasks["store.add"].delay(1, 2)
    elif what == "fail":
        raise ValueError("sold out")
    elif what == "exit":
        raise SystemExit(1)
    elif what == "die":
        Path(FOLDER, "pid").write_text(str(os.getpid()))
        Event().wait(60)
