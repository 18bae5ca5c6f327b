"""A result backend that does not answer: Celery fails to store that a process was lost, and tells nobody of it."""

from __future__ import annotations

import os
import signal

from tests.harness.waiting import until
from tests.lifecycle.brokers import restartable

AT_ONCE = {"retry_policy": {"timeout": 0.2, "max_retries": 0}}


def test_a_lost_process_whose_failure_cannot_be_stored_has_its_span(open_site, tmp_path):
    told = tmp_path / "told"
    with restartable(tmp_path) as results:
        conf = {"result_backend": results.url, "result_backend_transport_options": AT_ONCE}
        with open_site("prefork", conf=conf) as site:
            site.app.send_task("end.wait_for", (str(tmp_path / "never"), str(told)))
            until(told.exists, what="the start of the task")
            results.end()
            os.kill(int(told.read_text()), signal.SIGKILL)
            until(lambda: "exited with 'signal 9 (SIGKILL)'" in site.worker.stderr, what="the lost process")
            site.worker.stop(signal.SIGTERM)
            (run,) = [span for span in site.spans() if span.kind == "CONSUMER"]
            assert run.attributes["error.type"] == "billiard.exceptions.WorkerLostError", site.worker.stderr
            assert site.complaints() == []
