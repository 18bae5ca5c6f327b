"""The histograms of a saturated worker against a stopwatch that the test keeps itself, without the library's help."""

from __future__ import annotations

import json
import time

import pytest

from tests.harness.metering import histogram
from tests.metrics.told import FINE, LATENCIES

TASKS = 500
TOLERANCE = 0.05
pytestmark = pytest.mark.emits(*(f"fine.{name}" for name in LATENCIES))  # by views of the test


@pytest.fixture(scope="module")
def both():
    """Filled by the first test: what the histograms say, and the values of the stopwatch."""
    return {}


@pytest.fixture
def measured(both, metered_on, tmp_path_factory):
    """What both say of 500 tasks, by instrument."""
    if not both:
        watch = tmp_path_factory.mktemp("watch") / "stopwatch.jsonl"
        # A long buffer: 5 % of what is waited in it has to be more than what passes between two clocks' being read.
        conf = {"worker_prefetch_multiplier": 16}
        metered = metered_on({"fine": True, "stopwatch": str(watch), "every": 500}, conf=conf)
        published = {}
        with metered.story.request():
            for _ in range(TASKS):
                now = time.time()
                published[metered.shop.sleeper.delay(0.01).id] = now
        for name in LATENCIES:
            both[name] = metered.count(name, TASKS), metered.gained(f"fine.{name}")
        seen = {}
        for event, task, at, _ in map(json.loads, watch.read_text().splitlines()):
            seen[event, task] = at
        waits = [
            (seen["received", id] - then, seen["started", id] - seen["received", id]) for id, then in published.items()
        ]
        both["watch"] = dict(
            zip(LATENCIES, ([a + b for a, b in waits], [a for a, _ in waits], [b for _, b in waits]), strict=True)
        )
    return both


@pytest.mark.parametrize("name", LATENCIES)
def test_count_and_sum_agree(measured, name):
    seen, _ = measured[name]
    values = measured["watch"][name]
    assert seen.count == len(values) == TASKS
    assert seen.sum == pytest.approx(sum(values), rel=TOLERANCE)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("name", LATENCIES)
def test_percentiles_agree(measured, name, share):
    seen, fine = measured[name]
    values = sorted(measured["watch"][name])
    assert fine.quantile(share) == pytest.approx(values[int(share * TASKS) - 1], rel=TOLERANCE)
    assert seen.quantile(share) == pytest.approx(histogram(values, seen.bounds).quantile(share), rel=TOLERANCE)


@pytest.mark.parametrize("name", LATENCIES)
def test_as_many_tasks_are_under_each_boundary(measured, name):
    seen, _ = measured[name]
    expected = histogram(measured["watch"][name], seen.bounds)
    for bound in seen.bounds:
        assert seen.up_to(bound) == pytest.approx(expected.up_to(bound), abs=TOLERANCE * TASKS)


def test_the_worker_was_saturated(measured):
    queue, broker, prefetch = (sum(measured["watch"][name]) / TASKS for name in LATENCIES)
    assert queue > 0.3
    assert min(broker, prefetch) > 0.01
    assert len(FINE) > 500
