"""The page on uWSGI: with its settings, what the processes publish after the fork is exported."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from celery_otel_links.cli.viewer.collector import Collector
from tests.docs.pages import blocks
from tests.harness import processes, servers
from tests.harness.needs import needs
from tests.harness.waiting import until

PAGE = "docs/set-up/uwsgi.md"
WSGI = """
from celery import Celery
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import celery_otel_links

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=100))
trace.set_tracer_provider(provider)
app = Celery("shop", broker="memory://")
celery_otel_links.setup(app)


def application(environ, start_response):
    app.send_task("shop.charge")
    start_response("200 OK", [])
    return [b"done"]
"""


@pytest.fixture
def collector():
    opened = Collector()
    yield opened
    opened.close()


def served(folder: Path, settings: str, collector: Collector):
    """A uWSGI server with these settings, and its address."""
    executable = shutil.which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    needs(executable, "uwsgi on the PATH: pip install pyuwsgi")
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "wsgi.py").write_text(WSGI)
    address = f"127.0.0.1:{servers.free_port()}"
    (folder / "uwsgi.ini").write_text(f"{settings}\nhttp-socket = {address}\nchdir = {folder}\n")
    (block,) = (one for one in blocks(PAGE) if one.language == "sh")
    command = block.text.replace("http://localhost:4318", collector.endpoint).replace("uwsgi ", f"exec {executable} ")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "NO_PROXY": "127.0.0.1"}
    process = processes.start(["bash", "-ec", f"cd {folder}\n{command}"], directory=folder, env=env)
    return process, f"http://{address}/"


def answer(address: str) -> bytes:
    with contextlib.suppress(OSError), urlopen(address, timeout=10) as response:
        return response.read()
    return b""


@pytest.mark.parametrize("comment", ["# lazy-apps", "lazy-apps"])
def test_what_every_process_publishes_is_exported(tmp_path, collector, comment):
    (block,) = (one for one in blocks(PAGE) if one.language == "ini")
    process, address = served(tmp_path, block.text.replace("# lazy-apps", comment), collector)
    try:
        until(lambda: answer(address) == b"done", what=lambda: (tmp_path / "stderr").read_text(), timeout=30)
        for _ in range(20):
            assert answer(address) == b"done"
        until(
            lambda: len(collector.recording.spans) == 21,
            what=lambda: f"{len(collector.recording.spans)} of 21 spans",
            timeout=20,
        )
        assert {span.service for span in collector.recording.spans} == {"shop-web"}
    finally:
        process.send_signal(signal.SIGINT)
        processes.end(process, patience=2)
