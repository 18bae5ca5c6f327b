"""Most messages take a short cut, on every step of their path: each gives what the general way gives."""

from __future__ import annotations

from unittest.mock import patch

from celery import Celery
from celery.app.task import Context as Request
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.trace import get_current_span

from celery_otel_links._config.modes import Patterns
from celery_otel_links._config.options import Config
from celery_otel_links._emit.attributes import consumer
from celery_otel_links._rules import message as _message
from celery_otel_links._rules.canvas import Publisher, next_id
from celery_otel_links._rules.claims import Moment, claims_of
from celery_otel_links._rules.facts import PLAIN_IN, PLAIN_OUT, Claims, Decision, Incoming, Message
from celery_otel_links._rules.latency import Latency, measure, plainly_measured
from celery_otel_links._rules.message import incoming, outgoing
from celery_otel_links._rules.request import RECEIVED
from celery_otel_links._tracing import delivery as _delivery
from celery_otel_links._wire import header as _wire
from celery_otel_links._wire.header import HEADER
from tests.unit.planning import plans_of
from tests.unit.strategies import contexts, modes, reasons, resembling, times

APP = Celery("shop", broker="memory://", set_as_current=False)
INFO = {"routing_key": "celery", "exchange": "", "redelivered": False}
decisions = st.builds(Decision, modes, reasons, st.integers(1, 99))
plain_texts = st.builds(
    lambda time, decision, reserved: _wire.encode_plainly(time, _wire.written(decision), reserved),
    times,
    decisions,
    st.none() | contexts,
)


def cut(text, at, inserted):
    """``text`` with something else in one place."""
    at %= len(text) + 1
    return text[:at] + inserted + text[at + len(inserted) :]


nearly_plain = plain_texts | st.builds(
    cut, plain_texts, st.integers(0, 200), st.text("0123456789abcdef;=-.v\n ", max_size=3)
)


@given(times, decisions, st.none() | contexts)
def test_what_is_written_plainly_is_what_the_encoder_writes(published, decision, reserved):
    text = _wire.encode_plainly(published, _wire.written(decision), reserved)
    assert text == _wire.encode(published, Claims(*decision, reserved=reserved))
    assert _wire.decode_plainly(text) == (published, _wire.written(decision), reserved)


@given(nearly_plain | resembling)
def test_what_is_read_plainly_is_what_the_decoder_reads(text):
    plain = _wire.decode_plainly(text)
    if plain is not None:
        published, decided, reserved = plain
        assert _wire.decode(text) == (published, _wire.read(decided)._replace(reserved=reserved))


@given(decisions, st.none() | contexts, times)
def test_what_a_plain_message_claims_is_its_decision(decision, active, now):
    moment = Moment(now, active, False, 60.0)
    assert claims_of(PLAIN_OUT, decision, None, moment) == Claims(*decision)


SIGNATURE = {"task": "shop.sums", "options": {"task_id": "s"}}
# What Celery writes there; the first is what a plain message has.
LAYOUT = {
    "id": ["id", "mine", "next"],
    "group": [None, "gid", "body"],
    "group_index": [None, 0, 3],
    "retries": [0, None, 1],
    "eta": [None, "2026-07-01T12:00:00+00:00"],
    "chain": [None, [], [SIGNATURE], [{"task": "shop.add", "options": {"task_id": "next", "group_id": "gid"}}]],
    "chord": [None, {"task": "shop.sums", "options": {"task_id": "body"}}],
    "callbacks": [None, [], [SIGNATURE]],
    "errbacks": [None, [{"task": "shop.add", "options": {}}]],
}
fields = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in LAYOUT.items()})
mostly_plain = st.builds(
    lambda plain, others, kept: {name: others[name] if name in kept else plain[name] for name in plain},
    st.just({name: values[0] for name, values in LAYOUT.items()}),
    fields,
    st.sets(st.sampled_from(list(LAYOUT)), max_size=2),
)
names = st.sampled_from(["shop.add", "shop.sums"])


def without_short_cut(function, *arguments):
    with patch.object(_message, "_SPECIAL", frozenset({"shop.add", "shop.sums"})):
        return function(*arguments)


def message_of(name, told, *, protocol_1):
    if protocol_1:
        return Message(name, {}, {"task": name, "args": [], "kwargs": {}, **told}, {})
    embed = {key: told[key] for key in ("chain", "chord", "callbacks", "errbacks")}
    headers = {key: value for key, value in told.items() if key not in embed}
    return Message(name, {"task": name, "stamps": {}, **headers}, ((), {}, embed), {})


@given(names, mostly_plain, st.none() | mostly_plain, names, st.booleans())
def test_the_facts_of_a_message_are_those_of_the_general_way(name, told, request, its_name, protocol_1):
    message = message_of(name, told, protocol_1=protocol_1)
    publisher = None
    if request is not None:
        publisher = Publisher.of(Request({**request, "id": "mine"}), its_name, next_id(request))
    general = None if publisher is None else publisher._replace(plain=False)
    assert outgoing(message, publisher) == without_short_cut(outgoing, message, general)


@given(names, mostly_plain, st.sampled_from([None, False, True]), st.sampled_from([None, True]), st.booleans())
def test_the_facts_of_a_delivery_are_those_of_the_general_way(name, told, redelivered, second, eager):
    info = {**INFO, "redelivered": redelivered}
    request = Request({**told, "delivery_info": info, "celery-otel-links-second": second, "is_eager": eager})
    assert incoming(request, name) == without_short_cut(incoming, request, name)


rules = st.dictionaries(st.sampled_from(["*", "shop.*", "celery"]), modes, max_size=2).map(Patterns)
trusts = st.sampled_from([{}, {"*": "child"}, {"celery": "link"}, {"*": "none"}]).map(Patterns)
configs = st.builds(Config, default=modes, tasks=rules, queues=rules, trust=trusts)


def plan_of(config, attribute):
    plans = plans_of(config)
    task = type("Task", (), {"otel_propagation": attribute})
    with patch.object(APP.amqp.queues, "_consume_from", {}):
        return plans.to_run(APP, task, "shop.add", INFO, None)


def carried(delivery):
    """The context that a message carries, in comparable form."""
    return get_current_span(delivery.carried).get_span_context(), dict(baggage.get_all(delivery.carried))


moments = st.tuples(times, times, times).map(sorted) | st.tuples(times, times | st.none(), times)


@given(moments)
def test_the_latency_of_a_plain_delivery_is_the_one_that_is_measured(moments):
    published, received, start = moments
    plain = plainly_measured(start, published, received)
    if plain is None:
        assert received is None or not 0 < published <= received <= start
    else:
        assert plain == measure(start, published, None, received)


@given(configs, st.none() | modes, nearly_plain, st.none() | contexts, moments, st.booleans())
def test_a_plain_delivery_is_the_one_of_the_general_way(config, attribute, text, creation, moments, tenant):
    plan = plan_of(config, attribute)
    _, received, start = moments
    told = {"id": "1", HEADER: text, "delivery_info": INFO, RECEIVED: received}
    if creation is not None:
        told["traceparent"] = f"00-{creation.trace_id:032x}-{creation.span_id:016x}-{creation.trace_flags:02x}"
    if tenant:
        told["baggage"] = "tenant=42"
    request = Request(told)
    facts = incoming(request, "shop.add")
    assert facts is PLAIN_IN
    arguments = (config, plan, facts, request, start, 128)
    plain = [_delivery.deliver(*arguments) for _ in range(2)]  # the second time its text is known
    with patch.object(_delivery.wire, "decode_plainly", lambda _: None):
        general = _delivery.deliver(*arguments)
    for one in plain:
        assert one._replace(claims=general.claims, carried=general.carried) == general
        assert carried(one) == carried(general)
        # What is reserved stands in the relation; nobody looks for it in the claims any more.
        assert one.claims == general.claims._replace(reserved=one.claims.reserved)


@given(configs, st.none() | modes)
def test_the_decision_on_plain_messages_is_the_one_of_the_general_way(config, attribute):
    plan = plan_of(config, attribute)
    general = plan.stamp(plan.decide(call=None, looped=False, publishes_itself=False, delayed=False, fan_out=False))
    assert plan.decide_plainly() == plan.plain == general
    assert general.claims == Claims(*general.decision)
    assert general.text == _wire.written(general.claims)


@given(
    st.dictionaries(st.sampled_from(["id", "root_id", "hostname"]), st.text(max_size=8)), st.none() | st.floats(0, 9)
)
def test_the_attributes_of_a_plain_run_are_those_of_the_general_way(told, waited):
    latency = None if waited is None else Latency(waited, None, waited)
    assert consumer({"a": 1}, PLAIN_IN, told, latency, 0, False) == consumer(
        {"a": 1}, Incoming(), told, latency, 0, False
    )
