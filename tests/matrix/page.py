"""The page of what was run with which versions, from what is kept of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.matrix.results import Result

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "versions.md"
TESTS = ["tests/unit", "tests/acceptance"]

HEAD = f"""\
# Versions

celery-otel-links works with Celery 5.2 to 5.7, on Python 3.10 to 3.15 where that Celery has them, and with
OpenTelemetry from 1.24 on.

## What was run

Each row is one environment of `tox.ini`, on Linux, with real worker processes and a real Valkey. It ran what
`pytest {" ".join(TESTS)}` selects: all but the slow tests, which CI runs with Celery 5.2 (and the oldest
OpenTelemetry), 5.4 and 5.7. `python -m tests.matrix.run` runs everything again and writes this page.

| environment | Celery | Python | OpenTelemetry | passed | failed | skipped | on |
|---|---|---|---|---|---|---|---|
"""
EXPERIMENTS = """\
Celery's main branch, the free-threaded Python (`py314t`), and Celery 5.2 on Python 3.11 are experiments, and may fail:
`ignore_outcome` in `tox.ini`. The free-threaded Python runs without gRPC and gevent, which have no wheels for it:
install `opentelemetry-exporter-otlp-proto-http` there in place of the extra `otlp`.
"""
# Failures that are not ours.
REASONS = {
    "py311-celery52": "Celery 5.2 does not declare Python 3.11, whose `traceback` cannot print what its billiard makes "
    "of an exception (`'_Code' object has no attribute 'co_positions'`), where Celery logs a task that failed",
}


def text(kept: Mapping[str, Result | None]) -> str:
    """Every environment stands on the page: with what came of it, or as not run."""
    run = {name: result for name, result in sorted(kept.items(), key=_by_celery) if result}
    not_run = [f"`{name}`" for name, result in sorted(kept.items(), key=_by_celery) if not result]
    sections = [HEAD + "".join(_row(name, result) for name, result in run.items())]
    if not_run:
        sections.append(f"Not run, because the interpreter was not there: {', '.join(not_run)}.\n")
    sections.append(EXPERIMENTS)
    if failures := "".join(_failures(name, result) for name, result in run.items() if result.failed):
        sections.append(f"## What failed\n\n{failures}")
    if skips := "".join(_skips(run)):
        sections.append(f"## What was skipped\n\n{skips}")
    return "\n".join(sections)


def _by_celery(kept: tuple[str, Result | None]) -> list[str]:
    python, celery, *rest = kept[0].split("-")
    return [celery, python, *rest]


def _row(name: str, result: Result) -> str:
    counts = result.passed, len(result.failed), sum(result.skipped.values())
    cells = [f"`{name}`", result.celery, result.python, result.opentelemetry, *map(str, counts), result.date]
    return f"| {' | '.join(cells)} |\n"


def _failures(name: str, result: Result) -> str:
    """Where the reason is known, it stands for all the tests."""
    if name in REASONS:
        return f"- `{name}`, {len(result.failed)} tests: {REASONS[name]}.\n"
    return "".join(f"- `{name}`: `{test}`\n" for test in result.failed)


def _skips(run: Mapping[str, Result]) -> list[str]:
    """Each reason once, with the environments that have it."""
    found: dict[str, list[str]] = {}
    for name, result in run.items():
        for reason in result.skipped:
            found.setdefault(reason, []).append(f"`{name}`")
    return [f"- {reason}: {', '.join(where)}\n" for reason, where in found.items()]
