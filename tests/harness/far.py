"""A server that is further away than it is: a TCP proxy on this machine that answers later, by a timer of its loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class FarServer:
    """What stands between a client and a server; `delay` is added to every round trip, and may be changed any time."""

    def __init__(self, target: int, delay: float) -> None:
        self.delay = delay
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._listens.wait(5):
            raise RuntimeError("the proxy does not listen")

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(5)
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._ended.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError), contextlib.closing(writer.transport):
            answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
            with contextlib.closing(requests.transport):
                await asyncio.gather(
                    self._forward(reader, requests, late=True), self._forward(answers, writer, late=False)
                )

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, late: bool) -> None:
        due = 0.0
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                # What was sent earlier arrives earlier, also where the delay has become shorter.
                due = max(due, self._loop.time() + (self.delay if late else 0.0))
                self._loop.call_at(due, sink.write, data)
        self._loop.call_at(due, sink.close)


@contextlib.contextmanager
def far(port: int, *, delay: float) -> Iterator[FarServer]:
    """The server that listens at `port` here, so many seconds further away. Gone afterwards."""
    server = FarServer(port, delay)
    server.start()
    try:
        yield server
    finally:
        server.end()
