"""A sampled story is whole across its traces, and one that is not leaves nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from celery import chain, chord, group
from celery.result import AsyncResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from celery_otel_links.sampling import LinkedSampler
from tests.acceptance import raw
from tests.acceptance.samplers import sampled
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.waiting import until

pytestmark = pytest.mark.stages("prefork-valkey")
FOREIGN = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
UNSAMPLED = {"traceparent": f"00-{'3' * 32}-{'4' * 16}-00"}


@pytest.fixture
def sampling(story_of):
    """Begins a story whose publisher samples this share of its requests, on a worker with this sampler."""

    def begin(share, worker="linked, a tenth", **told):
        story = story_of(**sampled(worker), **told)
        story.provider = TracerProvider(
            sampler=LinkedSampler(TraceIdRatioBased(share)), resource=Resource.create({"service.name": "publisher"})
        )
        story.provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(story.stage.spans.path)))
        story.tracer = story.provider.get_tracer("story")
        story.begin()
        return story

    return begin


def ids(result):
    """The ids of all tasks that a result is of: members of groups, headers of chords."""
    found = [result.id] if isinstance(result, AsyncResult) else []
    for below in getattr(result, "results", None) or ():
        found += ids(below)
    return found + (ids(result.parent) if result.parent is not None else [])


def play(story, canvas, requests):
    """Publish a new canvas in so many requests and wait for all tasks: per request whether it was sampled, and ids."""
    played = []
    for _ in range(requests):
        with story.tracer.start_as_current_span("request") as span:
            result = canvas(story.shop).apply_async()
        played.append((span.get_span_context().trace_flags.sampled, ids(result)))
    every = [task_id for _, task_ids in played for task_id in task_ids]
    until(
        raw.all_done(story.stage, every), what=lambda: f"the results of all tasks\n{story.log()[-3000:]}", timeout=120
    )
    return played


def whole(story, played, runs):
    """Every task of a sampled request has its run spans, no other has any."""
    wanted = Counter()
    for was_sampled, task_ids in played:
        wanted += Counter({task_id: runs[index % len(runs)] * was_sampled for index, task_id in enumerate(task_ids)})
    known = {task_id for _, task_ids in played for task_id in task_ids}

    def seen():
        spans = [span for span in story.stage.spans.spans() if span.kind == "CONSUMER"]
        return Counter(span.message_id for span in spans if span.message_id in known)

    until(lambda: seen() == wanted, what=lambda: f"{wanted.total()} run spans; there are {seen().total()}", steady=0.3)
    return sum(was_sampled for was_sampled, _ in played)


@pytest.mark.slow
def test_of_a_thousand_requests_with_a_group_of_five_each_a_tenth_is_whole_and_the_others_are_nothing(sampling):
    story = sampling(0.1)
    played = play(story, lambda shop: group(shop.add.s(number, number) for number in range(5)), 1000)
    assert 50 <= whole(story, played, [1]) <= 150  # five standard deviations
    assert {len(task_ids) for _, task_ids in played} == {5}


CANVASES = {  # the canvas, and how many run spans each of its tasks has
    "a chord with its body": (lambda shop: chord((shop.add.s(n, n) for n in range(3)), shop.sums.s()), [1]),
    "a retry": (lambda shop: shop.flaky.s(2), [3]),
    "a retry of a linked task": (lambda shop: shop.flaky.s(2).set(headers={"otel-propagation": "link"}), [3]),
    "a group that is retried": (lambda shop: group(shop.flaky.s(1), shop.flaky.s(1)), [2]),
    "a chord of what is retried": (lambda shop: chord([shop.flaky.s(1), shop.flaky.s(1)], shop.sums.s()), [1, 2, 2]),
    "a chain of linked tasks": (lambda shop: chain(shop.linked.si(), shop.plain.si(), shop.linked.si()), [1]),
    "an unrelated task's requests": (lambda shop: group(shop.continued.s(), shop.linked.s()), [1]),
}


@pytest.mark.parametrize(("canvas", "runs"), CANVASES.values(), ids=CANVASES)
def test_a_sampled_story_is_whole_through(sampling, canvas, runs):
    story = sampling(0.5)
    taken = whole(story, play(story, canvas, 30), runs)
    assert 0 < taken < 30  # fails by chance once in half a billion


def test_and_through_a_retry_that_is_far_away_and_a_body_that_is_late(sampling):
    story = sampling(0.5, otel_links={"delay_threshold": 0})
    played = play(story, lambda shop: chord([shop.flaky.s(1, countdown=0.05)] * 2, shop.sums.s()), 30)
    assert 0 < whole(story, played, [1, 2, 2]) < 30


def test_a_fan_out_can_be_sampled_on_its_own(sampling):
    story = sampling(1, "a fan-out on its own")
    (_, grouped), (_, linked) = (
        *play(story, lambda shop: group(shop.add.s(1, n) for n in range(5)), 1),
        *play(story, lambda shop: shop.linked.s(), 1),
    )
    whole(story, [(False, grouped), (True, linked)], [1])


def test_without_a_link_the_root_decides_and_with_a_parent_the_parent(sampling):
    story = sampling(1, "linked, never")
    story.end()
    parentless, sampled_parent, unsampled_parent = raw.publish(story.stage, [{}, FOREIGN, UNSAMPLED])
    until(raw.all_done(story.stage, [parentless, sampled_parent, unsampled_parent]), what="results")
    whole(story, [(False, [parentless, unsampled_parent]), (True, [sampled_parent])], [1])


def test_a_task_of_an_unsampled_story_still_measures_and_answers(sampling):
    story = sampling(0)
    with story.request():
        result = story.shop.current.apply_async(headers={"otel-propagation": "link"})
    trace, span = result.get(timeout=10)
    assert int(trace, 16)
    assert int(span, 16)
    whole(story, [(False, [result.id])], [1])
