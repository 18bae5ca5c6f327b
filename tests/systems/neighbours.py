"""Others that live in the same process, each set up as its own documentation says, and silent towards the outside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(os.environ.get("OTEL_LINKS_TEST_FOLDER", "."))
ALL: dict[str, Callable[[], None]] = {}
