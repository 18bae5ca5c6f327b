"""`flush_interval` with a collector that never answers: one flush at a time, and so no more threads than one needs."""

from __future__ import annotations

import signal

import pytest

from tests.lifecycle.collectors import silent

PROVIDERS = 3
ROUNDS = 30


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_collector_that_hangs_costs_no_thread_per_flush(open_site, pool):
    links = {"flush_interval": 0.01, "flush_timeout": 0.05}
    at_the_end_too = 2 * PROVIDERS if pool == "threads" else 0  # which wait for the end of the worker
    with silent() as endpoint, open_site(pool, told={"endpoint": endpoint}, otel_links=links, concurrency=1) as site:
        for _ in range(ROUNDS):
            site.app.send_task("end.succeed", (0.05,)).get(timeout=20)
        threads = site.app.send_task("end.flushing_threads").get(timeout=20)
        site.worker.stop(signal.SIGTERM, timeout=40)
        assert threads - at_the_end_too <= 1 + PROVIDERS
