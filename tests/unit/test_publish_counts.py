"""How many messages a span has published: for the rule about loops, exact in threads, bounded, and of one process."""

from __future__ import annotations

import json
import os
import threading
from functools import lru_cache
from itertools import count

import pytest

from celery_otel_links._tracing import telemetry as _telemetry
from celery_otel_links._tracing.telemetry import PublishCounts


def test_messages_are_counted_per_span_whichever_thread_publishes_them():
    counts = PublishCounts()
    seen = []

    def publish():
        for _ in range(500):
            seen.append(counts.with_one_more(1))
            counts.with_one_more(2)

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 4001))
    assert counts.with_one_more(2) == 4001


def test_threads_that_are_first_at_once_are_counted_one_after_the_other():
    """As without a GIL: the cache keeps one of the counters that are made at once."""
    counts = PublishCounts()
    both = threading.Barrier(2, timeout=10)

    @lru_cache
    def begin(span_id):
        both.wait()
        return count(span_id)

    counts._counter = begin
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(counts.with_one_more(7))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [1, 2]
    assert counts.with_one_more(7) == 3


def test_a_span_that_goes_on_publishing_is_remembered_and_others_are_forgotten(monkeypatch):
    monkeypatch.setattr(_telemetry, "_SPANS_COUNTED", 10)
    counts = PublishCounts()
    for number in range(100):
        assert counts.with_one_more(0) == number + 1
        assert counts.with_one_more(number + 1) == 1
        assert counts._counter.cache_info().currsize <= 10
    assert counts.with_one_more(1) == 1  # long forgotten
    assert counts.with_one_more(0) == 101


@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")  # of several threads: that is what is tested
def test_a_forked_child_counts_anew():
    counts = PublishCounts()
    counts.with_one_more(1)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, json.dumps([counts.with_one_more(1), counts.with_one_more(1)]).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        assert json.loads(answers.read()) == [1, 2]
    os.waitpid(child, 0)
    assert counts.with_one_more(1) == 2
