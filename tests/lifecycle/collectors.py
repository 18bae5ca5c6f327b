"""Collectors that misbehave: one never answers, one refuses, one takes its time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.harness.servers import free_port

SLOW = 0.4


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Accepts every connection, and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        server.shutdown(socket.SHUT_RDWR)  # which ends `accept`; closing does not
        accepting.join()
        for connection in held:
            connection.close()


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """Nobody listens there."""
    yield f"http://127.0.0.1:{free_port()}/v1/traces"


@contextlib.contextmanager
def slow() -> Iterator[str]:
    """Answers each request after `SLOW` seconds."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            over.wait(SLOW)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


COLLECTORS = {"silent": silent, "refusing": refusing, "slow": slow}
