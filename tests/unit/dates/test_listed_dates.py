# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates count as having data: types, all of them or any, and how long ago a date appeared."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.dates.listed_dates import DataRule, ListedDates, Override, listed_at
from autoflow.quality.check import Bound, Check
from autoflow.quality.judged import Outcomes
from autoflow.quality.outcomes import blocks_of

NOW = dt.datetime(2016, 1, 10, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def day(number: int) -> dt.date:
    return dt.date(2016, 1, number)


def counting(listed: ListedDates, rule: DataRule, now: dt.datetime = NOW) -> list[int]:
    return [dt.date.fromordinal(ordinal).day for ordinal in listed.available(rule, now).days]


LISTED = listed_at({"calls": ["2016-01-01", "2016-01-02", "2016-01-04"], "sms": ["2016-01-02", "2016-01-05"]}, NOW)


@pytest.mark.parametrize(
    ("types", "any_of", "all_of"),
    [
        (("calls", "sms"), [1, 2, 4, 5], [2]),
        (("calls",), [1, 2, 4], [1, 2, 4]),
        (("calls", "mds"), [1, 2, 4], []),
        (None, [1, 2, 4, 5], [2]),
        (("mds",), [], []),
    ],
)
def test_a_date_counts_when_any_of_the_types_has_it_or_all(
    types: tuple[str, ...] | None, any_of: list[int], all_of: list[int]
) -> None:
    assert counting(LISTED, DataRule(types)) == any_of
    assert counting(LISTED, DataRule(types, "all")) == all_of
    assert counting(ListedDates(), DataRule(types, "all")) == []


def test_what_is_lacking_is_named() -> None:
    rule = DataRule(("calls", "sms"), "all")
    assert [LISTED.lacking(day(number), rule) for number in (1, 2, 3)] == [("sms",), (), ("calls", "sms")]
    assert [LISTED.lacking(day(number), DataRule(("calls", "sms"))) for number in (1, 3)] == [(), ("calls", "sms")]


def test_with_a_lag_a_date_counts_so_long_after_it_appeared() -> None:
    listed = ListedDates({"calls": {day(1): NOW - 2 * DAY, day(2): NOW - DAY, day(3): NOW}}, NOW)
    rule = DataRule(("calls",), lag=DAY)
    assert counting(listed, rule) == [1, 2]
    assert counting(listed, rule, NOW - HOUR) == [1]
    assert counting(listed, rule, NOW + DAY) == [1, 2, 3]
    assert listed.counts_from(day(3), rule) == NOW + DAY
    assert listed.next_to_count(rule, NOW) == NOW + DAY
    assert listed.next_to_count(rule, NOW + DAY) is None
    assert listed.counts_from(day(4), rule) is None


def test_the_first_type_that_has_a_date_begins_the_lag_or_the_last_where_all_must() -> None:
    listed = ListedDates({"calls": {day(1): NOW - 2 * DAY}, "sms": {day(1): NOW}}, NOW)
    assert listed.counts_from(day(1), DataRule(lag=DAY)) == NOW - DAY
    assert listed.counts_from(day(1), DataRule(("calls", "sms"), "all", DAY)) == NOW + DAY


def test_what_was_there_from_the_start_appeared_when_its_day_was_over() -> None:
    """A backlog does not wait for its lag."""
    listed = listed_at({"calls": [f"2016-01-{number:02}" for number in range(1, 11)]}, NOW)
    rule = DataRule(lag=2 * DAY)
    assert counting(listed, rule) == [1, 2, 3, 4, 5, 6, 7]
    assert listed.counts_from(day(8), rule) == dt.datetime(2016, 1, 11, tzinfo=dt.UTC)
    # today is not over: it has appeared by now
    assert listed.counts_from(day(10), rule) == NOW + 2 * DAY


def test_no_lag_leads_out_of_the_calendar() -> None:
    rule, dates = DataRule(lag=3650 * DAY), ["0001-01-01", "9999-12-30", "9999-12-31"]
    early, late = dt.datetime(1, 1, 2, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC)
    assert counting(listed_at({"calls": dates}, early), rule, early) == []
    assert counting(listed_at({"calls": dates}, late), rule, late) == [1]
    assert listed_at({"calls": dates}, late).next_to_count(rule, late) == dt.datetime.max.replace(tzinfo=dt.UTC)


def test_at_an_earlier_day_what_was_listed_later_had_appeared_nobody_knows_when() -> None:
    listed = listed_at({"calls": [f"2016-01-{number:02}" for number in range(1, 11)]}, NOW)
    then = dt.datetime(2016, 1, 5, 23, 59, tzinfo=dt.UTC)
    assert counting(listed.until(day(5), then), DataRule(lag=2 * DAY), then) == [1, 2]
    watched = ListedDates({"calls": {day(1): NOW - 4 * DAY, day(3): NOW}}, NOW, NOW - 8 * DAY)
    then = dt.datetime(2016, 1, 6, 23, 59, tzinfo=dt.UTC)
    assert counting(watched.until(day(6), then), DataRule(lag=DAY), then) == [3]
    assert counting(watched.until(day(6), then), DataRule(lag=DAY / 4), then) == [1, 3]


@given(
    by_type=st.dictionaries(
        st.sampled_from(["calls", "sms"]),
        st.dictionaries(
            st.integers(1, 9).map(day), st.integers(-200, 20).map(lambda hours: NOW + hours * HOUR), max_size=8
        ),
    ),
    types=st.sampled_from([None, ("calls",), ("calls", "sms"), ("sms", "mds")]),
    require=st.sampled_from(["any", "all"]),
    lag=st.integers(0, 200).map(lambda hours: hours * HOUR),
    since=st.none() | st.integers(-200, 20).map(lambda hours: NOW + hours * HOUR),
)
def test_what_counts_is_what_counts_from_now_or_before(
    by_type: dict[str, dict[dt.date, dt.datetime]],
    types: tuple[str, ...] | None,
    require: str,
    lag: dt.timedelta,
    since: dt.datetime | None,
) -> None:
    listed, rule = ListedDates(by_type, NOW, since), DataRule(types, require, lag)  # type: ignore[arg-type]
    expected = []
    for number in range(1, 10):
        begins = listed.counts_from(day(number), rule)
        # without a lag the clock has no say
        if begins is not None and (begins <= NOW or not lag):
            expected.append(number)
    assert counting(listed, rule) == expected


def judged(outcomes: dict[int, str | None], **more: Any) -> ListedDates:
    """Take what a check says of some of the first five days."""
    listed = listed_at({"calls": [f"{day(number)}" for number in range(1, 6)], "sms": [f"{day(1)}"]}, NOW)
    blocks = blocks_of({f"{day(number)}": outcome for number, outcome in outcomes.items()})
    return replace(listed, outcomes=Outcomes({("calls", "count"): blocks}), **more)


def test_a_date_that_fails_a_check_is_held_and_says_why() -> None:
    listed = judged({1: "9", 2: "5", 3: None, 4: "9", 5: "9"})
    rule = DataRule(("calls",), quality=(Check("count", at_least=Bound(7)),))
    assert counting(listed, rule, NOW) == [1, 4, 5]
    assert [dt.date.fromordinal(each).day for each in listed.held(rule, NOW)] == [2, 3]
    assert [str(hold) for hold in listed.why_held(day(2), rule, NOW)] == ["calls count is 5, expected at least 7"]
    assert [str(hold) for hold in listed.why_held(day(3), rule, NOW)] == [
        "calls count is null, expected a number at least 7"
    ]
    assert listed.why_held(day(1), rule, NOW) == []
    # the other type has no outcomes at all: the date waits for them, whichever of the types is enough
    both = replace(rule, cdr_types=("calls", "sms"))
    assert counting(listed, both, NOW) == [4, 5]
    assert [(hold.cdr_type, hold.waits) for hold in listed.why_held(day(1), both, NOW)] == [("sms", True)]


@pytest.mark.parametrize(
    ("on_missing", "now", "later"),
    [("wait", [1], [1]), ("hold", [1], [1]), ("pass", [1, 3, 4, 5], [1, 3, 4, 5]), (2 * DAY, [1], [1, 3, 4, 5])],
)
def test_what_has_no_outcome_waits_passes_or_is_held(on_missing: Any, now: list[int], later: list[int]) -> None:
    listed = judged({1: "9", 2: "5"}, watched_since=NOW - DAY)
    rule = DataRule(("calls",), quality=(Check("count", at_least=Bound(7), on_missing=on_missing),))
    assert counting(listed, rule, NOW) == now
    assert counting(listed, rule, NOW + 2 * DAY) == later
    for date in map(day, (3, 4)):
        holds = listed.why_held(date, rule, NOW)
        assert bool(holds) == (date.day not in now)
        assert all(hold.waits == (on_missing != "hold") for hold in holds)
        assert bool(listed.why_held(date, rule, NOW + 2 * DAY)) == (date.day not in later)
    # the date that fails is held whatever becomes of the others, which wait, or are held too
    unanswered = [] if 3 in now else [3, 4, 5]
    held = [dt.date.fromordinal(each).day for each in listed.held(rule, NOW)]
    assert held == [2, *(unanswered if on_missing == "hold" else [])]
    waiting = [dt.date.fromordinal(each).day for each in listed.there(rule, NOW) - listed.available(rule, NOW).days]
    assert waiting == sorted({2, *unanswered})


def test_people_decide_otherwise_for_one_workflow() -> None:
    overrides = {
        ("w", day(number)): Override("w", day(number), accepted, "seen", NOW)
        for number, accepted in ((2, True), (4, False), (9, False))
    }
    listed = judged({1: "9", 2: "5", 3: "5", 4: "9", 5: "9"}, overrides=overrides)
    rule = DataRule(("calls",), quality=(Check("count", at_least=Bound(7)),), workflow="w")
    assert counting(listed, rule, NOW) == [1, 2, 5]
    assert counting(listed, replace(rule, workflow="other"), NOW) == [1, 4, 5]
    # whatever is asked of the data; what is not listed is not held either
    assert counting(listed, DataRule(("calls",), workflow="w"), NOW) == [1, 2, 3, 5]
    assert [dt.date.fromordinal(each).day for each in listed.held(rule, NOW)] == [3, 4]
    assert str(listed.why_held(day(4), rule, NOW)[0]).endswith("UTC: seen")


def test_a_check_with_a_dot_is_for_one_type_alone() -> None:
    listed = judged(dict.fromkeys(range(1, 6), "9"))
    rule = DataRule(quality=(Check("median.mds", at_least=Bound(7)),))
    assert counting(listed, rule, NOW) == [1, 2, 3, 4, 5]
