"""The blocks of code in README.md and on the pages of docs/, and the programs that the Python ones make up."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^ *(?P=fence)$", re.M | re.S)
# Files of docs/projects, which tests/projects compares with them and runs.
_INCLUDED = re.compile(r"<!-- file: \S+ -->\n$")
_FILE = re.compile(r"# ([\w/]+\.py)\n")


class Block(NamedTuple):
    """One fenced block: its page as a path in the repository, its line there, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """README.md and all pages of the documentation."""
    return ["README.md", *sorted(path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("docs/**/*.md"))]


def blocks(page: str | None = None) -> Iterator[Block]:
    """The blocks of that page, or of all."""
    for one in [page] if page else pages():
        text = (REPOSITORY / one).read_text()
        for found in _FENCE.finditer(text):
            if _INCLUDED.search(text, 0, found.start()):
                continue
            line = text.count("\n", 0, found.start()) + 1
            yield Block(one, line, found["language"].strip(), textwrap.dedent(found["text"]))


def programs(page: str) -> dict[str, str]:
    """The page's Python as files: a block that begins with `# shop.py` is that file, all others are one program."""
    files: dict[str, str] = {}
    rest = ""
    for block in blocks(page):
        if block.language != "python":
            continue
        named = _FILE.match(block.text)
        if named:
            files[named[1]] = block.text
        else:
            rest += block.text + "\n\n"
    return {**files, "page.py": rest} if rest else files
