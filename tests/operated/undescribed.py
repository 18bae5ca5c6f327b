"""Parts of somebody else that work, and raise when they are asked what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery.backends.redis import RedisBackend
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult

RESULTS = "tests.operated.undescribed:Results"


class Nameless(Sampler):
    """A sampler."""

    def get_description(self) -> str:
        raise ValueError("no name")

    def should_sample(self, *arguments: Any, **options: Any) -> SamplingResult:
        return ALWAYS_ON.should_sample(*arguments, **options)


class Placeless(SpanExporter):
    """An exporter."""

    @property
    def _endpoint(self) -> str:
        raise ValueError("no place")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def __repr__(self) -> str:
        raise ValueError("no text")


class Hiding(SpanProcessor):
    """A processor, which exports in some way."""


class Results(RedisBackend):
    """A result backend."""

    @property
    def supports_autoexpire(self) -> bool:
        raise ValueError("no end")

    def __repr__(self) -> str:
        raise ValueError("no text")
