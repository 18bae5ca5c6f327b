"""What a benchmark found: ratios, with the noise of this run, beside their goals."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """A ratio, or a number in the unit that its name gives."""

    name: str
    value: float
    noise: float = 0.0
    """Half of the difference between the even and the odd rounds of this run."""
    goal: float | None = None

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "met" if self.value <= self.goal else "missed"


def show(results: Iterable[Result]) -> None:
    """Prints one line for each."""
    print(f"{'':36}{'found':>8}{'noise':>8}{'goal':>7}")
    for result in results:
        goal = "" if result.goal is None else f"{result.goal:g}"
        print(f"{result.name:36}{result.value:8.2f}{result.noise:8.2f}{goal:>7}  {result.verdict}")


def write(path: Path | None, results: Iterable[Result]) -> None:
    if path is not None:
        path.write_text(json.dumps([asdict(result) for result in results], indent=1))


def read(path: Path) -> list[Result]:
    return [Result(**fields) for fields in json.loads(path.read_text())]


def fastest_third(values: Iterable[float]) -> float:
    """What the work takes where nothing else disturbed it."""
    ordered = sorted(values)
    fastest = ordered[: max(1, len(ordered) // 3)]
    return sum(fastest) / len(fastest)
