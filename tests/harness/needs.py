"""One decision for everything that a test needs and a machine may lack: skip here, fail in CI."""

from __future__ import annotations

import os

import pytest


def needs(condition: object, what: str) -> None:
    """Go on if the condition holds. Otherwise skip the test, saying what it needs; with CI=true, fail it."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has to provide what this test needs: {what}", pytrace=False)
    pytest.skip(f"needs {what}")
