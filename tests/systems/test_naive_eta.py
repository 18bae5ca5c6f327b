"""An eta without a zone: a worker takes it as UTC, whatever `timezone` and `enable_utc` say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ZONES = [
    {},
    {"timezone": "Europe/Berlin"},
    {"timezone": "America/New_York"},
    {"timezone": "Asia/Tokyo", "enable_utc": False},
    {"timezone": "America/New_York", "enable_utc": False},
]


@pytest.mark.parametrize("conf", ZONES, ids=lambda conf: " ".join(map(str, conf.values())) or "nothing set")
def test_a_naive_eta_is_due_when_the_worker_takes_it_to_be(open_system: Callable[..., Any], conf: dict) -> None:
    with open_system(conf=conf, otel_links={"delay_threshold": 1}) as system:
        system.play("naive", 2.5)
        (run,) = system.until("run/store.add")
        (published,) = system.ours("apply_async/store.add")
        waited = (run.start - published.start) / 1e9
        assert 1 < waited < 9, "the worker takes the eta as this test does"
        assert 1 < run.attributes["celery.latency.scheduled"] <= 2.6
        assert run.attributes["celery.latency.queue"] < waited - 1
        assert run.attributes["celery.propagation.reason"] == "delay"
