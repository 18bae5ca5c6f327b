"""The proxy that makes a server stand further away."""

from __future__ import annotations

import socket
import time

from redis import Redis

from tests.harness.far import far


def test_every_answer_comes_later_by_the_delay(valkey_url):
    port = int(valkey_url.rpartition(":")[2].partition("/")[0])
    with far(port, delay=0.0) as server, Redis(port=server.port) as client:
        client.set("far", "away")
        server.delay = 0.05
        start = time.perf_counter()
        assert [client.get("far") for _ in range(3)] == [b"away"] * 3
        assert time.perf_counter() - start >= 0.15


def test_it_ends_with_the_connections_that_are_open(valkey_url):
    port = int(valkey_url.rpartition(":")[2].partition("/")[0])
    with far(port, delay=0.0) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        client.settimeout(5)
        client.sendall(b"PING\r\n")
        assert client.recv(10) == b"+PONG\r\n"
        server.delay = 60
        client.sendall(b"PING\r\n")
    with client:
        assert client.recv(10) == b""
