"""Each known defect of opentelemetry-instrumentation-celery (contrib), and that it is not one of ours."""

from __future__ import annotations

import gc
import threading

import pytest
from celery import signals
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import SpanProcessor

from celery_otel_links import CeleryLinksInstrumentor, ConfigError, setup
from tests.acceptance.shop import closed_shop
from tests.acceptance.stages import EVERYWHERE
from tests.harness.servers import free_port

LINKED = """
    request
      apply_async/shop.linked  link consumer -> run/shop.linked
    run/shop.linked            link producer -> apply_async/shop.linked
"""


@pytest.fixture
def dead():
    """An application whose broker nobody listens for."""
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    app = closed_shop(f"redis://127.0.0.1:{free_port()}/0", conf={"broker_transport_options": once})
    yield app
    app.close()


def test_contrib_leaks_context_when_a_publish_fails(story, dead):
    with story.request():
        before = context.get_current()
        with pytest.raises(Exception, match=r"."):
            dead.send_task("shop.add", retry=False)
        assert context.get_current() == before


def test_contrib_never_ends_the_span_when_a_publish_fails(story, dead):
    with story.request(), pytest.raises(Exception, match=r"."):
        dead.send_task("shop.add", retry=False)
    story.expect("request\n  apply_async/shop.add  ERROR")


def test_contrib_loses_baggage_in_link_mode(story):
    with story.request():
        token = context.attach(baggage.set_baggage("tenant", "42"))
        result = story.shop.baggage.apply_async(headers={"otel-propagation": "link"})
        context.detach(token)
    assert result.get(timeout=10) == {"tenant": "42"}


@pytest.mark.worker(instrumentation="attach-then-ours-then-detach")
@pytest.mark.stages(*EVERYWHERE[:2])
def test_contrib_makes_a_linked_run_a_child_of_whatever_is_current(story):
    story.run(story.shop.linked.s(), LINKED)


@pytest.fixture
def slow_broker():
    """Publishing takes a while, and garbage is collected meanwhile."""
    moment = 0.05

    def take_a_while(**_):
        gc.collect()
        threading.Event().wait(moment)

    signals.before_task_publish.connect(take_a_while, weak=False)
    yield moment
    signals.before_task_publish.disconnect(take_a_while)


def test_contrib_ends_the_span_of_a_publish_by_name_before_it_is_published(story, slow_broker):
    stranger = story.stranger()
    story.run(lambda: stranger.send_task("shop.plain"), "request\n  apply_async/shop.plain\n    run/shop.plain")
    publish = story.span("apply_async/shop.plain")
    assert (publish.end - publish.start) / 1e9 >= slow_broker


def test_contrib_silently_accepts_a_keyword_that_there_is_not(story, caplog):
    story.end()
    CeleryLinksInstrumentor().instrument(tracer_provider=story.provider, use_span_link=True)
    assert "'use_span_link' is not an option" in caplog.text
    story.run(story.shop.plain.s(), "request\n  apply_async/shop.plain\n    run/shop.plain")


@pytest.mark.parametrize("options", [{"config": {"defualt": "link"}}, {"config": {"default": "lnik"}}])
def test_contrib_silently_accepts_a_misspelt_option(story, options):
    story.end()
    with pytest.raises(ConfigError):
        CeleryLinksInstrumentor().instrument(tracer_provider=story.provider, **options)
    assert not CeleryLinksInstrumentor().is_instrumented_by_opentelemetry
    story.begin()
    story.run(story.shop.plain.s(), "request\n  apply_async/shop.plain\n    run/shop.plain")


def test_contrib_silently_accepts_a_misspelt_option_of_the_application(story):
    story.end()
    app = closed_shop("memory://")
    app.conf.otel_links = {"fanout": "link"}

    def start():
        setup(app)
        app.send_task("shop.plain")  # the configuration of an application is read when it is first needed

    with pytest.raises(ConfigError, match=r"fanout.*Did you mean 'fan_out'"):
        start()
    story.end()


def test_contrib_starts_a_worker_with_a_misspelt_option(stages):
    with pytest.raises(RuntimeError, match=r"ConfigError: .*fanout.*Did you mean 'fan_out'"):
        stages.get("solo-valkey", otel_links={"fanout": "link"})


def test_contrib_nests_every_retry_deeper(story):
    story.run(
        story.shop.flaky.s(3),
        """
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  RETRY  link previous-attempt -> run/shop.flaky#1
              apply_async/shop.flaky
            run/shop.flaky#3  retry 2  RETRY  link previous-attempt -> run/shop.flaky#2
              apply_async/shop.flaky
            run/shop.flaky#4  retry 3  link previous-attempt -> run/shop.flaky#3
        """,
    )


class AtStart(SpanProcessor):
    """Keeps what a sampler or another processor would have seen of a span."""

    def __init__(self):
        self.attributes = {}

    def on_start(self, span, parent_context=None):
        self.attributes[span.name] = dict(span.attributes)


def test_contrib_sets_attributes_after_the_span_has_started(story):
    seen = AtStart()
    story.provider.add_span_processor(seen)
    story.run(
        lambda: [story.shop.plain.delay(), story.shop.add.apply((1, 2))],
        """
        request
          apply_async/shop.plain
            run/shop.plain
          run/shop.add
        """,
    )
    for name in ("apply_async/shop.plain", "run/shop.add"):
        at_start, at_end = seen.attributes[name], story.span(name).attributes
        assert {key: at_end[key] for key in at_end if key not in ("celery.state",)} == at_start


def test_contrib_says_nothing_of_the_broker_and_of_the_kind_of_error(story):
    story.run(story.shop.fail.s(), "request\n  apply_async/shop.fail\n    run/shop.fail  ERROR")
    run = story.span("run/shop.fail")
    assert run.attributes["messaging.system"] == "redis"
    assert run.attributes["error.type"] == "tests.acceptance.shop.Unavailable"
    assert run.description == "sold out"


@pytest.mark.parametrize(
    ("task", "state"), [("ignore", "IGNORED"), ("reject", "REJECTED"), ("expected_failure", "FAILURE")]
)
def test_contrib_calls_errors_what_celery_does_not(story, task, state):
    story.run(story.shop.__dict__[task].s(), f"request\n  apply_async/shop.{task}\n    run/shop.{task}  {state}")


def test_contrib_leaves_a_span_current_that_the_next_task_inherits(story):
    """The worker has two processes; every one of many tasks has to see its own span."""
    with story.request():
        results = [story.shop.current.delay() for _ in range(12)]
        results += [story.shop.current.apply_async(headers={"otel-propagation": "link"}) for _ in range(4)]
    told = {tuple(result.get(timeout=10)) for result in results}
    story.expect_reasons("current: child by default x 12, current: link by call x 4")
    assert told == {span.key for span in story.spans("run/shop.current")}
    assert trace.get_current_span() is trace.INVALID_SPAN
