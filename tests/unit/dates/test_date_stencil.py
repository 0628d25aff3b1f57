# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Date stencils: what they stand for, and which dates they let run."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.dates.date_stencil import (
    REFERENCE_DATE_ONLY,
    AvailableDates,
    DateStencil,
    EmptyIntervalError,
    StencilError,
)

D = dt.date
NEW_YEAR = D(2016, 1, 1)

DAYS = [NEW_YEAR + dt.timedelta(days=number) for number in range(-6, 17)]

days = st.sampled_from(DAYS)
# many dates with few gaps are what there is in life, and what intervals can be complete in
availabilities = st.sets(days) | st.sets(days, max_size=2).map(lambda gone: set(DAYS) - gone)
elements = days | st.integers(-9, 9)


def _valid_pair(pair: tuple[Any, Any]) -> bool:
    return type(pair[0]) is not type(pair[1]) or pair[0] < pair[1]


stencils = st.lists(elements | st.tuples(elements, elements).filter(_valid_pair), min_size=1, max_size=4)


def naive_days(raw: list[Any], reference_date: D) -> list[D] | None:
    """List the days that a stencil needs, by the words of its definition; None when a pair is empty."""

    def absolute(element: D | int) -> D:
        return element if isinstance(element, D) else reference_date + dt.timedelta(days=element)

    needed = []
    for element in raw:
        if isinstance(element, tuple):
            start, end = map(absolute, element)
        else:
            start = absolute(element)
            end = start + dt.timedelta(days=1)
        if start >= end:
            return None
        needed += [start + dt.timedelta(days=number) for number in range((end - start).days)]
    return needed


def test_dates_offsets_and_pairs_become_intervals() -> None:
    stencil = DateStencil.parse([[D(2016, 1, 1), D(2016, 1, 3)], -3, [-2, 0]])
    assert stencil.intervals(D(2016, 1, 7)) == [
        (D(2016, 1, 1), D(2016, 1, 3)),
        (D(2016, 1, 4), D(2016, 1, 5)),
        (D(2016, 1, 5), D(2016, 1, 7)),
    ]


def complete(stencil: DateStencil, candidates: list[D], available: AvailableDates) -> list[D]:
    days = stencil.complete(available.days)
    return [date for date in candidates if date.toordinal() in days]


@pytest.mark.parametrize(
    ("raw", "numbers"),
    [
        ([["2016-01-01", "2016-01-03"], -3, [-2, 0]], [1, 2, 4, 5, 6]),
        ([["2016-01-03", 0]], [3, 4, 5, 6]),
        ([[-2, "2016-01-09"]], [5, 6, 7, 8]),
        ([[-2, 2]], [5, 6, 7, 8]),
        (["2016-01-01", 0], [1, 7]),
        ([-4, -2, 0], [3, 5, 7]),
    ],
)
def test_each_day_of_a_stencil_is_needed_and_no_other(raw: list[Any], numbers: list[int]) -> None:
    reference_date, stencil = D(2016, 1, 7), DateStencil.parse(raw)
    needed = [D(2016, 1, number) for number in numbers]
    assert stencil.missing(reference_date, AvailableDates([])) == needed
    assert complete(stencil, [reference_date], AvailableDates(needed)) == [reference_date]
    for date in needed:
        others = AvailableDates(set(needed) - {date})
        assert complete(stencil, [reference_date], others) == []
        assert stencil.missing(reference_date, others) == [date]


def test_iso_strings_are_dates() -> None:
    assert DateStencil.parse(["2016-01-01", ["2016-01-02", 0]]) == DateStencil.parse(
        [D(2016, 1, 1), [D(2016, 1, 2), 0]]
    )


def test_the_default_needs_the_reference_date() -> None:
    assert DateStencil.parse([0]) == REFERENCE_DATE_ONLY
    assert REFERENCE_DATE_ONLY.intervals(NEW_YEAR) == [(NEW_YEAR, D(2016, 1, 2))]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "found nothing, expected a list of dates"),
        ([], "found an empty list, expected a list of dates"),
        ("2016-01-01", "found '2016-01-01', expected a list of dates"),
        ([True], "element 1: found true, expected a date"),
        ([0, 1.0], "element 2: found 1.0, expected a date"),
        ([dt.datetime(2016, 1, 1)], "element 1: found 2016-01-01 00:00:00, expected a date"),
        (["20160101"], "element 1: found '20160101', expected a date"),
        (["2016-13-01"], "element 1: found '2016-13-01', expected a date"),
        (["2016-W01-1"], "element 1: found '2016-W01-1', expected a date"),
        ([[0]], "element 1: found a list of 1, expected a pair"),
        ([[0, 1, 2]], "element 1: found a list of 3, expected a pair"),
        ([[0, [1]]], "element 1, end: found a list, expected a date"),
        ([[0, 0]], r"element 1: \[0, 0\] holds no day; the end is not part of it"),
        ([[0, -3]], r"element 1: \[0, -3\] holds no day; the start must come first"),
        ([[NEW_YEAR, D(2015, 1, 1)]], "holds no day; the start must come first"),
        ([D(9999, 12, 31)], "the last day of the calendar"),
    ],
)
def test_a_wrong_stencil_is_told_with_its_element(raw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DateStencil.parse(raw)


def test_all_wrong_elements_are_told_at_once() -> None:
    with pytest.raises(StencilError) as caught:
        DateStencil.parse([True, 0, ["x", None], [3, 1]])
    assert [position for position, _ in caught.value.complaints] == [(0,), (2, 0), (2, 1), (3,)]


@pytest.mark.parametrize("raw", [[[NEW_YEAR, -10]], [[10, NEW_YEAR]], [[NEW_YEAR, 0]], [[0, NEW_YEAR]]])
def test_a_mixed_pair_can_be_empty_for_a_date(raw: Any) -> None:
    stencil = DateStencil.parse(raw)
    everything = AvailableDates(NEW_YEAR + dt.timedelta(days=number) for number in range(-30, 30))
    assert complete(stencil, [NEW_YEAR], everything) == []
    with pytest.raises(EmptyIntervalError, match="is empty for 2016-01-01"):
        stencil.intervals(NEW_YEAR)


@pytest.mark.parametrize(
    ("reference_date", "raw"), [(D.min, [-1]), (D.max, [0]), (NEW_YEAR, [10**12]), (NEW_YEAR, [[-(10**30), 0]])]
)
def test_beyond_the_calendar_nothing_runs(reference_date: D, raw: Any) -> None:
    stencil = DateStencil.parse(raw)
    assert complete(stencil, [reference_date], AvailableDates([D.min, NEW_YEAR, D.max])) == []
    with pytest.raises(EmptyIntervalError, match="beyond the calendar"):
        stencil.missing(reference_date, AvailableDates([]))


@given(raw=stencils, available=availabilities, candidates=st.lists(days))
def test_a_date_is_complete_exactly_when_all_its_days_are_there(
    raw: list[Any], available: set[D], candidates: list[D]
) -> None:
    stencil, table = DateStencil.parse(raw), AvailableDates(available)
    needed = {date: naive_days(raw, date) for date in candidates}
    expected = []
    for date in candidates:
        wanted = needed[date]
        if wanted is None:
            with pytest.raises(EmptyIntervalError):
                stencil.intervals(date)
            continue
        if available.issuperset(wanted):
            expected.append(date)
        assert stencil.missing(date, table) == sorted(set(wanted) - available)
        covered = [
            start + dt.timedelta(days=number)
            for start, end in stencil.intervals(date)
            for number in range((end - start).days)
        ]
        assert covered == wanted
    assert complete(stencil, candidates, table) == expected


@given(available=availabilities, date=days)
def test_available_dates_hold_what_they_were_given(available: set[D], date: D) -> None:
    table = AvailableDates(available)
    assert (date in table) == (date in available)
    assert list(table.days) == sorted(date.toordinal() for date in available)
