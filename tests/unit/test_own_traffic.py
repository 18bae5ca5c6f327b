"""The result backend of the page on Celery's own traffic stores results without spans."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from celery import Celery
from celery.backends.redis import RedisBackend

from celery_otel_links._wire.result_backends import WAYS, way_of
from celery_otel_links.testing import captured_spans
from tests.harness.needs import needs

PAGE = Path(__file__).parents[2] / "docs" / "own-traffic.md"


@pytest.fixture
def spans():
    """Those of the Redis client."""
    needs(find_spec("opentelemetry.instrumentation.redis"), "opentelemetry-instrumentation-redis")
    instrumentor = import_module("opentelemetry.instrumentation.redis").RedisInstrumentor()
    with captured_spans() as captured:
        instrumentor.instrument(tracer_provider=captured.tracer_provider)
        yield lambda: captured.spans
        instrumentor.uninstrument()


def shown():
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)
    return names


def test_the_result_backend_of_the_page_stores_quietly_and_takes_part_in_fan_in(spans, valkey_url):
    app = Celery("shop", broker="memory://", set_as_current=False)
    quiet = shown()["QuietBackend"](app=app, url=valkey_url)
    quiet.store_result("quiet", 1, "SUCCESS")
    assert spans() == []
    assert way_of(quiet) is WAYS[0]
    RedisBackend(app=app, url=valkey_url).store_result("loud", 1, "SUCCESS")
    assert spans() != []
