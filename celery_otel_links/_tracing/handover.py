"""What is asked for around publishes: the mode of a block, and a context that was captured before."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import wrapt
from opentelemetry import context as otel
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import unwrap

from celery_otel_links._config.modes import mode_of
from celery_otel_links._rules.facts import MODES, Mode
from celery_otel_links._tracing.under_way import Asked, as_of, asked_here, asking

_MODE, _TIME = "celery-otel-links-mode", "celery-otel-links-captured"
_ON_COMMIT = ("delay_on_commit", "apply_async_on_commit")


@contextmanager
def propagation(mode: Mode) -> Iterator[None]:
    """Publish in ``mode`` (``"child"``, ``"link"`` or ``"none"``) whatever is published inside the ``with`` block.

    The innermost block counts; what a single call asks for outranks it.

    Raises:
        ConfigError: there is no such mode.
    """
    with asking(asked_here()._replace(mode=mode_of(mode, "propagation()"))):
        yield


def capture() -> dict[str, str]:
    """What is current here and now, to publish with it later: the context, the mode of ``propagation()``, the time.

    A small dict of strings, which can be stored with the row of an outbox table and given to :func:`attach`.
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    mode = asked_here().mode
    if mode is not None:
        carrier[_MODE] = mode
    carrier[_TIME] = f"{time.time():.6f}"
    return carrier


@contextmanager
def attach(carrier: Mapping[str, str]) -> Iterator[None]:
    """Publish inside the ``with`` block as if it were where and when ``carrier`` was captured.

    PRODUCER spans are children of the span that was current then, in the mode that was asked for then, and
    ``celery.latency.handover`` says how many seconds lie between. What can't be read of ``carrier`` is left out.
    """
    known = {name: text for name, text in carrier.items() if isinstance(text, str)}
    mode = known.get(_MODE)
    asked = Asked(mode=mode if mode in MODES else None, captured=_seconds(known.get(_TIME, "")))
    with as_of(propagate.extract(known, Context()), asked):
        yield


class OnCommit:
    """Django tasks that are published when a transaction commits keep the mode and the context of their call."""

    def __init__(self) -> None:
        self._kind: Any = None
        self._released = False
        wrapt.register_post_import_hook(self._wrap, "celery.contrib.django.task")

    def release(self) -> None:
        """As it was before."""
        self._released = True
        if self._kind is not None:
            for name in _ON_COMMIT:
                unwrap(self._kind, name)

    def _wrap(self, module: Any) -> None:
        if not self._released:
            self._kind = module.DjangoTask
            for name in _ON_COMMIT:
                wrapt.wrap_function_wrapper(self._kind, name, self._called)

    def _called(self, wrapped: Any, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        asked = asked_here()
        later = _Later(task, otel.get_current(), asked._replace(captured=asked.captured or time.time()))
        return wrapped.__func__(later, *args, **kwargs)


class _Later:
    """Stands in for a task whose publishing waits: publishes as of the call."""

    def __init__(self, task: Any, context: Context, asked: Asked) -> None:
        self._task = task
        self._context = context
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._task, name)
        return self._as_of_call(value) if name in ("delay", "apply_async") else value

    def _as_of_call(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with as_of(self._context, self._asked):
                return publish(*args, **kwargs)

        return call


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 < seconds < 1e11 else None
