"""The scenarios' application with the Redis client instrumented, and with the page's sampler if that is asked for."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.redis import RedisInstrumentor

from tests.acceptance.app import app, provider  # noqa: F401

PAGE = Path(__file__).parents[2] / "docs" / "own-traffic.md"
QUIET = "OTEL_LINKS_TEST_QUIET"

if QUIET in os.environ:
    shown: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), shown)
    provider.sampler = shown["provider"].sampler
RedisInstrumentor().instrument(tracer_provider=provider)
