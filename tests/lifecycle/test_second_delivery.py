"""A message that is delivered twice: two runs, both in the trace that its publisher reserved, with an identity each."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._rules.request import RECEIVED, SECOND
from celery_otel_links._wire import header as wire
from celery_otel_links._worker.receipts import Receipts
from tests.harness.recording import JsonLinesSpanExporter, collected


@pytest.fixture
def publisher(tmp_path):
    """The spans of this process, which links."""
    published = tmp_path / "published"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(published)))
    CeleryLinksInstrumentor().instrument(tracer_provider=provider, config={"default": "link"})
    yield lambda: collected(published)
    CeleryLinksInstrumentor().uninstrument()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_broker_that_marks_no_second_delivery_gives_two_identities(open_site, publisher, valkey_url, tmp_path, pool):
    folder, processed = tmp_path / "queue", tmp_path / "processed"
    folder.mkdir()
    processed.mkdir()
    folders = {name: str(folder) for name in ("data_folder_in", "data_folder_out", "control_folder")}
    folders["processed_folder"] = str(processed)
    conf = {"broker_transport_options": folders, "result_backend": valkey_url}
    with open_site(pool, url="filesystem://", conf=conf, concurrency=1) as site:
        site.app.send_task("end.reject_once", (str(tmp_path / "rejected"),)).get(timeout=30)
        site.worker.stop(signal.SIGTERM)
        runs = [span for span in site.spans() if span.kind == "CONSUMER"]
        assert site.complaints() == []
    (publish,) = [span for span in publisher() if span.kind == "PRODUCER"]
    (reserved,) = [link.target for link in publish.links if link.kind == "consumer"]
    assert [run.attributes["celery.state"] for run in sorted(runs, key=lambda run: run.start)] == [
        "REJECTED",
        "SUCCESS",
    ]
    assert {run.trace for run in runs} == {reserved[0]}
    assert len({run.key for run in runs}) == 2
    assert reserved in {run.key for run in runs}


def received(receipts, header):
    request = SimpleNamespace(request_dict={} if header is None else {wire.HEADER: header})
    receipts.stamp(request)
    return request.request_dict


def test_a_worker_knows_a_message_that_has_come_before():
    receipts = Receipts()
    assert [SECOND in received(receipts, header) for header in ("v=1;t=1", "v=1;t=2", "v=1;t=1", "v=1;t=1")] == [
        False,
        False,
        True,
        True,
    ]


def test_of_a_message_without_our_header_nobody_says_that_it_has_come_before():
    receipts = Receipts()
    assert [SECOND in received(receipts, header) for header in (None, None, 7, 7)] == [False] * 4


def test_every_delivery_says_when_it_was_received():
    assert isinstance(received(Receipts(), None)[RECEIVED], float)


def test_only_so_many_messages_are_remembered(monkeypatch):
    monkeypatch.setattr("celery_otel_links._worker.receipts._MOST_REMEMBERED", 2)
    receipts = Receipts()
    for header in ("1", "2", "3"):
        received(receipts, header)
    assert [SECOND in received(receipts, header) for header in ("3", "1")] == [True, False]
