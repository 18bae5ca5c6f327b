"""A story and its metrics: what the histograms gained since it began, compared with what its spans say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.story import Story
from tests.harness.metering import MetricFile, Point, Total
from tests.harness.recording import Span
from tests.harness.waiting import until

PARTS = ("queue", "broker", "prefetch")
PREFIX = "celery.latency."


class Metered:
    """A story that has begun, and the metrics of its worker."""

    def __init__(self, story: Story, file: MetricFile) -> None:
        self.story = story
        self.shop = story.shop
        self.file = file
        self._before = {self._key(point): point for point in file.points()}

    def gained(self, name: str, **labels: Any) -> Total:
        """What the series gained since the story began; in a label's name, `__` stands for a dot."""
        total = self.file.total(name, **labels)
        before = [one for point in self.file.points(name, **labels) if (one := self._before.get(self._key(point)))]
        for one in before:
            total -= Total(one.count, one.sum, one.bounds, one.buckets)
        return total

    def count(self, name: str, count: int, **labels: Any) -> Total:
        """Wait until exactly so many were gained."""
        __tracebackhide__ = True
        until(
            lambda: self.gained(name, **labels).count >= count,
            what=lambda: f"{count} of {name} {labels}; there are {self.file.points(name)}\n{self.story.log()[-3000:]}",
        )
        gained = self.gained(name, **labels)
        assert gained.count == count
        return gained

    def waits(self, task: str, runs: int) -> list[dict[str, float]]:
        """How long each of so many runs of the task waited, in the order of their start, as its span says.

        The three histograms have to say the same, in every part that the spans tell, and nothing besides.
        """
        __tracebackhide__ = True
        self.count("celery.task.outcomes", runs, celery__task_name=task)
        spans = until(lambda: self._runs(task, runs), what=lambda: f"{runs} runs of {task}\n{self.story.log()[-3000:]}")
        told = [waited(span) for span in spans]
        for part in PARTS:
            values = [one[part] for one in told if part in one]
            gained = self.gained(f"celery.task.latency.{part}", celery__task_name=task)
            assert (part, gained.count) == (part, len(values))
            assert gained.sum == pytest.approx(sum(values), abs=1e-6)
        for one in told:
            assert min(value for value in one.values()) >= 0
            if "broker" in one:
                assert one["queue"] == pytest.approx(one["broker"] + one["prefetch"], abs=1e-6)
        return told

    def _runs(self, task: str, runs: int) -> list[Span] | None:
        found = self.story.spans(f"run/{task}")
        return found if len(found) == runs else None

    @staticmethod
    def _key(point: Point) -> tuple[Any, ...]:
        return point.pid, point.scope, point.name, point.labels


def waited(span: Span) -> dict[str, float]:
    """The latencies of a run."""
    return {name.removeprefix(PREFIX): told for name, told in span.attributes.items() if name.startswith(PREFIX)}
