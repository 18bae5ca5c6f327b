"""Spans as text: one line a span, children indented below their parent, the same text whatever the timing was.

    request
      apply_async/shop.charge
        run/shop.charge
      apply_async/shop.receipt
    run/shop.receipt  link producer -> apply_async/shop.receipt

After the name come, two spaces apart: `parent -> ?` (a parent that is not there), `retry N`, `ERROR`, the state unless
it says no more than that, what `show` asks for, and the links. Spans that links point to get a number
(`run/shop.add#2`) where several have that name.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import groupby

from tests.harness.causality import Causality, link_rank
from tests.harness.recording import Key, Link, Span

INDENT = "  "
COLUMN = "  "


def render(spans: Iterable[Span], *, show: Collection[str] = (), collapse: int = 0) -> str:
    """The forest as text.

    `show` may hold `reason` (how a run's mode was decided), `latency` (how long it waited), names of attributes.
    With `collapse=n`, n or more neighbours that look the same become one, with their count: `x 40`; then nothing
    is numbered.
    """
    forest = Causality(spans)
    numbers = {} if collapse else _numbers(forest)

    def line(span: Span) -> str:
        columns = [span.name + numbers.get(span.key, ""), *_outcome(forest, span), *_extras(span, show)]
        return COLUMN.join(columns + _links(forest, span, numbers, collapse))

    def tree(span: Span) -> list[str]:
        return [line(span), *(INDENT + below for below in trees(forest.children(span)))]

    def trees(siblings: list[Span]) -> list[str]:
        lines: list[str] = []
        for alike, group in groupby(map(tree, siblings)):
            count = len(list(group))
            if collapse and count >= collapse:
                lines += [f"{alike[0]}{COLUMN}x {count}", *alike[1:]]
            else:
                lines += alike * count
        return lines

    return "\n".join(trees(forest.roots()))


def normalised(text: str) -> str:
    """An expected text as `render` would write it: indented, aligned and spaced as the writer likes."""
    lines = [line.rstrip() for line in textwrap.dedent(text).splitlines() if line.strip()]
    return "\n".join(re.sub(r"(?<=\S) {2,}", COLUMN, line) for line in lines)


def reason(span: Span) -> str:
    """How the mode of a run was decided: `link by fan-out`. Nothing for other spans."""
    mode, why = (span.attributes.get(f"celery.propagation.{key}") for key in ("mode", "reason"))
    return f"{mode} by {why}" if span.kind == "CONSUMER" else ""


def _numbers(forest: Causality) -> dict[Key, str]:
    """`#1`, `#2` for the spans of a name that is not unique and that some link points to."""
    pointed_at = {target.name for span in forest.spans for link in span.links if (target := forest.target(link))}
    ambiguous = {name for name, count in Counter(span.name for span in forest.spans).items() if count > 1}
    numbers: dict[Key, str] = {}
    seen: Counter[str] = Counter()

    def walk(siblings: list[Span]) -> None:
        for span in siblings:
            if span.name in pointed_at & ambiguous:
                seen[span.name] += 1
                numbers[span.key] = f"#{seen[span.name]}"
            walk(forest.children(span))

    walk(forest.roots())
    return numbers


def _outcome(forest: Causality, span: Span) -> list[str]:
    state = span.attributes.get("celery.state", "SUCCESS")
    redundant = state == "SUCCESS" or (state == "FAILURE" and span.status == "ERROR")
    columns = {
        "parent -> ?": bool(span.parent) and forest.parent(span) is None,
        f"retry {span.attempt}": span.kind == "CONSUMER" and span.attempt > 0,
        "ERROR": span.status == "ERROR",
        str(state): not redundant,
    }
    return [column for column, wanted in columns.items() if wanted]


def _extras(span: Span, show: Collection[str]) -> list[str]:
    return [column for name in show if (column := _EXTRAS.get(name, _attribute(name))(span))]


def _latency(span: Span) -> str:
    queue = span.attributes.get("celery.latency.queue")
    return "" if queue is None else f"queue {queue:.1f} s"


_EXTRAS: dict[str, Callable[[Span], str]] = {"reason": reason, "latency": _latency}


def _attribute(name: str) -> Callable[[Span], str]:
    return lambda span: f"{name}={span.attributes[name]}" if name in span.attributes else ""


def _links(forest: Causality, span: Span, numbers: dict[Key, str], collapse: int) -> list[str]:
    def place(link: Link) -> tuple[object, ...]:
        target = forest.target(link)
        if target is None:
            return link_rank(link), "?", 0
        return link_rank(link), target.name, int(numbers.get(target.key, "#0")[1:])

    def text(link: Link) -> str:
        target = forest.target(link)
        return f"link {link.kind} -> {target.name + numbers.get(target.key, '') if target else '?'}"

    texts = [text(link) for link in sorted(span.links, key=place)]
    if not collapse:
        return texts
    counted = [(alike, len(list(group))) for alike, group in groupby(texts)]
    return [f"{alike} x {count}" if count > 1 else alike for alike, count in counted]
