# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The stand-in FlowAPI keeps, forgets and fails as a real one was recorded to.

Single requests and their answers are in test_flowapi_exchanges, flowclient's use of it in test_flowapi_flowclient.
"""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from autoflow.demo_flowapi import FlowapiStandin
from autoflow.demo_flowapi.mobility import FLOOD_DAY, FLOODED, flows
from tests.clock import PATIENCE, until

DAILY = {"query_kind": "daily_location", "aggregation_unit": "admin1", "method": "last"}
SPEC = {"query_kind": "spatial_aggregate", "locations": {**DAILY, "date": "2016-01-01"}}


def ask(
    flowapi: FlowapiStandin, path: str, token: str | None = None, method: str = "GET", **options: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {flowapi.token() if token is None else token}"}
    return httpx.request(method, flowapi.url + path, headers=headers, verify=False, **options)


def run(flowapi: FlowapiStandin, spec: Any, **options: Any) -> httpx.Response:
    return ask(flowapi, "/api/0/run", method="POST", json=spec, **options)


def result(flowapi: FlowapiStandin, spec: Any) -> list[dict[str, Any]]:
    started = run(flowapi, spec)
    assert started.status_code == 202, started.text
    rows: list[dict[str, Any]] = ask(flowapi, f"/api/0/get/{started.json()['query_id']}").json()["query_result"]
    return rows


def total(flowapi: FlowapiStandin, spec: Any) -> int:
    return sum(row["value"] for row in result(flowapi, spec))


def progress(flowapi: FlowapiStandin, spec: Any) -> dict[str, int]:
    found: dict[str, int] = run(flowapi, spec).json()["progress"]
    return found


def dates(flowapi: FlowapiStandin, cdr_type: str = "calls") -> list[str]:
    found: list[str] = ask(flowapi, "/api/0/available_dates").json()["available_dates"][cdr_type]
    return found


def outcomes(flowapi: FlowapiStandin, check: str = "count_msisdns") -> dict[str, str]:
    answer = ask(flowapi, f"/api/0/qa/calls/{check}?start_date=2016-01-01&end_date=2016-12-31")
    return {each["cdr_date"]: each["outcome"] for each in answer.json()} if answer.status_code == 200 else {}


def spatial(day: str, unit: str = "admin1", **changes: Any) -> dict[str, Any]:
    return {"query_kind": "spatial_aggregate", "locations": {**DAILY, "aggregation_unit": unit, "date": day, **changes}}


def counts(start: str, end: str, unit: str = "admin0", **changes: Any) -> dict[str, Any]:
    times = {"start_date": start, "end_date": end}
    return {"query_kind": "unique_subscriber_counts", **times, "aggregation_unit": unit, **changes}


def moves(start: str, end: str, **changes: Any) -> dict[str, Any]:
    return {
        "query_kind": "flows",
        "from_location": {**DAILY, "date": start},
        "to_location": {**DAILY, "date": end},
        **changes,
    }


def test_a_query_goes_from_executing_to_completed_in_its_time(flowapi: FlowapiStandin) -> None:
    flowapi.flowmachine.poll_seconds = 60
    started = run(flowapi, SPEC)
    query_id = started.json()["query_id"]
    assert started.json()["progress"] == {"eligible": 2, "queued": 0, "running": 2}
    assert ask(flowapi, f"/api/0/poll/{query_id}").json()["status"] == "executing"
    assert ask(flowapi, f"/api/0/get/{query_id}").status_code == 202
    flowapi.flowmachine.pass_time(60)
    assert ask(flowapi, f"/api/0/poll/{query_id}").status_code == 303
    assert run(flowapi, SPEC).json() == {"progress": {"eligible": 0, "queued": 0, "running": 0}, "query_id": query_id}


def test_the_same_question_has_the_same_id_however_it_is_written(flowapi: FlowapiStandin) -> None:
    def query_id(spec: Any) -> Any:
        return run(flowapi, spec).json()["query_id"]

    assert query_id(spatial("2016-01-01", subscriber_subset=None, hours=None)) == query_id(
        spatial("2016-01-01T00:00:00")
    )
    assert query_id(spatial("2016-01-01", event_types=["sms", "calls"])) == query_id(
        spatial("2016-01-01", event_types=["calls", "sms", "calls"])
    )
    assert query_id(moves("2016-01-01", "2016-01-02")) == query_id(moves("2016-01-01", "2016-01-02", join_type="inner"))
    assert query_id(spatial("2016-01-01", event_types=["calls", "sms"])) != query_id(spatial("2016-01-01"))


@pytest.mark.parametrize(
    "spec", [spatial("2016-01-02"), counts("2016-01-02", "2016-01-03"), moves("2016-01-01", "2016-01-02")]
)
def test_a_question_asked_before_a_restatement_gets_the_old_rows(flowapi: FlowapiStandin, spec: Any) -> None:
    before = result(flowapi, spec)
    flowapi.flowmachine.restate("2016-01-02")
    assert progress(flowapi, spec) == {"eligible": 0, "queued": 0, "running": 0}
    assert result(flowapi, spec) == before
    flowapi.flowmachine.flush_redis()
    assert result(flowapi, spec) == before
    flowapi.flowmachine.reset_cache()
    assert sum(row["value"] for row in result(flowapi, spec)) < 0.7 * sum(row["value"] for row in before)


@pytest.mark.parametrize(
    ("spec", "stale"),
    [
        (moves("2016-01-02", "2016-01-01"), True),
        (moves("2016-01-02", "2016-01-01", join_type="left"), True),
        (spatial("2016-01-02", sampling={"sampling_method": "bernoulli", "fraction": 0.9999, "seed": 0.25}), True),
        (spatial("2016-01-02", unit="admin2"), False),
        (spatial("2016-01-02", event_types=["calls", "sms"]), False),
        (spatial("2016-01-02", hours={"start_hour": 0, "end_hour": 23}), False),
        (counts("2016-01-02", "2016-01-03"), False),
    ],
)
def test_a_new_question_reads_what_an_older_one_left_in_the_cache(
    flowapi: FlowapiStandin, spec: Any, stale: bool
) -> None:
    result(flowapi, spatial("2016-01-02"))
    usual = total(flowapi, spec)
    flowapi.flowmachine.reset_cache()
    result(flowapi, spatial("2016-01-02"))
    flowapi.flowmachine.restate("2016-01-02")
    assert total(flowapi, spec) == usual if stale else total(flowapi, spec) < 0.7 * usual


@pytest.mark.parametrize(
    ("start", "end"), [("2016-01-01", "2016-01-01T23:59:59"), ("2016-01-01T00:00:01", "2016-01-02")]
)
def test_another_second_escapes_the_cache(flowapi: FlowapiStandin, start: str, end: str) -> None:
    old = total(flowapi, counts("2016-01-01", "2016-01-02"))
    flowapi.flowmachine.restate("2016-01-01")
    assert total(flowapi, counts(start, end)) < 0.7 * old == 0.7 * total(flowapi, counts("2016-01-01", "2016-01-02"))


def test_null_event_types_are_calls_and_sms(flowapi: FlowapiStandin) -> None:
    flowapi.dates = {"calls": ["2016-01-01"], "sms": ["2016-01-01", "2016-01-02"], "mds": ["2016-01-03"]}
    nothing = {"exception": "No data for date: 2016-01-03 00:00:00 - 2016-01-04 00:00:00"}
    for spec in (spatial("2016-01-03"), counts("2016-01-03", "2016-01-04", event_types=None)):
        assert run(flowapi, spec).json()["payload"] == nothing
    assert total(flowapi, spatial("2016-01-03", event_types=["mds"])) > 0
    assert total(flowapi, spatial("2016-01-02")) < 0.6 * total(flowapi, spatial("2016-01-01"))


def test_the_result_of_half_a_day_is_kept_when_the_rest_has_come(flowapi: FlowapiStandin) -> None:
    flowapi.dates = {"calls": [], "sms": ["2016-01-01"]}
    half = total(flowapi, SPEC)
    flowapi.dates = {"calls": ["2016-01-01"], "sms": ["2016-01-01"]}
    assert progress(flowapi, SPEC) == {"eligible": 2, "queued": 0, "running": 0}
    assert total(flowapi, SPEC) == half < 0.6 * total(flowapi, spatial("2016-01-01", event_types=["calls"]))


def test_a_type_without_a_table_is_refused_until_there_is_one(flowapi: FlowapiStandin) -> None:
    spec, all_dates = spatial("2016-01-01", event_types=["mds"]), flowapi.dates
    flowapi.dates = {"calls": ["2016-01-01"]}
    answer = run(flowapi, spec)
    assert (answer.status_code, answer.json()["payload"]) == (400, {"exception": "events.mds is not a known table."})
    flowapi.dates = all_dates
    assert run(flowapi, spec).status_code == 202


def test_a_list_of_dates_is_kept_for_a_while(flowapi: FlowapiStandin) -> None:
    flowapi.flowmachine.dates_lag = 120
    assert dates(flowapi) == ["2016-01-01", "2016-01-02"]
    flowapi.flowmachine.drop("2016-01-02")
    assert "2016-01-02" not in outcomes(flowapi)
    flowapi.flowmachine.pass_time(100)
    assert dates(flowapi) == ["2016-01-01", "2016-01-02"]
    flowapi.flowmachine.pass_time(20)
    assert dates(flowapi) == ["2016-01-01"]
    flowapi.set_days(2)
    assert dates(flowapi) == ["2016-01-01"]


def test_queries_on_a_dropped_date_are_refused_but_a_window_goes_on_without_it(flowapi: FlowapiStandin) -> None:
    cached = counts("2016-01-02", "2016-01-03")
    run(flowapi, cached)
    flowapi.flowmachine.drop("2016-01-02")
    lost = run(flowapi, cached)
    body = {"msg": "Could not get reply for message", "payload": {}, "status": "Error"}
    assert (lost.status_code, lost.json()) == (400, body)
    refused = run(flowapi, moves("2016-01-02", "2016-01-01"))
    assert refused.json()["payload"] == {"exception": "No data for date: 2016-01-02 00:00:00 - 2016-01-03 00:00:00"}
    assert result(flowapi, counts("2016-01-01", "2016-01-03")) == result(flowapi, counts("2016-01-01", "2016-01-02"))


def test_outcomes_of_checks_come_later_than_their_dates(flowapi: FlowapiStandin) -> None:
    flowapi.flowmachine.checks_lag = 60
    flowapi.set_days(3)
    flowapi.flowmachine.restate("2016-01-02")
    before = outcomes(flowapi)
    assert dates(flowapi) == ["2016-01-01", "2016-01-02", "2016-01-03"]
    assert list(before) == ["2016-01-01", "2016-01-02"]
    alone = ask(flowapi, "/api/0/qa/calls/count_msisdns/2016-01-03")
    message = "No qa checks found for calls, count_msisdns on 2016-01-03"
    assert (alone.status_code, alone.json()) == (404, {"msg": message, "status": "not found"})
    flowapi.flowmachine.pass_time(60)
    after = outcomes(flowapi)
    assert list(after) == ["2016-01-01", "2016-01-02", "2016-01-03"]
    assert (after["2016-01-01"], int(after["2016-01-02"])) == (
        before["2016-01-01"],
        pytest.approx(0.6 * int(before["2016-01-02"]), abs=1),
    )


@pytest.mark.parametrize(
    ("fault", "status", "body", "of_get"),
    [
        (
            "stuck",
            202,
            {"msg": "", "progress": {"eligible": 2, "queued": 0, "running": 2}, "status": "executing"},
            (202, {}),
        ),
        (
            "errored",
            500,
            {"msg": "", "status": "errored"},
            (403, {"msg": "Query with id 'ID' finished with an error.", "status": "Error"}),
        ),
        (
            "no-database",
            500,
            {"msg": "", "status": "errored"},
            (403, {"msg": "Query with id 'ID' finished with an error.", "status": "Error"}),
        ),
    ],
)
@pytest.mark.parametrize("under_way", [True, False])
def test_queries_that_a_fault_met_stay_as_it_left_them(
    flowapi: FlowapiStandin, fault: str, status: int, body: Any, of_get: tuple[int, Any], under_way: bool
) -> None:
    if under_way:
        flowapi.flowmachine.poll_seconds = 60
        query_id = run(flowapi, SPEC).json()["query_id"]
        flowapi.set_fault(fault)
    else:
        flowapi.set_fault("errored" if fault == "no-database" else fault)
        query_id = run(flowapi, SPEC).json()["query_id"]
    flowapi.set_fault(None)
    flowapi.flowmachine.pass_time(3600)
    again = run(flowapi, SPEC)
    assert (again.status_code, again.json()["query_id"]) == (202, query_id)
    assert again.json()["progress"] == {"eligible": 2, "queued": 0, "running": 2 if fault == "stuck" else 0}
    polled = ask(flowapi, f"/api/0/poll/{query_id}")
    assert (polled.status_code, polled.json()) == (status, body)
    got = ask(flowapi, f"/api/0/get/{query_id}")
    assert (got.status_code, json.loads(got.text.replace(query_id, "ID"))) == of_get
    assert run(flowapi, spatial("2016-01-02")).json()["progress"]["running"] == 2
    flowapi.flowmachine.flush_redis()
    assert ask(flowapi, f"/api/0/poll/{query_id}").status_code == 404
    assert ask(flowapi, f"/api/0/get/{query_id}").status_code == 404
    flowapi.flowmachine.poll_seconds = 0
    assert result(flowapi, SPEC)


def test_without_postgresql_requests_are_answered_that_there_is_no_reply(flowapi: FlowapiStandin) -> None:
    message = "Could not get reply for message"
    query_id = run(flowapi, SPEC).json()["query_id"]
    flowapi.flowmachine.dates_lag = 120
    known = dates(flowapi)
    flowapi.set_fault("no-database")
    assert dates(flowapi) == known
    flowapi.flowmachine.pass_time(120)
    for path, status in [
        ("available_dates", "error"), ("qa/", "error"), ("qa/calls/count_msisdns/2016-01-01", "error"),
        ("geography/admin1", "Error"),
    ]:  # fmt: skip
        answer = ask(flowapi, f"/api/0/{path}")
        assert (answer.status_code, answer.json()) == (500, {"msg": message, "status": status})
    for answer in (run(flowapi, SPEC), ask(flowapi, f"/api/0/poll/{query_id}")):
        assert (answer.status_code, answer.json()) == (400, {"msg": message})
    flowapi.set_fault(None)
    assert dates(flowapi) == known
    assert ask(flowapi, f"/api/0/poll/{query_id}").status_code == 303


def test_with_flowmachine_dead_requests_wait_until_it_is_back(flowapi: FlowapiStandin) -> None:
    flowapi.set_fault("hang")
    assert httpx.get(flowapi.url).status_code == 200
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(dates, flowapi)
        until(lambda: len(flowapi.requests) == 2)
        assert not waiting.done()
        flowapi.set_fault(None)
        assert waiting.result(timeout=PATIENCE) == ["2016-01-01", "2016-01-02"]


@pytest.mark.parametrize(
    "path", ["available_dates", "geography/admin1", "qa/", "get/ID", "get/ID.csv", "get/ID.geojson"]
)
def test_answers_break_off_in_the_middle(flowapi: FlowapiStandin, path: str) -> None:
    query_id = run(flowapi, SPEC).json()["query_id"]
    whole = ask(flowapi, f"/api/0/{path}".replace("ID", query_id)).text
    flowapi.set_fault("truncated")
    answer = ask(flowapi, f"/api/0/{path}".replace("ID", query_id))
    assert answer.status_code == 200
    assert 0 < len(answer.text) < len(whole)
    assert whole.startswith(answer.text)


def test_groups_of_15_subscribers_or_fewer_are_left_out(flowapi: FlowapiStandin) -> None:
    usual = result(flowapi, moves("2016-01-01", "2016-01-02"))
    assert min(row["value"] for row in usual) > 15
    flowapi.flowmachine.restate("2016-01-02", share=0.001)
    flowapi.flowmachine.reset_cache()
    few = result(flowapi, moves("2016-01-01", "2016-01-02"))
    assert 0 < len(few) < len(usual)
    assert min(row["value"] for row in few) > 15
    flowapi.flowmachine.restate("2016-01-02", share=0.0)
    nothing = run(flowapi, spatial("2016-01-02", unit="admin3")).json()["query_id"]
    assert ask(flowapi, f"/api/0/get/{nothing}").json()["query_result"] == []
    assert ask(flowapi, f"/api/0/get/{nothing}.csv").text == "pcod,value\r\n"
    assert ask(flowapi, f"/api/0/get/{nothing}.geojson").json()["features"] == []


@pytest.mark.parametrize("sampling", [{"query_kind": []}, {"query_kind": "daily_location", "date": 3}])
def test_the_last_day_there_is_and_odd_samples_are_read(flowapi: FlowapiStandin, sampling: Any) -> None:
    flowapi.dates = {"calls": ["9999-12-31"]}
    assert run(flowapi, spatial("9999-12-31", sampling=sampling)).status_code == 202


def test_network_objects_have_a_time(flowapi: FlowapiStandin) -> None:
    spec = {**counts("2016-01-01", "2016-01-03", "admin1"), "query_kind": "total_network_objects", "total_by": "day"}
    rows = result(flowapi, spec)
    assert {tuple(row) for row in rows} == {("pcod", "value", "datetime")}
    assert {row["datetime"] for row in rows} == {"2016-01-01T00:00:00+00:00", "2016-01-02T00:00:00+00:00"}


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
