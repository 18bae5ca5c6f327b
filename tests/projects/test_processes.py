"""Beat, and what starts without a line of ours in the code: `opentelemetry-instrument`, OTEL_CONFIG_FILE."""

from __future__ import annotations

import importlib.util

import pytest

from tests.harness.needs import needs
from tests.projects.running import command, continues, links, named, one, root_of, send

pytestmark = pytest.mark.slow


def test_beat(project):
    shop = project("beat_shop", "set-up/beat.md")
    shop.start_worker()
    line = command(shop.page, "celery -A shop beat")
    beat = shop.start(f"{line} --schedule {shop.directory}/schedule --pidfile=", "beat: Starting...")
    shop.seen(lambda spans: len(named(spans, "run/shop.remind")) >= 2)
    beat.stop()
    spans = shop.seen(
        lambda spans: len(named(spans, "run/shop.remind")) == len(named(spans, "apply_async/shop.sweep")) >= 2
    )
    ticks = named(spans, "apply_async/shop.sweep")
    assert [tick.parent for tick in ticks] == [None] * len(ticks)
    assert {tick.attributes["celery.beat.entry"] for tick in ticks} == {"sweep every second"}
    assert len({tick.trace for tick in ticks}) == len(ticks)
    assert {run.parent for run in named(spans, "run/shop.sweep")} == {tick.id for tick in ticks}
    reminders = named(spans, "run/shop.remind")
    assert [run.parent for run in reminders] == [None] * len(reminders)
    assert {link.target for run in reminders for link in run.links if link.kind == "producer"} == {
        span.key for span in named(spans, "apply_async/shop.remind")
    }


@pytest.mark.parametrize(
    ("name", "page", "options", "reason"),
    [
        ("zero_code_shop", "set-up/zero-code.md", "", "task"),
        ("zero_code_shop", "set-up/zero-code.md", "--workers 2", "task"),
        ("declarative_shop", "set-up/declarative.md", "", "task-rule"),
    ],
)
def test_opentelemetry_instrument(project, name, page, options, reason):
    for package in ("opentelemetry.distro", "opentelemetry.instrumentation.fastapi"):
        needs(importlib.util.find_spec(package), package)
    if name == "declarative_shop":
        needs(importlib.util.find_spec("opentelemetry.configuration"), "opentelemetry-configuration")
    shop = project(name, page)
    worker = shop.start_worker()
    web, url = shop.start_web("uvicorn web:web", more=options)
    send(f"{url}/order/1", "POST")
    wanted = {"run/shop.charge", "run/shop.send_receipt", "apply_async/shop.charge", "apply_async/shop.send_receipt"}
    spans = shop.seen(lambda spans: wanted <= {span.name for span in spans} and any(s.kind == "SERVER" for s in spans))
    request = root_of(spans)
    assert one(spans, "apply_async/shop.charge").trace == request.trace
    assert continues(spans, "shop.charge")
    assert links(spans, "shop.send_receipt")
    assert one(spans, "run/shop.send_receipt").attributes["celery.propagation.reason"] == reason
    assert {span.kind for span in spans} == {"SERVER", "PRODUCER", "CONSUMER", "INTERNAL"}  # none of the Redis client
    for process in (web, worker):
        process.stop()
        assert "Traceback" not in process.output, process.output
