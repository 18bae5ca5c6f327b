"""What a person reads about modes, reasons, links, states and durations: on the page and in the terminal."""

from __future__ import annotations

from celery_otel_links.cli.viewer.record import Span

MODES = {
    "child": "It continues its publisher's trace",
    "link": "It has a trace of its own, linked to its publisher",
    "none": "It has a trace of its own, without a link",
}
REASONS = {
    "call": "the call asks for it",
    "task": "the task asks for it, with otel_propagation",
    "task-rule": "a pattern for this task's name in the configuration asks for it",
    "queue-rule": "a pattern for this queue in the configuration asks for it",
    "fan-out": "it is one of many (group, chord, chunks), and nobody waits for it",
    "loop": "its publisher sent more than fan_out_threshold messages from one span",
    "self": "this task publishes itself, so that one trace would never end",
    "delay": "it was due later than delay_threshold, after its publisher's end",
    "default": "no rule says otherwise",
    "no-context": "its message carried no context",
    "trust": "its queue is trusted no further",
    "batch": "one run for the messages of many publishers",
}
LINKS = {
    "producer": "published by",
    "consumer": "runs in",
    "origin": "the story began at",
    "previous-attempt": "the attempt before",
    "header": "header task of this chord",
    "link": "linked to",
}
STATES = {
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "RETRY": "will be tried again",
    "IGNORED": "ignored",
    "REJECTED": "rejected",
    "TERMINATED": "terminated",
    "REVOKED": "revoked before it ran",
    "EXPIRED": "expired before it ran",
    "UNKNOWN": "no such task",
}
KILLED = ("WorkerLostError", "TimeLimitExceeded")


def milliseconds(seconds: float | None) -> str:
    """A duration as a person reads it; empty for None."""
    if seconds is None:
        return ""
    if seconds >= 99.95:
        return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"
    if seconds >= 0.9995:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def why(span: Span) -> str:
    """`child (default)`, `link (fan-out)`, …: the mode of a run and the rule that chose it; empty where unknown."""
    mode, reason = (span.attributes.get(f"celery.propagation.{name}") for name in ("mode", "reason"))
    return f"{mode} ({reason})" if mode and reason else str(mode or "")


def outcome(span: Span) -> str:
    """`attempt 2, RETRY`, `killed (WorkerLostError)`, `EXPIRED`: what is not an ordinary success; empty otherwise."""
    error = str(span.attributes.get("error.type", "")).rpartition(".")[2]
    ended = "killed" if error in KILLED else ("" if span.state == "SUCCESS" else span.state)
    if not ended and span.error:
        ended = "ERROR"
    parts = [f"attempt {span.attempt}" if span.attempt > 1 else "", f"{ended} ({error})" if ended and error else ended]
    return ", ".join(filter(None, parts))
