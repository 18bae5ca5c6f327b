"""A project of docs/projects with a broker and a collector of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.harness.collector import collector
from tests.harness.recording import SpanFile
from tests.projects.running import Project, environment

DATABASES = count()


@pytest.fixture
def project(valkey_url: str, tmp_path: Path) -> Iterator[Callable[[str, str], Project]]:
    """`project(name, page)`: nothing is started yet. What it starts is gone afterwards."""
    with ExitStack() as opened:

        def made(name: str, page: str) -> Project:
            spans = SpanFile(tmp_path / "spans")
            endpoint = opened.enter_context(collector(spans.path))
            broker = f"{valkey_url.rpartition('/')[0]}/{next(DATABASES) % 16}"
            one = Project(name, page, tmp_path, environment(tmp_path, broker, endpoint), spans)
            opened.callback(one.end)
            return one

        yield made
