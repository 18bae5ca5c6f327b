"""Set-ups that are broken in one way each: the doctor names it, and what it says of mending works.

Each runs real processes: a worker, a producer (the doctor's own process), a broker, a collector that answers or not.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.harness.contrib import needs_use_span_links
from tests.harness.servers import free_port
from tests.operated.doctored import doctor, place_with, run, visited

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(valkey_url, tmp_path_factory):
    with place_with(valkey_url, tmp_path_factory.mktemp("collected")) as made:
        yield made


# What is broken: in the producer, in the worker; the check that finds it, a part of what it says; both when mended.
BROKEN = {
    "no provider here": ({"provider": "none"}, {}, "tracer provider", "this process: no span goes anywhere", {}, {}),
    "no provider in a worker": ({}, {"provider": "none"}, "tracer provider", "no span goes anywhere", {}, {}),
    "a provider in children alone": ({}, {"provider": "children"}, "tracer provider", "only in the processes", {}, {}),
    "an exporter that refuses": ({}, {"collector": "refuses"}, "exporter", "refused", {}, {}),
    "an exporter that hangs": ({}, {"collector": "hangs"}, "exporter", "no answer within 3 s", {}, {}),
    "an exporter that answers with an error": ({}, {"collector": "answers with an error"}, "exporter", "400", {}, {}),
    "gRPC made before a fork": ({}, {"exporter": "grpc"}, "gRPC and fork", "made before a fork", {}, {}),
    "options of contrib": (
        {"contrib": True},
        {},
        "options of contrib",
        "use_span_links",
        {"otel_links": {"default": "link"}},
        {"otel_links": {"default": "link"}},
    ),
    "another release": ({}, {"release": "0.0.9"}, "releases", "another release", {}, {}),
    "another configuration": (
        {},
        {"otel_links": {"default": "link"}},
        "configurations",
        "configured otherwise",
        {"otel_links": {"default": "link"}},
        {"otel_links": {"default": "link"}},
    ),
    "a sampler by chance": (
        {},
        {"sampler": "ratio"},
        "sampler",
        "by chance",
        {},
        {"sampler": "linked"},
    ),
    "Prometheus with prefork": ({}, {"prometheus": True}, "Prometheus and prefork", "meets prefork", {}, {}),
    "clocks apart": ({}, {"ahead": -30}, "clocks", "is not that of this machine", {}, {}),
    "no fan-in": ({}, {"otel_links": {"fan_in": False}}, "fan-in", "no links to its header tasks", {}, {}),
    "a task that nobody knows": ({"more tasks": True}, {}, "registered tasks", "doctored.unknown_elsewhere", {}, {}),
    "a queue that nobody consumes": (
        {"conf": {"task_routes": {"doctored.*": {"queue": "lonely"}}}},
        {},
        "consumed queues",
        "no worker that has answered consumes the queue lonely",
        {},
        {},
    ),
    "a worker without the library": ({}, {"setup": False}, "active", "is not active", {}, {}),
}


@pytest.fixture(scope="module")
def mended(place):
    """What the doctor says of a set-up that is mended; most are mended alike, and visited once."""
    answers: dict[str, Any] = {}

    def visit(producer: dict[str, Any], working: dict[str, Any]) -> Any:
        key = json.dumps([producer, working], sort_keys=True)
        if key not in answers:
            answers[key] = visited(place, producer, working)
        return answers[key]

    return visit


@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=needs_use_span_links) if what == "options of contrib" else what for what in BROKEN],
)
def test_what_is_broken_is_named_and_can_be_mended(place, mended, what):
    producer, working, check, part, *after = BROKEN[what]
    if working.get("exporter") == "grpc":
        working = {**working, "grpc": f"127.0.0.1:{free_port()}"}
    code, answer = visited(place, producer, working)
    assert code == 1
    found = [one for one in answer["wrong"] if one["check"] == check]
    assert part in json.dumps(found), answer["wrong"]
    assert all(one["how"] and one["mend"] for one in found)
    code, answer = mended(*after)
    assert (code, answer["wrong"], answer["unknown"]) == (0, [], [])


def test_a_producer_that_is_not_instrumented_is_named(place):
    code, answer = visited(place, {}, {}, unstamped=2)
    (found,) = answer["wrong"]
    assert (code, found["check"]) == (1, "instrumented producers")
    assert found["how"].startswith("2 of the 2 messages")


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent"])
def test_a_healthy_set_up_is_called_so_and_what_was_tried_is_said(place, pool):
    code, answer = visited(place, {}, {}, pool)
    assert (code, answer["wrong"], answer["unknown"]) == (0, [], [])
    (probe,) = answer["probes"].values()
    assert (probe["mode"], probe["reason"]) == ("child", "default")
    assert probe["export"] == {f"OTLPSpanExporter({place.endpoints['good']})": None}
    assert 0 <= probe["queue_seconds"] <= probe["round_trip"]
    assert "exporter" in answer["tried"]


def test_without_a_worker_it_says_so(place):
    code, answer = doctor(place, "nobody", {})
    assert (code, [one["check"] for one in answer["wrong"]]) == (1, ["workers"])


def test_without_a_broker_it_says_so_soon(place):
    begun = time.monotonic()
    code, answer = doctor(place, "nobody", {"broker": f"redis://127.0.0.1:{free_port()}/0"})
    assert (code, [one["check"] for one in answer["wrong"]]) == (1, ["broker"])
    assert answer["unknown"] == ["everything about workers: the broker can't be reached"]
    assert time.monotonic() - begun < 5  # what it promises


def test_a_person_reads_it_without_json(place):
    done = run(place, "nobody", {})
    assert done.stdout.startswith(
        "wrong     no worker answers\n"
        "  found   asked all of them by broadcast; a solo pool answers between tasks only, and nobody with "
        "worker_enable_remote_control = False\n"
        "  mend    start"
    )
    assert done.stdout.endswith("\n1 finding\n")
