"""At a hard time limit a process and its main process agree on who reports the attempt, whatever delays them."""

from __future__ import annotations

import signal

import pytest

from tests.harness.waiting import until

OVERRUN = ("FAILURE", "billiard.exceptions.TimeLimitExceeded")
DONE = ("SUCCESS", None)
ATTEMPTS = 6
LIMIT = 0.6
LARGE = 20 * 2**20


def ends_of(open_site, told, task, args):
    """How the attempts ended, as their spans say."""
    with open_site("prefork", app="tests.lifecycle.slow_app:app", told=told, concurrency=2) as site:
        ids = [site.app.send_task(task, args, time_limit=LIMIT).id for _ in range(ATTEMPTS)]
        until(
            lambda: sum(site.worker.stderr.count(f"exceeded for {task}[{one}]") for one in ids) == ATTEMPTS,
            what=lambda: f"the ends of {task}: {site.worker.stderr[-3000:]}",
            timeout=40,
        )
        site.worker.stop(signal.SIGTERM, timeout=30)
        runs = [span for span in site.spans() if span.kind == "CONSUMER"]
        assert {run.message_id for run in runs} <= set(ids)
        assert site.complaints() == []
        return [(run.attributes["celery.state"], run.attributes.get("error.type")) for run in runs]


def test_an_attempt_whose_arguments_take_long_to_decode_has_one_span(open_site):
    assert ends_of(open_site, {}, "end.run_for", (30, "x" * LARGE)) == [OVERRUN] * ATTEMPTS


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.6])
def test_an_attempt_that_begins_late_has_one_span(open_site, seconds):
    """A receiver of `task_prerun` before ours takes as much of the limit."""
    assert ends_of(open_site, {"receiver": seconds}, "end.run_for", (30,)) == [OVERRUN] * ATTEMPTS


def test_a_limit_that_strikes_while_the_span_is_exported_makes_no_second_one(open_site):
    assert ends_of(open_site, {"export": 5}, "end.run_for", (0.3,)) == [DONE] * ATTEMPTS


@pytest.mark.parametrize("what", ["on_start CONSUMER", "run_hook"])
def test_a_limit_that_strikes_while_the_span_is_started_makes_the_one_span(open_site, what):
    assert ends_of(open_site, {what: 0.8}, "end.run_for", (30,)) == [OVERRUN] * ATTEMPTS
