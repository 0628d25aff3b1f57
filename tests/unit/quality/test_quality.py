# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Outcomes of QA checks, and what is asked of them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import pytest

from autoflow.child.qa_outcomes import _text
from autoflow.quality.check import Bound, Breach, Check, breach, number_of
from autoflow.quality.history import DAYS, sparkline
from autoflow.quality.judged import Outcomes
from autoflow.quality.outcomes import blocks_of, digest, read_block
from autoflow.quality.restated import changes_text, weight_of
from autoflow.quality.suggestion import as_yaml, suggested

FIRST = dt.date(2015, 11, 1)
DAY = dt.date(2016, 1, 5).toordinal()
SIX = Bound(18 * 3600.0, "time")


def judge(check: Check, outcome: str | None, rows: str | None = "1000", before: Mapping[int, str] | None = None) -> Any:
    return breach(check, DAY, {**(before or {}), DAY: outcome}, {DAY: rows})


@pytest.mark.parametrize(
    ("check", "good", "bad", "limit"),
    [
        (Check("c", at_most=Bound(5)), "5", "5.5", "at most 5"),
        (Check("c", at_least=Bound(5)), "5", "4", "at least 5"),
        (Check("c", at_most=Bound(0.1, "percent")), "1", "2", "at most 1 (0.1% of count_added_rows)"),
        (Check("c", at_least=SIX), "2016-01-05 18:00:00+00", "2016-01-05 17:59:59+00", "at least 18:00"),
        (Check("c", at_least=SIX), "2016-01-06 00:00:01+00", "2016-01-04 23:59:59+00", "at least 18:00"),
        (Check("c", at_most=SIX), "2016-01-05 00:00:00.25+03:30", "2016-01-05T18:00:01", "at most 18:00"),
        (Check("c", at_most=Bound(5)), "0", None, "a number at most 5"),
        (Check("c", at_most=Bound(5)), "-1e3", "", "a number at most 5"),
        (Check("c", at_most=Bound(5)), "1", "nan", "a number at most 5"),
        (Check("c", at_least=SIX), "2016-01-05 19:00:00+00", 'päss "ok"', "a time at least 18:00"),
    ],
)
def test_an_outcome_is_as_asked_or_says_what_was_expected(check: Check, good: str, bad: str | None, limit: str) -> None:
    assert judge(check, good) is None
    assert judge(check, bad) == Breach(bad, limit)


def test_an_outcome_or_the_rows_that_it_is_a_percentage_of_may_be_absent() -> None:
    assert breach(Check("c", at_most=Bound(1)), DAY, {}, {}) == "absent"
    assert breach(Check("c", at_most=Bound(1, "percent")), DAY, {DAY: "1"}, {}) == "absent"
    assert isinstance(judge(Check("c", at_most=Bound(1, "percent")), "0", rows=None), Breach)
    # nothing is no part of nothing
    assert judge(Check("c", at_most=Bound(1, "percent")), "0", rows="0") is None


def test_an_outcome_is_compared_with_the_same_weekday_of_weeks_before() -> None:
    check = Check("c", within=30.0)
    before = {DAY - 7 * week: "100" for week in range(1, 4)} | {DAY - 1: "1", DAY - 63: "1"}
    assert judge(check, "130", before=before) is None
    assert judge(check, "131", before=before) == Breach("131", "within 30% of 100, the median of 3 weeks before")
    # too few to compare with, of which null is none
    few = {**before, DAY - 7: None}
    assert judge(check, "131", before=few) is None  # type: ignore[arg-type]
    assert isinstance(judge(check, "many", before=few), Breach)  # type: ignore[arg-type]


def outcomes(**checks: Mapping[dt.date, str | None]) -> Outcomes:
    blocks = {
        ("calls", name): blocks_of({str(date): text for date, text in found.items()}) for name, found in checks.items()
    }
    return Outcomes(blocks)


def test_days_are_judged_by_years_and_those_that_did_not_change_are_not_judged_again() -> None:
    found = {FIRST + dt.timedelta(days=day): "10" for day in range(90)}
    found[dt.date(2016, 1, 3)] = "99"
    check = Check("c", at_most=Bound(50))
    first = outcomes(c=found)
    failed = dt.date(2016, 1, 3).toordinal()
    begin = FIRST.toordinal()
    assert first.judged(check, "calls") == (((failed, failed + 1),), ((begin, begin + 90),))
    assert first.judged(check, "sms") == ((), ())
    found[dt.date(2016, 1, 4)] = "98"
    newer = first.followed_by(outcomes(c=found).blocks)
    assert newer.judged(check, "calls").failed == ((failed, failed + 2),)
    assert sum(key[0] == check for key in newer._years) == 2
    same = {key: block for key, block in newer._years.items() if key in first._years}
    assert len(same) == 1


def test_blocks_are_by_years_and_told_apart_by_their_digests() -> None:
    blocks = blocks_of({"2016-02-29": "1", "2015-12-31": None, "2016-01-01": "é"})
    assert sorted(blocks) == ["2015", "2016"]
    assert read_block("2016", blocks["2016"]) == {
        dt.date(2016, 1, 1).toordinal(): "é",
        dt.date(2016, 2, 29).toordinal(): "1",
    }
    assert read_block("2015", blocks["2015"]) == {dt.date(2015, 12, 31).toordinal(): None}
    assert digest(blocks["2016"]) != digest(blocks["2015"])


def test_the_days_before_are_drawn_as_a_line() -> None:
    line, low, high = sparkline({DAY - 2: "10", DAY - 1: "20", DAY: "30"}, DAY)
    assert (line, low, high) == (" " * (DAYS - 3) + "▁▅█", "10", "30")
    times = {DAY - 1: "2016-01-04 23:00:00+00", DAY: "2016-01-05 11:00:00+00"}
    # from the earliest time of the day to the latest, whichever days these are of
    line, low, high = sparkline(times, DAY)
    assert (line.strip(), low, high) == ("█▁", "11:00:00", "23:00:00")
    assert sparkline({**times, DAY: "2016-01-06 01:00:00+00"}, DAY)[1:] == ("23:00:00", "2016-01-06 01:00:00+00")
    assert sparkline({DAY: None}, DAY) == ("", "", "")
    assert sparkline({DAY: "7"}, DAY)[0].strip() == "▁"


def test_of_what_has_changed_of_a_date_counts_go_first_and_times_that_differ_by_seconds_last_if_at_all() -> None:
    counts = {"a_count": ("1000", "600")}
    seconds = {"earliest_timestamp": ("2016-01-05 00:00:04+00", "2016-01-05 00:00:02+00")}
    hours = {"a_timestamp": ("2016-01-05 23:59:54+00", "2016-01-05 11:30:00+00")}
    assert changes_text({**hours, **seconds, **counts}) == (
        "a_count 1,000 -> 600, a_timestamp 2016-01-05 23:59:54+00 -> 2016-01-05 11:30:00+00"
    )
    assert changes_text(seconds) == "earliest_timestamp 2016-01-05 00:00:04+00 -> 2016-01-05 00:00:02+00"
    weights = [weight_of(each) for each in (seconds, hours, counts, {**seconds, **counts}, {"a_text": ("x", "y")})]
    assert weights == [0, 1, 2, 2, 2]


def test_limits_are_suggested_that_the_dates_so_far_keep() -> None:
    days = [FIRST + dt.timedelta(days=day) for day in range(100)]
    found = outcomes(
        count_added_rows={day: str(1000 + 10 * (day.day % 5)) for day in days},
        count_duplicated=dict.fromkeys(days, "2"),
        latest_timestamp={day: f"{day} 23:59:0{day.day % 10}+00" for day in days},
        text_check=dict.fromkeys(days, "ok"),
        count_few=dict.fromkeys(days[:5], "1"),
    )
    written = as_yaml(suggested(found), found)
    assert written == (
        "available_dates_sensor:\n  quality:\n"
        "    # kept by all 100 dates so far\n    - check: count_added_rows\n      within: 10%\n"
        "    # kept by all 100 dates so far\n    - check: count_duplicated\n      at_most: 0.4%\n"
        '    # kept by all 100 dates so far\n    - check: latest_timestamp\n      at_least: "22:00"\n'
    )
    for check in suggested(found):
        assert found.judged(check, "calls").failed == ()


@pytest.mark.parametrize("faulty", [1, 2, 5])
def test_faulty_dates_make_no_suggested_limit_wider_and_are_named_beside_it(faulty: int) -> None:
    days = [FIRST + dt.timedelta(days=day) for day in range(60)]
    bad = days[40 : 40 + faulty]
    found = outcomes(
        count_added_rows={day: "400" if day in bad else "1000" for day in days},
        count_duplicated={day: "90" if day in bad else "2" for day in days},
        earliest_timestamp={day: f"{day} {'13' if day in bad else '00'}:00:10+00" for day in days},
        latest_timestamp={day: f"{day} {'09:00' if day in bad else '23:59'}:00+00" for day in days},
    )
    first, last = bad[0], bad[-1]
    note = f"    # {faulty} of 60 dates so far fail: look at {first}" + (f" to {last}" if faulty > 1 else "") + "\n"
    assert as_yaml(suggested(found), found) == (
        "available_dates_sensor:\n  quality:\n"
        f"{note}    - check: count_added_rows\n      within: 10%\n"
        f"{note}    - check: count_duplicated\n      at_most: 0.4%\n"
        f'{note}    - check: earliest_timestamp\n      at_most: "02:00"\n'
        f'{note}    - check: latest_timestamp\n      at_least: "22:00"\n'
    )


def test_a_percentage_of_rows_that_are_no_number_says_so() -> None:
    check = Check("count_duplicated", at_most=Bound(0.1, "percent"))
    assert breach(check, DAY, {DAY: "0"}, {DAY: None}) == ("0", "at most 0.1% of count_added_rows, which is null")
    assert breach(check, DAY, {DAY: "x"}, {DAY: "100"}) == ("x", "a number at most 0.1%")


def test_one_odd_outcome_among_others_does_not_make_them_something_else() -> None:
    times = {day: f"{dt.date.fromordinal(day)} 23:59:00+00" for day in range(DAY - 9, DAY + 1)}
    line, low, high = sparkline({**times, DAY - 3: "5000"}, DAY)
    assert line.strip() == "▁▁▁▁▁▁ ▁▁▁"
    assert (low, high) == ("23:59:00", "23:59:00")
    assert sparkline({DAY - 1: "1", DAY: "2", DAY - 2: "2016-01-01 00:00:00"}, DAY)[1:] == ("1", "2")


def test_a_number_that_is_too_long_is_none() -> None:
    assert math.isnan(number_of(_text("9" * 201)))
    assert number_of(_text("9" * 200)) == pytest.approx(1e200)
