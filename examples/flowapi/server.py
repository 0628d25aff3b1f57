# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The stand-in's HTTP server: FlowAPI's routes, and switches for what can go wrong with them."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from examples.flowapi import mobility
from examples.flowapi.queries import Query, SpecError, read_query
from examples.flowapi.tokens import ALL_SCOPES, Keys, RefusedError, make_token, read_roles, require

FAULTS = ("slow", "hang", "401", "403", "500", "truncated", "nonsense")
CDR_TYPES = ("calls", "mds", "sms", "topups")
QA_CHECKS = ("count_msisdns", "count_duplicates")

Dates = dict[str, list[str]]


def some_days(number: int) -> Dates:
    """Dates of each CDR type: all of them, but top-ups stop a few days before the others."""
    days = [(mobility.FIRST_DAY + dt.timedelta(days=n)).isoformat() for n in range(number)]
    return {cdr_type: days[: max(number - 3, 0)] if cdr_type == "topups" else list(days) for cdr_type in CDR_TYPES}


class FlowapiStandin:
    """A FlowAPI on 127.0.0.1, in threads of its own; a context manager.

    Parameters
    ----------
    days
        How many days of data there are.
    port
        0 picks a free one.
    poll_seconds
        How long a query runs before its result is there.
    """

    def __init__(self, days: int = 21, port: int = 0, poll_seconds: float = 0.2) -> None:
        self.keys = Keys.generate()
        self.dates = some_days(days)
        self.poll_seconds = poll_seconds
        self.requests: list[str] = []
        """Method and path of every request, in order."""
        self.started: dict[str, float] = {}
        """When each query was first run, by its id."""
        self.queries: dict[str, Query] = {}
        self.fault: str | None = None
        self.fault_seconds = 3.0
        self._port = port
        self._scheme = "http"
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def token(
        self,
        lifetime: dt.timedelta = dt.timedelta(days=30),
        scopes: Iterable[str] = ALL_SCOPES,
        roles: Mapping[str, Iterable[str]] | None = None,
    ) -> str:
        """Sign a token that this server takes."""
        return make_token(self.keys, lifetime=lifetime, roles=roles or {"analyst": scopes})

    def set_fault(self, fault: str | None, seconds: float = 3.0) -> None:
        """Turn a fault on, or off with None; ``seconds`` is how slow ``slow`` is."""
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"{fault!r} is none of {', '.join(FAULTS)}")
        self.fault, self.fault_seconds = fault, seconds

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
        assert self._server is not None
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    def stop(self) -> None:
        """Refuse connections."""
        if self._server:
            self._server.stopping.set()
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
        standin.requests.append(f"{self.command} {self.path}")
        if not self._is_faulty(standin):
            try:
                self._route(standin, body)
            except RefusedError as error:
                if error.message is None:
                    self._page(error.status, "Internal Server Error")
                else:
                    self._json(error.status, {"msg": error.message})

    def _is_faulty(self, standin: FlowapiStandin) -> bool:
        """Misbehave as asked; False when the request is to be answered after all."""
        match standin.fault:
            case "slow":
                self.server.stopping.wait(standin.fault_seconds)
                return False
            case "hang":
                self.server.stopping.wait()
                self.close_connection = True
            case "401":
                self._json(401, {"msg": "Token has expired"})
            case "403":
                self._json(403, {"msg": "User claims verification failed"})
            case "500":
                self._page(500, "Internal Server Error")
            case "nonsense":
                self._send(200, "application/json", b"<html>a proxy's login page</html>")
            case "truncated":
                self._stream("application/json", iter(['{"available_dates":{"calls":["2016-']))
            case _:
                return False
        return True

    def _route(self, standin: FlowapiStandin, body: bytes) -> None:
        parts = urlsplit(self.path)
        path = parts.path.split("/")[1:]
        reading = self.command in ("GET", "HEAD")
        match path:
            case [""]:
                self._page(200, "")
            case ["api", "0", "available_dates"] if reading:
                require(self._roles(standin), ["available_dates"])
                self._json(200, {"available_dates": standin.dates})
            case ["api", "0", "run"] if self.command == "POST":
                self._run(standin, body)
            case ["api", "0", "poll", query_id] if reading:
                self._poll(standin, query_id)
            case ["api", "0", "get", name] if reading:
                query_id, _, format_ = name.partition(".")
                self._get(standin, query_id, format_ or "json")
            case ["api", "0", "geography", unit] if reading:
                self._geography(standin, unit)
            case ["api", "0", "qa"] if reading:
                location = f"{standin.url}/api/0/qa/"
                self._send(308, "text/html; charset=utf-8", _page("Redirecting..."), {"Location": location})
            case ["api", "0", "qa", *rest] if reading:
                self._qa(standin, rest, parse_qs(parts.query))
            case ["api", "0", "available_dates" | "run"] | ["api", "0", "poll" | "get" | "geography", _]:
                self._page(405, "Method Not Allowed")
            case _:
                self._page(404, "Not Found")

    def _roles(self, standin: FlowapiStandin) -> list[frozenset[str]]:
        return read_roles(standin.keys, self.headers.get("Authorization"))

    def _run(self, standin: FlowapiStandin, body: bytes) -> None:
        roles = self._roles(standin)
        spec: Any = None
        if self.headers.get("Content-Type", "").startswith("application/json") and body:
            try:
                spec = json.loads(body)
            except ValueError:
                return self._page(400, "Bad Request")
        available = {dt.date.fromisoformat(day) for days in standin.dates.values() for day in days}
        try:
            query = read_query(spec, available)
        except SpecError as error:
            return self._json(400, error.body)
        require(roles, ["run", f"{query.unit}:{query.kind}"])
        cached = query.id in standin.started and self._is_done(standin, query.id)
        standin.queries[query.id] = query
        standin.started.setdefault(query.id, time.monotonic())
        left = 0 if cached else len(query.days)
        progress = {"eligible": left, "queued": 0, "running": min(left, 2)}
        location = {"Location": f"/api/0/poll/{query.id}"}
        return self._json(202, {"progress": progress, "query_id": query.id}, location)

    def _poll(self, standin: FlowapiStandin, query_id: str) -> None:
        query = self._known(standin, query_id)
        if query is None:
            return self._page(404, "Not Found")
        if self._is_done(standin, query_id):
            return self._json(303, {"status": "completed"}, {"Location": f"/api/0/get/{query_id}"})
        left = len(query.days)
        progress = {"eligible": left, "queued": 0, "running": min(left, 2)}
        return self._json(202, {"msg": "", "progress": progress, "status": "executing"})

    def _get(self, standin: FlowapiStandin, query_id: str, format_: str) -> None:
        query = self._known(standin, query_id, "get_result")
        if format_ not in ("json", "csv", "geojson"):
            return self._json(400, {"msg": "Invalid file format", "status": "error"})
        if query is None:
            return self._page(404, "Not Found")
        if format_ == "geojson":
            require(self._roles(standin), ["get_result", f"{query.unit}:{query.kind}", f"{query.unit}:geography"])
        if not self._is_done(standin, query_id):
            return self._json(202, {})
        rows = query.rows()
        if format_ == "csv":
            lines = [",".join(rows[0])] + [",".join(str(value) for value in row.values()) for row in rows]
            return self._stream("text/csv", iter(["\n".join(lines)]))
        if format_ == "geojson":
            return self._stream("application/geo+json", _collection(_joined(query, rows)))
        return self._stream("application/json", _result(query_id, rows))

    def _known(self, standin: FlowapiStandin, query_id: str, *scopes: str) -> Query | None:
        roles = self._roles(standin)
        query = standin.queries.get(query_id)
        if query is not None:
            require(roles, [*scopes, f"{query.unit}:{query.kind}"])
        return query

    def _is_done(self, standin: FlowapiStandin, query_id: str) -> bool:
        return time.monotonic() - standin.started[query_id] >= standin.poll_seconds

    def _geography(self, standin: FlowapiStandin, unit: str) -> None:
        if unit == "lon-lat":
            # real FlowAPI begins to answer, fails, and breaks off
            self._roles(standin)
            return self._stream("application/geo+json", iter(['{"type":"FeatureCollection", "features":[']))
        require(self._roles(standin), [f"{unit}:geography"])
        if unit not in mobility.places():
            return self._json(500, {"msg": "Parameter validation failed.", "status": "Error"})
        return self._stream("application/geo+json", _collection(mobility.places()[unit]))

    def _qa(self, standin: FlowapiStandin, path: list[str], query: Mapping[str, list[str]]) -> None:
        require(self._roles(standin), ["available_dates"])
        match path:
            case [""]:
                checks = [
                    {"cdr_type": cdr_type, "type_of_query_or_check": check}
                    for cdr_type in standin.dates
                    for check in QA_CHECKS
                ]
                return self._json(200, checks)
            case [cdr_type, check, day]:
                return self._qa_of(standin, cdr_type, check, day, day, alone=True)
            case [cdr_type, check] if "start_date" in query and "end_date" in query:
                return self._qa_of(standin, cdr_type, check, query["start_date"][0], query["end_date"][0], alone=False)
            case [_, _]:
                return self._page(500, "Internal Server Error")
        return self._page(404, "Not Found")

    def _qa_of(self, standin: FlowapiStandin, cdr_type: str, check: str, start: str, end: str, *, alone: bool) -> None:
        try:
            first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
        except ValueError:
            message = f"Could not parse {start} or {end}; expected for format is YYYY-MM-DD"
            return self._json(400, {"msg": message, "status": "bad request"})
        days = [day for day in standin.dates.get(cdr_type, ()) if first <= dt.date.fromisoformat(day) <= last]
        if check not in QA_CHECKS or not days:
            when = f"on {start}" if alone else f"between {start} and {end}"
            return self._json(404, {"msg": f"No qa checks found for {cdr_type}, {check} {when}", "status": "not found"})
        if alone:
            return self._send(200, "text/html; charset=utf-8", b"800")
        outcomes = [{"cdr_date": day, "outcome": "800", "type_of_query_or_check": check} for day in days]
        return self._json(200, outcomes)

    def _json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        text = json.dumps(body, separators=(",", ":"), sort_keys=True)
        self._send(status, "application/json", text.encode(), headers)

    def _page(self, status: int, title: str) -> None:
        self._send(status, "text/html; charset=utf-8", _page(f"{status} {title}" if title else ""))

    def _send(self, status: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, kind: str, pieces: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            data = piece.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


def _page(text: str) -> bytes:
    return f"<!doctype html>\n<html lang=en>\n<title>{text}</title>\n<h1>{text}</h1>\n".encode()


def _result(query_id: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f'{{"query_id":"{query_id}", "query_result":['
    yield ", ".join(json.dumps(row, separators=(",", ":")) for row in rows)
    yield "]}"


def _collection(features: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield '{"type":"FeatureCollection", "features":['
    for number, feature in enumerate(features):
        yield (", " if number else "") + json.dumps(feature, separators=(",", ":"))
    yield "]}"


def _joined(query: Query, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    features = {feature["properties"]["pcod"]: feature for feature in mobility.places()[query.unit]}
    for number, row in enumerate(rows, start=1):
        feature = features[row.get("pcod") or row["pcod_to"]]
        yield {**feature, "id": number, "properties": {**row, **feature["properties"]}}
