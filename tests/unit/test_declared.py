"""What is declared: each name is written once, is used, and says what it means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from celery_otel_links._declared import names
from celery_otel_links._declared.attributes import ATTRIBUTES, CONTRIB_ATTRIBUTES
from celery_otel_links._declared.spans import EVENTS, LINKS, SPANS
from celery_otel_links._rules.facts import LINK_KINDS
from tests.test_architecture import PACKAGE
from tests.unit.test_docs import DOCS, rows

GROUPS = (names.HISTOGRAMS, names.BEAT_HISTOGRAMS, names.COUNTERS, names.GAUGES, names.QUEUE_GAUGES)
INSTRUMENTS = {name: one for group in GROUPS for name, one in group.items()}
DECLARED = {*ATTRIBUTES, *CONTRIB_ATTRIBUTES, *INSTRUMENTS, *EVENTS}
CONSTANTS = {value: constant for constant, value in vars(names).items() if isinstance(value, str) and value in DECLARED}
OBSERVED = {*names.GAUGES, *names.QUEUE_GAUGES}  # as the table has them
UNITS = {"s", "seconds", "{message}", "{task}", "{failure}", "{process}", "{consumer}"}


def sources(but: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        if not where.startswith(but):
            yield where, ast.parse(path.read_text())


def test_every_name_is_declared():
    constants = {name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    others = {"SCOPE", "MAIN_SCOPE", "SCHEMA", "SEND", "PROCESS", "DOCTOR"}
    assert {value for name, value in constants.items() if name not in others} == DECLARED


def test_a_name_is_written_in_one_place():
    """But for the viewer, which reads what anybody has sent to it, and comes before all else."""
    twice = {
        f"{where}: {node.value}"
        for where, tree in sources(but="_declared/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in DECLARED and "." in node.value
    }
    assert [one for one in sorted(twice) if not one.startswith("cli/viewer/")] == []


def test_every_name_is_used():
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for _, tree in sources(but="_declared/")
        for node in ast.walk(tree)
        if isinstance(node, (ast.Attribute, ast.Name))
    }
    measured = {name for one in INSTRUMENTS.values() for name in one.attributes}
    assert [name for name in sorted(DECLARED - measured - OBSERVED) if CONSTANTS[name] not in used] == []


def test_what_the_viewer_reads_is_declared():
    read = {
        node.value
        for where, tree in sources(but="_")
        if where.startswith("cli/viewer/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named = {one for one in read if one.startswith(("celery.", "messaging.", "error.")) and not one.endswith(".")}
    assert named <= DECLARED


def test_every_kind_of_link_is_declared():
    assert list(LINKS) == list(LINK_KINDS)


def test_every_attribute_of_an_instrument_is_declared():
    assert {name for one in INSTRUMENTS.values() for name in one.attributes} <= {*ATTRIBUTES, *CONTRIB_ATTRIBUTES}


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_an_instrument_has_a_meaning_and_a_unit(name):
    assert INSTRUMENTS[name].description.endswith(".")
    assert INSTRUMENTS[name].unit in UNITS


@pytest.mark.parametrize("table", [ATTRIBUTES, CONTRIB_ATTRIBUTES, LINKS, EVENTS, {one.name: one for one in SPANS}])
def test_all_else_has_a_meaning(table):
    assert [name for name, one in table.items() if not one.meaning.endswith(".")] == []


def family(name: str) -> str:
    """`celery.latency` of `celery.latency.queue`; nothing of what has two parts."""
    return name.rpartition(".")[0] if name.count(".") > 1 else ""


PAGES = [*sorted(DOCS.rglob("*.md")), DOCS.parent / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_a_page_names_what_is_declared(page):
    families = {family(name) for name in DECLARED} - {""}
    named = set(re.findall(r"`([a-z_]+\.[a-z_.]*[a-z_])`", page.read_text()))
    assert {name for name in named if family(name) in families} <= DECLARED


def test_the_page_on_latency_has_all_latencies():
    told = {row[0].strip("`") for row in rows("latency.md", "attribute of the run span")}
    assert told == {name for name in ATTRIBUTES if name.startswith("celery.latency.")}
