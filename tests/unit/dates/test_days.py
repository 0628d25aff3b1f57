# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Sets of days: stretches behave as the sets that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoflow.dates.days import Days

sets = st.sets(st.integers(-30, 30))


def is_tidy(days: Days) -> bool:
    edges = [edge for stretch in days.stretches for edge in stretch]
    return edges == sorted(set(edges))


@given(sets, sets)
def test_they_are_sets(one: set[int], two: set[int]) -> None:
    mine, theirs = Days.of(one), Days.of(two)
    for made, expected in ((mine | theirs, one | two), (mine & theirs, one & two), (mine - theirs, one - two)):
        assert list(made) == sorted(expected)
        assert len(made) == len(expected)
        assert is_tidy(made)
    assert [day in mine for day in range(-31, 32)] == [day in one for day in range(-31, 32)]


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20))))
def test_stretches_in_any_order_are_joined(stretches: list[tuple[int, int]]) -> None:
    made = Days.joined(stretches)
    assert list(made) == sorted({day for start, end in stretches for day in range(start, end)})
    assert is_tidy(made)


@given(sets, st.integers(-5, 5), st.integers(1, 5))
def test_windows_are_days_around_which_all_is_there(days: set[int], start: int, length: int) -> None:
    end = start + length
    expected = [day for day in range(-50, 50) if days.issuperset(range(day + start, day + end))]
    assert list(Days.of(days).windows(start, end)) == expected


@given(sets, st.integers(-31, 31))
def test_a_day_is_in_the_stretch_that_is_given_for_it(days: set[int], day: int) -> None:
    stretch = Days.of(days).stretch_at(day)
    if stretch is None:
        assert day not in days
    else:
        assert days.issuperset(range(*stretch))
        assert days.isdisjoint({stretch[0] - 1, stretch[1]})
