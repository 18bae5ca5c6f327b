"""The page: one HTML file without network, made of a template, a style and a script of our own, and the data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from celery_otel_links.cli.viewer import words
from celery_otel_links.cli.viewer.record import Span

SCRIPTS = tuple(
    f"{name}.js" for name in ("book", "sentences", "rows", "chart", "details", "latency", "main", "keys", "live")
)
WORDS = {"modes": words.MODES, "reasons": words.REASONS, "links": words.LINKS, "states": words.STATES}


@dataclass(frozen=True)
class Show:
    """What a page is made of."""

    title: str = "Celery"
    spans: Sequence[Span] = ()
    before: Sequence[Span] = ()
    """The same requests in another run, in which everything was one trace."""
    live: bool = False
    """Whether it asks its server for more."""
    actions: Mapping[str, Any] = field(default_factory=dict)


def html(show: Show) -> str:
    """The whole page."""
    data = {
        "title": show.title,
        "live": show.live,
        "actions": show.actions,
        "words": WORDS,
        "spans": _plain_of(show.spans),
        "before": _plain_of(show.before),
    }
    # Inside a script element the text may hold no "</script" and no "<!--".
    embedded = compact(data).replace("<", "\\u003c")
    parts = {"title": escape(show.title), "style": _asset("page.css"), "script": _script(), "data": embedded}
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _asset("page.html"))


def check_writable(file: str) -> None:
    """OSError with a plain message if a page could not be written there."""
    folder = Path(file).resolve().parent
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {folder} for {file}")
    if Path(file).is_dir():
        raise IsADirectoryError(f"{file} is a folder; name a file")
    existed = Path(file).exists()
    try:
        with Path(file).open("a"):
            pass
    except OSError as error:
        raise PermissionError(f"{file} can't be written: {error.strerror}") from error
    if not existed:
        Path(file).unlink()


def write(file: str, show: Show) -> None:
    """Write the page."""
    Path(file).write_text(html(show), encoding="utf-8", errors="replace")


def plain(span: Span) -> dict[str, Any]:
    """A span as the page's script knows it: short keys, since there are many."""
    return {
        "t": span.trace_id,
        "s": span.span_id,
        "p": span.parent_id,
        "n": span.name,
        "k": span.kind,
        "v": span.service,
        "b": round(span.start, 6),
        "e": round(span.end, 6),
        "x": span.error,
        "m": span.message,
        "a": span.attributes,
        "l": [[link.trace_id, link.span_id, link.kind] for link in span.links],
    }


def compact(data: Any) -> str:
    """JSON without blanks. NaN and infinity, which JSON has not, become texts."""
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(data), separators=(",", ":"))


def _finite(data: Any) -> Any:
    if isinstance(data, float) and not (abs(data) < float("inf")):
        return str(data)
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, (list, tuple)) else data


def _plain_of(spans: Iterable[Span]) -> list[dict[str, Any]]:
    return [plain(span) for span in spans]


@cache
def _asset(name: str) -> str:
    return (files("celery_otel_links.cli.viewer") / "assets" / name).read_text(encoding="utf-8")


def _script() -> str:
    return "\n".join(_asset(name) for name in SCRIPTS)
