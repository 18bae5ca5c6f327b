"""`python docs/pictures/take.py`: run the example, and take the pictures of README and docs from that run.

Needs a Chromium on the PATH, and: pip install -e '.[example,browser]'. Everything that is seen was measured.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme

from celery_otel_links.cli.viewer import trees
from celery_otel_links.cli.viewer.record import Link, Span
from celery_otel_links.cli.viewer.story import Stories

PICTURES = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LINKED_RUN = "#grid .row.trace + .row:has-text('run/shop.receipt')"
ONE_TRACE = "#switch button:last-child"
SHOTS = (  # name, width, height, what is clicked
    ("page", 1600, 960, LINKED_RUN),
    ("page-one-trace", 1600, 960, ONE_TRACE),
)
SCHEMES = ("light", "dark")
THEMES = {"light": DEFAULT_TERMINAL_THEME, "dark": MONOKAI}
TERMINAL = """<meta charset="utf-8"><body style="margin:0;background:{background};color:{foreground}">
<pre style="margin:0;padding:16px 20px;width:max-content;font:14px/1.25 'DejaVu Sans Mono',monospace">{code}</pre>"""


def main() -> None:
    """Run, then take all pictures."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page, record = Path(folder) / "page.html", Path(folder) / "spans.json"
        command = [sys.executable, "-m", "example_project", "--html", str(page), "--json", str(record)]
        subprocess.run(command, cwd=PICTURES.parents[1], check=True)
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for scheme in SCHEMES:
            for name, width, height, clicked in SHOTS:
                _take(browser, page.as_uri(), PICTURES / f"{name}-{scheme}.png", (width, height), scheme, clicked)
            _terminal(browser, record, PICTURES / f"terminal-{scheme}.png", THEMES[scheme])
        browser.close()


def _take(browser: Browser, url: str, file: Path, size: tuple[int, int], scheme: str, clicked: str) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.goto(url)
    if clicked:
        page.locator(clicked).first.click()
        page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=file)
    page.close()


def _terminal(browser: Browser, record: Path, file: Path, theme: TerminalTheme) -> None:
    spans = [
        Span(**{**span, "links": tuple(Link(**link) for link in span["links"])})
        for span in json.loads(record.read_text())["spans"]
    ]
    stories = Stories(spans)
    del stories[1:4]  # the first checkout, and the request of which everything goes wrong
    console = Console(width=80, record=True, file=io.StringIO(), force_terminal=True, color_system="256")
    trees.draw(console, stories)
    page = browser.new_page(viewport={"width": 760, "height": 100})
    page.set_content(console.export_html(theme=theme, inline_styles=True, code_format=TERMINAL))
    page.locator("pre").screenshot(path=file)
    page.close()


if __name__ == "__main__":
    main()
