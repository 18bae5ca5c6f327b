"""Runs the benchmarks one after the other, prints one table of what they found, and writes docs/performance.md.

With `--check` it compares with that page instead, and exits with 1 where a ratio has grown by more than a fifth. Goals
that are missed are said, and no reason to fail. `prefetch.py` is not among them: it shows what a setting of Celery does
to waiting, for docs/latency.md.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from page import Section, grown, written
from results import read, show_results

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"


@dataclass(frozen=True)
class Benchmark:
    """A program beside this one, and what it needs to be told."""

    name: str
    section: Section
    full: Sequence[str] = ()
    quick: Sequence[str] = ("--quick",)


BENCHMARKS = [
    Benchmark(
        "bill",
        Section(
            "The bill of a task",
            """\
The whole bill is processor time: on the path of the task (publish, receive, run), for the OTLP encoding of its spans,
and for its metrics, in whatever thread. All in one process and in alternating rounds. *floor* is two spans, one
inject and one extract with the SDK, and nothing else; *unsampled* is below a parent that is not sampled; *link*
reserves the identity of the run that it links to; *watched* is with a span processor that looks at spans when they
start, which those of the SDK do not: attributes are then set in the SDK's way, which takes longer. The first table has
all parts in units of contrib's sampled bill.""",
        ),
    ),
    Benchmark(
        "worker",
        Section(
            "A real worker",
            """\
Processor time (user and system) of the child and of the main process of a prefork worker per task that does nothing,
on Valkey, spans and metrics encoded: in the first table all of it, then what instrumentation adds beside what contrib
adds. What it adds to the main process is in microseconds of the machine that measured.""",
        ),
    ),
    Benchmark(
        "fan_in",
        Section(
            "What links cost",
            """\
Processor time of a header task of a chord and of what publishes its body, by result backend, with fan-in in units of
the same without it; a linked publish that reserves the identity of its run, in units of one that does not.""",
        ),
        quick=["--rounds", "9"],
    ),
    Benchmark(
        "memory",
        Section(
            "Memory",
            """\
What the processes have grown by at most after the first quarter of many tasks through a real worker, some of which
fail, retry or publish others.""",
        ),
        full=["--tasks", "40000"],
        quick=["--tasks", "8000"],
    ),
]


def run(benchmark: Benchmark, *, quick: bool) -> Section:
    """What it found; raises if it fails."""
    with tempfile.TemporaryDirectory() as directory:
        found = Path(directory, "results.json")
        command = [sys.executable, str(HERE / f"{benchmark.name}.py"), "--json", str(found)]
        print(f"=== {benchmark.name}", flush=True)
        subprocess.run([*command, *(benchmark.quick if quick else benchmark.full)], check=True)
        results, table = read(found)
    return replace(benchmark.section, results=results, table=table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and only what has a goal")
    parser.add_argument("--only", help=f"some of: {', '.join(benchmark.name for benchmark in BENCHMARKS)}")
    parser.add_argument("--check", action="store_true", help="compare with the page, and do not write it")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [benchmark.name for benchmark in BENCHMARKS]
    if unknown := set(wanted) - {benchmark.name for benchmark in BENCHMARKS}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    if options.only and not options.check:
        print("Not all benchmarks: the page is not written.")
    sections = [run(benchmark, quick=options.quick) for benchmark in BENCHMARKS if benchmark.name in wanted]
    results = [result for section in sections for result in section.results]
    print("=== all")
    show_results(results)
    if options.check:
        worse = grown(results, PAGE.read_text())
        print(*worse or ["No ratio has grown by more than a fifth over what docs/performance.md says."], sep="\n")
        return 1 if worse else 0
    if not options.only:
        PAGE.write_text(written(sections, date.today()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
