"""`OTEL_TRACES_SAMPLER=linked_always_on` and `linked_traceidratio`, as the SDK's own set-up finds them."""

from __future__ import annotations

import importlib.metadata

import pytest

from tests.acceptance import raw
from tests.acceptance.test_auto_instrumentation import COMMAND, environment
from tests.harness.collector import collector
from tests.harness.needs import needs
from tests.harness.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.stages("prefork-valkey")]
SAMPLED = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "otel-propagation": "link"}
UNSAMPLED = {"traceparent": f"00-{'3' * 32}-{'4' * 16}-00", "otel-propagation": "link"}


@pytest.fixture(scope="module")
def endpoint(stages):
    for group in ("opentelemetry_traces_sampler", "opentelemetry_configurator"):
        needs(importlib.metadata.entry_points(group=group), f"an installed package with an entry point {group}")
    with collector(stages.spans.path) as url:
        yield url


@pytest.mark.parametrize(
    ("sampler", "argument", "parentless"),
    [("linked_always_on", "", True), ("linked_traceidratio", "0", False), ("linked_traceidratio", "1", True)],
)
def test_the_environment_names_the_sampler(story_of, endpoint, sampler, argument, parentless):
    env = environment(endpoint) | {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    story = story_of(app="tests.acceptance.bare_app:app", command=COMMAND, env=env, concurrency=1)
    ids = dict(zip(("none", "sampled", "unsampled"), raw.publish(story.stage, [{}, SAMPLED, UNSAMPLED]), strict=True))
    (last,) = raw.publish(story.stage, [SAMPLED])
    wanted = {"sampled", "none"} if parentless else {"sampled"}

    def seen():
        return {span.message_id for span in story.stage.spans.spans() if span.kind == "CONSUMER"}

    until(lambda: last in seen(), what="the span of the last task", timeout=30)
    assert {name for name, task_id in ids.items() if task_id in seen()} == wanted
    assert "Couldn't recognize sampler" not in story.stage.worker.stderr
