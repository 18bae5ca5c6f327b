"""docs/canvas.md: every row of its tables is run on a real worker, and is what the documentation says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import chain, chord, group

from tests.acceptance.stages import EVERYWHERE
from tests.acceptance.story import Story
from tests.harness.awaited import until_seen
from tests.harness.causality import LINK_KINDS, Causality
from tests.harness.dangling import dangling
from tests.harness.forest import reason
from tests.harness.recording import Span

pytestmark = pytest.mark.stages(*EVERYWHERE)
PAGE = Path(__file__).parents[2] / "docs" / "canvas.md"
NAMES = {"add": "a", "plain": "b", "swallow": "c", "fail": "failing", "publish": "publishing"}


class Names(dict):
    """What the canvases of the tables are made of; a new signature each time one is named."""

    def __init__(self, shop: SimpleNamespace) -> None:
        super().__init__(chain=chain, chord=chord, group=group, task=shop.add)
        self.update(
            link=lambda canvas: canvas.set(headers={"otel-propagation": "link"}),
            child=lambda canvas: canvas.set(headers={"otel-propagation": "child"}),
            replaced=shop.replaced.si,
            publishing=shop.publish.si,
        )
        self._signatures = {
            "a": shop.add.si(1, 1),
            "b": shop.plain.si(),
            "c": shop.swallow.si(),
            "linked": shop.linked.si(),
            "failing": shop.fail.si(),
            "flaky": shop.flaky.si(1),
        }

    def __missing__(self, name: str):
        return self._signatures[name].clone()


def canvases(text: str) -> Iterator[tuple[str, str]]:
    """Each canvas of the page, and its lines."""
    tables = text.split("| canvas | runs | mode | parent | links |\n")[1:]
    rows = [line for table in tables for line in table.partition("\n\n")[0].splitlines()[1:]]
    told = ""
    for row in rows:
        canvas, *cells = (cell.strip() for cell in row[1:-1].split("|"))
        told = canvas.strip("`") or told
        yield told, " | ".join(cells).strip(" |")


def lines(story: Story) -> list[str]:
    """The runs of the story as the table has them."""
    world = Causality(story.spans())
    runs = [span for span in world.spans if span.kind == "CONSUMER"]
    found = [f"`{name(span)}` | {reason(span)} | {parent(world, span)} | {links(span)}".strip(" |") for span in runs]
    return sorted(f"{count} x {line}" if count > 1 else line for line, count in Counter(found).items())


def name(span: Span) -> str:
    task = span.name.partition("/")[2].removeprefix("shop.")
    return NAMES.get(task, task) + (f", attempt {span.attempt + 1}" if span.attempt else "")


def parent(world: Causality, span: Span) -> str:
    above = world.parent(span)
    if above is None:
        return "none" if span.parent is None else "?"
    if above.name == "request":
        return "the request"
    if above.kind == "CONSUMER":
        again = span.attempt > 0 and above.message_id == span.message_id
        return "the first attempt" if again else f"the run of `{name(above)}`"
    same = above.attempt == span.attempt
    return "its publishing" if same else "the publishing of the first attempt"


def links(span: Span) -> str:
    kinds = Counter(link.kind for link in span.links)
    ordered = sorted(kinds, key=LINK_KINDS.index)
    return ", ".join(f"`{kind}` x {kinds[kind]}" if kinds[kind] > 1 else f"`{kind}`" for kind in ordered)


def misplaced(world: Causality, request: str) -> list[str]:
    """The links that lead elsewhere than their kinds promise: to where the story left the request, to other runs."""
    wrong = []
    for span in world.spans:
        targets = {kind: [link.target for link in span.links if link.kind == kind] for kind in LINK_KINDS}
        if any(world.by_key[target].trace != request for target in targets["origin"]):
            wrong.append(f"origin of {span.name}")
        runs = {target for target in targets["header"] if world.by_key[target].kind == "CONSUMER"}
        if len(runs) != len(targets["header"]) or span.key in runs:
            wrong.append(f"header of {span.name}")
    return wrong


def said_in_table(text: str) -> Counter[str]:
    """What the lines say that know their parent by now, with how often they are there."""
    said: Counter[str] = Counter()
    for times, line in re.findall(r"^(?:(\d+) x )?(.+)$", text, re.MULTILINE):
        if " | ?" not in line:
            said[line] += int(times or 1)
    return said


ROWS = groupby(canvases(PAGE.read_text()), lambda row: row[0])
DOCUMENTED = {canvas: [line for _, line in rows] for canvas, rows in ROWS}


# Where Celery polls, it calls such an errback otherwise.
ODD = "chord([failing], a.set(link_error=b))"


@pytest.mark.parametrize("canvas", [canvas for canvas in DOCUMENTED if canvas != ODD])
def test_it_is_as_documented(story, canvas):
    compare(story, canvas)


@pytest.mark.stages("prefork-valkey", "threads-valkey")
def test_the_errback_of_a_body_is_as_documented(story):
    compare(story, ODD)


def compare(story: Story, canvas: str) -> None:
    with story.request():
        story.follow(eval(canvas, {}, Names(story.shop)).apply_async())
    wanted = sorted(DOCUMENTED[canvas])
    until_seen(
        "\n".join(wanted),
        lambda: "\n".join(lines(story)),
        final=said_in_table,
        what=lambda: "\n" + "\n".join(lines(story)) + "\n\nthe worker's log:\n" + story.log()[-4000:],
    )
    assert dangling(story.spans()) == []
    assert misplaced(Causality(story.spans()), story.span("request").trace) == []


def test_every_table_is_read():
    modes = re.findall(r"^\| .* \| (?:child|link|none) by ", PAGE.read_text(), re.MULTILINE)
    assert sum(map(len, DOCUMENTED.values())) == len(modes) > 100
