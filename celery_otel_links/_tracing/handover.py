"""What is asked for around publishes: the mode of a block, and a context that was captured before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from opentelemetry import context as otel
from opentelemetry import propagate
from opentelemetry.context import Context

from celery_otel_links._config.modes import MODES, Mode, mode_of
from celery_otel_links._tracing.publish import Asked, Publishing, under_way

_MODE, _TIME = "celery-otel-links-mode", "celery-otel-links-captured"


@contextmanager
def propagation(mode: Mode) -> Iterator[None]:
    """Publish in ``mode`` (``"child"``, ``"link"`` or ``"none"``) whatever is published inside the ``with`` block.

    The innermost block counts; what a single call asks for outranks it.

    Raises:
        ConfigError: there is no such mode.
    """
    asked = _asked()._replace(mode=mode_of(mode, "propagation()"))
    with _asking(asked):
        yield


def capture() -> dict[str, str]:
    """What is current here and now, to publish with it later: the context, the mode of ``propagation()``, the time.

    A small dict of strings, which can be stored with the row of an outbox table and given to :func:`attach`.
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    asked = _asked()
    if asked.mode is not None:
        carrier[_MODE] = asked.mode
    carrier[_TIME] = f"{time.time():.6f}"
    return carrier


@contextmanager
def attach(carrier: Mapping[str, str]) -> Iterator[None]:
    """Publish inside the ``with`` block as if it were where and when ``carrier`` was captured.

    PRODUCER spans are children of the span that was current then, in the mode that was asked for then, and
    ``celery.latency.handover`` says how many seconds lie between. What can't be read of ``carrier`` is left out.
    """
    known = {name: text for name, text in carrier.items() if isinstance(text, str)}
    mode, text = known.get(_MODE), known.get(_TIME, "")
    asked = Asked(mode=mode if mode in MODES else None, captured=_seconds(text))
    token = otel.attach(propagate.extract(known, Context()))
    try:
        with _asking(asked):
            yield
    finally:
        otel.detach(token)


def _asked() -> Asked:
    publishing = under_way.get()
    return Asked() if publishing is None else publishing.asked


@contextmanager
def _asking(asked: Asked) -> Iterator[None]:
    publishing = Publishing()
    publishing.asked = asked
    token = under_way.set(publishing)
    try:
        yield
    finally:
        with suppress(
            ValueError
        ):  # the block ends in another context, as one in a generator may: nothing is left there
            under_way.reset(token)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < 1e11 else None
