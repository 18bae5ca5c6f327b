"""What came of the tests in one environment: read from pytest's file, and kept in `results.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

KEPT = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Result:
    """`failed` has the names of tests, `skipped` how many there were for each reason."""

    date: str
    python: str
    celery: str
    opentelemetry: str
    passed: int
    failed: list[str]
    skipped: dict[str, int]


def read(junit: Path, *, date: str, python: str, celery: str, opentelemetry: str) -> Result:
    """From the file of `pytest --junit-xml`."""
    cases = list(ElementTree.parse(junit).iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [skip for case in cases if (skip := case.find("skipped")) is not None]
    return Result(
        date=date,
        python=python,
        celery=celery,
        opentelemetry=opentelemetry,
        passed=len(cases) - len(failed) - len(skipped),
        failed=[f"{case.get('classname')}::{case.get('name')}" for case in failed],
        skipped=dict(sorted(Counter(str(skip.get("message")) for skip in skipped).items())),
    )


def load() -> dict[str, Result | None]:
    """By the environment's name; None where it was never run."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return {name: Result(**told) if told else None for name, told in kept.items()}


def save(kept: Mapping[str, Result | None]) -> None:
    told = {name: asdict(result) if result else None for name, result in kept.items()}
    KEPT.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
