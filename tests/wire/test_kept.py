"""Each release's messages are read by this one; and this one's are kept."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest
from celery import Celery
from celery.app.trace import build_tracer

from celery_otel_links import __version__
from celery_otel_links.testing import captured_spans

KEPT = Path(__file__).parent / "kept"
RELEASES = sorted(path.stem for path in KEPT.glob("*.json"))
# What each message says about its run: mode, reason, and whether its identity was reserved.
SAID = {
    "child": ("child", "default", False),
    "link": ("link", "call", True),
    "none": ("none", "call", False),
    "member of a group": ("link", "fan-out", True),
    "delayed": ("link", "delay", True),
}


@pytest.fixture
def work():
    app = Celery("kept", broker="memory://", set_as_current=False)

    @app.task(name="kept.work", shared=False)
    def work() -> None:
        pass

    app.finalize()
    return app.tasks["kept.work"]


def test_the_messages_of_this_release_are_kept():
    assert __version__ in RELEASES, "python -m tests.wire.keep"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", SAID)
def test_a_kept_message_is_read(work, release, name):
    kept = json.loads((KEPT / f"{release}.json").read_text())[name]
    headers, identifier = kept["headers"], uuid.uuid4().hex
    request = {**headers, "headers": headers, "id": identifier, "task": work.name, "is_eager": False}
    request |= {"delivery_info": {"exchange": "", "routing_key": "celery"}, "args": (), "kwargs": {}, "retries": 0}
    with captured_spans(work.app) as captured:
        build_tracer(work.name, work, app=work.app)(identifier, (), {}, request)
        (run,) = captured.spans
    mode, reason, reserved = SAID[name]
    attributes = run.attributes
    assert (attributes["celery.propagation.mode"], attributes["celery.propagation.reason"]) == (mode, reason)
    assert attributes["celery.latency.enqueue_to_start"] > 0
    trace_id, span_id = (int(part, 16) for part in headers["traceparent"].split("-")[1:3])
    if mode == "child":
        assert (run.parent.trace_id, run.parent.span_id) == (trace_id, span_id)
        return
    assert run.parent is None
    linked = [(link.context.trace_id, link.context.span_id) for link in run.links]
    assert linked == ([(trace_id, span_id)] if mode == "link" else [])
    if reserved:
        chosen = re.search(r"reserved=(\w+)-(\w+)", headers["celery-otel-links"])
        assert (run.context.trace_id, run.context.span_id) == (int(chosen[1], 16), int(chosen[2], 16))
