"""The page as a file: what it holds, and where it can't be written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from celery_otel_links.cli.viewer import page
from tests.viewer.made import CHECKOUT, span


def data(html: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_the_page_holds_every_span_and_asks_nobody_for_anything() -> None:
    html = page.html(page.Show(spans=CHECKOUT))
    assert [one["n"] for one in data(html)["spans"]] == [one.name for one in CHECKOUT]
    assert "://" not in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    "name", ["POST /</script><script>alert(1)</script>", "POST /<!--", "POST /{{style}}", "POST /\udc80"]
)
def test_a_name_can_hold_anything(name: str) -> None:
    html = page.html(page.Show(title="<b>", spans=[span("t", "s", name, at=0)]))
    assert data(html)["spans"][0]["n"] == name
    assert "<title>&lt;b&gt;" in html
    assert html.count("</script>") == 2


def test_numbers_that_json_has_not_are_texts() -> None:
    odd = span("t", "s", "run/a", at=0, attributes={"a": float("nan"), "b": [float("inf")]})
    assert data(page.html(page.Show(spans=[odd])))["spans"][0]["a"]["a"] == "nan"


def test_a_folder_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"there is no folder .*missing"):
        page.check_writable(str(tmp_path / "missing" / "page.html"))
    with pytest.raises(OSError, match="is a folder; name a file"):
        page.check_writable(str(tmp_path))


def test_looking_whether_a_file_can_be_written_leaves_none(tmp_path: Path) -> None:
    page.check_writable(str(tmp_path / "page.html"))
    assert list(tmp_path.iterdir()) == []
