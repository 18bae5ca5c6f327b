"""Programs in processes of their own, and what they have written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
DJANGO_SHOP = Path(__file__).parent / "django_shop"
BIN = Path(sys.executable).parent
ZERO_CODE = str(BIN / "opentelemetry-instrument")


class Ended(NamedTuple):
    """A program that has ended."""

    status: int
    out: str
    err: str

    @property
    def output(self) -> str:
        return self.out + self.err


def run(argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = REPOSITORY) -> Ended:
    """Run it to its end, in this environment without its OpenTelemetry and Celery variables but with those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_"))}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    own = {"PATH": path, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "C_FORCE_ROOT": "1"}
    done = subprocess.run(
        list(argv), cwd=cwd, env={**inherited, **own, **(env or {})}, capture_output=True, text=True, timeout=60
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def python(
    code: str, env: Mapping[str, str] | None = None, cwd: Path = REPOSITORY, *, zero_code: bool = False
) -> Ended:
    """Run a few lines of Python, in a process that is watched."""
    return run([*([ZERO_CODE] if zero_code else []), sys.executable, "-c", f"import tests\n{code}"], env, cwd)
