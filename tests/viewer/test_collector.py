"""The receiver: what it takes, keeps, refuses and survives."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from celery_otel_links.cli.viewer.collector import Action, Collector, CollectorError
from celery_otel_links.cli.viewer.http import JSON, PROTOBUF
from celery_otel_links.cli.viewer.recording import Recording
from tests.harness.waiting import until
from tests.viewer.made import CHECKOUT, exported, span

BODY = exported(CHECKOUT)


@pytest.fixture
def calls() -> list[int]:
    return []


@pytest.fixture
def collector(calls: list[int]) -> Iterator[Collector]:
    def fail(_: int) -> None:
        raise RuntimeError("the shop is shut")

    collector = Collector(actions={"buy": Action("Buy", calls.append, 3), "fail": Action("Fail", fail)})
    yield collector
    collector.close()


def ask(collector: Collector, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", int(collector.endpoint.rpartition(":")[2]), timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Content-Type": PROTOBUF} | named)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("encoding", "body"), [("identity", BODY), ("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY))]
)
def test_spans_are_kept_however_they_are_packed(collector: Collector, encoding: str, body: bytes) -> None:
    assert ask(collector, "POST", "/v1/traces", body, Content_Encoding=encoding)[0] == 200
    assert [one.name for one in collector.recording.spans] == [one.name for one in sorted(CHECKOUT, key=_start)]


def test_a_second_run_of_the_same_requests_is_kept_apart(collector: Collector) -> None:
    ask(collector, "POST", "/before/v1/traces", BODY)
    assert (len(collector.recording.spans), len(collector.before.spans)) == (0, len(CHECKOUT))


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        (400, "/v1/traces", b"no protobuf", {}),
        (400, "/v1/traces", b"not packed", {"Content_Encoding": "gzip"}),
        (415, "/v1/traces", BODY, {"Content_Encoding": "br"}),
        (415, "/v1/traces", b"{}", {"Content_Type": JSON}),
        (413, "/v1/traces", gzip.compress(bytes(80 * 1024 * 1024)), {"Content_Encoding": "gzip"}),
        (404, "/v1/profiles", BODY, {}),
        (403, "/v1/traces", BODY, {"Host": "evil.example:4318"}),
        (415, "/do/buy", b"1", {"Content_Type": "text/plain"}),
        (400, "/do/buy", b"-1", {"Content_Type": JSON}),
        (404, "/do/steal", b"1", {"Content_Type": JSON}),
        (502, "/do/fail", b"1", {"Content_Type": JSON}),
    ],
)
def test_what_is_refused(
    collector: Collector, calls: list[int], status: int, path: str, body: bytes, headers: dict[str, str]
) -> None:
    assert ask(collector, "POST", path, body, **headers)[0] == status
    assert (collector.recording.spans, calls) == ([], [])


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_what_it_does_not_show_is_taken_all_the_same(collector: Collector, path: str) -> None:
    assert ask(collector, "POST", path)[0] == 200


def test_a_button_calls_its_action_with_the_number_beside_it(collector: Collector, calls: list[int]) -> None:
    assert ask(collector, "POST", "/do/buy", b"7", Content_Type=JSON)[0] == 200
    assert calls == [7]


def test_a_failing_action_says_why(collector: Collector) -> None:
    assert ask(collector, "POST", "/do/fail", b"0", Content_Type=JSON) == (502, "the shop is shut\n")


def test_a_connection_that_resets_costs_nothing_and_says_nothing(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", int(collector.endpoint.rpartition(":")[2]))) as connection:
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 1000\r\n\r\nhalf")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
    ask(collector, "POST", "/v1/traces", BODY)
    assert len(collector.recording.spans) == len(CHECKOUT)
    assert capsys.readouterr().err == ""


def news(collector: Collector, after: int) -> dict[str, Any]:
    return json.loads(ask(collector, "GET", f"/news?after={after}")[1])


def test_the_page_asks_for_what_is_new(collector: Collector) -> None:
    ask(collector, "POST", "/v1/traces", exported(CHECKOUT[:4]))
    first = news(collector, 0)
    assert (first["next"], len(first["spans"])) == (4, 4)
    ask(collector, "POST", "/v1/traces", exported(CHECKOUT[4:]))
    assert [one["n"] for one in news(collector, 4)["spans"]] == [one.name for one in CHECKOUT[4:]]


def test_a_page_that_knows_more_than_there_is_learns_it_at_once(collector: Collector) -> None:
    assert news(collector, 99)["next"] == 0


def test_memory_is_bounded_and_the_page_learns_what_is_gone() -> None:
    recording = Recording(keep=3)
    recording.add(spans=[span("t", f"s{n}", "run/a", at=n) for n in range(10)])
    first, following, spans = recording.after(0, most=2)
    assert (first, following, len(spans)) == (7, 9, 2)
    assert recording.after(9, most=5)[1:] == (10, [recording.spans[-1]])


def test_everything_is_passed_on(collector: Collector) -> None:
    between = Collector(forward_to=collector.endpoint + "/")
    ask(between, "POST", "/v1/traces", BODY)
    until(lambda: len(collector.recording.spans) == len(CHECKOUT), what="the spans, passed on", timeout=10)
    assert (between.forwarded, between.not_forwarded) == (1, 0)
    between.close()


def test_a_port_that_is_taken_is_said_in_one_line(collector: Collector) -> None:
    for port in (int(collector.endpoint.rpartition(":")[2]), 99_999):
        with pytest.raises(CollectorError, match=f"port {port} can't be had: .*--port 0"):
            Collector(port=port)


def _start(one: Any) -> float:
    return float(one.start)
