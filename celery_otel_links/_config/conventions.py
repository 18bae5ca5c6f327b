"""Which conventions are emitted, and what of an app is looked at: its broker, as they name it, and its tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery import Celery
from kombu.utils.url import parse_url

_RABBITMQ = ("amqp", "pyamqp", "librabbitmq", "amqps")
_REDIS = ("redis", "rediss", "sentinel", "valkey")
_SYSTEMS = {**dict.fromkeys(_RABBITMQ, "rabbitmq"), **dict.fromkeys(_REDIS, "redis"), "sqs": "aws_sqs"}


class Style(NamedTuple):
    """Which conventions are emitted."""

    current_names: bool = False
    """Span names are ``{operation} {destination}`` instead of ``run/<task>``, and children link to their producer."""
    contrib_names: bool = False
    """All that contrib emits is there as well."""

    @classmethod
    def of(cls, contrib_names: bool, environ: Mapping[str, str] = os.environ) -> Style:
        """By ``OTEL_SEMCONV_STABILITY_OPT_IN``: ``messaging`` for the current names, ``messaging/dup`` for both."""
        opted = {part.strip() for part in environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")}
        both = "messaging/dup" in opted
        return cls(current_names=both or "messaging" in opted, contrib_names=both or contrib_names)


class Broker(NamedTuple):
    """The broker of an app, as the conventions name it."""

    system: str
    address: str | None = None
    port: int | None = None


def broker_of(app: Celery, *, publishing: bool) -> Broker:
    """The broker that ``app`` publishes to, or consumes from."""
    own = app.conf.broker_write_url if publishing else app.conf.broker_read_url
    url = own or app.conf.broker_url or "amqp://"
    first = str(url[0] if isinstance(url, (list, tuple)) else url).split(";")[0]
    scheme = first.partition("://")[0].partition("+")[0].lower()
    system = _SYSTEMS.get(scheme, scheme or "rabbitmq")
    try:
        parts = parse_url(first)
    except Exception:  # a transport's own kind of address
        return Broker(system)
    return Broker(system, parts.get("hostname") or None, parts.get("port") or None)


def tasks_of(app: Celery) -> dict[str, Any]:
    """The tasks that are registered, as far as they can be looked at without a side effect.

    Not ``app.tasks``, which finalizes an app, and up to Celery 5.5 waits for ever where it is just being finalized.
    """
    return dict(getattr(app, "_tasks", {})) if getattr(app, "finalized", False) else {}
