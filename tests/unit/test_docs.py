"""What the pages on sampling and trust show works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from opentelemetry.trace import Link, SpanContext, TraceFlags

from celery_otel_links import CeleryLinksInstrumentor, Config
from celery_otel_links._policy import trusted
from celery_otel_links._telemetry import read_config
from celery_otel_links.sampling import linked_traceidratio

DOCS = Path(__file__).parents[2] / "docs"
LINKED = [Link(SpanContext(1, 2**127 + 1, True, TraceFlags(1)), {"celery.link.kind": "producer"})]


def blocks(page, language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


def variables(page):
    """The variables that the page's commands set."""
    words = [word for block in blocks(page, "sh") for word in shlex.split(block)]
    return dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word))


@pytest.fixture
def shown():
    """The names that a page's code makes."""

    def run(page):
        names = {}
        for block in blocks(page, "python"):
            exec(compile(block, page, "exec"), names)
        return names

    yield run
    if CeleryLinksInstrumentor().is_instrumented_by_opentelemetry:
        CeleryLinksInstrumentor().uninstrument()


def test_the_samplers_of_the_page(shown):
    names = shown("sampling.md")
    assert names["provider"].sampler.get_description() == "LinkedSampler{TraceIdRatioBased{0.1}}"
    last = 2**64 - 1  # the trace id that a ratio takes last

    def taken(sampler, reason):
        return sampler.should_sample(
            None, last, "run", None, {"celery.propagation.reason": reason}, LINKED
        ).decision.is_sampled()

    reasons = ["task", "fan-out", "trust"]
    assert [taken(names["provider"].sampler, reason) for reason in reasons] == [True, True, False]
    assert [taken(names["per_task"], reason) for reason in reasons] == [True, False, False]


def test_the_environment_of_the_page_on_sampling():
    told = variables("sampling.md")
    assert told["OTEL_TRACES_SAMPLER"] == "linked_traceidratio"
    description = linked_traceidratio(told["OTEL_TRACES_SAMPLER_ARG"]).get_description()
    assert description == "LinkedSampler{TraceIdRatioBased{0.1}}"


@pytest.mark.parametrize(
    ("queue", "expected"), [("public", "link"), ("public-eu", "link"), ("legacy", "none"), ("orders", None)]
)
def test_the_configuration_of_the_page_on_trust(shown, queue, expected):
    config = read_config(shown("trust.md")["app"])
    assert trusted(config.trust, queue, {queue: queue}) == expected
    assert config.baggage == {"tenant"}


def test_the_environment_of_the_page_on_trust():
    config = Config.from_mapping(environ=variables("trust.md"))
    assert trusted(config.trust, "whatever the sender says", {"public": "public"}) == "link"
