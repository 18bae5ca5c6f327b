"""What blocks around a publish ask for: a mode, and a context that was captured earlier, perhaps in another process."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from contextvars import copy_context

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel

from celery_otel_links import ConfigError, attach, capture, propagation
from celery_otel_links._tracing.under_way import under_way
from celery_otel_links._wire.header import HEADER, decode


@pytest.fixture(autouse=True)
def _nothing_is_asked_for_afterwards():
    yield
    assert under_way.get() is None


def said(headers):
    """Mode and reason in a message's header."""
    return decode(headers[HEADER])[1][:2]


def test_a_block_chooses_the_mode_of_what_is_published_in_it(shop):
    assert said(shop.publish("shop.add")) == ("child", "default")
    with propagation("link"):
        assert said(shop.publish("shop.add")) == ("link", "call")
        with propagation("none"):
            assert said(shop.publish("shop.add")) == ("none", "call")
        assert said(shop.publish("shop.add")) == ("link", "call")
    assert said(shop.publish("shop.add")) == ("child", "default")


@pytest.mark.parametrize(
    "options", [{"headers": {"otel-propagation": "child"}}, {"otel_propagation": "child"}], ids=["header", "option"]
)
def test_what_a_call_asks_for_outranks_the_block(shop, options):
    with propagation("link"):
        headers = shop.publish("shop.add", **options)
    assert said(headers) == ("child", "call")
    assert "otel-propagation" not in headers


def test_a_block_that_raises_asks_for_nothing_any_more(shop):
    with pytest.raises(KeyError), propagation("link"):
        raise KeyError
    assert said(shop.publish("shop.add")) == ("child", "default")


def test_a_block_may_be_a_decorator(shop):
    @propagation("link")
    def publishing():
        return shop.publish("shop.add")

    assert [said(publishing()) for _ in range(2)] == [("link", "call")] * 2


@pytest.mark.parametrize("mode", ["lnik", None, "", 7])
def test_a_mode_that_is_none_is_an_error_of_the_developer(mode):
    with pytest.raises(ConfigError, match=r"^propagation\(\): .* is not a propagation mode"), propagation(mode):
        pass


def test_blocks_of_other_threads_and_tasks_are_their_own(shop):
    seen = []

    async def publishing(mode):
        with propagation(mode):
            await asyncio.get_running_loop().run_in_executor(None, int)  # meanwhile the other one enters its block
            seen.append((mode, said(shop.publish("shop.add"))[0]))

    async def both():
        await asyncio.gather(publishing("link"), publishing("none"))

    with propagation("child"):
        asyncio.run(both())
        thread = threading.Thread(target=lambda: seen.append((None, said(shop.publish("shop.add"))[0])))
        thread.start()
        thread.join()
    assert sorted(seen, key=str) == [("link", "link"), ("none", "none"), (None, "child")]


def test_a_block_in_an_async_generator_that_is_closed_elsewhere_does_not_raise(shop, caplog):
    async def publishing():
        with propagation("link"):
            yield said(shop.publish("shop.add"))

    async def main():
        generator = publishing()
        assert await generator.__anext__() == ("link", "call")
        await asyncio.create_task(generator.aclose())  # a task is a context of its own

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [record for record in caplog.records if record.name.startswith(("opentelemetry", "celery_otel"))] == []


@pytest.mark.parametrize("block", [lambda: propagation("link"), lambda: attach(capture())], ids=["mode", "hand-over"])
def test_a_block_that_is_entered_and_left_in_different_contexts_does_not_raise(shop, block):
    """As a synchronous dependency of FastAPI is: each half runs in a thread, in a copy of the context."""

    def dependency():
        with block():
            yield

    generator = dependency()
    copy_context().run(next, generator)
    assert copy_context().run(next, generator, "over") == "over"
    assert said(shop.publish("shop.add")) == ("child", "default")
    assert otel.get_current() == {}


def captured(shop, mode=None):
    """A carrier from inside of a request, through the database, and the request's span."""
    token = otel.attach(baggage.set_baggage("tenant", "42"))
    with shop.tracer.start_as_current_span("request") as request:
        if mode is None:
            carrier = capture()
        else:
            with propagation(mode):
                carrier = capture()
    otel.detach(token)
    return json.loads(json.dumps(carrier)), request


def test_a_carrier_is_a_small_dict_of_strings(shop):
    carrier, request = captured(shop, "link")
    assert {type(value) for pair in carrier.items() for value in pair} == {str}
    assert set(carrier) == {"traceparent", "baggage", "celery-otel-links-mode", "celery-otel-links-captured"}
    assert f"{request.get_span_context().trace_id:032x}" in carrier["traceparent"]
    assert set(captured(shop)[0]) == {"traceparent", "baggage", "celery-otel-links-captured"}


@pytest.mark.parametrize(
    ("mode", "expected"), [(None, ("child", "default")), ("link", ("link", "call")), ("none", ("none", "call"))]
)
def test_what_is_published_with_a_carrier_is_published_there_and_then(shop, mode, expected):
    carrier, request = captured(shop, mode)
    with shop.tracer.start_as_current_span("relay") as relay, attach(carrier):
        headers = shop.publish("shop.add")
        assert trace.get_current_span() is not relay
    (producer,) = shop.named("apply_async/shop.add")
    assert producer.parent.span_id == request.get_span_context().span_id
    assert said(headers) == expected
    assert headers["baggage"] == "tenant=42"
    published, claims = decode(headers[HEADER])
    assert claims.captured == pytest.approx(float(carrier["celery-otel-links-captured"]), abs=1e-5)
    waited = producer.attributes["celery.latency.handover"]
    assert 0 <= waited < 60
    assert published >= claims.captured


def test_the_run_says_how_long_the_message_lay(shop):
    carrier, _ = captured(shop)
    carrier["celery-otel-links-captured"] = f"{float(carrier['celery-otel-links-captured']) - 100:.6f}"
    with attach(carrier):
        headers = shop.publish("shop.add")
    shop.run(shop.app.tasks["shop.add"], headers)
    (run,) = shop.named("run/shop.add")
    assert run.attributes["celery.latency.handover"] == pytest.approx(100, abs=60)
    assert run.attributes["celery.latency.handover"] >= 100


def test_a_carrier_from_the_future_waited_for_nothing(shop):
    carrier, _ = captured(shop)
    carrier["celery-otel-links-captured"] = "9999999999.000000"
    with attach(carrier):
        headers = shop.publish("shop.add")
    shop.run(shop.app.tasks["shop.add"], headers)
    waits = [span.attributes.get("celery.latency.handover") for span in shop.spans if span.name.endswith("/shop.add")]
    assert waits == [0.0, 0.0]


def test_a_block_inside_the_other_counts_and_the_time_of_the_carrier_stays(shop):
    carrier, _ = captured(shop, "link")
    with attach(carrier), propagation("none"):
        inner = shop.publish("shop.add")
    assert said(inner) == ("none", "call")
    assert decode(inner[HEADER])[1].captured is not None
    carrier, _ = captured(shop)
    with propagation("none"), attach(carrier):  # nothing was asked for when it was captured
        assert said(shop.publish("shop.add")) == ("child", "default")


def test_capturing_in_an_attached_block_goes_on_with_its_context_and_mode(shop):
    carrier, _ = captured(shop, "link")
    with attach(carrier):
        again = capture()
    assert {**again, "celery-otel-links-captured": ""} == {**carrier, "celery-otel-links-captured": ""}


RUBBISH = [
    {},
    {"celery-otel-links-mode": "lnik", "celery-otel-links-captured": "soon", "traceparent": "x"},
    {"celery-otel-links-mode": 7, "celery-otel-links-captured": None, "traceparent": ["x"]},
    {"celery-otel-links-captured": "NaN"},
    {"celery-otel-links-captured": "-1"},
    {"celery-otel-links-captured": "1e300"},
    {"celery-otel-links-captured": "inf", "other": object()},
]


@pytest.mark.parametrize("carrier", RUBBISH)
def test_what_cannot_be_read_of_a_carrier_is_left_out(shop, carrier):
    with attach(carrier):
        headers = shop.publish("shop.add")
    assert said(headers) == ("child", "default")
    assert decode(headers[HEADER])[1].captured is None
    (producer,) = shop.named("apply_async/shop.add")
    assert producer.parent is None
    assert "celery.latency.handover" not in producer.attributes


def test_a_block_that_fails_leaves_the_context_as_it_was(shop):
    carrier, _ = captured(shop)
    with shop.tracer.start_as_current_span("relay") as relay:
        with pytest.raises(KeyError), attach(carrier):
            raise KeyError
        assert trace.get_current_span() is relay
        shop.publish("shop.add")
    assert shop.named("apply_async/shop.add")[0].parent.span_id == relay.get_span_context().span_id


def test_without_the_instrumentation_blocks_do_no_harm():
    with propagation("link"), attach(capture()):
        assert "celery-otel-links-captured" in capture()
