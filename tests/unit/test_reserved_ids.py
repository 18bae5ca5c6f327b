"""Reserved identities: exactly those, with the flags of their trace, whatever makes the ids."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import RandomIdGenerator, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NoOpTracerProvider, SpanContext, TraceFlags

from celery_otel_links._emit import reserved_ids as _reserved_ids
from celery_otel_links._emit.spans import Spans
from celery_otel_links._rules.facts import Relation

RANDOM = 2


class Timed(RandomIdGenerator):
    """As X-Ray's: the trace id starts with the time, so it is not random in the sense of the flag."""

    def generate_trace_id(self):
        return (0x65F00000 << 96) | super().generate_trace_id() >> 32

    def is_trace_id_random(self):
        return False


def spans(generator=None, sampler=ALWAYS_ON):
    return Spans(TracerProvider(id_generator=generator, sampler=sampler), "1")


def started_under(made, reserved, *, second=False):
    return made.consumer("run", Context(), Relation(None, reserved=reserved, second=second), {})


def run_under(made, reserved, *, second=False):
    return started_under(made, reserved, second=second).get_span_context()


@pytest.mark.parametrize("generator", [None, Timed()], ids=["random", "timed"])
def test_the_run_span_is_the_one_that_was_reserved(generator):
    here, there = spans(generator), spans()
    reserved = here.reserve(here.producer("send", Context(), {}), None)
    ran = run_under(there, reserved)
    assert (ran.trace_id, ran.span_id, ran.trace_flags) == (reserved.trace_id, reserved.span_id, reserved.trace_flags)
    assert run_under(there, None).trace_id != reserved.trace_id


@pytest.mark.skipif(not hasattr(RandomIdGenerator, "is_trace_id_random"), reason="this SDK knows no random flag")
@pytest.mark.parametrize(("generator", "random"), [(RandomIdGenerator(), True), (Timed(), False)])
def test_the_random_flag_is_that_of_the_generator_that_made_the_trace(generator, random):
    here = spans(generator)
    reserved = here.reserve(here.producer("send", Context(), {}), None)
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
    reserved = here.reserve(here.producer("send", Context(), {}), parent)
    assert (reserved.trace_id, reserved.trace_flags) == (5, flags)


def test_nothing_is_reserved_for_what_is_not_recorded_or_where_ids_cannot_be_chosen():
    unsampled = spans(sampler=ALWAYS_OFF)
    assert unsampled.reserve(unsampled.producer("send", Context(), {}), None) is None
    nothing = Spans(NoOpTracerProvider(), "1")
    assert nothing.reserve(nothing.producer("send", Context(), {}), None) is None


def test_the_producer_links_to_what_it_reserves():
    here = spans()
    producer = here.producer("send", Context(), {})
    reserved = here.reserve(producer, None)
    (link,) = producer.links
    assert (link.context, dict(link.attributes)) == (reserved, {"celery.link.kind": "consumer"})


def test_a_second_delivery_runs_in_the_reserved_trace_under_a_span_id_of_its_own():
    here, there = spans(), spans()
    reserved = here.reserve(here.producer("send", Context(), {}), None)
    first = run_under(there, reserved)
    seconds = [run_under(there, reserved, second=True) for _ in range(3)]
    assert {one.trace_id for one in seconds} == {first.trace_id} == {reserved.trace_id}
    assert first.span_id == reserved.span_id
    assert len({first.span_id, *(one.span_id for one in seconds)}) == 4
    assert {one.trace_flags for one in seconds} == {first.trace_flags}


def test_a_reserved_span_has_the_resource_that_its_tracer_has_by_now():
    made = spans()
    reserved = made.reserve(made.producer("send", Context(), {}), None)
    run_under(made, reserved)
    made.tracer().resource = Resource({"service.instance.id": "a child's"})  # as after a fork
    run = started_under(made, reserved)
    assert run.resource.attributes == {"service.instance.id": "a child's"}
    assert run.get_span_context().span_id == reserved.span_id


@pytest.mark.skipif(not hasattr(TracerProvider, "_set_tracer_configurator"), reason="this SDK's tracers are always on")
def test_a_tracer_that_was_switched_off_starts_no_reserved_span_either():
    from opentelemetry.sdk.trace import _disable_tracer_configurator

    made = spans()
    reserved = made.reserve(made.producer("send", Context(), {}), None)
    assert started_under(made, reserved).is_recording()
    made.provider()._set_tracer_configurator(tracer_configurator=_disable_tracer_configurator)
    assert not started_under(made, reserved).is_recording()
    assert not started_under(made, reserved, second=True).is_recording()


def test_the_tracer_itself_goes_on_with_its_own_ids():
    made = spans()
    reserved = made.reserve(made.producer("send", Context(), {}), None)
    generator = made.tracer().id_generator
    run_under(made, reserved)
    assert made.tracer().id_generator is generator
    assert run_under(made, None).trace_id != reserved.trace_id


class Numbering(RandomIdGenerator):
    """Whatever else a generator offers stays there."""

    region = "eu"


def test_what_else_an_id_generator_offers_is_there_for_samplers():
    identity = _reserved_ids._Identity(Numbering(), SpanContext(1, 2, True, TraceFlags(0)), False)
    assert (identity.region, identity.generate_trace_id(), identity.generate_span_id()) == ("eu", 1, 2)


@pytest.mark.parametrize("tracer", [object(), type("Tracer", (), {"id_generator": object()})()])
def test_of_a_tracer_that_lets_nobody_choose_there_is_no_generator(tracer):
    assert _reserved_ids.generator_of(tracer) is None
