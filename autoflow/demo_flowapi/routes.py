# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""FlowAPI's routes: what each request is answered, as a real FlowAPI was recorded to."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoflow.demo_flowapi import mobility, qa
from autoflow.demo_flowapi.flowmachine import NO_REPLY, Flowmachine, LostReplyError
from autoflow.demo_flowapi.queries import Query, SpecError, columns, features, read_query
from autoflow.demo_flowapi.schemas import KINDS
from autoflow.demo_flowapi.tokens import Keys, RefusedError, read_roles, require

HTML = "text/html; charset=utf-8"
JSON = "application/json"
GEOJSON = "application/geo+json"
COLLECTION = '{"type":"FeatureCollection", "features":['
SERVER_ERROR = "Internal Server Error"


@dataclass(frozen=True)
class Request:
    """What was asked; ``query`` has the first value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str | None
    content_type: str
    body: bytes

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD")


@dataclass(frozen=True)
class Answer:
    """What is answered; in chunks where FlowAPI streams."""

    status: int
    kind: str
    pieces: Iterable[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False


@dataclass(frozen=True)
class Asked:
    """A request, with what it takes to answer it."""

    request: Request
    flowmachine: Flowmachine
    keys: Keys
    url: str

    def require(self, *scopes: str) -> None:
        """Refuse a token that does not allow all of this in one role."""
        require(read_roles(self.keys, self.request.authorization), scopes)


def answer(asked: Asked) -> Answer:
    """Answer a request."""
    path = asked.request.path.split("/")[1:]
    try:
        match path:
            case ["api", "0", "qa", _, *_]:
                return _qa(asked, path[3:])
            case ["api", "0", *rest]:
                return _route(asked, rest)
            case [""] if asked.request.reads:
                return page(200, "FlowAPI")
        return page(404, "Not Found")
    except RefusedError as error:
        return (
            page(error.status, SERVER_ERROR) if error.message is None else _json(error.status, {"msg": error.message})
        )
    except LostReplyError:
        status = {"geography": "Error", "run": None, "poll": None}.get(path[2], "error")
        return _json(500, {"msg": NO_REPLY, "status": status}) if status else _json(400, {"msg": NO_REPLY})


def page(status: int, title: str) -> Answer:
    """Answer in HTML, as FlowAPI does for an unexpected error."""
    return Answer(
        status, HTML, [f"<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n"]
    )


def _route(asked: Asked, path: list[str]) -> Answer:
    reads = asked.request.reads
    match path:
        case ["available_dates"] if reads:
            asked.require("get_available_dates")
            return _json(200, {"available_dates": asked.flowmachine.available_dates()})
        case ["run"] if asked.request.method == "POST":
            return _run(asked)
        case ["poll", query_id] if reads and query_id:
            return _poll(asked, query_id)
        case ["get", name] if reads and name:
            return _get(asked, *name.partition(".")[::2])
        case ["geography", unit] if reads:
            return _geography(asked, unit)
        case ["qa"] if reads:
            return Answer(
                308, HTML, ["<!doctype html>\n<title>Redirecting...</title>\n"], {"Location": f"{asked.url}/api/0/qa/"}
            )
        case ["spec", name] if reads:
            return _spec(name)
        case ["available_dates" | "run" | "qa"] | ["geography", _]:
            return page(405, "Method Not Allowed")
        case ["poll" | "get" | "spec", name] if name:
            return page(405, "Method Not Allowed")
    return page(404, "Not Found")


def _run(asked: Asked) -> Answer:
    read_roles(asked.keys, asked.request.authorization)
    spec: Any = None
    if asked.request.content_type.startswith(JSON) and asked.request.body:
        try:
            spec = json.loads(asked.request.body)
        except ValueError:
            return page(400, "Bad Request")
    try:
        query = read_query(spec)
        asked.require("run", *query.scopes)
        progress = asked.flowmachine.run(query)
    except SpecError as error:
        return _json(400, error.body)
    return _json(202, {"progress": progress, "query_id": query.id}, {"Location": f"/api/0/poll/{query.id}"})


def _poll(asked: Asked, query_id: str) -> Answer:
    query = _known(asked, query_id)
    if query is None:
        return page(404, "Not Found")
    asked.require(*query.scopes)
    match asked.flowmachine.state(query_id):
        case "completed":
            return _json(303, {"status": "completed"}, {"Location": f"/api/0/get/{query_id}"})
        case "errored":
            return _json(500, {"msg": "", "status": "errored"})
        case state:
            return _json(202, {"msg": "", "progress": asked.flowmachine.progress(query_id), "status": state})


def _get(asked: Asked, query_id: str, format_: str) -> Answer:
    query = _known(asked, query_id)
    if format_ not in ("", "json", "csv", "geojson"):
        return _json(400, {"msg": "Invalid file format", "status": "error"})
    if query is None:
        return page(404, "Not Found")
    geography = [f"{query.unit}:geography:geography"] if format_ == "geojson" else []
    asked.require("get_result", *query.scopes, *geography)
    state = asked.flowmachine.state(query_id)
    if state == "errored":
        message = f"Query with id '{query_id}' finished with an error."
        return _json(403, {"msg": message, "status": "Error"})
    if state != "completed":
        return _json(202, {})
    rows = asked.flowmachine.rows(query)
    if format_ == "csv":
        return Answer(200, "text/csv", _csv([columns(query), *(row.values() for row in rows)]), chunked=True)
    if format_ == "geojson":
        return _collection(features(query, rows))
    return _stream(JSON, f'{{"query_id":"{query_id}", "query_result":[', rows)


def _known(asked: Asked, query_id: str) -> Query | None:
    read_roles(asked.keys, asked.request.authorization)
    return asked.flowmachine.known(query_id)


def _geography(asked: Asked, unit: str) -> Answer:
    asked.require("get_result", f"{unit}:geography:geography")
    asked.flowmachine.need_database()
    if unit == "lon-lat":
        # FlowAPI begins to answer, its SQL fails, and the answer breaks off
        return Answer(200, GEOJSON, [COLLECTION], chunked=True)
    if unit not in mobility.places():
        return _json(500, {"msg": "Parameter validation failed.", "status": "Error"})
    return _collection(mobility.places()[unit])


def _spec(name: str) -> Answer:
    schemas = {
        kind.title().replace("_", ""): {"properties": {"query_kind": {"enum": [kind], "type": "string"}}}
        for kind in KINDS
    }
    if name == "openapi.json":
        return _json(200, {"components": {"schemas": schemas}, "info": {"title": "FlowAPI"}, "openapi": "3.0.1"})
    if name == "openapi.yaml":
        return Answer(200, HTML, ["info:\n  title: FlowAPI\nopenapi: 3.0.1\n"])
    return page(500, SERVER_ERROR) if name == "redoc" else page(404, "Not Found")


def _qa(asked: Asked, path: list[str]) -> Answer:
    if not (path == [""] or (len(path) in (2, 3) and all(path))):
        return page(404, "Not Found")
    if not asked.request.reads:
        return page(405, "Method Not Allowed")
    asked.require("get_qa_checks")
    match path:
        case [cdr_type, check, day]:
            return _qa_of(asked, cdr_type, check, day)
        case [cdr_type, check]:
            if not {"start_date", "end_date"} <= set(asked.request.query):
                return page(500, SERVER_ERROR)
            return _qa_of(asked, cdr_type, check)
    pairs = qa.listed(asked.flowmachine)
    return _json(200, [{"cdr_type": cdr_type, "type_of_query_or_check": check} for cdr_type, check in pairs])


def _qa_of(asked: Asked, cdr_type: str, check: str, alone: str | None = None) -> Answer:
    start, end = (alone, alone) if alone else (asked.request.query["start_date"], asked.request.query["end_date"])
    try:
        first, last = (dt.datetime.strptime(text, "%Y-%m-%d").date().isoformat() for text in (start, end))
    except ValueError:
        message = f"Could not parse {start} or {end}; expected for format is YYYY-MM-DD"
        return _json(400, {"msg": message, "status": "bad request"})
    found = {day: text for day, text in qa.outcomes(asked.flowmachine, cdr_type, check).items() if first <= day <= last}
    if not found:
        when = f"on {start}" if alone else f"between {start} and {end}"
        return _json(404, {"msg": f"No qa checks found for {cdr_type}, {check} {when}", "status": "not found"})
    if not alone:
        told = [{"cdr_date": day, "outcome": text, "type_of_query_or_check": check} for day, text in found.items()]
        return _json(200, told)
    text = found[first]
    return page(500, SERVER_ERROR) if text is None else Answer(200, HTML, [text])


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, JSON, [json.dumps(body, separators=(",", ":"), sort_keys=True)], headers or {})


def _collection(members: Iterable[Mapping[str, Any]]) -> Answer:
    return _stream(GEOJSON, COLLECTION, members)


def _stream(kind: str, head: str, members: Iterable[Mapping[str, Any]]) -> Answer:
    def pieces() -> Iterator[str]:
        yield head
        for number, member in enumerate(members):
            yield (", " if number else "") + json.dumps(member, separators=(",", ":"))
        yield "]}"

    return Answer(200, kind, pieces(), chunked=True)


def _csv(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Write lines that end in CR and LF, as Python's csv does."""
    for row in rows:
        text = io.StringIO()
        csv.writer(text).writerow(row)
        yield text.getvalue()
