"""Beat with each of the schedulers that people use: what the process has to be told."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import processes
from tests.harness.needs import needs
from tests.harness.waiting import until
from tests.harness.workers import environment
from tests.systems import django_site

EVERY_SECOND = {"every-second": {"task": "store.add", "schedule": 1.0, "args": [1, 2]}}


@dataclass(frozen=True)
class Schedule:
    """Where a scheduler keeps the entries, as arguments for beat and as configuration."""

    arguments: Sequence[str]
    conf: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[str] = ()


def in_a_file(directory: Path, _valkey_url: str) -> Schedule:
    return Schedule(["--schedule", str(directory / "schedule")], {"beat_schedule": EVERY_SECOND})


def in_django(directory: Path, _valkey_url: str) -> Schedule:
    needs(_installed("django_celery_beat"), "the package django-celery-beat")
    django_site.migrate(directory)
    scheduler = ["--scheduler", "django_celery_beat.schedulers:DatabaseScheduler"]
    return Schedule(scheduler, {"beat_schedule": EVERY_SECOND}, beside=["django"])


def in_redis(_directory: Path, valkey_url: str) -> Schedule:
    needs(_installed("redbeat"), "the package celery-redbeat")
    conf = {"beat_schedule": EVERY_SECOND, "redbeat_redis_url": valkey_url}
    return Schedule(["--scheduler", "redbeat.RedBeatScheduler"], {**conf, "redbeat_key_prefix": f"{uuid.uuid4().hex}:"})


@contextlib.contextmanager
def beat(system: Any, schedule: Schedule, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``celery beat`` that has started ticking."""
    home = directory / "beat"
    home.mkdir()
    argv = [sys.executable, "-m", "celery", "-A", "tests.systems.app:app", "beat", "--max-interval", "1"]
    env = environment(system.settings, ready=home / "ready", env=system.env)
    process = processes.start([*argv, *schedule.arguments], directory=home, env=env)
    try:
        until(
            lambda: (home / "ready").exists() or process.poll() is not None,
            what=lambda: (home / "stderr").read_text(),
            timeout=30,
        )
        assert process.poll() is None, (home / "stderr").read_text()
        yield process
    finally:
        processes.end(process, patience=5)


def _installed(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    except Exception:  # it is there, but Django is not set up yet
        return True
    return True
