"""Reserved identities: exactly those, with the flags of their trace, whatever makes the ids."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import RandomIdGenerator, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NoOpTracerProvider, SpanContext, TraceFlags

from celery_otel_links._emit.spans import Spans
from celery_otel_links._rules.relation import Relation

RANDOM = 2


class Timed(RandomIdGenerator):
    """As X-Ray's: the trace id starts with the time, so it is not random in the sense of the flag."""

    def generate_trace_id(self):
        return (0x65F00000 << 96) | super().generate_trace_id() >> 32

    def is_trace_id_random(self):
        return False


def spans(generator=None, sampler=ALWAYS_ON):
    return Spans(TracerProvider(id_generator=generator, sampler=sampler), "1")


def run_under(made, reserved):
    return made.consumer("run", Context(), Relation(None, reserved=reserved), {}).get_span_context()


@pytest.mark.parametrize("generator", [None, Timed()], ids=["random", "timed"])
def test_the_run_span_is_the_one_that_was_reserved(generator):
    here, there = spans(generator), spans()
    reserved = here.reserve(here.producer("send", {}), None)
    ran = run_under(there, reserved)
    assert (ran.trace_id, ran.span_id, ran.trace_flags) == (reserved.trace_id, reserved.span_id, reserved.trace_flags)
    assert run_under(there, None).trace_id != reserved.trace_id


@pytest.mark.skipif(not hasattr(RandomIdGenerator, "is_trace_id_random"), reason="this SDK knows no random flag")
@pytest.mark.parametrize(("generator", "random"), [(RandomIdGenerator(), True), (Timed(), False)])
def test_the_random_flag_is_that_of_the_generator_that_made_the_trace(generator, random):
    here = spans(generator)
    reserved = here.reserve(here.producer("send", {}), None)
    assert bool(reserved.trace_flags & RANDOM) is random
    for worker in (spans(RandomIdGenerator()), spans(Timed())):
        assert bool(run_under(worker, reserved).trace_flags & RANDOM) is random
        assert run_under(worker, None).trace_flags & RANDOM == (
            0 if worker.tracer().id_generator.__class__ is Timed else RANDOM
        )


@pytest.mark.parametrize("flags", [1, 3])
def test_in_a_trace_that_exists_its_random_flag_stays(flags):
    here = spans()
    parent = SpanContext(5, 6, True, TraceFlags(flags))
    reserved = here.reserve(here.producer("send", {}), parent)
    assert (reserved.trace_id, reserved.trace_flags) == (5, flags)


def test_nothing_is_reserved_for_what_is_not_recorded_or_where_ids_cannot_be_chosen():
    unsampled = spans(sampler=ALWAYS_OFF)
    assert unsampled.reserve(unsampled.producer("send", {}), None) is None
    nothing = Spans(NoOpTracerProvider(), "1")
    assert nothing.reserve(nothing.producer("send", {}), None) is None
