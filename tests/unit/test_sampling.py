"""LinkedSampler: the parent, then what is linked to, then the root; and what the SDK makes of its answers."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from celery_otel_links.sampling import LinkedSampler, linked_always_on, linked_traceidratio

SAMPLED = SpanContext(1, 1, True, TraceFlags(1), TraceState([("rojo", "1")]))
UNSAMPLED = SpanContext(2, 2, True, TraceFlags(0))


def link(kind, context):
    return Link(context, {"celery.link.kind": kind} if kind else None)


def sampled(sampler, *, parent=None, links=None, attributes=None):
    context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
    return sampler.should_sample(context, 7, "run/shop.add", None, attributes, links).decision.is_sampled()


BACK = ["producer", "previous-attempt", "origin", "header"]


@pytest.mark.parametrize("kind", BACK)
@pytest.mark.parametrize("root", [ALWAYS_ON, ALWAYS_OFF])
def test_what_is_linked_to_decides_on_a_root(kind, root):
    sampler = LinkedSampler(root)
    assert sampled(sampler, links=[link(kind, SAMPLED)])
    assert not sampled(sampler, links=[link(kind, UNSAMPLED)])


@pytest.mark.parametrize("root", [ALWAYS_ON, ALWAYS_OFF])
@pytest.mark.parametrize("links", [None, [], [link(None, SAMPLED)], [link("consumer", SAMPLED)], [link("x", SAMPLED)]])
def test_without_a_link_back_the_root_decides(root, links):
    assert sampled(LinkedSampler(root), links=links) is (root is ALWAYS_ON)


@pytest.mark.parametrize("root", [ALWAYS_ON, ALWAYS_OFF])
@pytest.mark.parametrize("parent", [SAMPLED, UNSAMPLED])
def test_with_a_parent_the_parent_decides(root, parent):
    other = UNSAMPLED if parent is SAMPLED else SAMPLED
    assert sampled(LinkedSampler(root), parent=parent, links=[link("producer", other)]) is (parent is SAMPLED)


def test_of_several_links_the_nearest_decides():
    sampler = LinkedSampler(ALWAYS_ON)
    assert not sampled(sampler, links=[link(None, SAMPLED), link("producer", UNSAMPLED), link("origin", SAMPLED)])


@pytest.mark.parametrize("root", [ALWAYS_ON, ALWAYS_OFF])
def test_a_queue_that_trust_limits_is_not_followed(root):
    told = {"celery.propagation.reason": "trust"}
    assert sampled(LinkedSampler(root), links=[link("producer", SAMPLED)], attributes=told) is (root is ALWAYS_ON)


def test_unless_it_is_asked_for():
    told = {"celery.propagation.reason": "trust"}
    sampler = LinkedSampler(ALWAYS_OFF, follow=lambda attributes: True)
    assert sampled(sampler, links=[link("producer", SAMPLED)], attributes=told)


def test_a_fan_out_can_be_sampled_task_by_task():
    sampler = LinkedSampler(ALWAYS_OFF, follow=lambda told: told.get("celery.propagation.reason") != "fan-out")
    links = [link("producer", SAMPLED)]
    assert not sampled(sampler, links=links, attributes={"celery.propagation.reason": "fan-out"})
    assert sampled(sampler, links=links, attributes={"celery.propagation.reason": "loop"})


class Stateful(Sampler):
    """Keeps state in the trace state, as samplers with a consistent probability do."""

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {"by": "root"}, TraceState([("ot", "th:8")]))

    def get_description(self):
        return "Stateful"


def test_the_roots_trace_state_and_attributes_are_those_of_the_span():
    tracer = TracerProvider(sampler=LinkedSampler(Stateful())).get_tracer("test")
    span = tracer.start_span("root", Context())
    assert span.get_span_context().trace_state.get("ot") == "th:8"
    assert span.attributes["by"] == "root"
    child = tracer.start_span("child", trace.set_span_in_context(span, Context()))
    assert child.get_span_context().trace_state.get("ot") == "th:8"


def test_a_followed_trace_does_not_take_over_another_traces_state():
    tracer = TracerProvider(sampler=LinkedSampler(Stateful())).get_tracer("test")
    span = tracer.start_span("run", Context(), links=[link("producer", SAMPLED)])
    assert span.get_span_context().trace_flags.sampled
    assert not span.get_span_context().trace_state


def test_the_share_of_roots_is_the_roots():
    sampler = LinkedSampler(TraceIdRatioBased(0.25))
    step = 2**64 // 1000
    taken = [sampler.should_sample(Context(), number * step, "x").decision.is_sampled() for number in range(1000)]
    assert sum(taken) == pytest.approx(250, abs=1)


@pytest.mark.parametrize(("argument", "description"), [("0.1", "0.1"), ("1", "1.0"), (" 0 ", "0.0")])
def test_the_ratio_comes_from_the_argument(argument, description):
    sampler = linked_traceidratio(argument)
    assert sampler.get_description() == f"LinkedSampler{{TraceIdRatioBased{{{description}}}}}"


@pytest.mark.parametrize("argument", [None, "", "much", "-1", "2", "NaN"])
def test_an_argument_that_is_no_ratio_samples_all_and_says_so(argument, caplog):
    assert sampled(linked_traceidratio(argument))
    assert "OTEL_TRACES_SAMPLER_ARG" in caplog.text


def test_all_stories():
    assert sampled(linked_always_on())
    assert not sampled(linked_always_on("ignored"), links=[link("producer", UNSAMPLED)])
    assert linked_always_on().get_description() == "LinkedSampler{AlwaysOnSampler}"
