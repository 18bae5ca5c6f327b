"""Queue latency in the terminal: a table per task from the spans, and a plot over time from the exported metrics."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from example_project.demo.record import Span, Wait
from example_project.demo.trees import milliseconds

PARTS = ("queue", "broker", "prefetch")
STEP = 0.25  # seconds per column of the plot
BLOCKS = " ▁▂▃▄▅▆▇█"
FLOOR, CEILING = 0.001, 10.0  # the plot's logarithmic scale, in seconds
GRADES = ((0.01, "green"), (0.1, "yellow"), (math.inf, "red"))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of some values."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(spans: Iterable[Span]) -> Table:
    """Count, median, p95 and maximum of each task's queue latency and of its two parts."""
    runs: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.is_run:
            runs[span.task].append(span)
    title = "Queue latency per task: queue = broker + prefetch"
    view = Table(box=None, padding=(0, 1, 0, 0), title=title, title_justify="left", header_style="dim")
    view.add_column("\ntask", no_wrap=True)
    view.add_column("\nruns", justify="right", no_wrap=True)
    for part in PARTS:
        for statistic in ("median", "p95", "max"):
            heading = f"{part if statistic == 'median' else ''}\n{statistic}"
            view.add_column(heading, justify="right", no_wrap=True, min_width=8 if statistic == "median" else 7)
    for task in sorted(runs):
        cells = []
        for part in PARTS:
            values = [value for span in runs[task] if (value := span.latency(part)) is not None]
            for share in (0.5, 0.95, 1.0):
                cells.append(_graded(percentile(values, share)) if values else Text("-"))
        view.add_row(task, str(len(runs[task])), *cells)
    return view


def plot(waits: Sequence[Wait]) -> Group:
    """Each task's mean queue latency over time, one column per quarter of a second, on a logarithmic scale."""
    title = Text("Mean queue latency over time, from the exported metric celery.task.latency.queue", "italic")
    if not waits:
        return Group(title, Text("  no metrics have arrived", "dim"))
    begin = waits[0].time
    columns = int((waits[-1].time - begin) / STEP) + 1
    width = max(len(wait.task) for wait in waits)
    lines = [title, Text()]
    for task in sorted({wait.task for wait in waits}):
        cells: defaultdict[int, list[Wait]] = defaultdict(list)
        for wait in waits:
            if wait.task == task:
                cells[int((wait.time - begin) / STEP)].append(wait)
        line = Text(f"  {task:<{width}} ").append("▕", "dim")
        means = {column: sum(w.seconds for w in ws) / sum(w.count for w in ws) for column, ws in cells.items()}
        for column in range(columns):
            line.append(_block(means[column]) if column in means else Text("· ", "dim"))
        lines.append(line.append("▏ up to ", "dim").append(_graded(max(means.values()))))
    seconds = "".join(f"{f'{column * STEP:.0f} s':<{int(2 / STEP)}}" for column in range(0, columns, int(1 / STEP)))
    lines.append(Text(f"  {'':<{width}}  {seconds}", "dim"))
    return Group(*lines)


def _block(seconds: float) -> Text:
    height = math.log(max(seconds, FLOOR) / FLOOR) / math.log(CEILING / FLOOR)
    block = BLOCKS[min(len(BLOCKS) - 1, 1 + round(height * (len(BLOCKS) - 2)))]
    return Text(block * 2, _grade(seconds))


def _graded(seconds: float) -> Text:
    return Text(milliseconds(seconds), _grade(seconds))


def _grade(seconds: float) -> str:
    return next(colour for limit, colour in GRADES if seconds < limit)
