"""The pages that are written from what is declared are as they would be written now; what is stale is seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_docs import DOCS

PAGES = ("reference/emitted.md", "configuration.md")


def generate(docs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(docs / "reference" / "generate.py"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder of documentation with the pages that are written."""
    for name in (*PAGES, "reference/generate.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(DOCS / name, tmp_path / name)
    return tmp_path


def test_the_pages_are_what_is_declared():
    checked = generate(DOCS, "--check")
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


@pytest.mark.parametrize(
    ("page", "said"),
    [("reference/emitted.md", "The propagation mode."), ("configuration.md", "the mode where no other rule decides")],
)
def test_a_page_that_says_something_else_is_stale_until_it_is_written(copy, page, said):
    right = (copy / page).read_text()
    (copy / page).write_text(right.replace(said, "something else", 1))
    checked = generate(copy, "--check")
    assert (checked.returncode, checked.stdout.partition(" ")[0]) == (1, page)
    assert generate(copy).returncode == 0
    assert (copy / page).read_text() == right
