"""`opentelemetry-instrument celery worker` alone does it, also with contrib installed; over OTLP."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from tests.acceptance.stages import Stages
from tests.harness.collector import collector
from tests.harness.needs import needs

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
COMMAND = [str(BIN / "opentelemetry-instrument"), str(BIN / "celery")]


def environment(endpoint: str) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "OTEL_SERVICE_NAME": "auto",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis,logging",
    }


@pytest.fixture(scope="module")
def auto(stages: Stages):
    """The settings of a worker that is instrumented from outside, its spans going to a collector."""
    instrumentors = {entry.name for entry in importlib.metadata.entry_points(group="opentelemetry_instrumentor")}
    needs({"celery_links", "celery"} <= instrumentors, "celery-otel-links and contrib installed as packages")
    configurators = importlib.metadata.entry_points(group="opentelemetry_configurator")
    needs(configurators, "the package opentelemetry-distro, which makes `opentelemetry-instrument` set up an exporter")
    with collector(stages.spans.path) as endpoint:
        yield {"app": "tests.acceptance.bare_app:app", "command": COMMAND, "env": environment(endpoint)}


def test_one_span_for_one_thing_without_a_line_of_code(story_of, auto):
    story = story_of(**auto)
    story.run(
        lambda: [
            story.shop.publish.delay(dict(story.shop.linked.s())),
            story.shop.fail.delay(),
        ],
        """
        request
          apply_async/shop.fail
            run/shop.fail              ERROR
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.linked  link consumer -> run/shop.linked
        run/shop.linked                link producer -> apply_async/shop.linked
        """,
    )
    theirs = [span for span in story.spans() if span.resource.get("service.name") == "auto"]
    assert {span.scope for span in theirs} == {"celery_otel_links"}
    assert len(theirs) == 4


def test_contrib_is_said_to_be_off(story_of, auto):
    assert "opentelemetry-instrumentation-celery is switched off" in story_of(**auto).stage.worker.stderr
