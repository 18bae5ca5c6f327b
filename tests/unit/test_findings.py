"""What the doctor finds in what was found out: a row for each of its checks, and those that no set-up here can have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from celery_otel_links._config.destinations import DISABLED
from celery_otel_links.cli.facts import Facts
from celery_otel_links.cli.findings import CHECKS, findings

FINE = {"active": True, "version": "1", "spans": "an exporter", "processors": True, "fan_in": True, "configuration": {}}
WORKING = {**FINE, "pool": "prefork", "tasks": ["a"], "queues": ["q"], "received": 9}
HEALTHY = Facts(
    here=FINE, workers={"w": WORKING}, ahead={"w": 0.0}, probes={"w": FINE}, tasks=("a",), queues={"q": "a"}
)
HEALTHY = HEALTHY._replace(registered=frozenset({"a"}), consumed=frozenset({"q"}))
ZERO_CODE = {"auto": True, "distro": True, "spans": None}
MISSING = {"variable": "OTEL_TRACES_EXPORTER", "exporter": "x", "package": None, "allowed": ["console"]}


def here(**told):
    return HEALTHY._replace(here={**FINE, **told})


def working(**told):
    return HEALTHY._replace(workers={"w": {**WORKING, **told}})


def running(**told):
    return HEALTHY._replace(probes={"w": {**FINE, **told}})


ROWS = [
    ("broker", HEALTHY._replace(broker="refused", workers={})),
    ("workers", HEALTHY._replace(workers={}, probes={})),
    ("names of workers", HEALTHY._replace(namesakes=("w",))),
    ("active", HEALTHY._replace(inactive={"v": {"error": "KeyError('otel_links')"}})),
    ("active", HEALTHY._replace(inactive={"v": {"active": False}})),
    ("active", HEALTHY._replace(here={"active": False})),
    ("active", running(active=False)),
    ("tracer provider", here(spans=None)),
    ("tracer provider", working(spans=None)),
    ("tracer provider", running(processors=False)),
    ("tracer provider", HEALTHY._replace(workers={"w": {**WORKING, "spans": None}}, probes={})),
    ("tracer provider", here(spans=DISABLED)),
    ("opentelemetry-instrument", here(spans=None, auto=True, distro=False)),
    ("opentelemetry-instrument", here(**ZERO_CODE, missing=[MISSING])),
    (
        "opentelemetry-instrument",
        HEALTHY._replace(inactive={"v": {"active": False, **ZERO_CODE, "missing": [MISSING]}}),
    ),
    ("exporter", running(export={"Exporter": "refused"})),
    ("gRPC and fork", working(grpc=True)),
    ("contrib", running(contrib=True)),
    ("options of contrib", here(links_taken_over=True)),
    ("instrumented producers", working(unstamped=3)),
    ("releases", working(version="2")),
    (
        "configurations",
        HEALTHY._replace(
            here={**FINE, "configuration": {"default": "link"}},
            workers={"w": {**WORKING, "configuration": {"default": "child"}}},
        ),
    ),
    ("sampler", running(by_chance=True, sampler="TraceIdRatioBased{0.1}")),
    ("Prometheus and prefork", running(scraped=True)),
    ("clocks", HEALTHY._replace(ahead={"w": -2.0})),
    ("fan-in", running(fan_in=False)),
    ("fan-in", running(fan_in_seconds=0.3)),
    ("registered tasks", HEALTHY._replace(tasks=("a", "b"))),
    ("consumed queues", HEALTHY._replace(queues={"q": "a", "r": "a"})),
]


def test_a_healthy_set_up_has_none():
    assert findings(HEALTHY) == []


@pytest.mark.parametrize(("check", "facts"), ROWS, ids=[row[0] for row in ROWS])
def test_each_check_finds_what_it_is_for_and_nothing_else_does(check, facts):
    found = findings(facts)
    assert [one.check for one in found] == [check]
    assert found[0].what
    assert found[0].how
    assert found[0].mend


def test_every_check_has_a_row_here_and_on_the_page():
    checks = [name for name, _ in CHECKS]
    assert sorted({check for check, _ in ROWS}) == sorted(checks)
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    assert re.findall(r"^\| ([^|]+?) \|", page.partition("| looked at |")[2], re.MULTILINE) == checks
