"""Runs the quick tests with every pair of versions that is here, and writes `docs/reference/versions.md`.

python -m tests.matrix.run                            # every environment of tox.ini
python -m tests.matrix.run py310-celery52 …           # these, beside what is kept of the others

It needs tox, and takes about three minutes for each environment. Where an interpreter is missing, what is kept of that
environment stays.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from tests.matrix import page, results


def tox(*arguments: str) -> str:
    """What it writes; a test that fails is a result like another."""
    command = [sys.executable, "-m", "tox", *arguments]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout


def environments() -> list[str]:
    """Those of `tox.ini` that are made of versions."""
    return [line for line in tox("list", "--no-desc", "-q").split() if line.startswith("py3")]


def run(environment: str) -> results.Result | None:
    """What came of the tests in it; None where its interpreter is not here."""
    today = datetime.now(timezone.utc).date().isoformat()
    with tempfile.TemporaryDirectory() as scratch:
        junit, installed = Path(scratch, "junit.xml"), Path(scratch, "installed.json")
        print(tox("run", "-e", environment, "--", *page.TESTS, "--junit-xml", str(junit)), flush=True)
        if not junit.exists():
            return None
        module = ["python", "-m", "tests.matrix.installed", str(installed)]
        tox("exec", "--skip-pkg-install", "-e", environment, "--", *module)
        return results.read(junit, date=today, **json.loads(installed.read_text()))


def main(asked: list[str]) -> None:
    known = environments()
    if unknown := set(asked) - set(known):
        sys.exit(f"tox.ini does not have {sorted(unknown)}")
    for environment in asked or known:
        result = run(environment)
        kept = results.load()
        results.save({name: kept.get(name) for name in known} | ({environment: result} if result else {}))
        page.PAGE.write_text(page.text(results.load()))


if __name__ == "__main__":
    main(sys.argv[1:])
