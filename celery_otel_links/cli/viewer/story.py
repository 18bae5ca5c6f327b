"""Spans -> stories: each request's trace, and the linked traces that it caused, in the order of their start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from celery_otel_links.cli.viewer.record import Link, Span

NEAREST = ("origin", "producer", "previous-attempt", "header")
"""Which of its links leads a trace back to the request, the most direct first."""


@dataclass
class Trace:
    """One trace; `label` names it in the pictures (`B`, and `B1`, `B2`, … for what links back to it)."""

    spans: list[Span]
    label: str = ""
    children: dict[str, list[Span]] = field(default_factory=dict)
    roots: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        by_parent: defaultdict[str, list[Span]] = defaultdict(list)
        known = {span.span_id for span in self.spans}
        for span in sorted(self.spans, key=lambda span: span.start):
            parent = span.parent_id if span.parent_id != span.span_id else ""
            by_parent[parent if parent in known else ""].append(span)
        self.roots = by_parent.pop("", []) or self.spans[:1]  # spans that are each other's parents
        self.children = dict(by_parent)

    @property
    def trace_id(self) -> str:
        """The id of all its spans."""
        return self.spans[0].trace_id

    @property
    def begin(self) -> float:
        """When the first span began, or its message was published."""
        return min(span.start - (span.latency("enqueue_to_start") or 0) for span in self.spans)

    @property
    def end(self) -> float:
        """When the last span ended."""
        return max(span.end for span in self.spans)

    def walk(self) -> Iterator[tuple[Span, str]]:
        """Every span with its guide (`│  └─ `), as a tree is drawn."""
        left = [(root, "", "") for root in reversed(self.roots)]
        walked: set[str] = set()
        while left:
            span, guide, below = left.pop()
            if span.span_id in walked:
                continue
            walked.add(span.span_id)
            yield span, guide
            children = self.children.get(span.span_id, [])
            for child in reversed(children):
                last = child is children[-1]
                left.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))


@dataclass
class Story:
    """A request and all that came of it: its own trace first."""

    title: str
    traces: list[Trace]

    @property
    def begin(self) -> float:
        """When its first trace began."""
        return min(trace.begin for trace in self.traces)

    @property
    def end(self) -> float:
        """When its last span ended."""
        return max(trace.end for trace in self.traces)


class Stories(list[Story]):
    """All stories of some spans, in the order of their start; knows where a link leads."""

    def __init__(self, spans: Iterable[Span]) -> None:
        by_trace: defaultdict[str, list[Span]] = defaultdict(list)
        for span in spans:
            by_trace[span.trace_id].append(span)
        self._traces = {trace_id: Trace(members) for trace_id, members in by_trace.items()}
        self._spans = {(span.trace_id, span.span_id): span for trace in self._traces.values() for span in trace.spans}
        stories: defaultdict[str, list[Trace]] = defaultdict(list)
        for trace in sorted(self._traces.values(), key=lambda trace: trace.begin):
            stories[self._origin(trace.trace_id)].append(trace)
        for number, (origin, traces) in enumerate(stories.items()):
            traces.sort(key=lambda trace: trace.trace_id != origin)  # the request's own trace first
            for index, trace in enumerate(traces):
                trace.label = _letters(number) + (str(index) if index else "")
            super().append(Story(traces[0].roots[0].name, traces))

    def target(self, link: Link) -> tuple[str, str]:
        """The label of the trace that a link leads to, and the name of the span; empty where it never arrived."""
        trace, span = self._traces.get(link.trace_id), self._spans.get((link.trace_id, link.span_id))
        return trace.label if trace else "", span.name if span else ""

    def _origin(self, trace_id: str) -> str:
        visited = [trace_id]
        while trace := self._traces.get(visited[-1]):
            links = [link for root in trace.roots if root.is_run and not root.parent_id for link in root.links]
            back = [link.trace_id for kind in NEAREST for link in links if link.kind == kind]
            if not back or back[0] in visited:
                break
            visited.append(back[0])  # the story may belong to a request that has not been received
        return visited[-1]


def _letters(number: int) -> str:
    return ("" if number < 26 else _letters(number // 26 - 1)) + chr(ord("A") + number % 26)
