"""Being called when Celery does what it sends no signal of: standing in front of one method of one object."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from celery_otel_links._errors import contained


def ahead(one: Any, name: str, receiver: Callable[..., None]) -> None:
    """Have ``receiver`` called with the same arguments ahead of a method; nothing is done where there is none."""
    method = getattr(one, name, None)
    if method is None:
        return

    def call(*args: Any, **kwargs: Any) -> Any:
        with contained(f"what is done ahead of {name}"):
            receiver(*args, **kwargs)
        return method(*args, **kwargs)

    setattr(one, name, call)


def during(one: Any, name: str, context: Callable[..., AbstractContextManager[None]]) -> None:
    """Have a method run within a context that is made of ``one`` and the method's arguments.

    ``one`` does not come to hold on to itself by that.
    """
    method, weak = getattr(type(one), name), weakref.ref(one)

    def call(*args: Any, **kwargs: Any) -> Any:
        strong = weak()
        with context(strong, *args, **kwargs):
            return method(strong, *args, **kwargs)

    setattr(one, name, call)
