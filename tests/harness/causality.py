"""What caused what among recorded spans, and an order of them that does not depend on the timing of processes.

Two runs of the same program give spans that differ in ids, times and in who was first. They get the same order here:
spans are told apart by what they are and by what surrounds them (colours that are refined along parents, links and
causes until nothing more can be told apart), and what is left equal is taken in the order of its publishing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from tests.harness.recording import Key, Link, Span

LINK_KINDS = ("producer", "origin", "previous-attempt", "header", "consumer")


class Causality:
    """Spans with their relations: parents, children, link targets, causes."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = tuple(spans)
        self.by_key: dict[Key, Span] = {span.key: span for span in self.spans}
        self._producers: dict[str, list[Span]] = defaultdict(list)
        for span in sorted(self.spans, key=lambda span: span.start):
            if span.kind == "PRODUCER" and span.message_id:
                self._producers[span.message_id].append(span)

    def parent(self, span: Span) -> Span | None:
        return self.by_key.get((span.trace, span.parent)) if span.parent else None

    def target(self, link: Link) -> Span | None:
        return self.by_key.get(link.target)

    def cause(self, span: Span) -> Span | None:
        """For a run the publishing of its message, otherwise the parent, or what it links to first."""
        if span.kind == "CONSUMER" and span.message_id:
            published = [other for other in self._producers[span.message_id] if other.start <= span.start]
            if published:
                return published[-1]
        targets = (self.target(link) for link in span.links if link.kind != "consumer")
        return self.parent(span) or next((target for target in targets if target), None)

    def roots(self) -> list[Span]:
        """The spans without a parent among the spans, in order."""
        return self._sorted(span for span in self.spans if self.parent(span) is None)

    def children(self, span: Span) -> list[Span]:
        """In order."""
        return self._sorted(self._children[span.key])

    def story(self, start: Span, task_ids: Iterable[str] = ()) -> list[Span]:
        """Everything that hangs together with a span, or with these tasks: through parents, links and tasks."""
        neighbours: dict[object, set[object]] = defaultdict(set)
        for span in self.spans:
            related: list[object] = [link.target for link in span.links]
            related += [span.message_id] if span.message_id else []
            related += [(span.trace, span.parent)] if span.parent else []
            for other in related:
                neighbours[span.key].add(other)
                neighbours[other].add(span.key)
        reached: set[object] = set()
        ahead: list[object] = [start.key, *task_ids]
        while ahead:
            node = ahead.pop()
            if node not in reached:
                reached.add(node)
                ahead += neighbours[node]
        return [span for span in self.spans if span.key in reached]

    def _sorted(self, spans: Iterable[Span]) -> list[Span]:
        return sorted(spans, key=lambda span: (self._colours[span.key], self._path(span)))

    def _path(self, span: Span) -> tuple[int, ...]:
        """The start times of all causes down to this span: the order in which one program published."""
        path: list[int] = []
        seen: set[Key] = set()
        at: Span | None = span
        while at is not None and at.key not in seen:
            seen.add(at.key)
            path.append(at.start)
            at = self.cause(at)
        return tuple(reversed(path))

    @cached_property
    def _children(self) -> dict[Key, list[Span]]:
        children: dict[Key, list[Span]] = defaultdict(list)
        for span in self.spans:
            if (parent := self.parent(span)) is not None:
                children[parent.key].append(span)
        return children

    @cached_property
    def _colours(self) -> dict[Key, int]:
        incoming: dict[Key, list[tuple[str, Key]]] = defaultdict(list)
        for span in self.spans:
            for link in span.links:
                incoming[link.target].append((link.kind, span.key))
        colours = _ranked({span.key: self._look(span) for span in self.spans})
        while True:
            finer = _ranked(
                {
                    span.key: (
                        colours[span.key],
                        sorted(colours[child.key] for child in self._children[span.key]),
                        sorted((link.kind, colours.get(link.target, -1)) for link in span.links),
                        sorted((kind, colours[key]) for kind, key in incoming[span.key]),
                        [colours[other.key] for other in (self.parent(span), self.cause(span)) if other],
                    )
                    for span in self.spans
                }
            )
            if len(set(finer.values())) == len(set(colours.values())):
                return finer
            colours = finer

    def _look(self, span: Span) -> tuple[object, ...]:
        links = sorted((link_rank(link), target.name if (target := self.target(link)) else "?") for link in span.links)
        state = str(span.attributes.get("celery.state", ""))
        return span.name, span.attempt, span.status, state, links


def link_rank(link: Link) -> tuple[int, str]:
    """Where a link of this kind stands among the links of a span."""
    return LINK_KINDS.index(link.kind) if link.kind in LINK_KINDS else len(LINK_KINDS), link.kind


def _ranked(looks: dict[Key, tuple[object, ...]]) -> dict[Key, int]:
    distinct: list[tuple[object, ...]] = []
    for look in sorted(looks.values()):  # type: ignore[type-var]
        if not distinct or distinct[-1] != look:
            distinct.append(look)
    rank = {repr(look): index for index, look in enumerate(distinct)}
    return {key: rank[repr(look)] for key, look in looks.items()}
