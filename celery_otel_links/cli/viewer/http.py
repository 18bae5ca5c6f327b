"""HTTP in front of the collector: who may ask for what, and what is refused.

It listens on loopback alone. A page of another site, which a developer's browser also shows, can neither read (the
`Host` has to be this machine) nor send (a POST needs a content type that a browser asks for permission first).
"""

from __future__ import annotations

import zlib
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

LOOPBACK = "127.0.0.1"
HOSTS = (LOOPBACK, "localhost")
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MOST_BYTES = 64 * 1024 * 1024
WINDOW_BITS = {"gzip": 31, "deflate": 15}  # as zlib names the two formats
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


class Refused(Exception):
    """A request that is answered with a status and one line."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Backend(Protocol):
    """What is asked through HTTP."""

    actions: dict[str, Any]

    def take(self, path: str, body: bytes) -> bool: ...
    def page(self) -> str: ...
    def news(self, run: str, number: int) -> str: ...


def handler(backend: Backend) -> type[BaseHTTPRequestHandler]:
    """The handler of a server for this backend."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60  # of a connection on which nothing comes

        def do_GET(self) -> None:
            self._answer(self._get)

        def do_POST(self) -> None:
            self._answer(self._post)

        def _answer(self, respond: Any) -> None:
            try:
                host = self.headers.get("Host", "").rpartition(":")[0]
                if host not in HOSTS:
                    raise Refused(HTTPStatus.FORBIDDEN, "this is for programs of this machine")
                content_type, text = respond(urlsplit(self.path))
                status = HTTPStatus.OK
            except Refused as refused:
                status, content_type, text = refused.status, "text/plain; charset=utf-8", f"{refused}\n"
                self.close_connection = True  # what it sent may not have been read
            body = text.encode(errors="replace")
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            if content_type.startswith("text/html"):
                self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def _get(self, url: Any) -> tuple[str, str]:
            if url.path == "/":
                return "text/html; charset=utf-8", backend.page()
            if url.path == "/news":
                asked = parse_qs(url.query)
                after = asked.get("after", ["0"])[0]
                if not after.isdecimal():
                    raise Refused(HTTPStatus.BAD_REQUEST, "after: a number")
                return JSON, backend.news(asked.get("run", [""])[0], int(after))
            raise Refused(HTTPStatus.NOT_FOUND, "here are / and, for POST, /v1/traces, /v1/metrics and /v1/logs")

        def _post(self, url: Any) -> tuple[str, str]:
            body = _body(self.headers, self.rfile)
            content_type = self.headers.get("Content-Type", "").partition(";")[0].strip()
            if url.path.startswith("/do/"):
                if content_type != JSON:
                    raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON}")
                return JSON, _do(backend, url.path[4:], body)
            if content_type != PROTOBUF:
                why = f"send {PROTOBUF}: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
                raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)
            try:
                if not backend.take(url.path, body):
                    raise Refused(HTTPStatus.NOT_FOUND, "OTLP goes to /v1/traces, /v1/metrics and /v1/logs")
            except ValueError as error:
                raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
            return PROTOBUF, ""

        def log_message(self, format: str, *args: object) -> None:
            """Not on the reader's terminal."""

    return Handler


def _do(backend: Backend, name: str, body: bytes) -> str:
    action = backend.actions.get(name)
    if action is None:
        raise Refused(HTTPStatus.NOT_FOUND, "no such action")
    text = body.decode(errors="replace").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise Refused(HTTPStatus.BAD_REQUEST, "send a number from 0 to 99999")
    try:
        action.call(int(text))
    except Exception as error:
        raise Refused(HTTPStatus.BAD_GATEWAY, str(error) or type(error).__name__) from error
    return "{}"


def _body(headers: Message, stream: BufferedIOBase) -> bytes:
    length = headers.get("Content-Length", "")
    if not length.isdecimal():
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length")
    if int(length) > MOST_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes")
    body = bytes(stream.read(int(length)))
    encoding = headers.get("Content-Encoding", "identity")
    if encoding == "identity":
        return body
    if encoding not in WINDOW_BITS:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "gzip, deflate or no compression")
    unpacking = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        unpacked = unpacking.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"not {encoding}: {error}") from error
    if unpacking.unconsumed_tail:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes when unpacked")
    return unpacked
