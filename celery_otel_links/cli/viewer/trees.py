"""Draws stories in a terminal: a tree per trace, beside it a waterfall on the story's time axis, waits, and links.

Everything fits the width: the columns that matter least go first, and what stands below a span is wrapped, not cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from celery_otel_links.cli.viewer.record import Span
from celery_otel_links.cli.viewer.story import Stories, Story, Trace
from celery_otel_links.cli.viewer.words import milliseconds, outcome, why

# Of the palette of 256, these stand out from black and from white alike: 4 to 1 at least.
QUIET, LINK, WAIT, WRONG = "color(243)", "color(31)", "color(130)", "color(161)"
COLOUR = {"server": "color(133)", "producer": "color(63)", "consumer": "color(29)"}
LABEL, LEAST_NAME, LEAST_BAR, ROOMY = 4, 16, 14, 110
COLUMNS = {"took": ("took", 9), "queue": ("waited", 9)}
MORE_COLUMNS = {"broker": ("broker", 9), "prefetch": ("prefetch", 9)}
SCHEDULED, BROKER, PREFETCH, BUSY = "·", "░", "▒", "█"
STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Layout:
    """How wide everything is, and which part of time the bars show."""

    width: int
    name: int
    bar: int
    columns: dict[str, tuple[str, int]]
    begin: float
    seconds: float

    def column(self, time: float) -> int:
        """Where a time is, from 0 to `bar`."""
        return max(0, min(self.bar, round((time - self.begin) / self.seconds * self.bar)))


def draw(console: Console, stories: Stories) -> None:
    """Print every story."""
    for line in _legend():
        console.print(line)
    for story in stories:
        linked = len(story.traces) - 1
        note = f"  and {linked} linked trace{'s' * (linked > 1)}" if linked else ""
        console.print()
        console.print(Rule(Text.assemble((story.title, "bold"), (note, QUIET)), align="left", style=QUIET))
        layout = _layout(story, stories, console.width)
        console.print(_axis(layout), no_wrap=True, overflow="crop")
        for trace in story.traces:
            for line in _lines(trace, stories, layout):
                console.print(line, no_wrap=True, overflow="crop")


def _layout(story: Story, stories: Stories, width: int) -> Layout:
    columns = COLUMNS | (MORE_COLUMNS if width >= ROOMY else {})
    numbers = sum(wide for _, wide in columns.values())
    needed = max(
        len(guide) + len(span.name) + len(_forward(span, stories))
        for trace in story.traces
        for span, guide in trace.walk()
    )
    name = max(LEAST_NAME, min(needed, width - LABEL - 1 - LEAST_BAR - numbers))
    bar = max(1, width - LABEL - name - 1 - numbers)
    return Layout(width, name, bar, columns, story.begin, max(story.end - story.begin, 1e-6))


def _lines(trace: Trace, stories: Stories, layout: Layout) -> list[Text]:
    lines = []
    for row, (span, guide) in enumerate(trace.walk()):
        style = f"bold {WRONG}" if span.went_wrong else COLOUR.get(span.kind, "")
        name = Text().append(guide, QUIET).append(span.name, style).append(_forward(span, stories), LINK)
        name.truncate(layout.name, overflow="ellipsis", pad=True)
        line = Text().append(f"{'' if row else trace.label:<{LABEL}}", f"bold {LINK}").append_text(name).append(" ")
        line.append_text(_bar(span, layout))
        for column, (_, width) in layout.columns.items():
            seconds = span.end - span.start if column == "took" else span.latency(column)
            line.append(f"{milliseconds(seconds):>{width}}", "" if column == "took" else WAIT)
        lines += [line, *_below(span, guide, trace, stories, layout)]
    return lines


def _forward(span: Span, stories: Stories) -> str:
    return "".join(f" ⇢ {stories.target(link)[0] or '?'}" for link in span.links if link.kind == "consumer")


def _below(span: Span, guide: str, trace: Trace, stories: Stories, layout: Layout) -> list[Text]:
    """How the run ended, why it is where it is, and where its links lead."""
    indent = " " * LABEL + guide.replace("├─", "│ ").replace("└─", "  ")
    if span.span_id in trace.children:
        indent += "│ "
    ended = outcome(span) if span.is_run else ""
    notes = [Text(ended, f"bold {WRONG}" if span.went_wrong else "")] if ended else []
    for link in span.links:
        label, name = stories.target(link)
        if link.kind != "consumer":
            where = "" if label == trace.label else f"{label or link.trace_id[:8]} "
            arrow = Text().append(f"⇠ {link.kind:<9} ", LINK).append(where, f"bold {LINK}")
            notes.append(arrow.append(name or link.span_id, LINK))
    if span.is_run and not span.parent_id and why(span):
        notes.append(Text(f"{why(span)}, trace {trace.trace_id[:8]}", QUIET))
    return _wrapped(notes, indent, layout.width)


def _wrapped(notes: list[Text], indent: str, width: int) -> list[Text]:
    """The notes beside each other, as far as they fit."""
    lines: list[Text] = []
    for note in notes:
        if lines and len(lines[-1]) + 3 + len(note) <= width:
            lines[-1].append("   ").append_text(note)
        else:
            note.truncate(max(1, width - len(indent)), overflow="ellipsis")
            lines.append(Text().append(indent, QUIET).append_text(note))
    return lines


def _bar(span: Span, layout: Layout) -> Text:
    """The span on its story's axis: what was asked for, the wait in the broker and in the worker, and the work."""
    published = span.start - (span.latency("enqueue_to_start") or 0)
    due = published + (span.latency("scheduled") or 0)
    received = due + (span.latency("broker") or 0)
    text, at = Text(), 0
    marks = ((published, " "), (due, SCHEDULED), (received, BROKER), (span.start, PREFETCH), (span.end, BUSY))
    for until, mark in marks:
        column = layout.column(until)
        if mark == BUSY:
            at = min(at, layout.bar - 1)
            text.truncate(at)
            column = max(column, at + 1)  # never too short to see
        if column > at:
            colour = WRONG if span.went_wrong else COLOUR.get(span.kind, "")
            text.append(mark * (column - at), colour if mark == BUSY else WAIT)
            at = column
    return text.append(" " * (layout.bar - at))


def _axis(layout: Layout) -> Text:
    """The scale of a story's bars, with the names of the numbers beside it."""
    raw = layout.seconds / max(1, layout.bar // 9)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((one * power for one in STEPS if one * power >= raw), 10 * power)
    line, at = "0", step
    while at <= layout.seconds:
        label = f"{at:.10g} s" if step >= 1 or layout.seconds >= 1 else f"{at * 1000:.10g} ms"
        column = layout.column(layout.begin + at)
        if column + len(label) > layout.bar:
            break
        line = f"{line:<{column}}{label}"
        at += step
    numbers = "".join(f"{name:>{width}}" for name, width in layout.columns.values())
    return Text(" " * (LABEL + layout.name + 1) + f"{line:<{layout.bar}}" + numbers, QUIET)


def _legend() -> tuple[Text, Text]:
    kinds = Text.assemble(
        (f"{BUSY} request  ", COLOUR["server"]), (f"{BUSY} publish  ", COLOUR["producer"]),
        (f"{BUSY} run  ", COLOUR["consumer"]), (f"{BUSY} failed  ", WRONG), ("⇢ ⇠ links", LINK),
    )  # fmt: skip
    return kinds, Text(
        f"{SCHEDULED} asked to wait  {BROKER} waited in the broker  {PREFETCH} waited in the worker", WAIT
    )
