# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The stand-in FlowAPI answers as a real one was recorded to, and the real flowclient gets along with it."""

from __future__ import annotations

import datetime as dt
import json
import time
import warnings
from collections.abc import Mapping
from typing import Any

import flowclient
import httpx
import jwt
import pytest
from flowkit_jwt_generator.jwt import compress_claims

from examples.flowapi import FlowapiStandin
from examples.flowapi.mobility import FLOOD_DAY, FLOODED, flows
from examples.flowapi.tokens import ALL_SCOPES, AUDIENCE, Keys

HTML = "text/html; charset=utf-8"
JSON = "application/json"

DAILY = {"query_kind": "daily_location", "aggregation_unit": "admin1", "method": "last"}
SPEC = {"query_kind": "spatial_aggregate", "locations": {**DAILY, "date": "2016-01-01"}}


def ask(
    flowapi: FlowapiStandin, path: str, token: str | None = None, method: str = "GET", **options: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {flowapi.token() if token is None else token}"}
    return httpx.request(method, flowapi.url + path, headers=options.pop("headers", headers), **options)


def run(flowapi: FlowapiStandin, spec: Any, **options: Any) -> httpx.Response:
    return ask(flowapi, "/api/0/run", method="POST", json=spec, **options)


def signed(flowapi: FlowapiStandin, **claims: Any) -> str:
    now = int(time.time())
    content = {
        "sub": "analyst", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 60, "jti": "1",
        "user_claims": compress_claims({"role": list(ALL_SCOPES)}),
    }  # fmt: skip
    content.update(claims)
    return jwt.encode({k: v for k, v in content.items() if v is not None}, flowapi.keys.private, "RS256")


@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (None, 401, "Missing Authorization Header"),
        ("Bearer", 422, "Bad Authorization header. Expected value 'Bearer <JWT>'"),
        ("Basic Zm9vOmJhcg==", 422, "Bad Authorization header. Expected value 'Bearer <JWT>'"),
        ("Bearer garbage", 422, "Not enough segments"),
    ],
)
def test_headers_that_hold_no_token(flowapi: FlowapiStandin, header: str | None, status: int, message: str) -> None:
    answer = ask(flowapi, "/api/0/available_dates", headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (status, JSON, {"msg": message})


@pytest.mark.parametrize(
    ("claims", "status", "message"),
    [
        ({}, 200, None),
        ({"exp": 1}, 401, "Token has expired"),
        ({"exp": None}, 200, None),
        ({"jti": None}, 200, None),
        ({"iss": "someone"}, 200, None),
        ({"nbf": 4102444800}, 422, "The token is not yet valid (nbf)"),
        ({"aud": "another"}, 422, "Audience doesn't match"),
        ({"aud": None}, 422, 'Token is missing the "aud" claim'),
        ({"sub": None}, 422, "Missing claim: sub"),
        ({"user_claims": None}, 500, None),
        ({"user_claims": {"role": ["run"]}}, 500, None),
        ({"user_claims": "bm90Z3ppcA=="}, 500, None),
        ({"user_claims": compress_claims({})}, 403, "User claims verification failed"),
        ({"user_claims": compress_claims({"a": ["run"]})}, 403, "User claims verification failed"),
    ],
)
def test_claims_as_recorded(
    flowapi: FlowapiStandin, claims: Mapping[str, Any], status: int, message: str | None
) -> None:
    answer = ask(flowapi, "/api/0/available_dates", signed(flowapi, **claims))
    assert answer.status_code == status
    if status == 500:
        assert answer.headers["content-type"] == HTML
    elif message:
        assert answer.json() == {"msg": message}


def test_signatures_of_others_are_refused(flowapi: FlowapiStandin) -> None:
    other = jwt.encode({"sub": "x", "aud": AUDIENCE}, Keys.generate().private, "RS256")
    assert ask(flowapi, "/api/0/available_dates", other).json() == {"msg": "Signature verification failed"}
    symmetric = jwt.encode({"sub": "x", "aud": AUDIENCE}, "k" * 32, "HS256")
    assert ask(flowapi, "/api/0/available_dates", symmetric).json() == {"msg": "The specified alg value is not allowed"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/api/0/available_dates", 200),
        ("POST", "/api/0/available_dates", 405),
        ("GET", "/api/0/available_dates/", 404),
        ("GET", "/api/0/nope", 404),
        ("GET", "/api/0/run", 405),
        ("GET", "/api/0/poll/deadbeef", 404),
        ("GET", "/api/0/get/deadbeef", 404),
        ("GET", "/api/0/get/deadbeef.geojson", 404),
        ("GET", "/api/0/qa", 308),
        ("GET", "/api/0/qa/calls/count_msisdns", 500),
        ("GET", "/api/0/qa/calls/count_msisdns/notadate", 400),
        ("GET", "/api/0/qa/calls/nope/2016-01-01", 404),
        ("GET", "/api/0/geography/admin9", 403),
    ],
)
def test_routes_as_recorded(flowapi: FlowapiStandin, method: str, path: str, status: int) -> None:
    assert ask(flowapi, path, method=method).status_code == status


def test_a_failure_in_the_middle_is_an_answer_that_breaks_off(flowapi: FlowapiStandin) -> None:
    answer = ask(flowapi, "/api/0/geography/lon-lat")
    assert (answer.status_code, answer.text) == (200, '{"type":"FeatureCollection", "features":[')


def test_quality_checks_as_recorded(flowapi: FlowapiStandin) -> None:
    one = ask(flowapi, "/api/0/qa/calls/count_msisdns/2016-01-01")
    assert (one.text, one.headers["content-type"]) == ("800", HTML)
    several = ask(flowapi, "/api/0/qa/calls/count_msisdns?start_date=2016-01-01&end_date=2016-01-03").json()
    assert several[0] == {"cdr_date": "2016-01-01", "outcome": "800", "type_of_query_or_check": "count_msisdns"}
    assert len(several) == 2
    none = ask(flowapi, "/api/0/qa/calls/count_msisdns?start_date=2017-01-01&end_date=2017-01-03")
    message = "No qa checks found for calls, count_msisdns between 2017-01-01 and 2017-01-03"
    assert (none.status_code, none.json()) == (404, {"msg": message, "status": "not found"})


def test_a_query_from_run_to_result_as_recorded(flowapi: FlowapiStandin) -> None:
    flowapi.poll_seconds = 0.5
    started = run(flowapi, SPEC)
    query_id = started.json()["query_id"]
    assert (started.status_code, started.headers["location"]) == (202, f"/api/0/poll/{query_id}")
    assert set(started.json()["progress"]) == {"eligible", "queued", "running"}
    polled = ask(flowapi, f"/api/0/poll/{query_id}")
    assert (polled.status_code, polled.json()["status"]) == (202, "executing")
    early = ask(flowapi, f"/api/0/get/{query_id}")
    assert (early.status_code, early.json()) == (202, {})
    time.sleep(0.6)
    done = ask(flowapi, f"/api/0/poll/{query_id}")
    assert (done.status_code, done.json(), done.headers["location"]) == (
        303, {"status": "completed"}, f"/api/0/get/{query_id}",
    )  # fmt: skip
    again = run(flowapi, SPEC).json()
    assert again == {"progress": {"eligible": 0, "queued": 0, "running": 0}, "query_id": query_id}
    result = ask(flowapi, f"/api/0/get/{query_id}")
    assert result.headers["transfer-encoding"] == "chunked"
    assert result.json()["query_id"] == query_id
    assert {frozenset(row) for row in result.json()["query_result"]} == {frozenset({"pcod", "value"})}
    assert ask(flowapi, f"/api/0/get/{query_id}.csv").text.splitlines()[0] == "pcod,value"
    geojson = ask(flowapi, f"/api/0/get/{query_id}.geojson")
    assert geojson.headers["content-type"] == "application/geo+json"
    assert set(geojson.json()["features"][0]["properties"]) == {"value", "pcod", "centroid"}
    wrong = ask(flowapi, f"/api/0/get/{query_id}.xml")
    assert (wrong.status_code, wrong.json()) == (400, {"msg": "Invalid file format", "status": "error"})


@pytest.mark.parametrize("spec", [{"locations": 3}, [], None])
def test_what_is_no_query_as_recorded(flowapi: FlowapiStandin, spec: Any) -> None:
    answer = run(flowapi, spec)
    assert (answer.status_code, answer.json()) == (400, {"msg": "Could not parse query spec."})


def test_wrong_queries_as_recorded(flowapi: FlowapiStandin) -> None:
    wrong = run(flowapi, {"query_kind": "flows", "from_location": 3}).json()["msg"]
    assert wrong == (
        'Parameter validation failed.\n\nThe action parameters were:\n   {\n     "query_kind": "flows",\n'
        '     "from_location": 3\n   }.\n\nValidation error messages:\n   {\n     "from_location": {\n'
        '       "_schema": "Invalid data type: 3"\n     },\n     "to_location": [\n'
        '       "Missing data for required field."\n     ]\n   }.\n\n'
    )
    assert "Unsupported value: daily_location" in run(flowapi, {**DAILY, "date": "2016-01-01"}).json()["msg"]
    late = {"query_kind": "spatial_aggregate", "locations": {**DAILY, "date": "2016-02-01"}}
    body = run(flowapi, late).json()
    assert body["msg"] == "Unable to create query object."
    assert body["payload"]["exception"].startswith("No data for date: 2016-02-01 00:00:00")
    not_json = ask(flowapi, "/api/0/run", method="POST", content=b"{oops", headers={
        "Authorization": f"Bearer {flowapi.token()}", "Content-Type": JSON})  # fmt: skip
    assert (not_json.status_code, not_json.headers["content-type"]) == (400, HTML)


def test_scopes_must_come_from_one_role(flowapi: FlowapiStandin) -> None:
    split = flowapi.token(roles={"a": ["run"], "b": ["admin1:spatial_aggregate"]})
    assert run(flowapi, SPEC, token=split).status_code == 403
    query_id = run(flowapi, SPEC).json()["query_id"]
    looks_only = flowapi.token(scopes=["admin1:spatial_aggregate"])
    assert ask(flowapi, f"/api/0/poll/{query_id}", looks_only).status_code == 303
    assert ask(flowapi, f"/api/0/get/{query_id}", looks_only).status_code == 403
    without_geography = flowapi.token(scopes=["get_result", "admin1:spatial_aggregate"])
    assert ask(flowapi, f"/api/0/get/{query_id}.geojson", without_geography).status_code == 403


def test_the_real_flowclient_gets_flows_and_geography(flowapi: FlowapiStandin) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connection = flowclient.connect(url=flowapi.url, token=flowapi.token())
    home = flowclient.modal_location_from_dates_spec(
        start_date="2016-01-01", end_date="2016-01-03", aggregation_unit="admin3", method="last"
    )
    there = flowclient.daily_location_spec(date="2016-01-02", aggregation_unit="admin3", method="last")
    query = flowclient.flows(connection=connection, from_location=home, to_location=there)
    query.run()
    result = query.get_result()
    assert list(result.columns) == ["pcod_from", "pcod_to", "value"]
    assert result["value"].min() > 15
    places = flowclient.get_geography(connection=connection, aggregation_unit="admin3")["features"]
    assert {place["properties"]["pcod"] for place in places} >= set(result["pcod_from"])
    connection.session.close()


def test_the_flood_shows_and_the_data_never_change() -> None:
    def left(day: dt.date) -> int:
        return sum(v for (a, b), v in flows(day, 2).items() if a == FLOODED != b)

    usual, flooded = left(FLOOD_DAY - dt.timedelta(days=7)), left(FLOOD_DAY)
    assert flooded > 4 * usual
    assert left(FLOOD_DAY + dt.timedelta(days=3)) < flooded
    digest = json.dumps(sorted((a, b, v) for (a, b), v in flows(FLOOD_DAY, 3).items()))
    assert (len(json.loads(digest)), flows(FLOOD_DAY, 2)[FLOODED, FLOODED]) == (698, 84000)


def test_dates_may_come_later(flowapi: FlowapiStandin) -> None:
    assert len(ask(flowapi, "/api/0/available_dates").json()["available_dates"]["calls"]) == 2
    flowapi.set_days(9)
    dates = ask(flowapi, "/api/0/available_dates").json()["available_dates"]
    assert (len(dates["calls"]), len(dates["topups"])) == (9, 6)


def test_it_can_be_gone_and_come_back_where_it_was(flowapi: FlowapiStandin) -> None:
    url = flowapi.url
    flowapi.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    flowapi.start()
    assert flowapi.url == url
    assert ask(flowapi, "/api/0/available_dates").status_code == 200
