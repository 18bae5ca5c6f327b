"""Spans made by hand: a checkout with every kind of relation and outcome, the same as one trace, and large stories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from celery_otel_links.cli.viewer.record import KINDS, Link, Span

EPOCH = 1_790_000_000.0


def identifier(name: str, digits: int) -> str:
    """A name as an id of so many hexadecimal digits."""
    return name.encode().hex().ljust(digits, "0")[-digits:]


def link(trace: str, span: str, kind: str) -> Link:
    return Link(identifier(trace, 32), identifier(span, 16), kind)


def span(trace: str, number: str, name: str, parent: str = "", *, at: float, **more: Any) -> Span:
    """A span; `wait` is (scheduled, broker, prefetch), `said` is (mode, reason), `lasts` is in seconds."""
    kind = {"POST": "server", "apply_async": "producer", "run": "consumer"}[name.replace("/", " ").split()[0]]
    attributes: dict[str, Any] = dict(more.get("attributes", {}))
    if kind != "server":
        attributes["celery.task_name"] = name.partition("/")[2]
        mode, reason = more.get("said", ("child", "default"))
        attributes |= {"celery.propagation.mode": mode, "celery.propagation.reason": reason}
    if kind == "consumer":
        attributes.setdefault("celery.state", "SUCCESS")
    if "wait" in more:
        scheduled, broker, prefetch = more["wait"]
        parts = {"broker": broker, "prefetch": prefetch, "queue": broker + prefetch}
        parts["enqueue_to_start"] = scheduled + broker + prefetch
        parts |= {"scheduled": scheduled} if scheduled else {}
        attributes |= {f"celery.latency.{part}": seconds for part, seconds in parts.items()}
    return Span(
        trace_id=identifier(trace, 32),
        span_id=identifier(number, 16),
        parent_id=identifier(parent, 16) if parent else "",
        name=name,
        kind=kind,
        service="web" if kind == "server" else "worker",
        start=EPOCH + at,
        end=EPOCH + at + more.get("lasts", 0.01),
        error=more.get("error", False),
        attributes=attributes,
        links=tuple(more.get("links", ())),
    )


FAN_OUT, LATER = ("link", "fan-out"), ("link", "delay")
KILLED = {"celery.state": "FAILURE", "error.type": "billiard.exceptions.WorkerLostError"}
CHECKOUT = [
    span("t1", "post", "POST /checkout", at=0, lasts=0.05),
    span("t1", "pc", "apply_async/charge", "post", at=0.01),
    span("t1", "c1", "run/charge", "pc", at=0.1, lasts=0.2, wait=(0, 0.05, 0.04), attributes={"celery.state": "RETRY"}),
    span(
        "t1", "c2", "run/charge", "pc", at=0.6, lasts=0.1, wait=(0.2, 0.01, 0.01),
        attributes={"celery.retries": 1}, links=[link("t1", "c1", "previous-attempt")],
    ),
    span("t1", "pr", "apply_async/receipt", "post", at=0.02, said=FAN_OUT, links=[link("t2", "r", "consumer")]),
    span(
        "t2", "r", "run/receipt", at=1, lasts=0.1, said=FAN_OUT, wait=(0, 0.1, 0.8),
        links=[link("t1", "pr", "producer")],
    ),
    span("t2", "pa", "apply_async/archive", "r", at=1.02, said=LATER, links=[link("t3", "a", "consumer")]),
    span(
        "t3", "a", "run/archive", at=3, lasts=0.2, said=LATER, wait=(1.9, 0.03, 0), error=True, attributes=KILLED,
        links=[link("t2", "pa", "producer"), link("t1", "pr", "origin")],
    ),
    span("t1", "px", "apply_async/offer", "post", at=0.03),
    span("t1", "x", "run/offer", "px", at=0.5, lasts=0, wait=(0.4, 0, 0.05), attributes={"celery.state": "EXPIRED"}),
]  # fmt: skip
ONE_TRACE = [
    span("b1", "bpost", "POST /checkout", at=10, lasts=0.06),
    span("b1", "bpc", "apply_async/charge", "bpost", at=10.01),
    span("b1", "bc", "run/charge", "bpc", at=10.1, lasts=0.2, wait=(0, 0.05, 0.04)),
    span("b1", "bpr", "apply_async/receipt", "bpost", at=10.02),
    span("b1", "br", "run/receipt", "bpr", at=11, lasts=0.1, wait=(0, 0.1, 0.8)),
]  # fmt: skip


def large(spans: int, *, alike: bool) -> list[Span]:
    """A request that publishes to many tasks: all of one name, or each of its own."""
    made = [span("t0", "post", "POST /newsletter", at=0, lasts=1)]
    for number in range(spans // 2):
        task = "letter" if alike else f"letter{number}"
        trace, run, publish = f"L{number}", f"r{number}", f"p{number}"
        made += [
            span(
                "t0", publish, f"apply_async/{task}", "post", at=number / 1000, said=FAN_OUT,
                links=[link(trace, run, "consumer")],
            ),
            span(
                trace, run, f"run/{task}", at=number / 1000 + 0.3, said=FAN_OUT, wait=(0, 0.1, 0.2),
                links=[link("t0", publish, "producer")],
            ),
        ]  # fmt: skip
    return made


def exported(spans: Iterable[Span]) -> bytes:
    """The spans as an exporter sends them."""
    request = ExportTraceServiceRequest()
    for one in spans:
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = one.service
        made = resource_spans.scope_spans.add().spans.add(name=one.name, kind=KINDS.index(one.kind))
        made.trace_id, made.span_id = bytes.fromhex(one.trace_id), bytes.fromhex(one.span_id)
        made.parent_span_id = bytes.fromhex(one.parent_id)
        made.start_time_unix_nano, made.end_time_unix_nano = int(one.start * 1e9), int(one.end * 1e9)
        made.status.code = 2 if one.error else 0
        for name, value in one.attributes.items():
            _set(made.attributes.add(key=name).value, value)
        for target in one.links:
            kept = made.links.add(trace_id=bytes.fromhex(target.trace_id), span_id=bytes.fromhex(target.span_id))
            kept.attributes.add(key="celery.link.kind").value.string_value = target.kind
    return request.SerializeToString()


def _set(value: Any, plain: Any) -> None:
    field = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(plain)]
    setattr(value, field, plain)
