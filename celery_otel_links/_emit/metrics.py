"""Which instruments there are in this process, by now: none without a meter provider, and none twice for one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import Any

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider, get_meter_provider

from celery_otel_links._declared.names import BEAT_DRIFT, MAIN_SCOPE, SCHEMA, SCOPE
from celery_otel_links._emit.instruments import Instruments
from celery_otel_links._forks import forgets


class Metrics:
    """What is counted and timed about messages, with a given meter provider or the global one, whenever it is set.

    Without a provider nothing is done, nor made.
    """

    histograms: Collection[str] = ()
    """The names of those that are wanted; to be set before the first measurement."""

    gauges: Mapping[str, Callable[[], int | None]] = {}
    """What is observed in a worker's main process."""

    def __init__(self, provider: MeterProvider | None, version: str) -> None:
        self._given = provider
        self._version = version
        self._provider: MeterProvider | None = None
        self._instruments: Instruments | None = None
        self._forking = False
        self._making = threading.RLock()
        forgets(self)

    def provider(self) -> MeterProvider:
        """The provider of meters, by now."""
        return self._given or get_meter_provider()

    def active(self) -> Instruments | None:
        """The instruments, if anybody would see what they record."""
        provider = self._given or get_meter_provider()
        if provider is not self._provider:
            with self._making:  # what is counted on a second set of instruments, nobody would see
                self._instruments = self._of(provider)
                self._provider = provider  # at last: what stands beside it is right for whoever finds it
        return self._instruments

    def observe(self, gauges: Mapping[str, Callable[[], int | None]]) -> None:
        """In a worker's main process: what these say is shown with the rest, also by a provider that is set later."""
        self.gauges, self._provider = gauges, None
        self.active()

    def in_beat(self) -> None:
        """In beat: how late it is has a histogram of its own."""
        self.histograms, self._provider = {*self.histograms, BEAT_DRIFT}, None

    def only_count(self) -> None:
        """In a process that forks others to run tasks: count, but leave the histograms alone.

        The SDK's sums are inherited, so that what was recorded here would be exported by every child again.
        """
        self._forking, self._provider = True, None

    def forget(self) -> None:
        """A forked child measures everything. A thread of the parent may have held the lock."""
        self._making = threading.RLock()
        _release(self.provider())
        self._forking, self._provider = False, None

    def _of(self, provider: MeterProvider) -> Instruments | None:
        if isinstance(provider, NoOpMeterProvider) or type(provider).__name__ == "_ProxyMeterProvider":
            return None
        made = _made_for(provider)
        if self._forking not in made:
            # A scope of its own, lest the SDK take a child's counts for going on where its parent's were.
            scope = MAIN_SCOPE if self._forking else SCOPE
            meter = provider.get_meter(scope, self._version, SCHEMA)
            made[self._forking] = Instruments(meter, timing=not self._forking)
        made[self._forking].gauges = self.gauges
        made[self._forking].record_in(self.histograms)
        return made[self._forking]


# The SDK makes an instrument once, with the callbacks that it is first given; so a provider's have to be found again.
_made: list[tuple[Callable[[], Any], dict[bool, Instruments]]] = []


def _made_for(provider: Any) -> dict[bool, Instruments]:
    """By identity: not every provider can be hashed, or referred to weakly."""
    for found, made in list(_made):
        if found() is provider:
            return made
        if found() is None:
            _made.remove((found, made))
    made = {}
    try:
        _made.append((weakref.ref(provider), made))
    except TypeError:
        _made.append((lambda: provider, made))
    return made


def _release(provider: Any) -> None:
    """Free the locks of the SDK that a thread of the parent held at the fork, such as during an export.

    The SDK does not, up to 1.45: such a child would never export a metric, and wait when it is flushed.
    """
    consumer = getattr(provider, "_measurement_consumer", None)
    storages = getattr(consumer, "_reader_storages", None)
    readers = storages.items() if isinstance(storages, Mapping) else ()
    for holder in (consumer, *(one for pair in list(readers) for one in pair)):
        for name in ("_lock", "_export_lock"):
            release = getattr(getattr(holder, name, None), "_at_fork_reinit", None)
            if release is not None:
                release()
