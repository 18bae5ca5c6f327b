"""A recording on the terminal: its stories as trees, the waits of its tasks as a table and over time."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console

from celery_otel_links.cli.viewer import latency, trees
from celery_otel_links.cli.viewer.recording import Recording
from celery_otel_links.cli.viewer.story import Stories

WIDTH = 100  # where the output is no terminal, and COLUMNS does not say


def console() -> Console:
    """The terminal. What its encoding lacks is replaced, since a picture with gaps beats a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    terminal = Console()
    return terminal if terminal.is_terminal or "COLUMNS" in os.environ else Console(width=WIDTH)


def show(recording: Recording, to: Console | None = None) -> None:
    """Print all of it."""
    to = to or console()
    spans = recording.spans
    trees.draw(to, Stories(spans))
    to.print()
    to.print(latency.table(spans, to.width))
    to.print()
    to.print(latency.plot(recording.waits, to.width))
