"""Looking at the configuration as early as can be: as soon as an app has one, and when Django checks itself.

Nothing is raised here, since Celery swallows what its signals' receivers raise, and since an app may be configured by
its first message: what is wrong is logged. A worker looks once more while it starts, and does not start with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, _state

from celery_otel_links._config.django_check import check_no_more, check_with
from celery_otel_links._config.sources import Configuration, configured


class EarlyLook:
    """Calls ``switch_off`` when it finds that nothing is to be done for the app of ``setup``."""

    def __init__(self, configuration: Configuration, switch_off: Callable[[], None]) -> None:
        self._configuration = configuration
        self._switch_off = switch_off

    def begin(self) -> None:
        """From now on."""
        _state.connect_on_app_finalize(self._finalizing)
        if self._configuration.app is not None:
            self.at(self._configuration.app)
        check_with(self._for_django)

    def end(self) -> None:
        """No more."""
        finalizers: set[Any] = getattr(_state, "_on_app_finalizers", set())  # there is no other way to disconnect
        finalizers.discard(self._finalizing)
        if self._configuration.app is not None:
            for signal in self._signals(self._configuration.app):
                signal.disconnect(self._look)
        check_no_more()

    def at(self, app: Celery) -> None:
        """Look at ``app`` as soon as it is configured, and again when its tasks are known."""
        for signal in self._signals(app):
            signal.connect(self._look, weak=False)

    @staticmethod
    def _signals(app: Celery) -> tuple[Any, ...]:
        return app.on_after_configure, app.on_after_finalize

    def _finalizing(self, app: Celery) -> None:
        app.on_after_finalize.connect(self._look, weak=False)

    def _look(self, *, sender: Celery, **_: Any) -> None:
        if configured(sender):
            reading = self._configuration.report(sender)
            if not reading.config.enabled and sender is self._configuration.app:
                self._switch_off()

    def _for_django(self) -> tuple[Sequence[str], Sequence[str]]:
        reading = self._configuration.look(self._configuration.app or _state.get_current_app(), load=True)
        return reading.wrong, reading.odd
