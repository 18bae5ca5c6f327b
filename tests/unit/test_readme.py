"""README.md as it is read on a package index: its addresses lead into the repository, its numbers are measured."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
PERFORMANCE = (REPOSITORY / "docs" / "performance.md").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
SITE, HOME = PROJECT["urls"]["Documentation"], PROJECT["urls"]["Repository"]
RAW = HOME.replace("github.com", "raw.githubusercontent.com") + "/main/"
ADDRESSES = sorted(set(re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"]+)", README)))


def in_repository(address: str) -> str:
    """The path that an address of ours leads to, with the heading behind a `#`."""
    if address.startswith(SITE):
        page, _, heading = address.removeprefix(SITE).partition("#")
        return f"docs/{page.removesuffix('.html') or 'index'}.md#{heading}"
    for start in (RAW, f"{HOME}/tree/main/", f"{HOME}/blob/main/"):
        if address.startswith(start):
            return address.removeprefix(start) + "#"
    raise AssertionError(f"{address} is nowhere in this repository")


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in addresses."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_leads_into_the_repository(address):
    path, _, heading = in_repository(address).partition("#")
    assert (REPOSITORY / path).exists()
    assert not heading or heading in anchors((REPOSITORY / path).read_text())


def test_there_are_addresses():
    assert len(ADDRESSES) > 15


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        ("| `child` |", ["child: path / contrib", "child: bill / contrib"]),
        ("| `link`, with the identity of its run reserved |", ["link: path / contrib", "link: bill / contrib"]),
        ("| `child`, not sampled; contrib not sampled is 1.00 |", ["child unsampled: path / contrib"]),
    ],
)
def test_what_it_costs_is_what_was_measured(row, measured):
    (cells,) = (
        line.removeprefix(row) for line in README.splitlines() if line.startswith(row) and "." in line[len(row) :]
    )
    found = [re.search(rf"^\| {re.escape(label)} \| ([0-9.]+) ", PERFORMANCE, re.MULTILINE)[1] for label in measured]
    assert [cell.strip() for cell in cells.split("|") if cell.strip()] == found


def test_the_extras_of_the_quick_start_bring_the_sdk_and_an_exporter():
    """The exporter needs the SDK, so its extra need not name it."""
    from importlib.metadata import requires

    assert any(one.startswith("opentelemetry-exporter-otlp") for one in PROJECT["optional-dependencies"]["otlp"])
    exporter = requires("opentelemetry-exporter-otlp-proto-http") or []
    assert any(one.startswith("opentelemetry-sdk") for one in exporter)
