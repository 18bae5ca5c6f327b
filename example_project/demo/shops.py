"""The shop, and beside it the same shop without links, which is sent the same requests: both with worker and web."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from example_project.demo import servers
from example_project.demo.servers import Server


class Shops:
    """All servers of the demo; the stack that they are started on stops them."""

    def __init__(self, stack: ExitStack, directory: Path, broker: str | None) -> None:
        self._stack = stack
        self._directory = directory
        self._own_broker = broker
        self._workers: list[Server] = []
        self._webs: list[Server] = []
        self.ready = False

    def start(self, endpoint: str, compared: bool, started: Callable[[], None]) -> None:
        """Start the broker and then everything else at once, and wait for it; `compared`: the second shop too."""
        broker = self._own_broker
        if not broker:
            valkey = servers.start(self._stack, servers.valkey, self._directory)
            valkey.wait_until_ready()
            broker = valkey.url
        started()
        env = servers.environment(broker, not self._own_broker, endpoint, self._directory)
        self._open(env, "example_project", "example_project.web")
        if compared:
            one_trace = "example_project.demo.one_trace"
            self._open(servers.as_one_trace(env, endpoint), one_trace, one_trace)
        for server in (*self._webs, *self._workers):
            server.wait_until_ready()
            started()
        self.ready = True

    def _open(self, env: dict[str, str], app: str, web: str) -> None:
        if self._own_broker:
            self._stack.callback(servers.remove_queue, self._own_broker, env["SHOP_QUEUE"])
        self._workers.append(servers.start(self._stack, servers.worker, self._directory, env, app))
        self._webs.append(servers.start(self._stack, servers.web, self._directory, env, web))

    @property
    def urls(self) -> list[str]:
        """Where the shops take requests; the one without links is the second."""
        return [web.url for web in self._webs]

    def check(self) -> None:
        """`DemoError` if one of the processes has ended."""
        for server in (*self._workers, *self._webs):
            server.check()

    def stop(self, stopped: Callable[[], None]) -> None:
        """End them all, warmly, which exports what is left."""
        for worker in self._workers:
            worker.ask_to_stop()  # all at once
        for server in (*self._webs, *self._workers):
            server.stop()
            stopped()
