"""A plugin: a test fails that has emitted what is not declared, in whatever process.

What a test emits itself, such as an attribute that its hook sets, it names: `@pytest.mark.emits("shop.tenant")`. It
fails unless that was emitted by then, in it or before it in its file, so each mark shows that the check sees it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import watching

MARK = "emits"


class Check:
    """Reads the file of what was emitted and is not declared."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="undeclared-")
        self._file = Path(self._folder.name, "found.jsonl")
        self._offset = 0
        self._module: Path | None = None
        self._emitted: set[str] = set()
        self._file.touch()
        os.environ[watching.FILE] = str(self._file)

    def pytest_unconfigure(self) -> None:
        del os.environ[watching.FILE]
        self._folder.cleanup()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        watching.forget()
        if item.path != self._module:
            self._module, self._emitted = item.path, set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        result = yield
        self._check(item)
        never = _let_through(item) - self._emitted
        if never:
            pytest.fail(f"it says that it emits these, and does not: {', '.join(sorted(never))}", pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        result = yield
        self._check(item)
        return result

    def _check(self, item: pytest.Item) -> None:
        with self._file.open() as file:
            file.seek(self._offset)
            found = [json.loads(line) for line in file.read().splitlines()]
            self._offset = file.tell()
        self._emitted.update(name for name, _ in found)
        allowed = _let_through(item)
        wrong = dict.fromkeys(text for name, text in found if name not in allowed)
        if wrong:
            pytest.fail("not declared in celery_otel_links/_declared:\n" + "\n".join(wrong), pytrace=False)


def _let_through(item: pytest.Item) -> set[str]:
    return {name for mark in item.iter_markers(MARK) for name in mark.args}
