"""Runs the tests of Celery's own source distribution plain and with ours active, and prints where they differ.

    python tests/celery_own/compare.py                              the unit tests of the newest Celery
    python tests/celery_own/compare.py --integration --redis URL    its integration tests, on a Redis of yours

It makes a virtual environment in a temporary folder. Exits with 1 where a test ends otherwise with ours than without.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).parents[2]
TOOLS = ["pytest", "pytest-celery", "pytest-subtests", "pytest-timeout", "pytest-click", "pytest-order"]
TOOLS += ["pytest-rerunfailures", "freezegun", "boto3", "moto", "redis", "gevent", "eventlet", "pydantic", "msgpack"]
PLUGIN = "tests.celery_own.ours"


def command(*words: object, **options: object) -> None:
    """Run it, and go on whatever comes of it."""
    subprocess.run([str(word) for word in words], check=False, **options)  # type: ignore[call-overload]


def source(version: str, folder: Path) -> Path:
    """The unpacked source distribution of this Celery."""
    python = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "celery"]
    command(*python, "--dest", folder, f"celery=={version}")
    with tarfile.open(folder / f"celery-{version}.tar.gz") as archive:
        archive.extractall(folder)
    return folder / f"celery-{version}"


def environment(version: str, folder: Path) -> Path:
    """The interpreter of a new environment with this Celery, what its tests need, and ours."""
    command(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    command(python, "-m", "pip", "install", "--quiet", f"celery=={version}", *TOOLS, f"{REPOSITORY}[sdk]")
    return python


def outcomes(python: Path, tests: Path, chosen: list[str], environ: dict[str, str]) -> dict[str, str]:
    """How each test ended, by its name."""
    report = tests / "report.xml"
    report.unlink(missing_ok=True)
    words = [
        python,
        "-m",
        "pytest",
        "-q",
        "--continue-on-collection-errors",
        "--no-header",
        "--tb=no",
        f"--junitxml={report}",
    ]
    command(*words, *chosen, cwd=tests, env={**os.environ, **environ, "PYTHONPATH": f"{tests}:{REPOSITORY}"})
    ended = {}
    for case in ElementTree.parse(report).iter("testcase"):
        states = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        ended[f"{case.get('classname')}::{case.get('name')}"] = states[0] if states else "passed"
    return ended


def main() -> int:
    """Both runs, and the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celery", default="5.7.0")
    parser.add_argument("--integration", action="store_true")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("tests", nargs="*", help="those of Celery's test folder; all, where none are named")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tests, python = source(options.celery, Path(name)), environment(options.celery, Path(name))
        chosen = options.tests or ["t/integration" if options.integration else "t/unit"]
        environ = {"TEST_BROKER": options.redis, "TEST_BACKEND": options.redis}
        plain = outcomes(python, tests, chosen, environ)
        ours = outcomes(python, tests, ["-p", PLUGIN, *chosen], environ)
    print("plain:", dict(Counter(plain.values())))
    print("ours: ", dict(Counter(ours.values())))
    different = sorted(test for test in plain.keys() | ours.keys() if plain.get(test) != ours.get(test))
    for test in different:
        print(f"{test}: {plain.get(test)} without ours, {ours.get(test)} with ours")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
