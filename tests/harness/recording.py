"""Spans of many processes in one file, a JSON object a line, and the reader that gives them back as frozen records."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

Key = tuple[str, str]


@dataclass(frozen=True)
class Link:
    """A link: the key (trace id, span id) of its target, and its attributes."""

    target: Key
    attributes: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.attributes.get("celery.link.kind", "untyped"))


@dataclass(frozen=True, eq=False)
class Span:
    """A finished span as it was exported. Ids are hexadecimal, times are nanoseconds since the epoch."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str | None
    links: tuple[Link, ...]
    attributes: Mapping[str, Any]
    status: str
    description: str | None
    events: tuple[Mapping[str, Any], ...]
    start: int
    end: int
    resource: Mapping[str, Any]
    scope: str
    pid: int

    @property
    def key(self) -> Key:
        return self.trace, self.id

    @property
    def message_id(self) -> str | None:
        """The id of the task that this span publishes or runs."""
        return self.attributes.get("messaging.message.id")

    @property
    def attempt(self) -> int:
        """How many attempts came before: 0 for the first."""
        return int(self.attributes.get("celery.retries", 0))


class JsonLinesSpanExporter(SpanExporter):
    """Appends each span as one line by one write, so that processes can share the file; safe to use after a fork."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            for span in spans:
                os.write(descriptor, json.dumps(_encode(span), default=repr).encode() + b"\n")
        finally:
            os.close(descriptor)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@dataclass
class SpanFile:
    """A growing file of spans: every look reads what is new."""

    path: Path
    _spans: list[Span] = field(default_factory=list)
    _offset: int = 0

    def spans(self) -> tuple[Span, ...]:
        """All spans that were exported so far, in the order of their exports."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                complete, newline, _ = file.read().rpartition(b"\n")
            self._spans += [_decode(json.loads(line)) for line in complete.splitlines()]
            self._offset += len(complete) + len(newline)
        return tuple(self._spans)


def collected(path: str | os.PathLike[str]) -> tuple[Span, ...]:
    """All spans in the file, which need not exist."""
    return SpanFile(Path(path)).spans()


def _encode(span: ReadableSpan) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": f"{span.context.trace_id:032x}",
        "id": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "links": [
            {
                "target": [f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}"],
                "attributes": dict(link.attributes or {}),
            }
            for link in span.links
        ],
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name,
        "description": span.status.description,
        "events": [{"name": event.name, **(event.attributes or {})} for event in span.events],
        "start": span.start_time,
        "end": span.end_time,
        "resource": dict(span.resource.attributes),
        "scope": span.instrumentation_scope.name if span.instrumentation_scope else "",
        "pid": os.getpid(),
    }


def _decode(record: dict[str, Any]) -> Span:
    links = tuple(Link((link["target"][0], link["target"][1]), link["attributes"]) for link in record["links"])
    return Span(**{**record, "links": links, "events": tuple(record["events"])})
