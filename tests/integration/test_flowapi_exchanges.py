# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The stand-in FlowAPI answers each request as a real one with flowmachine 1.34.0 was recorded to (November 2026)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from flowkit_jwt_generator.jwt import compress_claims

from autoflow.demo_flowapi import FlowapiStandin
from autoflow.demo_flowapi.flowmachine import CDR_TYPES
from autoflow.demo_flowapi.tokens import ALL_SCOPES, AUDIENCE, Keys

HTML = "text/html; charset=utf-8"
JSON = "application/json"
GEOJSON = "application/geo+json"

DAY = {"query_kind": "daily_location", "aggregation_unit": "admin1", "method": "last", "event_types": None}
SPATIAL = {"query_kind": "spatial_aggregate", "locations": {**DAY, "date": "2016-01-03"}}
COUNTS = {"query_kind": "unique_subscriber_counts", "start_date": "2016-01-05", "end_date": "2016-01-06",
          "aggregation_unit": "admin2", "event_types": ["calls"]}  # fmt: skip

NO_SCOPE = {"msg": "User claims verification failed"}
NO_QUERY = {"msg": "Could not parse query spec."}
PROGRESS = {"eligible": int, "queued": 0, "running": int}
COUNT = {"pcod": str, "value": int}
FEATURES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": int,
            "geometry": {"type": "MultiPolygon", "coordinates": list},
            "properties": {"pcod": str, "centroid": {"type": "Point", "coordinates": [float]}},
        }
    ],
}
"""A list in a shape holds the shape of each element."""


@dataclass(frozen=True)
class Exchange:
    """A request, and what was recorded of its answer; ID is the id of a completed query, EXECUTING of a running one."""

    request: str
    status: int
    shape: Any
    """A JSON body with types for what varies; of a page, what it says."""
    kind: str = JSON
    sent: Any = None
    token: Any = "full"
    """Name of a token, or the scopes of one, or an Authorization header."""
    location: str | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Header:
    text: str | None


def html(request: str, status: int, title: str, **more: Any) -> Exchange:
    return Exchange(request, status, title, HTML, **more)


def refused(status: int, message: str, token: Any, request: str = "GET available_dates", **more: Any) -> Exchange:
    return Exchange(request, status, {"msg": message}, token=token, **more)


def without(*scopes: str) -> list[str]:
    return [scope for scope in ALL_SCOPES if scope not in scopes]


def invalid(spec: Mapping[str, Any], problems: Mapping[str, Any]) -> Exchange:
    def indented(value: Any) -> str:
        return json.dumps(value, indent=2).replace("\n", "\n   ")

    message = (
        f"Parameter validation failed.\n\nThe action parameters were:\n   {indented(spec)}.\n\n"
        f"Validation error messages:\n   {indented(problems)}.\n\n"
    )
    return Exchange("POST run", 400, {"msg": message}, sent=spec)


def not_created(reason: str, spec: Mapping[str, Any]) -> Exchange:
    body = {"msg": "Unable to create query object.", "payload": {"exception": reason}, "status": "Error"}
    return Exchange("POST run", 400, body, sent=spec)


def none_found(what: str, request: str) -> Exchange:
    return Exchange(request, 404, {"msg": f"No qa checks found for {what}", "status": "not found"})


def no_date(text: str) -> Exchange:
    message = f"Could not parse {text} or {text}; expected for format is YYYY-MM-DD"
    return Exchange(f"GET qa/calls/count_msisdns/{text}", 400, {"msg": message, "status": "bad request"})


TOKENS = [
    Exchange("GET available_dates", 200, {"available_dates": {cdr_type: [str] for cdr_type in CDR_TYPES}}),
    *(Exchange("GET available_dates", 200, dict, token=name) for name in ("issuer", "nojti", "noexp")),
    refused(401, "Missing Authorization Header", Header(None)),
    *(
        refused(422, "Bad Authorization header. Expected value 'Bearer <JWT>'", Header(text))
        for text in ("Bearer", "Basic Zm9vOmJhcg==")
    ),
    refused(422, "Not enough segments", Header("Bearer garbage")),
    refused(
        422,
        "Invalid header string: 'utf-8' codec can't decode byte 0xa6 in position 1: invalid start byte",
        Header("Bearer aaaa.bbbb.cccc"),
    ),
    refused(401, "Token has expired", "expired"),
    refused(401, "Token has expired", "expired", "POST run", sent=SPATIAL),
    refused(422, "Signature verification failed", "wrong-key"),
    refused(422, "Audience doesn't match", "wrong-audience"),
    refused(422, 'Token is missing the "aud" claim', "no-audience"),
    refused(422, "Missing claim: sub", "nosub"),
    refused(422, "The token is not yet valid (nbf)", "nbf"),
    refused(422, "The specified alg value is not allowed", "hs256"),
    *(
        html("GET available_dates", 500, "500 Internal Server Error", token=name)
        for name in ("noclaims", "uncompressed", "badclaims", "listclaims")
    ),
]  # fmt: skip

ROUTES = [
    html("GET /", 200, ""),
    Exchange("HEAD available_dates", 200, None),
    html("POST available_dates", 405, "405 Method Not Allowed"),
    html("GET available_dates/", 404, "404 Not Found"),
    html("GET nope", 404, "404 Not Found"),
    html("GET run", 405, "405 Method Not Allowed"),
    html("GET qa", 308, "Redirecting...", location="URL/api/0/qa/"),
    html("GET qa/calls", 404, "404 Not Found"),
    *(
        html(f"GET {path}", 404, "404 Not Found")
        for path in ("poll/", "get/", "poll/deadbeef", "get/deadbeef", "get/deadbeef.geojson")
    ),
    Exchange("GET spec/openapi.json", 200, dict),
    html("GET spec/openapi.yaml", 200, "info:"),
    html("GET spec/redoc", 500, "500 Internal Server Error"),
    Exchange("GET geography/admin1", 200, FEATURES, GEOJSON, chunked=True),
    Exchange("GET geography/admin9", 403, NO_SCOPE),
    Exchange(
        "GET geography/admin9", 500, {"msg": "Parameter validation failed.", "status": "Error"},
        token=[*ALL_SCOPES, "admin9:geography:geography"],
    ),
    Exchange("GET geography/lon-lat", 200, '{"type":"FeatureCollection", "features":[', GEOJSON, chunked=True),
]  # fmt: skip

QUERIES = [
    Exchange("POST run", 202, {"progress": {"eligible": 0, "queued": 0, "running": 0}, "query_id": "ID"}, sent=SPATIAL,
             location="/api/0/poll/ID"),
    Exchange("GET poll/EXECUTING", 202, {"msg": "", "progress": PROGRESS, "status": "executing"}),
    Exchange("GET get/EXECUTING", 202, {}),
    Exchange("GET get/EXECUTING.geojson", 202, {}),
    Exchange("GET poll/ID", 303, {"status": "completed"}, location="/api/0/get/ID"),
    *(
        Exchange(f"GET get/ID{end}", 200, {"query_id": "ID", "query_result": [COUNT]}, chunked=True)
        for end in ("", ".json")
    ),
    Exchange("GET get/ID.csv", 200, "pcod,value\r\n", "text/csv", chunked=True),
    Exchange(
        "GET get/ID.geojson", 200,
        {**FEATURES, "features": [{**FEATURES["features"][0], "properties": {
            "value": int, **FEATURES["features"][0]["properties"]}}]},
        GEOJSON, chunked=True,
    ),
    Exchange("GET get/ID.xml", 400, {"msg": "Invalid file format", "status": "error"}),
    Exchange("POST run", 202, {"progress": PROGRESS, "query_id": str}, sent={
        **SPATIAL, "locations": {**DAY, "date": "2016-01-04"}}),
    invalid({"query_kind": "flows", "from_location": 3}, {
        "from_location": {"_schema": "Invalid data type: 3"}, "to_location": ["Missing data for required field."]}),
    invalid({"query_kind": "nope"}, {"query_kind": ["Unsupported value: nope"]}),
    invalid({**DAY, "date": "2016-01-01"}, {"query_kind": ["Unsupported value: daily_location"]}),
    *(Exchange("POST run", 400, NO_QUERY, sent=sent) for sent in ({"locations": 3}, [], None, "null")),
    html("POST run", 400, "400 Bad Request", sent=b"{oops"),
    not_created("No data for date: 2016-02-01 00:00:00 - 2016-02-03 00:00:00", {
        **COUNTS, "start_date": "2016-02-01", "end_date": "2016-02-03"}),
    not_created("Hour string must have the format 'HH:MM'. Got: '24:00'", {
        **COUNTS, "hours": {"start_hour": 0, "end_hour": 24}}),
]  # fmt: skip

SCOPES = [
    Exchange(request, 403, NO_SCOPE, token=token, sent=SPATIAL if request == "POST run" else None)
    for request, token in [
        ("GET available_dates", without("get_available_dates")),
        ("GET available_dates", {}),
        ("GET available_dates", ["available_dates"]),
        ("GET qa/", without("get_qa_checks")),
        ("GET qa/calls/count_msisdns/2016-01-03", without("get_qa_checks")),
        ("GET geography/admin3", without("admin3:geography:geography")),
        ("GET geography/admin3", without("get_result")),
        ("POST run", without("run")),
        ("POST run", without("admin1:spatial_aggregate:daily_location")),
        ("POST run", without("admin1:spatial_aggregate:spatial_aggregate")),
        ("POST run", {"a": without("run"), "b": without("admin1:spatial_aggregate:daily_location")}),
        ("GET poll/ID", without("admin1:spatial_aggregate:daily_location")),
        ("GET get/ID", without("admin1:spatial_aggregate:daily_location")),
        ("GET get/ID", without("get_result")),
        ("GET get/ID.geojson", without("admin1:geography:geography")),
    ]
] + [
    Exchange("GET poll/ID", 303, dict, token=without("run", "get_result")),
    Exchange("GET get/ID", 200, dict, token=without("run", "admin1:geography:geography"), chunked=True),
    Exchange("GET get/ID.geojson", 200, dict, GEOJSON, token=without("run", "get_available_dates"), chunked=True),
    Exchange("POST run", 202, dict, sent=SPATIAL, token=[
        "run", "admin1:spatial_aggregate:spatial_aggregate", "admin1:spatial_aggregate:daily_location"]),
]  # fmt: skip

QA = [
    Exchange("GET qa/", 200, [{"cdr_type": str, "type_of_query_or_check": str}]),
    html("GET qa/calls/count_msisdns/2016-01-03", 200, r"\d+"),
    html("GET qa/calls/count_msisdns/2016-1-3", 200, r"\d+"),
    html("GET qa/calls/count_null_durations.calls/2016-01-03", 200, "0"),
    html("GET qa/calls/latest_timestamp/2016-01-03", 200, r"2016-01-03 23:59:\d\d\+00"),
    html("GET qa/calls/median_duration.calls/2016-01-03", 200, r"\d+"),
    *(
        Exchange(f"GET qa/calls/count_msisdns?start_date=2016-01-01&end_date={end}", 200,
                 [{"cdr_date": str, "outcome": str, "type_of_query_or_check": "count_msisdns"}])
        for end in ("2016-01-04", "2016-12-31")
    ),
    none_found("calls, count_msisdns between 2016-01-04 and 2016-01-01",
               "GET qa/calls/count_msisdns?start_date=2016-01-04&end_date=2016-01-01"),
    none_found("calls, count_msisdns between 2017-01-01 and 2017-01-03",
               "GET qa/calls/count_msisdns?start_date=2017-01-01&end_date=2017-01-03"),
    html("GET qa/calls/count_msisdns?start_date=2016-01-01", 500, "500 Internal Server Error"),
    html("GET qa/calls/count_msisdns", 500, "500 Internal Server Error"),
    no_date("notadate"), no_date("2016-02-30"), no_date("20160103"),
    *(
        none_found(f"{cdr_type}, {check} on {day}", f"GET qa/{cdr_type}/{check}/{day}")
        for cdr_type, check, day in [
            ("CALLS", "count_msisdns", "2016-01-03"), ("calls", "COUNT_MSISDNS", "2016-01-03"),
            ("nope", "count_msisdns", "2016-01-03"), ("calls", "nope", "2016-01-03"),
            ("calls", "count_msisdns", "2015-01-03"), ("topups", "count_msisdns", "2016-01-14"),
            ("topups", "count_null_durations.calls", "2016-01-03"), ("forwards", "count_msisdns", "2016-01-03"),
            ("all", "count_msisdns", "2016-01-03"), ("ca'lls", "count_msisdns", "2016-01-03"),
            ("calls", "Mixed_Case", "2016-01-03"), ("calls", "mixed_case", "2016-01-03"),
        ]
    ),
    html("GET qa/calls/null_check/2016-01-03", 500, "500 Internal Server Error"),
    html("GET qa/calls/empty_check/2016-01-03", 200, "^$"),
    html("GET qa/calls/text_check/2016-01-03", 200, 'päss "ok"'),
    *(
        Exchange(f"GET qa/calls/{check}?start_date=2016-01-03&end_date=2016-01-03", 200,
                 [{"cdr_date": "2016-01-03", "outcome": outcome, "type_of_query_or_check": check}])
        for check, outcome in [("null_check", None), ("empty_check", ""), ("text_check", 'päss "ok"')]
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    flowapi: FlowapiStandin
    ids: Mapping[str, str]

    def ask(self, exchange: Exchange) -> httpx.Response:
        method, _, path = exchange.request.partition(" ")
        for name, query_id in self.ids.items():
            path = path.replace(name, query_id)
        headers = {} if (header := self.header(exchange.token)) is None else {"Authorization": header}
        content = exchange.sent if isinstance(exchange.sent, bytes) else json.dumps(exchange.sent).encode()
        if exchange.sent is not None:
            headers["Content-Type"] = JSON
        url = self.flowapi.url + (path if path.startswith("/") else f"/api/0/{path}")
        return httpx.request(
            method, url, headers=headers, content=content if exchange.sent is not None else None, verify=False
        )

    def header(self, token: Any) -> str | None:
        match token:
            case Header(text):
                return text
            case list():
                return f"Bearer {self.flowapi.token(scopes=token)}"
            case dict():
                return f"Bearer {signed(self.flowapi.keys, user_claims=compress_claims(token))}"
        return f"Bearer {named_token(self.flowapi.keys, token)}"


def named_token(keys: Keys, name: str) -> str:
    if name == "hs256":
        return jwt.encode({"sub": "x", "aud": AUDIENCE}, "k" * 32, "HS256")
    claims: dict[str, Any] = {
        "issuer": {"iss": "someone"},
        "expired": {"exp": 1},
        "wrong-audience": {"aud": "another"},
        "no-audience": {"aud": None},
        "nosub": {"sub": None},
        "nojti": {"jti": None},
        "noexp": {"exp": None},
        "nbf": {"nbf": 4102444800},
        "noclaims": {"user_claims": None},
        "uncompressed": {"user_claims": {"role": ["run"]}},
        "badclaims": {"user_claims": "bm90Z3ppcA=="},
        "listclaims": {"user_claims": ["run"]},
    }.get(name, {})
    return signed(Keys.generate() if name == "wrong-key" else keys, **claims)


def signed(keys: Keys, **claims: Any) -> str:
    now = int(time.time())
    content = {
        "sub": "analyst", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 60, "jti": "1",
        "user_claims": compress_claims({"role": list(ALL_SCOPES)}),
    }  # fmt: skip
    content.update(claims)
    return jwt.encode({name: value for name, value in content.items() if value is not None}, keys.private, "RS256")


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    with FlowapiStandin(days=14, poll_seconds=0.0) as flowapi:
        for check, outcome in [
            ("null_check", None),
            ("empty_check", ""),
            ("text_check", 'päss "ok"'),
            ("Mixed_Case", "1"),
        ]:
            flowapi.flowmachine.outcomes["calls", check, "2016-01-03"] = outcome
        stand = Recorded(flowapi, {})
        done = stand.ask(Exchange("POST run", 202, None, sent=SPATIAL)).json()["query_id"]
        flowapi.flowmachine.set_fault("stuck")
        running = stand.ask(Exchange("POST run", 202, None, sent=COUNTS)).json()["query_id"]
        flowapi.flowmachine.set_fault(None)
        yield Recorded(flowapi, {"ID": done, "EXECUTING": running})


def fits(found: Any, shape: Any) -> bool:
    """Tell whether a body is of a shape: values are themselves, types any value of theirs."""
    if isinstance(shape, type):
        return isinstance(found, shape)
    if isinstance(shape, dict) and isinstance(found, dict):
        return list(found) == list(shape) and all(fits(found[name], shape[name]) for name in shape)
    if isinstance(shape, list) and shape and isinstance(found, list):
        return bool(found) and all(fits(each, shape[0]) for each in found)
    return bool(found == shape and type(found) is type(shape))


def test_shapes_tell_what_differs() -> None:
    assert fits({"a": [{"b": 1}]}, {"a": [{"b": int}]})
    for found in ({"a": []}, {"a": [{"b": "1"}]}, {"a": [{"b": 1, "c": 1}]}, {}, {"a": [{"b": 1}], "b": 1}):
        assert not fits(found, {"a": [{"b": int}]})


@pytest.mark.parametrize("exchange", [*TOKENS, *ROUTES, *QUERIES, *SCOPES, *QA], ids=lambda each: each.request)
def test_a_recorded_request_gets_the_recorded_answer(recorded: Recorded, exchange: Exchange) -> None:
    answer = recorded.ask(exchange)
    assert (answer.status_code, answer.headers["content-type"]) == (exchange.status, exchange.kind), answer.text
    assert answer.headers.get("transfer-encoding") == ("chunked" if exchange.chunked else None)
    location = answer.headers.get("location", "").replace(recorded.flowapi.url, "URL")
    shape, text = exchange.shape, answer.text
    for name, query_id in recorded.ids.items():
        location, text = location.replace(query_id, name), text.replace(query_id, name)
    assert location == (exchange.location or location)
    assert bool(location) == (exchange.status in (303, 308) or (exchange.status == 202 and "run" in exchange.request))
    if isinstance(shape, str):
        assert re.search(shape if exchange.kind == HTML else re.escape(shape), text), text
    elif shape is None:
        assert text == ""
    else:
        assert fits(answer_json := json.loads(text), shape), answer_json


def test_csv_has_lines_that_end_in_cr_and_lf(recorded: Recorded) -> None:
    text = recorded.ask(Exchange("GET get/ID.csv", 200, None)).text
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n") == 4
    rows = recorded.ask(Exchange("GET get/ID", 200, None)).json()["query_result"]
    assert text.split("\r\n")[1:-1] == [f"{row['pcod']},{row['value']}" for row in rows]


def test_a_check_whose_name_has_capitals_is_listed_all_the_same(recorded: Recorded) -> None:
    listed = recorded.ask(Exchange("GET qa/", 200, None)).json()
    assert listed[0] == {"cdr_type": "calls", "type_of_query_or_check": "Mixed_Case"}
    assert {"cdr_type": "topups", "type_of_query_or_check": "count_null_durations.calls"} not in listed
