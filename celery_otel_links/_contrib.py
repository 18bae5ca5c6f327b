"""``opentelemetry-instrumentation-celery``: switched off while ours is on, so that nothing gets two spans."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import wrapt
from opentelemetry.instrumentation.utils import unwrap

logger = logging.getLogger("celery_otel_links")


class Predecessor:
    """The other instrumentation, if it is installed."""

    def __init__(self) -> None:
        self._kind: Any = None
        self._was: dict[str, Any] | None = None
        self._wanted: dict[str, Any] | None = None
        try:
            module = importlib.import_module("opentelemetry.instrumentation.celery")
        except Exception:  # not installed, or broken: then it makes no spans
            return
        self._kind = module.CeleryInstrumentor

    def switch_off(self) -> None:
        """End it where it is active, and keep it from becoming active."""
        if self._kind is None:
            return
        instrumentor = self._kind()
        if instrumentor.is_instrumented_by_opentelemetry:
            self._was = dict(vars(instrumentor))
            instrumentor.uninstrument()
            _say()
        wrapt.wrap_function_wrapper(self._kind, "_instrument", self._refuse)

    def release(self) -> None:
        """As it was before, or as it would be by now."""
        if self._kind is None:
            return
        unwrap(self._kind, "_instrument")
        instrumentor = self._kind()
        if self._wanted is not None:
            instrumentor._instrument(**self._wanted)
        elif self._was is not None:
            instrumentor.instrument(skip_dep_check=True)
            vars(instrumentor).update(self._was)
        self._was = self._wanted = None

    def _refuse(self, _wrapped: Any, _instance: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        self._wanted = kwargs
        _say()


def _say() -> None:
    logger.warning("opentelemetry-instrumentation-celery is switched off: celery-otel-links traces this process")
