"""Draws stories in a terminal: a tree per trace, beside it a waterfall, the latencies of each run, and its links."""

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from example_project.demo.record import Span
from example_project.demo.stories import Stories, Trace

LABEL, NAME = 4, 40
COLUMNS = {"took": 8, "queue": 8, "broker": 8, "prefetch": 9}
MIN_BAR = 10
STYLE = {"took": "", "queue": "yellow", "broker": "dim yellow", "prefetch": "dim yellow"}
COLOUR = {"server": "magenta", "producer": "blue", "consumer": "green"}
SCHEDULED, BROKER, PREFETCH, BUSY = "·", "░", "▒", "█"


def draw(console: Console, stories: Stories) -> None:
    """Print every story."""
    bar = max(MIN_BAR, console.width - LABEL - NAME - 1 - sum(COLUMNS.values()))
    console.print(_legend())
    for story in stories:
        linked = len(story.traces) - 1
        title = Text.assemble((story.title, "bold"), (f"  and {linked} linked traces" if linked else "", "dim"))
        console.print()
        console.print(Rule(title, align="left", style="dim"))
        console.print(_heading(bar))
        for trace in story.traces:
            for line in _lines(trace, stories, bar):
                console.print(line, overflow="ellipsis", no_wrap=True)


def milliseconds(seconds: float | None) -> str:
    """A duration as a person reads it; empty for None."""
    if seconds is None:
        return ""
    if seconds >= 0.9995:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def why(span: Span) -> str:
    """`child (default)`, `link (fan-out)`, …: the mode of a run and the rule that chose it."""
    mode, reason = (span.attributes.get(f"celery.propagation.{name}", "?") for name in ("mode", "reason"))
    return f"{mode} ({reason})"


def _lines(trace: Trace, stories: Stories, bar: int) -> list[Text]:
    lines = []
    for row, (span, guide) in enumerate(trace.walk()):
        forward = [stories.target(link)[0] or "?" for link in span.links if link.kind == "consumer"]
        name = Text().append(guide, "dim").append(span.name, "bold red" if span.error else COLOUR.get(span.kind, ""))
        name.append("".join(f" ⇢ {label}" for label in forward), "cyan")
        name.truncate(NAME, overflow="ellipsis", pad=True)
        line = Text().append(f"{'' if row else trace.label:<{LABEL}}", "bold cyan").append_text(name).append(" ")
        line.append_text(_bar(span, trace, bar))
        for column, width in COLUMNS.items():
            seconds = span.end - span.start if column == "took" else span.latency(column)
            line.append(f"{milliseconds(seconds):>{width}}", STYLE[column])
        lines.append(line)
        lines += _links(span, guide, trace, stories)
    return lines


def _links(span: Span, guide: str, trace: Trace, stories: Stories) -> list[Text]:
    indent = " " * LABEL + guide.replace("├─", "│ ").replace("└─", "  ")
    if span.span_id in trace.children:
        indent += "│ "
    lines = []
    for link in span.links:
        label, name = stories.target(link)
        if link.kind != "consumer":
            where = "" if label == trace.label else f"{label or link.trace_id[:8]} "
            text = Text().append(indent, "dim").append(f"⇠ {link.kind:<9} ", "cyan").append(where, "bold cyan")
            lines.append(text.append(name or link.span_id, "cyan"))
    if lines and not span.parent_id:
        lines[0].append(f"   {why(span)}, trace {trace.trace_id[:8]}", "dim")
    return lines


def _bar(span: Span, trace: Trace, width: int) -> Text:
    """The span on its trace's axis: what was asked for, the wait in the broker and in the worker, and the work."""
    scale = width / max(trace.end - trace.begin, 1e-6)
    published = span.start - (span.latency("enqueue_to_start") or 0)
    due = published + (span.latency("scheduled") or 0)
    received = due + (span.latency("broker") or 0)
    text, at = Text(), 0
    marks = ((published, " "), (due, SCHEDULED), (received, BROKER), (span.start, PREFETCH), (span.end, BUSY))
    for until, mark in marks:
        column = min(width - 1, round((until - trace.begin) * scale))
        if mark == BUSY:
            column = max(column, at + 1)  # never too short to see
        if column > at:
            colour = "red" if span.error else COLOUR.get(span.kind, "")
            text.append(mark * (column - at), colour if mark == BUSY else "yellow")
            at = column
    return text.append(" " * (width - at))


def _heading(bar: int) -> Text:
    numbers = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
    return Text(" " * (LABEL + NAME + 1 + bar) + numbers, "dim")


def _legend() -> Text:
    return Text.assemble(
        (f"{BUSY} request ", COLOUR["server"]), (f"{BUSY} publish ", COLOUR["producer"]),
        (f"{BUSY} run  ", COLOUR["consumer"]),
        (f"{SCHEDULED} asked to wait  {BROKER} in the broker  {PREFETCH} in the worker  ", "yellow"),
        ("⇢ ⇠ links", "cyan"),
    )  # fmt: skip
