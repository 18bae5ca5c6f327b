"""What a benchmark found: ratios, with the noise of this run, beside their goals; and a table that explains them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Table = Sequence[Sequence[str]]
"""Rows of cells, the first of which are the heads."""


@dataclass(frozen=True)
class Result:
    """A ratio, or a number in the unit that its name gives."""

    name: str
    value: float
    noise: float = 0.0
    """Half of the difference between the even and the odd rounds of this run."""
    goal: float | None = None
    """The most that it may be."""

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "met" if self.value <= self.goal else "missed"

    @property
    def cells(self) -> list[str]:
        goal = "" if self.goal is None else f"{self.goal:g}"
        return [self.name, f"{self.value:.2f}", f"{self.noise:.2f}", goal, self.verdict]


HEADS = ["", "found", "noise", "goal", ""]


def show(table: Table) -> None:
    """Prints it with aligned columns."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print(row[0].ljust(len(first)), *rest, sep="  ")
    print(flush=True)


def show_results(results: Iterable[Result]) -> None:
    """Prints one line for each."""
    show([HEADS, *(result.cells for result in results)])


def write(path: Path | None, results: Iterable[Result], table: Table = ()) -> None:
    """Leaves them for whoever runs the benchmark, if anybody has asked for them."""
    if path is not None:
        path.write_text(json.dumps({"results": [asdict(result) for result in results], "table": table}))


def read(path: Path) -> tuple[list[Result], Table]:
    """What was written there."""
    found = json.loads(path.read_text())
    return [Result(**fields) for fields in found["results"]], found["table"]


def middle(values: Iterable[float]) -> float:
    """The mean of the middle third."""
    ordered = sorted(values)
    third = len(ordered) // 3
    kept = ordered[third : len(ordered) - third]
    return sum(kept) / len(kept)
