"""Set-ups as many have them, in which nothing is wrong, or something else than it seems: the doctor is not misled."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager

import pytest
from celery import Celery

from tests.harness.servers import delete_queues, free_port
from tests.harness.waiting import until
from tests.harness.workers import Settings, worker
from tests.lifecycle.collectors import silent
from tests.operated.doctored import APP, doctor, place_with, run, told
from tests.operated.undescribed import RESULTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(valkey_url, tmp_path_factory):
    with place_with(valkey_url, tmp_path_factory.mktemp("collected")) as made:
        yield made


@pytest.fixture
def queue():
    return f"doctored-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def working(place, queue):
    """A worker with one process that consumes the queue, as a context manager."""

    @contextmanager
    def started(own=(), args=(), env=None, **options):
        environment = {"OTEL_LINKS_TEST_DOCTOR": told(place, queue, dict(own)), **(env or {})}
        settings = {"app": APP, "concurrency": 1, "queues": (queue,), **options}
        with worker(Settings(place.broker), args=args, env=environment, **settings) as running:
            yield running

    return started


@pytest.fixture
def publish(place, queue):
    """Publish a task, from a process in which no library is active."""
    with Celery(broker=place.broker, backend=place.broker, set_as_current=False) as app:
        yield lambda name: app.send_task(name, queue=queue)


def unknown_alone(answer):
    assert answer["wrong"] == []
    return answer["unknown"]


def test_the_probe_leaves_the_process_as_it_was_where_no_app_was_given_to_us(place, queue, working, publish):
    own = {"setup": "without an app"}
    with working(own):
        code, answer = doctor(place, queue, own)
        assert publish("doctored.app").get(timeout=20) == "doctored"
    assert (code, answer["wrong"], answer["unknown"]) == (0, [], [])


@pytest.mark.clock
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_takes_connections_and_never_answers_is_named_soon(place, queue, scheme):
    begun = time.monotonic()
    doctor(place, queue, {"broker": f"{scheme}://127.0.0.1:{free_port()}/0"})
    refused = time.monotonic()
    with silent() as url:
        address = url.replace("http", scheme).replace("/v1/traces", "/0")
        code, answer = doctor(place, queue, {"broker": address, "backend": address.replace("amqp", "redis")})
    longer = time.monotonic() - refused - (refused - begun)
    assert longer < 3 + 1  # on an idle machine it starts within a second, and 5 s are promised
    (found,) = answer["wrong"]
    assert (code, found["check"]) == (1, "broker")
    assert found["how"] in ("no answer within 3 s", "OperationalError: timed out")  # which comes at the same time
    assert answer["unknown"] == ["everything about workers: the broker can't be reached"]


def test_a_result_backend_that_never_answers_keeps_nobody(place, queue, working):
    with working(), silent() as url:
        code, answer = doctor(place, queue, {"backend": url.replace("http", "redis").replace("/v1/traces", "/0")})
    reason = "the result backend can't be read: no answer within 3 s"
    assert (code, unknown_alone(answer)) == (0, [f"the processes that run tasks: {reason}"])


def test_without_a_result_backend_it_says_that_it_does_not_know_all(place, queue, working):
    with working():
        done = run(place, queue, {"backend": None})
    unknown = "the application has no result backend (result_backend), by which a probe answers"
    assert f"unknown   the processes that run tasks: {unknown}\n" in done.stdout
    assert done.stdout.endswith("\nNothing is wrong, as far as could be found out.\n")
    assert done.returncode == 0


def test_of_workers_that_share_a_queue_each_is_told_of_itself(place, queue, working):
    with working() as first, working() as second, working({"provider": "none"}) as third:
        _, answer = doctor(place, queue, {})
        children = {running.pid: running.children()[0].pid for running in (first, second, third)}
    assert {answer["workers"][name]["process"]: one["process"] for name, one in answer["probes"].items()} == children
    (name,) = [name for name, one in answer["workers"].items() if one["process"] == third.pid]
    assert {one["what"].partition(name)[1] for one in answer["wrong"]} == {name}


def test_of_workers_that_share_a_queue_only_the_busy_one_is_unknown(place, queue, working, publish):
    with working() as busy:
        publish("doctored.endless")
        until(lambda: "doctored.endless" in busy.stderr, what="the task")
        with working():
            code, answer = doctor(place, queue, {})
    (name,) = [name for name, one in answer["workers"].items() if one["process"] == busy.pid]
    assert answer["unknown"] == [f"the processes of {name} that run tasks: no answer in time"]
    assert [one["check"] for one in answer["wrong"]] == ["instrumented producers"]  # who has published that task
    assert code == 1


def test_a_worker_without_the_library_that_shares_the_queue_keeps_nobody_from_answering(place, queue, working):
    with working(), working({"setup": False}):
        code, answer = doctor(place, queue, {})
    (active,), (inactive,) = answer["workers"], answer["inactive"]
    assert (code, [one["what"] for one in answer["wrong"]]) == (1, [f"the library is not active in {inactive}"])
    assert (list(answer["probes"]), answer["unknown"]) == ([active], [])


def test_with_rabbitmq_a_worker_that_is_too_busy_to_answer_is_seen(place, queue, working, rabbitmq_url):
    own = {"broker": rabbitmq_url, "backend": "rpc://"}
    with working(own, pool="solo") as busy, Celery(broker=rabbitmq_url, set_as_current=False) as app:
        code, answer = doctor(place, queue, own)
        assert (code, unknown_alone(answer), len(answer["probes"])) == (0, [], 1)
        app.send_task("doctored.endless", queue=queue)
        until(lambda: "doctored.endless" in busy.stderr, what="the task")
        code, answer = doctor(place, queue, own)
    delete_queues(rabbitmq_url, (queue,))
    assert (code, [one["check"] for one in answer["wrong"]]) == (1, ["workers"])
    assert answer["unknown"] == [f"who consumes the queue {queue}: somebody who has not answered"]


def test_workers_of_one_name_are_named(place, queue, working):
    alike = ("--hostname", "alike@%h")
    with working(args=alike), working(args=alike):
        code, answer = doctor(place, queue, {})
    (name,) = answer["workers"]
    found = [(one["check"], one["what"]) for one in answer["wrong"]]
    assert (code, found) == (1, [("names of workers", f"more than one worker is called {name}")])


def test_a_producer_in_which_the_library_is_not_active_is_named(place, queue, working):
    with working():
        code, answer = doctor(place, queue, {"setup": False})
    named = [one for one in answer["wrong"] if one["check"] == "active"]
    assert code == 1
    assert [one["what"] for one in named] == ["the library is not active in this process"]


PARTS = {
    "a sampler": ({"sampler": "undescribed"}, ["the sampler can't be described: ValueError: no name"]),
    "an exporter": (
        {"exporter": "undescribed"},
        ["the endpoint of Placeless can't be described: ValueError: no place"],
    ),
    "a processor": (
        {"exporter": "hidden"},
        ["whether spans are exported can't be described: Hiding shows no exporter"],
    ),
    "a result backend": ({"backend": f"{RESULTS}+%s"}, ["fan-in can't be described: ValueError: no end"]),
}


@pytest.mark.parametrize("what", PARTS)
def test_what_cannot_be_described_is_said_to_be_unknown_and_nothing_else_is(place, queue, working, what):
    own, texts = PARTS[what]
    own = {key: value.replace("%s", place.broker) for key, value in own.items()}
    with working(own):
        code, answer = doctor(place, queue, own)
    (name,) = answer["workers"]
    assert answer["workers"][name]["unknown"] == texts  # which is what `inspect otel_links` shows
    processes = ["this process", name, f"a process of {name} that runs tasks"]
    assert (code, unknown_alone(answer)) == (0, [f"{one}: {text}" for one in processes for text in texts])


def test_what_others_print_does_not_get_into_the_answer(place, queue, working):
    with working():
        done = run(place, queue, {"exporter": "console"}, "--json")
    assert json.loads(done.stdout)["wrong"] == []
    assert '"name": "otel-links doctor"' in done.stderr
    assert '"name": "apply_async/celery_otel_links.probe"' in done.stderr


def test_of_several_exporters_of_a_class_each_is_named(place, queue):
    good, refuses = place.endpoints["good"], place.endpoints["answers with an error"]
    _, answer = doctor(place, queue, {"more endpoints": [refuses, good]})
    assert list(answer["here"]["export"]) == [
        f"OTLPSpanExporter({good})",
        f"OTLPSpanExporter({refuses})",
        f"OTLPSpanExporter({good}) #2",
    ]
    (found,) = [one for one in answer["wrong"] if one["check"] == "exporter"]
    assert found["what"].startswith(f"this process: OTLPSpanExporter({refuses}) can't export: ")


def test_no_thread_imports_what_talks_to_brokers_and_backends(place, queue, working):
    with working():
        done = run(place, queue, {"report imports": True})
    names = [line.rpartition(": ")[2] for line in done.stderr.splitlines() if line.startswith("imported in a thread")]
    assert [name for name in names if name.partition(".")[0] in ("celery", "kombu", "redis", "amqp")] == []


def test_a_sampler_that_takes_nothing_and_a_disabled_sdk_do_not_keep_exporters_from_being_tried(place, queue):
    for variable in ({"OTEL_TRACES_SAMPLER": "always_off"}, {"OTEL_SDK_DISABLED": "true"}):
        _, answer = doctor(place, queue, {}, env=variable)
        assert answer["here"]["export"] == {f"OTLPSpanExporter({place.endpoints['good']})": None}
    assert [one["mend"] for one in answer["wrong"] if one["check"] == "tracer provider"] == ["remove OTEL_SDK_DISABLED"]
