"""What beat publishes: each tick is the root of a trace, and says for which entry it is and how late it comes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.recording import Span
from tests.systems import schedules

SCHEDULERS = [schedules.in_a_file, schedules.in_django, schedules.in_redis]


def expect_ticks(system: Any) -> list[Span]:
    """Three ticks, as they have to be."""
    published = [span for span in system.until("apply_async/store.add", 3) if span.kind == "PRODUCER"]
    for span in published:
        assert span.parent is None
        assert span.attributes["celery.beat.entry"] == "every-second"
        assert 0 <= span.attributes["celery.beat.drift"] < 5
    assert len({span.trace for span in published}) == len(published)
    runs = system.until("run/store.add", 3)
    assert {run.parent for run in runs} <= {span.id for span in system.ours("apply_async/store.add")}
    return published


@pytest.mark.parametrize("kept", SCHEDULERS)
def test_every_tick_of_beat_is_a_root_that_says_its_entry_and_its_drift(
    open_system: Callable[..., Any], tmp_path: Path, valkey_url: str, kept: Callable[..., schedules.Schedule]
) -> None:
    schedule = kept(tmp_path, valkey_url)
    with (
        open_system(conf=schedule.conf, beside=schedule.beside) as system,
        schedules.beat(system, schedule, tmp_path),
    ):
        expect_ticks(system)


@pytest.mark.parametrize("kept", SCHEDULERS)
def test_so_is_every_tick_of_a_beat_inside_a_worker(
    open_system: Callable[..., Any], tmp_path: Path, valkey_url: str, kept: Callable[..., schedules.Schedule]
) -> None:
    schedule = kept(tmp_path, valkey_url)
    with open_system(conf=schedule.conf, beside=schedule.beside, args=("-B", *schedule.arguments)) as system:
        expect_ticks(system)


def test_a_beat_that_was_stopped_says_how_late_it_comes(
    open_system: Callable[..., Any], tmp_path: Path, valkey_url: str
) -> None:
    schedule = schedules.in_a_file(tmp_path, valkey_url)
    with open_system(conf=schedule.conf) as system, schedules.beat(system, schedule, tmp_path) as process:
        expect_ticks(system)
        process.send_signal(signal.SIGSTOP)
        before = len(system.ours("apply_async/store.add"))
        stopped = system.ours("apply_async/store.add")[-1].end
        system.play("later", 3)  # a clock that needs no sleep: a task that runs after three seconds
        system.until("run/store.add", before + 1)
        process.send_signal(signal.SIGCONT)
        late = system.until("apply_async/store.add", before + 2)[-1]
        assert late.attributes["celery.beat.drift"] == pytest.approx((late.start - stopped) / 1e9 - 1, abs=0.9)
