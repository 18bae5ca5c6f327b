"""A span's attributes are set past the SDK's cleaning only where nobody can tell the difference."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext, TraceFlags

from celery_otel_links._emit.clean_attributes import CleanAttributes, give
from celery_otel_links._emit.spans import Spans
from celery_otel_links._rules.facts import Relation
from celery_otel_links.sampling import LinkedSampler

CLEAN = {
    "celery.task_name": "shop.add",
    "messaging.server.port": 6379,
    "celery.latency.queue": 0.5,
    "celery.redelivered": True,
}
LINK = [object()]


class Looking(SpanProcessor):
    """Notes the attributes of each span that starts."""

    def __init__(self):
        self.seen = []

    def on_start(self, span, parent_context=None):
        self.seen.append(dict(span.attributes))


class LookingSampler(sdk.Sampler):
    """Notes the attributes of each span that is to start."""

    def __init__(self):
        self.seen = []

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        self.seen.append(dict(attributes or {}))
        return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self):
        return "AlwaysOnSampler"


class Derived(TraceIdRatioBased):
    """May look at anything."""


class Quiet(SpanProcessor):
    """Looks at what has ended alone."""

    def on_end(self, span):
        pass


def noticed_by_instance():
    processor = Quiet()
    processor.on_start = lambda span, parent_context=None: None
    return processor


def tracer_of(*processors, **options):
    provider = TracerProvider(shutdown_on_exit=False, **options)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("test")


exporter = InMemorySpanExporter()
UNSEEN = {
    "nobody": lambda: tracer_of(),
    "exported one by one": lambda: tracer_of(SimpleSpanProcessor(exporter)),
    "looked at when it ends": lambda: tracer_of(Quiet()),
    "concurrent processors": lambda: tracer_of(Quiet(), active_span_processor=ConcurrentMultiSpanProcessor()),
    "all": lambda: tracer_of(sampler=ALWAYS_ON),
    "a ratio": lambda: tracer_of(sampler=TraceIdRatioBased(0.5)),
    "a ratio of roots": lambda: tracer_of(sampler=ParentBased(TraceIdRatioBased(0.5))),
    "the environment's": lambda: tracer_of(sampler=sdk.ParentBasedTraceIdRatio(0.5)),
    "no limits": lambda: tracer_of(span_limits=SpanLimits(max_attributes=SpanLimits.UNSET)),
}
SEEN = {
    "a processor that looks": lambda: tracer_of(Quiet(), Looking()),
    "a processor that looks as it is": lambda: tracer_of(noticed_by_instance()),
    "processors within one": lambda: tracer_of(ConcurrentMultiSpanProcessor()),
    "a sampler that looks": lambda: tracer_of(sampler=LookingSampler()),
    "roots by one that looks": lambda: tracer_of(sampler=ParentBased(LookingSampler())),
    "a sampler that is derived": lambda: tracer_of(sampler=Derived(1.0)),
    "values that are cut": lambda: tracer_of(span_limits=SpanLimits(max_attribute_length=100)),
    "few attributes": lambda: tracer_of(span_limits=SpanLimits(max_span_attributes=20)),
    "no SDK": NoOpTracer,
}


@pytest.mark.parametrize("tracer", UNSEEN.values(), ids=UNSEEN)
def test_where_nobody_looks_at_a_start_the_attributes_come_after_it(tracer):
    clean = CleanAttributes(tracer())
    assert clean.come_late(CLEAN)
    assert clean.come_late(CLEAN, LINK)


@pytest.mark.parametrize("tracer", SEEN.values(), ids=SEEN)
def test_where_somebody_may_look_they_are_there_before(tracer):
    assert not CleanAttributes(tracer()).come_late(CLEAN)


def test_they_are_exported_by_a_batch_as_well():
    processor = BatchSpanProcessor(exporter)
    try:
        assert CleanAttributes(tracer_of(processor)).come_late(CLEAN)
    finally:
        processor.shutdown()


@pytest.mark.parametrize("sampler", [LinkedSampler(ALWAYS_ON), ParentBased(LinkedSampler(ALWAYS_ON))])
def test_our_sampler_looks_at_the_attributes_of_what_is_linked(sampler):
    clean = CleanAttributes(tracer_of(sampler=sampler))
    assert clean.come_late(CLEAN)
    assert not clean.come_late(CLEAN, LINK)
    assert not CleanAttributes(tracer_of(sampler=LinkedSampler(LookingSampler()))).come_late(CLEAN)


def test_our_sampler_gets_the_attributes_of_what_is_linked():
    asked = []
    provider = TracerProvider(sampler=LinkedSampler(ALWAYS_ON, follow=lambda found: asked.append(dict(found))))
    target = SpanContext(1, 2, True, TraceFlags(1))
    span = Spans(provider, "1").consumer("run/shop.add", Context(), Relation(None, (("producer", target),)), CLEAN)
    assert asked == [CLEAN]
    assert dict(span.attributes) == CLEAN


class Text(str):
    """Not quite text."""


@pytest.mark.parametrize("value", [[1], (1, 2), b"x", None, object(), Text("x"), {"a": 1}])
def test_a_value_that_may_need_cleaning_is_cleaned(value):
    assert not CleanAttributes(tracer_of()).come_late({**CLEAN, "odd": value})


def test_a_processor_that_is_added_later_sees_all_that_start_from_then_on():
    provider, looking = TracerProvider(), Looking()
    spans = Spans(provider, "1")
    first = spans.producer("apply_async/shop.add", Context(), CLEAN)
    provider.add_span_processor(looking)
    second = spans.producer("apply_async/shop.add", Context(), CLEAN)
    assert dict(first.attributes) == dict(second.attributes) == CLEAN
    assert looking.seen == [CLEAN]


values = st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.booleans()
odd_values = values | st.lists(st.integers(), max_size=3) | st.binary() | st.none() | st.builds(Text, st.text())


@given(
    st.dictionaries(st.text(min_size=1), values, max_size=25)
    | st.dictionaries(st.text(min_size=1), odd_values, max_size=25)
)
def test_a_span_is_as_if_the_sdk_had_had_them_from_the_start(given_attributes):
    tracer = tracer_of()
    theirs = tracer.start_span("a span", Context(), attributes=given_attributes)
    if not CleanAttributes(tracer).come_late(given_attributes):
        return
    ours = give(tracer.start_span("a span", Context()), given_attributes)
    for span in (ours, theirs):
        span.set_attribute("of a hook", 1)
        span.end()
    assert list(ours.attributes.items()) == list(theirs.attributes.items())
    assert ours.dropped_attributes == theirs.dropped_attributes == 0


def test_what_is_not_recorded_has_none():
    provider = TracerProvider(sampler=ALWAYS_OFF)
    span = Spans(provider, "1").producer("apply_async/shop.add", Context(), CLEAN)
    assert isinstance(span, NonRecordingSpan)


class Other:
    """A span of somebody else's."""

    def __init__(self):
        self.attributes = {}

    def is_recording(self):
        return True

    def set_attributes(self, attributes):
        self.attributes.update(attributes)


def test_a_span_of_another_kind_gets_them_as_any_span_does():
    assert give(Other(), CLEAN).attributes == CLEAN


@pytest.mark.parametrize("tracer", [*UNSEEN.values(), *list(SEEN.values())[:-1]], ids=[*UNSEEN, *list(SEEN)[:-1]])
def test_the_state_is_set_as_by_the_span_itself(tracer):
    tracer = tracer()
    clean = CleanAttributes(tracer)
    span = tracer.start_span("run/shop.add", attributes={"celery.state": "STARTED"})
    if isinstance(span, Span):
        clean.set(span, "celery.state", "SUCCESS")
        assert span.attributes["celery.state"] == "SUCCESS"


def test_the_state_of_a_span_that_has_ended_or_is_full_is_left_to_the_sdk(caplog):
    tracer = tracer_of(span_limits=SpanLimits(max_span_attributes=64))
    clean = CleanAttributes(tracer)
    ended = tracer.start_span("run/shop.add")
    ended.end()
    with caplog.at_level(logging.WARNING):
        clean.set(ended, "celery.state", "SUCCESS")
    assert "celery.state" not in ended.attributes
    assert "ended span" in caplog.text
    full = tracer.start_span("run/shop.add", attributes={str(number): number for number in range(64)})
    clean.set(full, "celery.state", "SUCCESS")
    assert len(full.attributes) == 64
    assert full.attributes["celery.state"] == "SUCCESS"
    assert full.dropped_attributes == 1


def test_a_state_that_is_no_text_is_cleaned():
    tracer = tracer_of()
    span = tracer.start_span("run/shop.add")
    CleanAttributes(tracer).set(span, "celery.state", ["SUCCESS"])
    assert span.attributes["celery.state"] == ("SUCCESS",)
