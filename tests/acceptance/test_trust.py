"""What comes in on a queue that outsiders can write to does as much as `trust` allows, and its baggage nothing."""

from __future__ import annotations

import pytest
from celery import chord

from celery_otel_links import propagation
from tests.acceptance import raw
from tests.acceptance.samplers import sampled
from tests.acceptance.test_baggage import BAGGAGE, carrying
from tests.harness.waiting import until

TRUST = {"trust": {"public-*": "link", "dark-*": "none"}}
QUEUES = ("public", "dark", "inner")
TRACE, PARENT, OTHER = "1" * 32, "2" * 16, "3" * 32
OUTSIDER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "tenant=evil"}
CLAIMING = {
    **OUTSIDER,
    "celery-otel-links": "v=1;t=1700000000.000000;mode=child;reason=call;rank=1"
    f";origin={TRACE}-{PARENT}-01;first={OTHER}-{PARENT}-01;previous={OTHER}-{PARENT}-01;reserved={OTHER}-{PARENT}-01"
    f";body={OTHER}-{PARENT}-01;chord={OTHER}-{PARENT}-01;chord-t=1700000000.000000",
}
PUBLIC = pytest.mark.worker(otel_links=TRUST, queues=QUEUES)


def queue(story, name):
    return f"{name}-{story.stage.queue}"


def run_of(story, task_id):
    """The run span of a task, whatever trace it is in."""

    def seen():
        return [span for span in story.stage.spans.spans() if (span.kind, span.message_id) == ("CONSUMER", task_id)]

    (run,) = until(seen, what=f"the run span of {task_id}")
    return run


def placed(run):
    """Where a run span is: its trace, parent, links, mode and reason."""
    told = [run.attributes[f"celery.propagation.{name}"] for name in ("mode", "reason")]
    return run.trace, run.parent, [(link.kind, *link.target) for link in run.links], *told


@PUBLIC
@pytest.mark.stages("prefork-valkey", "prefork-rabbitmq")
@pytest.mark.parametrize("mode", ["child", "link", "none"])
def test_our_own_messages_are_limited_too(story, mode):
    story.begin(TRUST)
    with propagation(mode), story.request():
        results = {name: story.shop.baggage.apply_async(queue=queue(story, name)) for name in QUEUES}
    wanted = {
        "child": "baggage: child by call, baggage: link by trust, baggage: none by trust",
        "link": "baggage: link by call, baggage: link by trust, baggage: none by trust",
        "none": "baggage: none by call x 2, baggage: none by trust",
    }
    story.follow(list(results.values()))
    story.expect_reasons(wanted[mode])


@PUBLIC
@pytest.mark.stages("prefork-valkey", "prefork-rabbitmq")
def test_a_context_from_below_child_is_linked_to_or_dropped_and_no_span_is_left_to_nothing(story):
    story.begin(TRUST)
    story.run(
        lambda: [story.shop.linked.apply_async(queue=queue(story, name)) for name in QUEUES],
        """
        request
          apply_async/shop.linked#1
          apply_async/shop.linked#2
          apply_async/shop.linked#3   link consumer -> run/shop.linked#3
        run/shop.linked#1             none by trust
        run/shop.linked#2             link by trust  link producer -> apply_async/shop.linked#2
        run/shop.linked#3             link by task   link producer -> apply_async/shop.linked#3
        """,
        show=["reason"],
    )


@PUBLIC
@pytest.mark.stages("prefork-valkey")
@pytest.mark.parametrize("mode", ["child", "link"])
def test_baggage_travels_on_a_trusted_queue_alone(story, mode):
    with story.request(), carrying(BAGGAGE), propagation(mode):
        results = {name: story.shop.baggage.apply_async(queue=queue(story, name)) for name in QUEUES}
    seen = {name: result.get(timeout=10) for name, result in results.items()}
    assert seen == {"inner": BAGGAGE, "public": {}, "dark": {}}


@PUBLIC
@pytest.mark.stages("prefork-valkey", "prefork-rabbitmq")
@pytest.mark.parametrize("headers", [OUTSIDER, CLAIMING], ids=["a context", "every claim"])
def test_an_outsider_places_nothing_in_a_trace(story, headers):
    (public,) = raw.publish(story.stage, [headers], queue=queue(story, "public"))
    (dark,) = raw.publish(story.stage, [headers], queue=queue(story, "dark"))
    trace, *rest = placed(run_of(story, public))
    assert trace not in (TRACE, OTHER)
    assert rest == [None, [("producer", TRACE, PARENT)], "link", "trust"]
    trace, *rest = placed(run_of(story, dark))
    assert trace not in (TRACE, OTHER)
    assert rest == [None, [], "none", "trust"]


@PUBLIC
@pytest.mark.stages("prefork-valkey")
@pytest.mark.parametrize("name", ["public", "dark"])
def test_nor_does_it_place_what_its_task_publishes(story, name):
    canvas = dict(chord([story.shop.add.s(1, 1), story.shop.add.s(2, 2)], story.shop.sums.s()))
    (cause,) = raw.publish(story.stage, [CLAIMING], queue=queue(story, name), task="shop.publish", args=(canvas,))
    run = run_of(story, cause)

    def bodies():
        return [span for span in story.stage.spans.spans() if span.trace == run.trace and span.name == "run/shop.sums"]

    (body,) = until(bodies, what="the body of the chord in the trace that the run began")
    assert (TRACE in {link.target[0] for link in body.links}) is (name == "public")
    since = [span for span in story.stage.spans.spans() if span.start >= run.start]
    assert [span.name for span in since if span.trace in (TRACE, OTHER)] == []


@pytest.mark.worker(otel_links={"trust": {"shop-*": "link"}})
@pytest.mark.stages("prefork-valkey", "prefork-rabbitmq")
def test_a_worker_of_one_untrusted_queue_asks_no_sender_for_its_name(story):
    (task_id,) = raw.publish(story.stage, [OUTSIDER], routed_as="inner")
    assert placed(run_of(story, task_id))[-2:] == ("link", "trust")


SAMPLERS = {
    "an outsider forces nothing": ("linked, never", False),
    "unless it is asked to": ("linked, never, but whoever is linked to", True),
}


@pytest.mark.stages("prefork-valkey")
@pytest.mark.parametrize(("sampler", "public_is_sampled"), SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("claim", [None, "child", "link"])
def test_a_foreign_sampled_flag(story_of, sampler, public_is_sampled, claim):
    story = story_of(otel_links=TRUST, queues=QUEUES, concurrency=1, **sampled(sampler))
    headers = dict(OUTSIDER)
    if claim:  # the sender may claim that another rule decided
        headers["celery-otel-links"] = f"v=1;t=1700000000.000000;mode={claim};reason=call;rank=1"
    ids = {name: raw.publish(story.stage, [headers], queue=queue(story, name)) for name in QUEUES}
    every = [task_id for (task_id,) in ids.values()]
    until(raw.all_done(story.stage, every), what="the results")
    (last,) = raw.publish(story.stage, [OUTSIDER], queue=queue(story, "inner"))
    run_of(story, last)  # one process runs all tasks, so that the others' spans are there by now
    seen = {span.message_id for span in story.stage.spans.spans() if span.kind == "CONSUMER"}
    wanted = {"inner", "public"} if public_is_sampled else {"inner"}
    assert {name for name, (task_id,) in ids.items() if task_id in seen} == wanted


@pytest.mark.stages("prefork-valkey")
@pytest.mark.worker(otel_links={"baggage": ["tenant"]})
@pytest.mark.parametrize("mode", ["child", "link", "none"])
def test_a_worker_can_accept_some_baggage(story, mode):
    with story.request(), carrying(BAGGAGE), propagation(mode):
        result = story.shop.baggage.delay()
    assert result.get(timeout=10) == {"tenant": "42"}


@pytest.mark.stages("prefork-valkey")
@pytest.mark.parametrize("mode", ["child", "link", "none"])
@pytest.mark.parametrize(("baggage", "expected"), [(True, BAGGAGE), (False, {}), (["plan"], {"plan": "gold"})], ids=str)
def test_a_publisher_can_send_some_baggage(story, mode, baggage, expected):
    story.begin({"baggage": baggage})
    with story.request(), carrying(BAGGAGE), propagation(mode):
        result = story.shop.baggage.delay()
    assert result.get(timeout=10) == expected
