"""Django's system check: ``manage.py check``, ``runserver`` and ``migrate`` tell what is configured wrong."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import wrapt

Look = Callable[[], "tuple[Sequence[str], Sequence[str]]"]
"""Gives what is wrong, and what is odd."""
_looks: list[Look] = []
"""Who looks, if anybody does. Registering with Django can't be taken back, nor can waiting for it to be imported."""
_waiting: list[str] = []


def check_with(look: Look) -> None:
    """Have Django's system check ``look``, as soon as there is a Django, if there ever is one."""
    _looks[:] = [look]
    if not _waiting:
        _waiting.append("django.core.checks")
        wrapt.register_post_import_hook(lambda checks: checks.register(celery_otel_links), _waiting[0])


def check_no_more() -> None:
    """Find nothing from now on."""
    _looks.clear()


def celery_otel_links(app_configs: Any = None, **_: Any) -> list[Any]:
    """The check."""
    checks: Any = importlib.import_module("django.core.checks")
    found: list[Any] = []
    for wrong, odd in [look() for look in _looks]:
        found += [checks.Error(text, id="celery_otel_links.E001") for text in wrong]
        found += [checks.Warning(text, id="celery_otel_links.W001") for text in odd]
    return found
