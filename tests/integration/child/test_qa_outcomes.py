# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Polls of QA outcomes against a FlowAPI that answers as a real one was recorded to."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from autoflow.child.available_dates import NoAnswerError
from autoflow.child.qa_outcomes import work
from autoflow.demo_flowapi import ALL_SCOPES, FlowapiStandin
from autoflow.model import RunStore
from autoflow.quality import blocks_of, digest

NOW = dt.datetime(2016, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def flowapi(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlowapiStandin]:
    with FlowapiStandin(days=5, poll_seconds=0.0) as standin:
        monkeypatch.setenv("FLOWAPI_TOKEN", standin.token())
        yield standin


def ask(flowapi: FlowapiStandin, checks: list[str], known: Mapping[str, Any] | None = None, **more: Any) -> Any:
    request = {"url": flowapi.url, "ssl_certificate": "", "wanted": {"calls": checks}, "known": known or {}}
    return work({**request, "first": "2016-01-01", "last": "2016-12-31", **more}, Path())


def calls(answer: Any, check: str) -> Any:
    return json.loads(answer["changed"]["calls"][check]["2016"])


def test_there_is_one_request_for_each_check_and_only_what_changed_comes_back(
    flowapi: FlowapiStandin, tmp_path: Path
) -> None:
    first = ask(flowapi, ["count_msisdns", "latest_timestamp"])
    assert [request.partition("?")[0] for request in flowapi.requests] == [
        "GET /api/0/qa/",
        "GET /api/0/qa/calls/count_msisdns",
        "GET /api/0/qa/calls/latest_timestamp",
    ]
    assert "count_added_rows" in first["listed"]["calls"]
    assert list(calls(first, "count_msisdns")) == ["01-01", "01-02", "01-03", "01-04", "01-05"]
    store = RunStore(tmp_path / "record.db")
    store.record_outcomes(first["changed"], NOW)
    known = store.read.known_outcomes()
    assert ask(flowapi, ["count_msisdns", "latest_timestamp"], known)["changed"] == {}
    before = store.read.outcomes()
    assert before is store.read.outcomes()
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    again = ask(flowapi, ["count_msisdns", "latest_timestamp"], known)
    store.record_outcomes(again["changed"], NOW)
    day = dt.date(2016, 1, 2).toordinal()
    old, new = (int(each.of("calls", "count_msisdns")[day] or 0) for each in (before, store.read.outcomes()))
    assert new < 0.6 * old
    store.close()


def test_odd_outcomes_are_told_from_each_other(flowapi: FlowapiStandin) -> None:
    flowapi.flowmachine.checks_lag = 0.0
    odd = {"null_check": None, "empty_check": "", "text_check": 'päss "ok"', "count_null_durations.calls": "7"}
    for check, outcome in odd.items():
        flowapi.flowmachine.outcomes["calls", check, "2016-01-03"] = outcome
    answer = ask(flowapi, [*odd, "no_such_check"])
    for check, outcome in odd.items():
        assert calls(answer, check)["01-03"] == outcome
    assert "no_such_check" not in answer["changed"]["calls"]
    # one that is listed, and whose name has capitals, cannot be asked for
    flowapi.flowmachine.outcomes["calls", "Mixed_Case", "2016-01-03"] = "1"
    answer = ask(flowapi, ["Mixed_Case"])
    assert "Mixed_Case" in answer["listed"]["calls"]
    assert answer["changed"] == {}


def test_a_date_is_listed_before_it_has_outcomes_and_one_that_is_dropped_has_none(flowapi: FlowapiStandin) -> None:
    answer = ask(flowapi, ["count_msisdns"])
    flowapi.flowmachine.checks_lag = 60.0
    flowapi.set_days(6)
    flowapi.flowmachine.drop("2016-01-05")
    known = {"calls": {"count_msisdns": {"2016": digest(answer["changed"]["calls"]["count_msisdns"]["2016"])}}}
    assert list(calls(ask(flowapi, ["count_msisdns"], known), "count_msisdns")) == ["01-01", "01-02", "01-03", "01-04"]
    flowapi.flowmachine.pass_time(60.0)
    assert "01-06" in calls(ask(flowapi, ["count_msisdns"], known), "count_msisdns")
    flowapi.set_days(0)
    assert ask(flowapi, ["count_msisdns"], known)["changed"] == {"calls": {"count_msisdns": {"2016": None}}}


def test_a_token_without_the_scope_and_a_flowapi_without_qa_are_no_failures(
    flowapi: FlowapiStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes = [scope for scope in ALL_SCOPES if scope != "get_qa_checks"]
    monkeypatch.setenv("FLOWAPI_TOKEN", flowapi.token(scopes=scopes))
    assert "the token lacks the scope get_qa_checks" in ask(flowapi, ["count_msisdns"])["off"]
    answer = ask(flowapi, ["count_msisdns"], url=f"{flowapi.url}/older")
    assert "this FlowAPI has no QA checks" in answer["off"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("401", "401: Token has expired"),
        ("500", "it responded with status 500"),
        ("truncated", "cannot be reached: peer closed|not a list of QA"),
        ("nonsense", "not a list of QA checks"),
        ("no-database", "Could not get reply for message"),
    ],
)
def test_what_is_no_answer_is_told(flowapi: FlowapiStandin, fault: str, message: str) -> None:
    flowapi.set_fault(fault)
    with pytest.raises(NoAnswerError, match=message):
        ask(flowapi, ["count_msisdns"])


def test_ten_years_of_four_types_and_twelve_checks_are_small_and_quickly_compared(tmp_path: Path) -> None:
    first = dt.date(2016, 1, 1)
    days = [(first + dt.timedelta(days=day)).isoformat() for day in range(3653)]
    began = time.process_time()
    changed = {
        cdr_type: {
            f"check_{number}": blocks_of(
                {day: f"{day} 23:59:57+00" if number > 9 else str(1_000_000 + ordinal * number)
                 for ordinal, day in enumerate(days)}
            )
            for number in range(12)
        }
        for cdr_type in ("calls", "sms", "mds", "topups")
    }  # fmt: skip
    digests = [digest(block) for checks in changed.values() for years in checks.values() for block in years.values()]
    assert len(digests) == 4 * 12 * 10
    assert time.process_time() - began < 1
    store = RunStore(tmp_path / "record.db")
    before = sum(path.stat().st_size for path in tmp_path.iterdir())
    store.record_outcomes(changed, NOW)
    store.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) - before < 10_000_000
