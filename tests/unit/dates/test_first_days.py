# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Stencils with first days of weeks, months, quarters and years, beside a plain reading of the calendar."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoflow.dates import AvailableDates, DateStencil, Days, EmptyIntervalError, FirstDay, StencilError
from autoflow.definitions import Trigger
from autoflow.runs import key_maker, keys_of_days

D, DAY = dt.date, dt.timedelta(days=1)
FIRST, LAST = D(1996, 1, 1), D(2026, 12, 31)

YEARS_WITH_53_WEEKS = {1998, 2004, 2009, 2015, 2020, 2026}


@cache
def months_of(start: D, months: int) -> D:
    """Walk through the calendar month by month, from a first day to another."""
    date = start
    for _ in range(abs(months)):
        date = (date + 31 * DAY).replace(day=1) if months > 0 else (date - DAY).replace(day=1)
    return date


@cache
def start_of(unit: str, date: D) -> D:
    """Walk through the calendar day by day, back to a first day."""
    first_months = {"month": range(1, 13), "quarter": (1, 4, 7, 10), "year": (1,)}
    while date.isoweekday() != 1 if unit == "week" else date.day != 1 or date.month not in first_months[unit]:
        date -= DAY
    return date


def first_of(unit: str, date: D, steps: int) -> D:
    start = start_of(unit, date)
    if unit == "week":
        return start + steps * 7 * DAY
    return months_of(start, steps * {"month": 1, "quarter": 3, "year": 12}[unit])


def day_of(element: Any, date: D) -> D:
    if isinstance(element, tuple):
        return first_of(*element[:1], date, element[1])
    return element if isinstance(element, D) else date + element * DAY


def written(element: Any) -> Any:
    if not isinstance(element, tuple):
        return element
    unit, steps = element
    return f"{unit}{steps:+}" if steps else unit


dates = st.dates(FIRST, LAST)
names = st.tuples(st.sampled_from(["week", "month", "quarter", "year"]), st.integers(-5, 5))
ends = names | names | st.integers(-40, 40) | dates
pairs = st.tuples(names, ends) | st.tuples(ends, names)
gaps = st.sets(st.integers(-400, 400), max_size=8)


def parsed(raw: list[Any]) -> DateStencil | None:
    """Read a stencil of pairs; None where one of them holds no day for any date."""
    try:
        return DateStencil.parse([[written(end) for end in pair] for pair in raw])
    except StencilError:
        return None


@given(raw=st.lists(pairs, min_size=1, max_size=3), middle=dates, missing=gaps)
@example(raw=[(("month", 0), ("month", 1))], middle=D(2016, 2, 29), missing={-29, 1})
@example(raw=[(("week", 0), ("week", 1))], middle=D(2020, 12, 31), missing={4})
@example(raw=[(("year", 0), ("week", 0))], middle=D(2027, 1, 1) - DAY, missing=set())
def test_windows_are_those_of_a_plain_calendar(raw: list[Any], middle: D, missing: set[int]) -> None:
    around = [middle + number * DAY for number in range(-400, 401)]
    lost = {middle + number * DAY for number in missing}
    stencil = parsed(raw)
    windows = {date: [(day_of(start, date), day_of(end, date)) for start, end in raw] for date in around[::7]}
    if stencil is None:
        assert all(any(start >= end for start, end in those) for those in windows.values())
        return
    complete = stencil.complete(Days.of(date.toordinal() for date in around if date not in lost))
    for date, those in windows.items():
        if any(start >= end for start, end in those):
            assert date.toordinal() not in complete
            with pytest.raises(EmptyIntervalError):
                stencil.intervals(date)
            continue
        assert stencil.intervals(date) == those
        assert (date.toordinal() in complete) == all(
            around[0] <= start and end <= around[-1] + DAY and not any(start <= day < end for day in lost)
            for start, end in those
        )


@pytest.mark.parametrize("unit", ["week", "month", "quarter", "year"])
@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_each_day_of_thirty_years_has_the_window_of_a_plain_calendar(unit: str, steps: int) -> None:
    stencil, name, following = DateStencil.parse([[written((unit, steps)), written((unit, steps + 1))]]), unit, None
    for number in range((LAST - FIRST).days + 1):
        date = FIRST + number * DAY
        # what a plain calendar takes long to walk through changes with a first day only
        if following is None or first_of(unit, date, 0) == date:
            expected = first_of(name, date, steps), first_of(name, date, steps + 1)
            following = expected
        assert stencil.intervals(date) == [following]


def test_iso_years_of_53_weeks_are_whole_weeks() -> None:
    stencil = DateStencil.parse([["week", "week+1"]])
    for year in range(FIRST.year, LAST.year + 1):
        weeks = {stencil.intervals(D(year, 1, 4) + number * DAY)[0][0].isocalendar()[:2] for number in range(365)}
        assert len({week for of, week in weeks if of == year}) == 52 + (year in YEARS_WITH_53_WEEKS)
    assert stencil.intervals(D(2021, 1, 3)) == [(D(2020, 12, 28), D(2021, 1, 4))]


@pytest.mark.parametrize(
    ("raw", "date", "window"),
    [
        (["month", "month+1"], D(2024, 2, 11), (D(2024, 2, 1), D(2024, 3, 1))),
        (["month-1", "month"], D(2024, 1, 31), (D(2023, 12, 1), D(2024, 1, 1))),
        (["week-4", "week"], D(2024, 1, 3), (D(2023, 12, 4), D(2024, 1, 1))),
        (["quarter-1", "quarter"], D(2024, 5, 5), (D(2024, 1, 1), D(2024, 4, 1))),
        (["year", 1], D(2024, 12, 31), (D(2024, 1, 1), D(2025, 1, 1))),
        (["month", "2016-01-20"], D(2016, 1, 31), (D(2016, 1, 1), D(2016, 1, 20))),
        ([-3, "month+1"], D(2024, 2, 28), (D(2024, 2, 25), D(2024, 3, 1))),
        (["quarter", "month"], D(2024, 6, 1), (D(2024, 4, 1), D(2024, 6, 1))),
    ],
)
def test_a_pair_may_be_of_several_kinds_of_ends(raw: list[Any], date: D, window: tuple[D, D]) -> None:
    assert DateStencil.parse([raw]).intervals(date) == [window]


def test_a_name_alone_is_that_one_day() -> None:
    stencil = DateStencil.parse(["month", "year-1", "week"])
    assert [start for start, _ in stencil.intervals(D(2024, 2, 29))] == [D(2024, 2, 1), D(2023, 1, 1), D(2024, 2, 26)]
    assert all(end - start == DAY for start, end in stencil.intervals(D(2024, 2, 29)))


@pytest.mark.parametrize("raw", ["month-1", "month -1", "month - 1", " month- 1 ", "month-01"])
def test_spaces_around_the_sign_change_nothing(raw: str) -> None:
    assert DateStencil.parse([raw]).pairs[0][0] == FirstDay("month", -1)


def test_an_offset_of_nothing_is_the_name_alone() -> None:
    assert DateStencil.parse(["month+0", "month-0"]) == DateStencil.parse(["month", "month"])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("months", "element 1: found 'months', expected a date (YYYY-MM-DD), a whole number of days, or a first day"),
        ("Month", "did you mean month?"),
        ("months-1", "did you mean month-1?"),
        ("quater + 2", "did you mean quarter+2?"),
        ("Week -4", "did you mean week-4?"),
        ("day-1", "the reference date itself is 0, the day before it -1"),
        ("month+1.5", "found 'month+1.5', expected a date"),
        ("month+1+1", "found 'month+1+1', expected a date"),
        ("month+٣", "found 'month+٣', expected a date"),
        ("-month", "found '-month', expected a date"),
        ("month+", "found 'month+', expected a date"),
        ("month+" + "9" * 5000, "…, expected a date"),
        (["month+1", "month"], "element 1: [month+1, month] holds no day; the start must come first"),
        (["month", "month"], "[month, month] holds no day; the end is not part of it"),
        ([0, "month"], "[0, month] holds no day for any reference date; the start must come first"),
        (["year+1", "month+1"], "[year+1, month+1] holds no day for any reference date"),
    ],
)
def test_a_mistake_is_told_with_what_may_be_meant(raw: Any, words: str) -> None:
    with pytest.raises(StencilError) as caught:
        DateStencil.parse([raw])
    assert words in str(caught.value)


@pytest.mark.parametrize("raw", [["month", 0], ["week", "month"], ["2016-01-10", "month"], ["month", "2016-01-10"]])
def test_a_pair_that_holds_no_day_for_a_date_has_no_run_for_it(raw: list[Any]) -> None:
    stencil, days = DateStencil.parse([raw]), range(D(2015, 11, 1).toordinal(), D(2016, 4, 1).toordinal())
    complete = stencil.complete(Days(((days.start - 400, days.stop + 400),)), Days(((days.start, days.stop),)))
    keys = list(keys_of_days(Trigger("w", date_stencil=stencil), days))
    assert [day for day, key in zip(days, keys, strict=True) if key is not None] == list(complete)
    assert 0 < len(complete) < len(days)


@given(raw=st.lists(pairs | names.map(lambda name: (name,)), min_size=1, max_size=3), date=dates)
def test_quick_keys_are_those_of_each_date(raw: list[Any], date: D) -> None:
    elements = [[written(end) for end in pair] if len(pair) == 2 else written(pair[0]) for pair in raw]
    try:
        trigger = Trigger("w", {"a": 1}, date_stencil=DateStencil.parse(elements))
    except StencilError:
        return
    days = range(date.toordinal(), date.toordinal() + 40)
    key_of = key_maker(trigger)
    for day, key in zip(days, keys_of_days(trigger, days), strict=True):
        try:
            assert key_of(D.fromordinal(day)) == key
        except EmptyIntervalError:
            assert key is None


@pytest.mark.parametrize(
    ("raw", "date"),
    [
        (["year", "year+1"], D.max),
        (["month-1", "month"], D.min),
        (["week", f"week+{10**30}"], FIRST),
        ([f"year-{10**30}", 0], FIRST),
    ],
)
def test_beyond_the_calendar_nothing_runs(raw: list[Any], date: D) -> None:
    stencil = DateStencil.parse([raw])
    assert date.toordinal() not in stencil.complete(AvailableDates([D.min, date, D.max]).days)
    with pytest.raises(EmptyIntervalError, match="beyond the calendar"):
        stencil.intervals(date)
