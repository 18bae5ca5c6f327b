"""Others that live in the same process, each set up as its own documentation says, and silent towards the outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.systems import django_site

FOLDER = Path(os.environ.get("OTEL_LINKS_TEST_FOLDER", "."))


def django() -> None:
    django_site.configure(FOLDER)


ALL: dict[str, Callable[[], None]] = {one.__name__: one for one in (django,)}
