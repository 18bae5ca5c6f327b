"""docs/performance.md: how it is written, and what grew since it was.

The page is generated as a whole, so that no number on it can be older than the sentence beside it.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

from results import HEADS, Result, Table

MOST_GROWTH = 1.2
"""A ratio may be so many times what the page says."""
PACKAGES = {
    "celery-otel-links": "celery-otel-links",
    "Celery": "celery",
    "OpenTelemetry's SDK": "opentelemetry-sdk",
    "contrib": "opentelemetry-instrumentation-celery",
}


@dataclass(frozen=True)
class Section:
    """What one benchmark is about, and found."""

    title: str
    text: str
    results: Sequence[Result] = ()
    table: Table = ()


INTRODUCTION = """\
# Performance: what a task costs

<!-- Written by `python benchmarks/run.py`. Do not edit: change that, and run it. -->

What tracing costs is said here beside what it costs with `opentelemetry-instrumentation-celery` (*contrib*), because
ratios from one run hold on other machines, and microseconds do not.

{versions}.

*noise* is half of the difference between the even and the odd rounds of the run. A *goal* is the most that a number
should be; one that is missed says so. CI measures again, and fails where a ratio has grown by more than a fifth over
what is written here.
"""


def written(sections: Iterable[Section], today: date) -> str:
    """The page."""
    found = [f"Python {platform.python_version()}", *(f"{name} {version(of)}" for name, of in PACKAGES.items())]
    parts = [INTRODUCTION.format(versions=f"Measured on {today.isoformat()} with {', '.join(found)}")]
    for section in sections:
        parts.append(f"## {section.title}\n\n{section.text}\n")
        parts += [_markdown(rows) for rows in (section.table, [HEADS, *(one.cells for one in section.results)]) if rows]
    return "\n".join(parts)


def _markdown(rows: Table) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body]) + "\n"


def ratios(page: str) -> Mapping[str, float]:
    """What is written on a page, by name."""
    rows = (line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and " / " in line)
    return {name: float(value) for name, value, *_ in rows}


def grown(results: Iterable[Result], page: str) -> list[str]:
    """A sentence for each ratio that has grown too much; what is not on the page has not."""
    before = ratios(page)
    return [
        f"{result.name} has grown from {before[result.name]:.2f} to {result.value:.2f}"
        for result in results
        if result.name in before and result.value - result.noise > MOST_GROWTH * before[result.name]
    ]
