"""One decision for everything that a test needs and a machine may lack: skip here, fail in CI."""

from __future__ import annotations

import os

import pytest

# Packages, with blanks between them, that are not made for the versions of an environment of tox.
LACKS = "OTEL_LINKS_TEST_LACKS"


def needs(condition: object, what: str) -> None:
    """Go on if the condition holds. Otherwise skip the test, saying what it needs; with CI=true, fail it.

    `what` is the name of a package or a whole explanation.
    """
    if condition:
        return
    if os.environ.get("CI") == "true" and what not in os.environ.get(LACKS, "").split():
        pytest.fail(f"CI has to provide what this test needs: {what}", pytrace=False)
    pytest.skip(f"needs {what}")
