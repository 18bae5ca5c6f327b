"""The attribute sets of an instrument, bounded in number and length, and what is counted for each of them."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import Observation

from celery_otel_links._emit.names import Declared
from celery_otel_links._rules.texts import LONGEST_NAME

MOST_SERIES = 2000
"""Attribute sets of one instrument; what goes beyond has the attribute that OpenTelemetry specifies for it alone."""
OVERFLOW = {"otel.metric.overflow": True}
Labels = tuple[Any, ...]
"""Values of an instrument's attributes, in their order; None where one is left out."""
_OVERFLOWED: Labels = ()


class Series:
    """The attribute sets of one instrument: bounded in number, and in the length of each name."""

    def __init__(self, attributes: tuple[str, ...]) -> None:
        self._names = attributes
        self.sets: dict[Labels, dict[str, Any]] = {}

    def key(self, labels: Labels) -> Labels:
        """``labels``, or those of the series that holds what has no room."""
        if labels in self.sets:
            return labels
        long = any(isinstance(value, str) and len(value) > LONGEST_NAME for value in labels)
        if long or len(self.sets) >= MOST_SERIES:  # whoever publishes chooses the name of an unknown task
            self.sets.setdefault(_OVERFLOWED, OVERFLOW)
            return _OVERFLOWED
        pairs = zip(self._names, labels, strict=False)
        self.sets[labels] = {name: value for name, value in pairs if value is not None}
        return labels


class Counter:
    """Numbers that are kept here, and observed by each collection: a counter costs next to nothing like that."""

    def __init__(self, declared: Declared) -> None:
        self._series = Series(declared.attributes)
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels, value: float = 1) -> None:
        """Count ``value`` more."""
        values = self._values
        if labels not in values:
            labels = self._series.key(labels)
        values[labels] = values.get(labels, 0) + value

    def clear(self) -> None:
        """A forked child has counted nothing."""
        self._values.clear()

    def observations(self) -> list[Observation]:
        """What has been counted so far."""
        return [Observation(value, self._series.sets[labels]) for labels, value in list(self._values.items())]
