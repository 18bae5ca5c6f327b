"""Subprocesses in process groups of their own that are gone, children included, when we say so or when we die."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.harness.waiting import until

PR_SET_PDEATHSIG = 1
# Seconds for the end that is asked for. What coverage.py measures is written then, and lost at a SIGKILL.
PATIENCE = 5.0 if "COVERAGE_PROCESS_CONFIG" in os.environ else 0.0
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(argv: Sequence[str], *, directory: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start it in a new process group, with `stdout` and `stderr` going to files of these names in the directory."""
    with open(directory / "stdout", "ab") as out, open(directory / "stderr", "ab") as err:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=_die_with_parent if _libc else None,
        )


def end(process: subprocess.Popen[bytes], *, patience: float = PATIENCE) -> None:
    """Make sure that the process, its group and its children are gone; ask with SIGTERM first if there is patience."""
    family = _family(process.pid)
    if patience and process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait(10)
    until(lambda: not any(_alive(member) for member in family), what=f"the end of all children of {process.args!r}")


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
