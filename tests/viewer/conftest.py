"""A headless Chromium for the tests of the page. Skipped, and said, where there is none; in CI that is a failure."""

from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import needs
from tests.harness.waiting import until

pytest.importorskip("rich")
pytest.importorskip("opentelemetry.proto")

AXE = "axe-core@4.14.1"  # MPL-2.0: fetched for the test, no part of what is shipped
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright_is_there = importlib.util.find_spec("playwright")
    needs(playwright_is_there, "playwright, to test the page: pip install 'celery-otel-links[browser]'")
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    needs(executable, "Chromium, to test the page: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a URL; at the end, nothing may have gone wrong in the page and nothing asked for beyond this machine."""
    trouble: list[str] = []
    contexts = []

    def open_page(url: str, width: int = 1600, height: int = 900, scheme: str = "light") -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: message.type == "error" and trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: _local(request.url) or trouble.append(f"asked for {request.url}"))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def settled(page: Any, condition: str) -> None:
    """Wait until a condition holds in the page, whose own policy forbids Playwright's way of waiting."""
    until(lambda: page.evaluate(condition), what=condition, timeout=15)


def _local(url: str) -> bool:
    return url.startswith(("file://", "data:", "http://127.0.0.1:"))


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which looks for what keeps people out."""
    npm = shutil.which("npm")
    needs(npm, "npm, to fetch axe-core")
    folder = tmp_path_factory.mktemp("axe")
    fetched = subprocess.run(
        [str(npm), "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=120
    )
    needs(fetched.returncode == 0, f"{AXE} from npm: {fetched.stderr.strip()[-200:]}")
    with tarfile.open(fileobj=io.BytesIO((folder / fetched.stdout.strip()).read_bytes())) as package:
        script = package.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Write a page of these spans; its URL."""
    from celery_otel_links.cli.viewer import page

    def write(**show: Any) -> str:
        file = tmp_path / "page.html"
        page.write(str(file), page.Show(**show))
        return file.as_uri()

    return write
