"""Set-ups as many have them, in which nothing is wrong, or something else than it seems: the doctor is not misled."""

from __future__ import annotations

import pytest
from celery import Celery

from tests.harness.workers import Settings, worker
from tests.operated.doctored import APP, doctor, place_with, told

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(valkey_url, tmp_path_factory):
    with place_with(valkey_url, tmp_path_factory.mktemp("collected")) as made:
        yield made


def test_the_probe_leaves_the_process_as_it_was_where_no_app_was_given_to_us(place):
    queue, own = "doctored-zero-code", {"setup": "without an app"}
    env = {"OTEL_LINKS_TEST_DOCTOR": told(place, queue, own)}
    with worker(Settings(place.broker), app=APP, concurrency=1, queues=(queue,), env=env):
        code, answer = doctor(place, queue, own)
        with Celery(broker=place.broker, backend=place.broker, set_as_current=False) as app:
            assert app.send_task("doctored.app", queue=queue).get(timeout=20) == "doctored"
        assert (code, answer["wrong"], answer["unknown"]) == (0, [], [])
