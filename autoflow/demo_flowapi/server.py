# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The stand-in's HTTP server, and the faults of what may lie before a FlowAPI or in it."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from autoflow.demo_flowapi import changes
from autoflow.demo_flowapi.flowmachine import Dates, Flowmachine, some_days
from autoflow.demo_flowapi.routes import JSON, Answer, Asked, Request, answer, page
from autoflow.demo_flowapi.tokens import ALL_SCOPES, Keys, make_token

FAULTS: Mapping[str, str] = {
    "slow": "answers come after 3 s",
    "hang": "no answer comes while it lasts, as with FlowMachine dead; those who wait are answered when it is over",
    "401": "every token has expired",
    "403": "every token lacks a scope",
    "500": "every request meets an internal error, told in HTML",
    "truncated": "answers with status 200 break off in the middle",
    "nonsense": "a proxy's login page answers everything",
    "stuck": "queries in progress or run now stay executing for good, as after FlowMachine was killed",
    "errored": "queries in progress or run now stay errored for good, as after PostgreSQL was started again",
    "no-database": "PostgreSQL is stopped: nothing but a list of dates that is kept is answered; queries end errored",
}

SMALL_ANSWERS = {
    "401": Answer(401, JSON, ['{"msg":"Token has expired"}']),
    "403": Answer(403, JSON, ['{"msg":"User claims verification failed"}']),
    "500": page(500, "Internal Server Error"),
    "nonsense": Answer(200, JSON, ["<html>a proxy's login page</html>"]),
}


class FlowapiStandin:
    """A FlowAPI on 127.0.0.1, in threads of its own; a context manager.

    What goes on behind it, and can be changed, is in its `flowmachine`.

    Parameters
    ----------
    days
        How many days of data there are.
    port
        0 picks a free one.
    poll_seconds
        How long a query runs before its result is there.
    keys
        What signs its tokens; None makes some, which takes a moment.
    """

    def __init__(self, days: int = 21, port: int = 0, poll_seconds: float = 0.2, keys: Keys | None = None) -> None:
        self.keys = keys or Keys.generate()
        self.flowmachine = Flowmachine(poll_seconds)
        self.flowmachine.dates = some_days(days)
        self.requests: list[str] = []
        """Method and path of every request, in order."""
        self.fault: str | None = None
        self.fault_seconds = 3.0
        self._port = port
        self._scheme = "http"
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._port}"

    @property
    def dates(self) -> Dates:
        """The dates of which there are data, by CDR type."""
        return self.flowmachine.dates

    @dates.setter
    def dates(self, dates: Mapping[str, Collection[str]]) -> None:
        self.flowmachine.dates = dates

    def token(
        self,
        lifetime: dt.timedelta = dt.timedelta(days=30),
        scopes: Iterable[str] = ALL_SCOPES,
        roles: Mapping[str, Iterable[str]] | None = None,
    ) -> str:
        """Sign a token that this server takes."""
        return make_token(self.keys, lifetime=lifetime, roles=roles or {"analyst": scopes})

    def set_fault(self, fault: str | None, seconds: float = 3.0) -> None:
        """Turn one of `FAULTS` on, or off with None; ``seconds`` is how slow ``slow`` is."""
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"{fault!r} is none of {', '.join(FAULTS)}")
        self.fault, self.fault_seconds = fault, seconds
        self.flowmachine.set_fault(fault)

    def set_days(self, number: int) -> None:
        """Let there be so many days of data."""
        self.dates = some_days(number)

    def start(self) -> None:
        """Listen; after `stop` on the same port as before."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt connections from now on; the server has been started."""
        if self._server is None:
            raise ValueError("the server has not been started")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    def stop(self) -> None:
        """Refuse connections."""
        if self._server:
            self._server.stopping.set()
            with suppress(OSError):
                # else it looks whether it is to end when it next looks whether anybody has come
                self._server.socket.shutdown(socket.SHUT_RDWR)
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> FlowapiStandin:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], standin: FlowapiStandin) -> None:
        super().__init__(address, _Handler)
        self.standin = standin
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away in the middle of an answer: some tests are such."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: `FlowapiStandin.requests` has them all."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        standin = self.server.standin
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if self.command == "POST" and parts.path == changes.PATH:
            self._send(self._changed(body))
            return
        standin.requests.append(f"{self.command} {self.path}")
        if standin.fault == "slow":
            self.server.stopping.wait(standin.fault_seconds)
        while standin.fault == "hang" and parts.path != "/":
            if self.server.stopping.wait(0.02):
                self.close_connection = True
                return
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            query=dict(reversed(parse_qsl(parts.query, keep_blank_values=True))),
            authorization=self.headers.get("Authorization"),
            content_type=self.headers.get("Content-Type", ""),
            body=body,
        )
        reply = SMALL_ANSWERS.get(standin.fault or "")
        if reply is None:
            reply = answer(Asked(request, standin.flowmachine, standin.keys, standin.url))
        self._send(_broken_off(reply) if standin.fault == "truncated" else reply)

    def _changed(self, body: bytes) -> Answer:
        """Change the data, whatever fault there is; a page in a browser cannot post JSON to another server."""
        try:
            if self.headers.get("Content-Type") != JSON:
                raise ValueError("expected JSON")
            return Answer(200, JSON, [json.dumps({"done": changes.change(self.server.standin.flowmachine, body)})])
        except (ValueError, TypeError) as error:
            return Answer(400, JSON, [json.dumps({"error": str(error)})])

    def _send(self, reply: Answer) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (*reply.pieces, "") if self.command != "HEAD" else ():
                data = piece.encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            return
        content = "".join(reply.pieces).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _broken_off(reply: Answer) -> Answer:
    """Let an answer end in the middle, as FlowAPI does when something fails while it streams."""
    if reply.status != 200:
        return reply
    whole = "".join(reply.pieces)
    return replace(reply, pieces=[whole[: len(whole) // 2]], chunked=True)
