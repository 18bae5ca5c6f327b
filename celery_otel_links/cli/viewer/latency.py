"""Queue latency in the terminal: a table per task from the spans, and a plot over time from the exported metrics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from celery_otel_links.cli.viewer.record import Span, Wait
from celery_otel_links.cli.viewer.trees import QUIET, ROOMY, WAIT, WRONG
from celery_otel_links.cli.viewer.words import milliseconds

PARTS = ("queue", "broker", "prefetch")
STATISTICS = {"median": 0.5, "p95": 0.95, "max": 1.0}
STEP = 0.25  # seconds per column of the plot, and its multiples where that does not fit
BLOCKS = " ▁▂▃▄▅▆▇█"
FLOOR, CEILING = 0.001, 10.0  # the plot's logarithmic scale, in seconds
GRADES = ((0.01, "color(29)"), (0.1, WAIT), (math.inf, WRONG))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of some values."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(spans: Iterable[Span], width: int = ROOMY) -> Table:
    """Count and queue latency of each task, with its two parts: all of the statistics, or what fits 80 columns."""
    runs: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.is_run:
            runs[span.task].append(span)
    shown = [
        (part, name) for part in PARTS for name in STATISTICS if width >= ROOMY or part == "queue" or name == "p95"
    ]
    title = "Queue latency per task: queue = broker + prefetch"
    view = Table(box=None, padding=(0, 1, 0, 0), title=title, title_justify="left", header_style=QUIET)
    view.add_column("\ntask", overflow="fold")
    view.add_column("\nruns", justify="right", no_wrap=True)
    for index, (part, name) in enumerate(shown):
        heading = part if index == 0 or shown[index - 1][0] != part else ""
        view.add_column(f"{heading}\n{name}", justify="right", no_wrap=True, min_width=7)
    for task in sorted(runs):
        cells = []
        for part, name in shown:
            values = [value for span in runs[task] if (value := span.latency(part)) is not None]
            cells.append(_graded(percentile(values, STATISTICS[name])) if values else Text("-"))
        view.add_row(task, str(len(runs[task])), *cells)
    return view


def plot(waits: Sequence[Wait], width: int = ROOMY) -> Group:
    """Each task's mean queue latency over time, on a logarithmic scale."""
    title = Text("Mean queue latency over time, from the metric celery.task.latency.queue", "italic")
    if not waits:
        return Group(title, Text("  no metrics have arrived", QUIET))
    begin, seconds = waits[0].time, waits[-1].time - waits[0].time
    names = max(len(wait.task) for wait in waits)
    room = max(1, (width - names - 22) // 2)
    step = STEP * math.ceil((seconds / STEP + 1) / room)
    columns = int(seconds / step) + 1
    lines = [title, Text()]
    for task in sorted({wait.task for wait in waits}):
        cells: defaultdict[int, list[Wait]] = defaultdict(list)
        for wait in waits:
            if wait.task == task:
                cells[int((wait.time - begin) / step)].append(wait)
        line = Text(f"  {task:<{names}} ").append("▕", QUIET)
        means = {column: sum(w.seconds for w in ws) / sum(w.count for w in ws) for column, ws in cells.items()}
        for column in range(columns):
            line.append(_block(means[column]) if column in means else Text("· ", QUIET))
        lines.append(line.append("▏ up to ", QUIET).append(_graded(max(means.values()))))
    every = max(1, math.ceil(4 / step / 4) * 4 if step < 1 else 4)
    marks = "".join(f"{f'{column * step:.0f} s':<{2 * every}}" for column in range(0, columns, every))
    lines.append(Text(f"  {'':<{names}}  {marks.rstrip()}", QUIET))
    return Group(*lines)


def _block(seconds: float) -> Text:
    height = math.log(max(seconds, FLOOR) / FLOOR) / math.log(CEILING / FLOOR)
    block = BLOCKS[min(len(BLOCKS) - 1, 1 + round(height * (len(BLOCKS) - 2)))]
    return Text(block * 2, _grade(seconds))


def _graded(seconds: float) -> Text:
    return Text(milliseconds(seconds), _grade(seconds))


def _grade(seconds: float) -> str:
    return next(colour for limit, colour in GRADES if seconds < limit)
