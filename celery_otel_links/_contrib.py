"""``opentelemetry-instrumentation-celery``: switched off while ours is on, so that nothing gets two spans.

Its ``use_span_links=True`` is taken over: then ``default`` is ``link``, unless somebody says what it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import wrapt
from opentelemetry.instrumentation.utils import unwrap

from celery_otel_links._config.notices import Family, warn_once

OFF = "opentelemetry-instrumentation-celery is switched off: celery-otel-links traces this process"
LINKS = "its use_span_links=True is taken over as default: link, unless the option default says otherwise"


class Contrib:
    """The other instrumentation, if it is installed. ``on_links`` is called where it was to use span links."""

    def __init__(self, on_links: Callable[[], None]) -> None:
        self._on_links = on_links
        self._kind: Any = None
        self._was: dict[str, Any] | None = None
        self._wanted: dict[str, Any] | None = None

    def switch_off(self) -> None:
        """End it where it is active, and keep it from becoming active."""
        try:
            self._kind = importlib.import_module("opentelemetry.instrumentation.celery").CeleryInstrumentor
        except Exception:  # not installed, or broken: then it makes no spans
            return
        instrumentor = self._kind()
        if instrumentor.is_instrumented_by_opentelemetry:
            self._was = dict(vars(instrumentor))
            instrumentor.uninstrument()
            self._take_over(self._was.get("_use_span_links"))
        # Not `_instrument`, which is not called again by somebody who names the options after an empty call.
        wrapt.wrap_function_wrapper(self._kind, "instrument", self._refuse)

    def release(self) -> None:
        """As it was before, or as it would be by now."""
        if self._kind is None:
            return
        unwrap(self._kind, "instrument")
        instrumentor = self._kind()
        if self._wanted is not None:
            instrumentor.instrument(**self._wanted)
        elif self._was is not None:
            instrumentor.instrument(skip_dep_check=True)
            vars(instrumentor).update(self._was)
        self._was = self._wanted = None

    def _refuse(self, _wrapped: Any, _instance: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        self._wanted = kwargs
        self._take_over(kwargs.get("use_span_links"))

    def _take_over(self, links: object) -> None:
        if links:
            self._on_links()
            warn_once(Family.CONTRIB_LINKS, f"{OFF}; {LINKS}")
        else:
            warn_once(Family.CONTRIB_OFF, OFF)
