# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Date stencils, against a naive reading of the same rules."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.date_stencil import AvailableDates, DateStencil, EmptyIntervalError

JAN = [dt.date(2016, 1, day) for day in range(1, 32)]


def january(*days: int) -> AvailableDates:
    return AvailableDates(JAN[day - 1] for day in days)


def test_the_predecessors_example() -> None:
    stencil = DateStencil.parse([[dt.date(2016, 1, 1), dt.date(2016, 1, 3)], -3, [-2, 0]])
    assert [[start.isoformat(), end.isoformat()] for start, end in stencil.intervals(dt.date(2016, 1, 7))] == [
        ["2016-01-01", "2016-01-03"],
        ["2016-01-04", "2016-01-05"],
        ["2016-01-05", "2016-01-07"],
    ]
    assert stencil.complete([JAN[6]], january(1, 2, 4, 5, 6)) == [JAN[6]]
    for gone in (1, 2, 4, 5, 6):
        available = january(*{1, 2, 4, 5, 6, 7} - {gone})
        assert stencil.complete([JAN[6]], available) == []
        assert stencil.missing(JAN[6], available) == [JAN[gone - 1]]


def test_yaml_dates_and_iso_strings_are_the_same() -> None:
    assert DateStencil.parse(["2016-01-01"]) == DateStencil.parse([dt.date(2016, 1, 1)])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([True], "element 1: found True"),
        ([0, False], "element 2: found False"),
        ([1.0], "found 1.0"),
        (["2016-1-1"], "found '2016-1-1'"),
        (["20160101"], "found '20160101'"),
        ([dt.datetime(2016, 1, 1)], "found datetime.datetime"),
        ([[0, dt.datetime(2016, 1, 1)]], "element 1, end"),
        ([[0]], "found a list of 1, expected a pair"),
        ([[0, 1, 2]], "found a list of 3"),
        ([[0, 0]], "[0, 0] holds no day; the end is not part of it"),
        ([[1, 0]], "the start must come first"),
        ([["2016-01-02", "2016-01-01"]], "holds no day"),
        ([], "expected a list"),
        (None, "expected a list"),
        ("0", "expected a list"),
        ([None], "found None"),
        ([[[0, 1], 2]], "element 1, start"),
        ([dt.date.max], "last day of the calendar"),
    ],
)
def test_what_is_no_stencil_is_told(raw: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        DateStencil.parse(raw)
    assert words in str(raised.value)


def test_a_mixed_pair_that_is_empty_makes_a_date_not_runnable() -> None:
    stencil = DateStencil.parse([[dt.date(2016, 1, 5), 0]])
    available = AvailableDates(JAN)
    assert stencil.complete(JAN[:8], available) == JAN[5:8]
    with pytest.raises(EmptyIntervalError, match="is empty for 2016-01-05"):
        stencil.intervals(JAN[4])


def test_offsets_beyond_the_calendar_are_not_runnable() -> None:
    stencil = DateStencil.parse([[-800_000, 0]])
    assert stencil.complete(JAN, AvailableDates(JAN)) == []
    with pytest.raises(EmptyIntervalError, match="beyond the calendar"):
        stencil.intervals(JAN[0])


elements = st.integers(-12, 12) | st.sampled_from(JAN)
pairs = st.tuples(elements, elements).filter(lambda pair: type(pair[0]) is not type(pair[1]) or pair[0] < pair[1])


@given(st.lists(elements | pairs.map(list), min_size=1, max_size=4), st.sets(st.sampled_from(JAN)))
def test_completeness_is_that_of_sets_of_days(raw: list[Any], days: set[dt.date]) -> None:
    stencil, available = DateStencil.parse(raw), AvailableDates(days)

    def runnable(reference_date: dt.date) -> bool:
        try:
            intervals = stencil.intervals(reference_date)
        except EmptyIntervalError:
            return False
        needed = {start + dt.timedelta(n) for start, end in intervals for n in range((end - start).days)}
        return needed <= days

    assert stencil.complete(JAN, available) == [date for date in JAN if runnable(date)]
    for date in JAN:
        try:
            assert (stencil.missing(date, available) == []) == runnable(date)
        except EmptyIntervalError:
            assert not runnable(date)
