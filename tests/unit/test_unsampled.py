"""Below a parent that is not sampled no span is started, where the sampler would drop it for sure; only there."""

from __future__ import annotations

import pytest
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, NoOpTracerProvider, SpanContext, TraceFlags
from opentelemetry.trace import set_span_in_context as put

from celery_otel_links._emit.spans import Spans
from celery_otel_links.sampling import LinkedSampler

UNSAMPLED = SpanContext(1, 2, True, TraceFlags(0))
NOBODY_KNOWS = {"remote_parent_not_sampled": ALWAYS_ON, "local_parent_not_sampled": ALWAYS_ON}


class Own(ParentBased):
    """Decides in a way of its own, and says nothing of it."""

    def should_sample(self, *arguments, **more):
        return ALWAYS_ON.should_sample(*arguments, **more)


class Around(sdk.Sampler):
    """Records what the other one drops, and mentions that in its description."""

    def __init__(self, root):
        self._root = root

    def should_sample(self, *arguments, **more):
        return ALWAYS_ON.should_sample(*arguments, **more)

    def get_description(self):
        return f"Around{{{self._root.get_description()}}}"


SAMPLERS = {
    "the default": (sdk.DEFAULT_ON, True),
    "a ratio of roots": (ParentBased(TraceIdRatioBased(0.1)), True),
    "ours": (LinkedSampler(TraceIdRatioBased(0.1)), True),
    "ours around another": (LinkedSampler(ParentBased(ALWAYS_ON, **NOBODY_KNOWS)), True),
    "no regard to parents": (ALWAYS_ON, False),
    "a ratio of everything": (TraceIdRatioBased(1.0), False),
    "remote parents do not decide": (ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_ON), False),
    "local parents do not decide": (ParentBased(ALWAYS_ON, local_parent_not_sampled=ALWAYS_ON), False),
    "a ratio of what is not sampled": (ParentBased(ALWAYS_ON, remote_parent_not_sampled=TraceIdRatioBased(1)), False),
    "parents that decide nothing, with a root that asks them": (ParentBased(sdk.DEFAULT_ON, **NOBODY_KNOWS), False),
    "one around the default": (Around(sdk.DEFAULT_ON), False),
    "one that is derived from the SDK's": (Own(ALWAYS_ON), False),
}
if hasattr(sdk, "AlwaysRecordSampler"):  # span processors see what is not sampled
    SAMPLERS["one that records everything"] = (sdk.AlwaysRecordSampler(sdk.DEFAULT_ON), False)


@pytest.mark.parametrize(("sampler", "expected"), SAMPLERS.values(), ids=SAMPLERS)
def test_a_span_that_would_be_dropped_for_sure_is_not_started(sampler, expected):
    spans = Spans(TracerProvider(sampler=sampler), "1")
    assert spans.skips(UNSAMPLED) is expected
    if expected:  # nothing is lost by it
        for parent in (UNSAMPLED, SpanContext(1, 2, False, TraceFlags(0))):
            assert not spans.producer("send", put(NonRecordingSpan(parent), Context()), {}).is_recording()


@pytest.mark.parametrize("flags", [1, 3])
def test_below_a_sampled_parent_it_is(flags):
    assert not Spans(TracerProvider(), "1").skips(SpanContext(1, 2, True, TraceFlags(flags)))


def test_the_random_flag_makes_no_parent_sampled():
    assert Spans(TracerProvider(), "1").skips(SpanContext(1, 2, True, TraceFlags(2)))


def test_without_a_parent_the_root_decides():
    assert not Spans(TracerProvider(sampler=ParentBased(ALWAYS_OFF)), "1").skips(INVALID_SPAN_CONTEXT)


def test_a_provider_that_has_no_sampler_is_asked():
    assert not Spans(NoOpTracerProvider(), "1").skips(UNSAMPLED)
    assert not otel.get_current()
