"""2,000 tasks on four processes, killed and recycled, the broker restarted meanwhile: every attempt has its span.

Physics allows one exception: what a process has finished but not yet exported is lost with it when it is killed. It is
counted here, and bounded by `flush_interval`.
"""

from __future__ import annotations

import math
import signal
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import celery
import pytest
import redis

from tests.harness.waiting import until
from tests.lifecycle.brokers import restartable

pytestmark = pytest.mark.clock

TASKS = 2000
KILLERS = 40
CONCURRENCY = 4
PREFETCHED = CONCURRENCY * 4  # what Celery has taken, and may lose before a task starts, when its broker stops
INTERVAL = 0.1
BUSY = 1.0  # what a busy machine may add to an export


class Line(NamedTuple):
    """What a task has written down of itself."""

    task_id: str
    pid: int
    time: float
    what: str


def noted(path: Path) -> list[Line]:
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [Line(task_id, int(pid), float(time), what) for task_id, pid, time, what in lines]


def test_every_attempt_has_its_one_span(open_site, tmp_path, record_property):
    notes = tmp_path / "notes"
    with restartable(tmp_path) as broker:
        options = {
            "url": broker.url,
            "concurrency": CONCURRENCY,
            "args": ("--max-tasks-per-child", "150"),
            "otel_links": {"flush_interval": INTERVAL},
            "conf": {"task_ignore_result": True},
        }
        with open_site("prefork", **options) as site:
            for number in range(TASKS):
                site.app.send_task("end.note", (str(notes), number % (TASKS // KILLERS) == 7))
            until(lambda: len(noted(notes)) > TASKS, what="half of the tasks", timeout=60)
            if celery.VERSION >= (5, 3):  # kombu before 5.3 cannot connect again by a redis-py after 5.0
                broker.restart()
            until_done(broker.url, site, notes)
            site.worker.stop(signal.SIGTERM, timeout=30)
            spans, complaints, said = site.spans(), site.complaints(), site.said()

    lines = noted(notes)
    started = Counter(line.task_id for line in lines if line.what == "start")
    runs = Counter(span.message_id for span in spans)
    lost = {task_id: count - runs[task_id] for task_id, count in started.items() if count != runs[task_id]}
    record_property("attempts", sum(started.values()))
    record_property("killed", sum(line.what == "kill" for line in lines))
    record_property("lost", len(lost))
    record_property("oldest of them, in seconds before the kill", max(map(partial(age, lines), lost), default=0))
    assert len(started) >= TASKS - PREFETCHED
    assert complaints == []
    assert set(runs) <= set(started)
    assert all(count > 0 for count in lost.values()), "more spans than attempts"
    assert [task_id for task_id in lost if age(lines, task_id) > INTERVAL + BUSY] == [], story(lines, lost, said)
    states = Counter(span.attributes["celery.state"] for span in spans)
    assert states["FAILURE"] == sum(line.what == "kill" for line in lines)


def age(lines: list[Line], task_id: str) -> float:
    """How long before its process was killed the task had ended; infinite if it was not killed."""
    killed = {line.pid: line.time for line in lines if line.what == "kill"}
    ends = [line for line in lines if line.task_id == task_id and line.what == "end"]
    return min((killed[line.pid] - line.time for line in ends if line.pid in killed), default=math.inf)


def story(lines: list[Line], task_ids: Iterable[str], said: str) -> str:
    """What is known of these: the last lines of the processes that have run them, and what the worker has logged."""
    told = []
    for task_id in task_ids:
        of = [line.pid for line in lines if line.task_id == task_id]
        told += [f"{task_id}:", *(str(line) for pid in dict.fromkeys(of) for line in lines if line.pid == pid)]
        told += [text for text in said.splitlines() if task_id in text or any(f"pid:{pid} " in text for pid in of)]
    return "\n".join(told)


def until_done(url: str, site: Any, notes: Path) -> None:
    """Wait until nothing waits in the broker, and nothing happens any more."""
    client = redis.Redis.from_url(url)
    last = [0]

    def quiet() -> bool:
        site.supervise()  # Celery 5.7 may not survive the restart of its broker: kombu fails while it closes
        seen, last[0] = last[0], len(noted(notes))
        return client.llen(site.queue) == 0 and seen == last[0]

    def still() -> str:
        left = f"{len(noted(notes))} lines, {client.llen(site.queue)} left"
        return f"the end of the storm: {left}, {site.worker.stderr[-3000:]}"

    until(quiet, what=still, timeout=90, steady=2.0)
    client.close()
