"""The check itself: a test fails that emits what is not declared, in its own process or in a worker's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FAILING = Path(__file__).parent / "failing" / "emits.py"
EXPECTED = {
    "of_an_attribute_in_this_process": "PRODUCER apply_async/shop.add: the attribute shop.tenant='acme'",
    "of_nothing_where_it_names_an_attribute": "it says that it emits these, and does not: shop.basket",
    "of_a_run_of_a_prefork_worker": "CONSUMER run/shop.labelled: the attribute shop.tenant='acme'",
    "of_a_metric_of_a_prefork_worker": "metric fine.celery.task.latency.queue",
    "of_a_metric_in_this_process": "metric celery.task.outcomes: the attribute shop.tenant=1",
    "of_a_log_event": "log record: the event celery.task.ended",
    "of_a_span_that_a_collector_gets": "INTERNAL run/shop.add: a span of this kind and name",
    "of_a_span_that_a_pages_own_viewer_gets": "INTERNAL run/shop.add: a span of this kind and name",
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each of the tests that failed says, by its name."""
    cache = tmp_path_factory.mktemp("cache")
    argv = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", "--tb=short", str(FAILING)]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=120).stdout
    parts = re.split(r"^_+ test_(\w+?)(?:\[\S+\])? _+$", said.partition(" FAILURES ")[2], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_those_that_name_what_they_emit_pass_and_the_others_fail(failures):
    assert set(failures) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_failure_says_what_is_not_declared(failures, name):
    assert EXPECTED[name] in failures[name]
