"""The span file: what was exported comes back, from many processes, without torn lines."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from tests.harness.recording import JsonLinesSpanExporter, SpanFile, collected


def provider(path: Path) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(path)))
    return made


def export_many(path: Path, name: str) -> None:
    tracer = provider(path).get_tracer("t")
    for _ in range(100):
        tracer.start_span(name, attributes={"padding": "x" * 5000}).end()


def test_a_span_comes_back_as_it_was(tmp_path):
    tracer = provider(tmp_path / "spans").get_tracer("t")
    first = tracer.start_span("first")
    first.end()
    context = first.get_span_context()
    with tracer.start_as_current_span("parent"):
        span = tracer.start_span(
            "second", kind=SpanKind.CONSUMER, links=[Link(context, {"celery.link.kind": "producer"})], start_time=5
        )
        span.set_status(Status(StatusCode.ERROR, "oh"))
        span.add_event("boom", {"a": 1})
        span.set_attributes({"messaging.message.id": "id", "celery.retries": 2})
        span.end(9)
    one, two, parent = collected(tmp_path / "spans")
    assert (one.name, one.kind, one.parent, one.attempt, one.message_id) == ("first", "INTERNAL", None, 0, None)
    assert (two.kind, two.status, two.description, two.start, two.end) == ("CONSUMER", "ERROR", "oh", 5, 9)
    assert (two.parent, two.trace) == (parent.id, parent.trace)
    assert [(link.kind, link.target) for link in two.links] == [("producer", one.key)]
    assert (two.events, two.attempt, two.message_id) == (({"name": "boom", "a": 1},), 2, "id")


def test_many_processes_share_a_file(tmp_path):
    fork = multiprocessing.get_context("spawn")
    writers = [fork.Process(target=export_many, args=(tmp_path / "spans", name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    names = [span.name for span in collected(tmp_path / "spans")]
    assert (names.count("a"), names.count("b")) == (100, 100)


def test_a_span_file_reads_what_is_new_and_leaves_an_unfinished_line(tmp_path):
    file = SpanFile(tmp_path / "spans")
    assert file.spans() == ()
    export_many(file.path, "a")
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-10])
    assert len(file.spans()) == 99
    file.path.write_bytes(whole)
    assert len(file.spans()) == 100
