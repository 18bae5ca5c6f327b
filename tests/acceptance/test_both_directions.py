"""From the publishing of a linked message a link leads to its run: to the identity that was reserved for it."""

from __future__ import annotations

import pytest
from celery import group
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from celery_otel_links import CeleryLinksInstrumentor
from tests.harness.recording import JsonLinesSpanExporter

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")
LINKED = """
    request
      apply_async/shop.linked  link consumer -> run/shop.linked
    run/shop.linked            link producer -> apply_async/shop.linked
"""
ONE_WAY = LINKED.replace("  link consumer -> run/shop.linked", "")
EPOCH = 0x5F5E0FF5


class TimedIdGenerator(RandomIdGenerator):
    """Like X-Ray's: a trace id begins with the time in seconds, and the rest is random."""

    def generate_trace_id(self) -> int:
        return EPOCH << 96 | super().generate_trace_id() % 2**96

    def is_trace_id_random(self) -> bool:
        return False


class OpaqueTracer:
    """Somebody's tracer that starts spans and shows nothing else."""

    def __init__(self, tracer):
        self.start_span = tracer.start_span


class OpaqueProvider:
    def __init__(self, provider):
        self.get_tracer = lambda *args, **kwargs: OpaqueTracer(provider.get_tracer(*args, **kwargs))


def publishing_with(story, provider):
    story.end()
    CeleryLinksInstrumentor().instrument(tracer_provider=provider, config={})


def provider_to(path, **options):
    provider = TracerProvider(**options)
    provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(path)))
    return provider


def test_each_linked_message_has_its_own(story):
    add = story.shop.add
    story.run(
        group(add.s(1, 1), add.s(2, 2)),
        """
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
        run/shop.add#1            link producer -> apply_async/shop.add#1
        run/shop.add#2            link producer -> apply_async/shop.add#2
        """,
    )
    runs = {span.message_id: span.key for span in story.spans("run/shop.add")}
    for publish in story.spans("apply_async/shop.add"):
        assert [link.target for link in publish.links] == [runs[publish.message_id]]


def test_an_id_generator_of_ones_own_makes_the_reserved_identities(story):
    publishing_with(story, provider_to(story.stage.spans.path, id_generator=TimedIdGenerator()))
    story.run(story.shop.linked.s(), LINKED)
    assert story.span("run/shop.linked").trace.startswith(f"{EPOCH:08x}")


def test_without_an_id_generator_within_reach_there_is_no_link_forwards(story):
    publishing_with(story, OpaqueProvider(provider_to(story.stage.spans.path)))
    story.run(story.shop.linked.s(), ONE_WAY)


@pytest.mark.stages("prefork-valkey")
@pytest.mark.parametrize("reaching", [True, False], ids=["an id generator of its own", "none within reach"])
def test_a_worker_with(story_of, reaching):
    """The publisher reserves what the worker can, or can't, start a span under; what the worker publishes likewise."""
    story = story_of(app="tests.acceptance.identities_app:app", env={"OTEL_LINKS_TEST_OPAQUE": "" if reaching else "1"})
    publishing_with(
        story, provider_to(story.stage.spans.path) if reaching else OpaqueProvider(provider_to(story.stage.spans.path))
    )
    inner = LINKED if reaching else ONE_WAY
    outer = "request\n      apply_async/shop.publish\n        run/shop.publish\n    "
    inner = inner.replace("request\n", outer)
    story.run(story.shop.publish.s(story.shop.linked.s()), inner)
    assert story.span("run/shop.linked").trace.startswith(f"{EPOCH:08x}")
