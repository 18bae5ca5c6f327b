"""Playing every end of the table on two workers of a pool: one that is stopped warm, one that is stopped cold."""

from __future__ import annotations

import signal
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery import Celery
from celery.signals import before_task_publish
from celery.states import READY_STATES

from tests.harness.waiting import until
from tests.harness.workers import Worker
from tests.lifecycle.table import TABLE
from tests.lifecycle.tasks import PREFIX

CONCURRENCY = 3
DEAD_ON_ARRIVAL = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Play:
    """One pool's performance: `ids` holds the task ids of each end that was played."""

    def __init__(self, app: Celery, pool: str, worker: Worker, host: str, queue: str, directory: Path) -> None:
        self.ids: dict[str, list[str]] = defaultdict(list)
        self._app = app
        self._pool = pool
        self._worker = worker
        self._host = host
        self._queue = queue
        self._directory = directory
        self._tasks = SimpleNamespace(**{name.removeprefix(PREFIX): task for name, task in app.tasks.items()})

    def silent(self) -> None:
        """The ends that take everything along which their process has not exported: on processes that hold nothing."""
        tasks = self._tasks
        started = self.path()
        self._send("terminate, SIGKILL", tasks.wait_for, (self.path(), started))
        self._send("hard limit", tasks.overrun)
        self._send("SIGKILL", tasks.kill_itself, (0.2,))
        self._send("os._exit", tasks.exit_at_once)
        self._terminate("terminate, SIGKILL", started)
        self._finished("terminate, SIGKILL", "hard limit", "SIGKILL", "os._exit")
        if self._pool == "prefork":
            # While Celery handles one death it may not notice another, and run the message again by itself.
            until(lambda: len(self._worker.children()) == CONCURRENCY, what="a whole pool", steady=0.5)
        self._send("SIGKILL, redelivered", tasks.kill_itself_once, (self.path(),))
        self._finished("SIGKILL, redelivered")

    def ends(self) -> None:
        """Those that leave the worker, and what its processes hold, as they were."""
        tasks = self._tasks
        plain = {
            "success": tasks.succeed,
            "failure": tasks.fail,
            "expected failure": tasks.throw,
            "retry": tasks.retry,
            "unserialisable result": tasks.return_nonsense,
            "soft limit": tasks.overrun_softly,
        }
        for end, task in plain.items():
            self._send(end, task)
        self._send("ignore", tasks.ignore)
        self._send("reject", tasks.reject)
        self._send("sys.exit", tasks.exit_gently)
        self._send("unregistered", "end.unknown")
        self._finished(*plain, "unregistered")
        self._stopped_before_they_start()
        self._malformed()
        started = self.path()
        self._send("terminate, SIGTERM", tasks.wait_for, (self.path(), started))
        self._terminate("terminate, SIGTERM", started)
        self._finished("terminate, SIGTERM")
        for _ in range(CONCURRENCY * 3):
            self._send("pool shrunk", tasks.succeed, (0.02,))
        self._finished("pool shrunk")
        if self._pool == "prefork":
            self._app.control.pool_shrink(CONCURRENCY - 1, destination=[self._host], reply=True, timeout=10)
            # Last, so that the worker stops before it is clear whether the process has ended the span.
            with Busy(self._app, self._queue, 1, self._directory):
                self._send("terminated before its start", tasks.wait_for, (self.path(), self.path()))
                self._logged("", "terminated before its start")
                self._terminate("terminated before its start")
            self._forgotten("terminated before its start")

    def recycle(self) -> None:
        """On a worker whose processes run one task each."""
        for _ in range(CONCURRENCY):
            self._send("recycled child", self._tasks.succeed)
        self._finished("recycled child")

    def stop(self, end: str, signum: signal.Signals, seconds: float) -> None:
        """Stop the worker while it runs a task that takes `seconds`."""
        started = self.path()
        self._send(end, self._tasks.wait_for, (self.path(), started, seconds))
        if self.ids[end]:
            until(Path(started).exists, what="the last task's start")
        if self._pool != "solo":
            # A worker that SIGQUIT finds writing to its broker waits for itself forever (Celery 5.7, py-amqp 5.4).
            # When it answers, it has acknowledged the task.
            until(lambda: self._app.control.ping([self._host], timeout=5), what="an answer")
        self._worker.send(signum)
        until(lambda: not self._worker.alive, what=lambda: f"the stop: {self._worker.stderr[-6000:]}", timeout=20)

    def path(self) -> str:
        """A file that does not exist yet."""
        return str(self._directory / uuid.uuid4().hex)

    def _stopped_before_they_start(self) -> None:
        succeed = self._tasks.succeed
        self._send("revoked before its ETA", succeed, countdown=1)
        self._revoke("revoked before its ETA")
        self._send("expired before its ETA", succeed, countdown=0.7, expires=0.3)
        identifier = str(uuid.uuid4())
        self._app.control.revoke(identifier, destination=[self._host], reply=True, timeout=10)
        self._send("revoked at receipt", succeed, task_id=identifier)

        def expire(headers: dict[str, Any], **_: Any) -> None:
            headers["expires"] = DEAD_ON_ARRIVAL.isoformat()

        self._send("expired at receipt", succeed, change=expire)
        discarded = ("revoked before its ETA", "expired before its ETA", "revoked at receipt", "expired at receipt")
        self._logged("Discarding revoked task: ", *discarded)

    def _malformed(self) -> None:
        def forget_task(headers: dict[str, Any], **_: Any) -> None:
            del headers["task"]

        def spoil_eta(headers: dict[str, Any], **_: Any) -> None:
            headers["eta"] = "the day after tomorrow"

        self._send("malformed, no task", self._tasks.succeed, change=forget_task)
        self._send("malformed, no date", self._tasks.succeed, change=spoil_eta)
        self._send_raw("malformed, undecodable", {"id": str(uuid.uuid4())})
        message = self._app.amqp.as_task_v2(str(uuid.uuid4()), PREFIX + "succeed")
        self._send_raw("malformed, arguments undecodable", message.headers)

    def _send(
        self, end: str, task: Any, args: tuple[Any, ...] = (), change: Callable[..., None] | None = None, **options: Any
    ) -> None:
        if self._pool not in TABLE[end].pools:
            return
        if change is not None:
            before_task_publish.connect(change, weak=False)
        try:
            name = task if isinstance(task, str) else task.name
            self.ids[end].append(self._app.send_task(name, args, queue=self._queue, **options).id)
        finally:
            if change is not None:
                before_task_publish.disconnect(change)

    def _send_raw(self, end: str, headers: dict[str, Any]) -> None:
        if self._pool not in TABLE[end].pools:
            return
        self.ids[end].append(headers["id"])
        with self._app.producer_or_acquire() as producer:
            kind = {"content_type": "application/json", "content_encoding": "utf-8"}
            producer.publish("[broken", exchange="", routing_key=self._queue, headers=headers, **kind)

    def _terminate(self, end: str, started: str | None = None) -> None:
        if self.ids[end]:
            if started is not None:
                until(Path(started).exists, what=f"the start of {end}")
            signame = end.partition(", ")[2] or "SIGTERM"
            self._app.control.revoke(
                self.ids[end], terminate=True, signal=signame, destination=[self._host], reply=True, timeout=10
            )

    def _revoke(self, end: str) -> None:
        if self.ids[end]:
            self._app.control.revoke(self.ids[end], destination=[self._host], reply=True, timeout=10)

    def _logged(self, text: str, *ends: str) -> None:
        """Wait until the worker has logged a line about each of these that starts so."""
        identifiers = [identifier for end in ends for identifier in self.ids[end]]

        def missing() -> list[str]:
            lines = [line.partition("] ")[2] for line in self._worker.stderr.splitlines()]
            about = [line for line in lines if line.startswith(text)]
            return [one for one in identifiers if not any(one in line for line in about)]

        until(lambda: not missing(), what=lambda: f"{text!r} of {missing()} in {self._worker.stderr[-4000:]}")

    def _finished(self, *ends: str) -> None:
        """Wait until the result backend has the end of these."""

        def unfinished() -> list[str]:
            return [
                end
                for end in ends
                for identifier in self.ids[end]
                if self._app.backend.get_state(identifier) not in READY_STATES
            ]

        until(lambda: not unfinished(), what=lambda: f"the end of {unfinished()}: {self._worker.stderr[-6000:]}")

    def _forgotten(self, end: str) -> None:
        """Wait until the worker holds none of these any more: a stop would send them back to the broker."""
        inspect = self._app.control.inspect([self._host], timeout=5)

        def held() -> set[str]:
            answers = [*(inspect.active() or {}).values(), *(inspect.reserved() or {}).values()]
            return {request["id"] for requests in answers for request in requests}

        until(lambda: held().isdisjoint(self.ids[end]), what=f"the end of {end}")


class Busy:
    """While the block runs, every process or thread of the pool runs a task, and all that came before it are done."""

    def __init__(self, app: Celery, queue: str, processes: int, directory: Path) -> None:
        self._app, self._queue, self._processes = app, queue, processes
        self._directory = directory / uuid.uuid4().hex
        self._directory.mkdir()

    def __enter__(self) -> None:
        started = [self._directory / str(number) for number in range(self._processes)]
        for path in started:
            self._app.send_task("end.wait_for", (str(self._directory / "go"), str(path)), queue=self._queue)
        until(lambda: all(path.exists() for path in started), what="a busy pool")

    def __exit__(self, *_: object) -> None:
        (self._directory / "go").touch()
