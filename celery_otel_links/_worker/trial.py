"""Whether exporters take a span: one is exported by each of them, all at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._declared.names import DOCTOR, SCHEMA, SCOPE
from celery_otel_links._errors import in_words
from celery_otel_links._version import __version__
from celery_otel_links._worker.questions import NoAnswer, Question, ask

EXPORT_TIMEOUT = 3.0
"""Seconds that exporters have to answer."""


def tried(exporters: Mapping[str, Any], resource: Any) -> dict[str, str | None]:
    """Of each exporter, None if it takes a span from this resource, or what is wrong in one sentence."""
    if not exporters:
        return {}
    span, said = _span(resource), {name: list[str]() for name in exporters}
    asked = {name: ask(partial(_export, one, span, said[name])) for name, one in exporters.items()}
    deadline = time.monotonic() + EXPORT_TIMEOUT
    return {name: _answer(question, deadline, said[name]) for name, question in asked.items()}


def _span(resource: Any) -> Any:
    """A span that no sampler decides about, and that is there although the SDK is disabled."""
    from opentelemetry.sdk.trace import ReadableSpan  # where there is an exporter there is the SDK
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    scope = InstrumentationScope(SCOPE, __version__, SCHEMA)
    ids, now = RandomIdGenerator(), time.time_ns()
    context = SpanContext(ids.generate_trace_id(), ids.generate_span_id(), False, TraceFlags(TraceFlags.SAMPLED))
    return ReadableSpan(DOCTOR, context, resource=resource, instrumentation_scope=scope, start_time=now, end_time=now)


def _export(exporter: Any, span: Any, said: list[str]) -> bool:
    with _listening(said), suppress_instrumentation():
        return bool(exporter.export((span,)).name == "SUCCESS")


def _answer(question: Question[bool], deadline: float, said: list[str]) -> str | None:
    try:
        if question.answer(max(0.0, deadline - time.monotonic())):
            return None
        return said[-1] if said else "it says no more"
    except NoAnswer:
        return f"no answer within {EXPORT_TIMEOUT:g} s{': ' * bool(said)}{''.join(said[-1:])}"
    except Exception as error:
        return in_words(error)


@contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Note what OpenTelemetry's exporters log meanwhile in this thread: only there do they say why they have failed."""
    here = threading.get_ident()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == here:
                said.append(record.getMessage().splitlines()[0][:300])

    handler, logger = Listening(logging.WARNING), logging.getLogger("opentelemetry.exporter")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
