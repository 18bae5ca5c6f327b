"""What the release of `opentelemetry-instrumentation-celery` that is installed does not have."""

from __future__ import annotations

import inspect

import pytest
from opentelemetry.instrumentation import celery as contrib

needs_use_span_links = pytest.mark.skipif(
    "use_span_links" not in inspect.getsource(contrib), reason="this release of contrib has no use_span_links"
)
