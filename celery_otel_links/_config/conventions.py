"""Which names are emitted: ours, those of the messaging conventions, and those of contrib."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from celery_otel_links._config.options import Config

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"


class Style(NamedTuple):
    """Which conventions are emitted."""

    current_names: bool = False
    """Span names are ``{operation} {destination}`` instead of ``run/<task>``, and children link to their producer."""
    contrib_names: bool = False
    """Everything that ``opentelemetry-instrumentation-celery`` emits is there too, attributes and metric."""

    @classmethod
    def of(cls, config: Config, environ: Mapping[str, str] = os.environ) -> Style:
        """What ``contrib_names`` and ``OTEL_SEMCONV_STABILITY_OPT_IN`` ask for.

        ``messaging``: the conventions' names; ``messaging/dup``: contrib's as well, and that wins over the first.
        """
        opted = {part.strip() for part in environ.get(OPT_IN, "").split(",")}
        both = "messaging/dup" in opted
        return cls(current_names=both or "messaging" in opted, contrib_names=both or config.contrib_names)
