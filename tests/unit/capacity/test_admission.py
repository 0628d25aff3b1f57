# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How many notebooks a machine bears: it grows while cores are idle, and never over what memory there is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.capacity.admission import Expected, Level, Rules, Use, is_short, next_level, puts_back, reserve, why_not
from autoflow.machine import Reading

CALM = Reading(cores=4, busy=1.0, cpu_pressure=0, memory=8000, free=6000, memory_pressure=0)
RULES = Rules(base=4, most=16)
WAITED_FOR = Use(4, wanted=True)


def readings() -> st.SearchStrategy[Reading]:
    def maybe(most: float) -> st.SearchStrategy[float | None]:
        return st.none() | st.floats(0, most)

    return st.builds(Reading, st.floats(0.5, 64), maybe(64), maybe(100), maybe(64000), maybe(64000), maybe(100))


def test_one_more_is_given_every_two_seconds_while_cores_are_idle() -> None:
    level, seen = Level(4), []
    for now in range(8):
        level = next_level(now, CALM, replace(WAITED_FOR, slots=level.slots), level, RULES)
        seen.append(level.slots)
    assert seen == [5, 5, 6, 6, 7, 7, 8, 8]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"busy": 3.6}, "the CPU is in use: 3.6 of 4 cores"),
        ({"cpu_pressure": 70.0}, "something waited for it 70 % of the last 10 s"),
        ({"busy": None}, "how busy the machine is cannot be read"),
        ({"free": None}, "how busy the machine is cannot be read"),
    ],
)
def test_no_more_are_given_where_the_cpu_is_in_use_or_unknown(change: dict[str, float | None], why: str) -> None:
    level = next_level(9, replace(CALM, **change), WAITED_FOR, Level(4), RULES)
    assert level.slots == 4
    assert why in level.why


def test_before_the_second_look_the_use_of_the_cpu_is_not_said_to_be_unreadable() -> None:
    level = next_level(9, replace(CALM, busy=None, is_first=True), WAITED_FOR, Level(4), RULES)
    assert (level.slots, level.why) == (4, "the use of the CPU is being measured")


def test_while_it_grows_that_is_why_no_more_start_at_once() -> None:
    level = next_level(9, CALM, WAITED_FOR, Level(4), RULES)
    assert why_not(CALM, Use(5), level, Expected(1)) == (
        "waits for a slot, all 5 are in use; one more is given every 2 s while cores are idle"
    )


def test_what_nobody_waits_for_and_as_many_not_in_use_as_it_began_with_let_nothing_grow() -> None:
    assert next_level(9, CALM, Use(4), Level(4), RULES).slots == 4
    assert next_level(9, CALM, Use(4, wanted=True), Level(7), RULES).slots == 8
    assert next_level(9, CALM, Use(4, wanted=True), Level(8), RULES).slots == 8


def test_the_most_is_never_exceeded_also_where_there_are_more_cores() -> None:
    level = next_level(9, CALM, Use(16, wanted=True), Level(16), RULES)
    assert (level.slots, level.why) == (16, "16 is the most that workflows.yml allows")
    level = next_level(9, CALM, Use(16, wanted=True), Level(16), replace(RULES, is_default=True))
    assert level.why == "16 is the most by default, and `concurrency: {most: N}` in workflows.yml changes that"
    assert next_level(9, CALM, Use(3, wanted=True), Level(1), Rules(4, 3)).slots == 3


def test_what_ends_while_all_cores_are_in_use_is_not_replaced_but_for_the_first() -> None:
    crowded = replace(CALM, busy=4.0)
    level, seen = Level(9), []
    for now, in_use in ((0, 9), (2, 8), (4, 8), (6, 8), (8, 6), (10, 2)):
        level = next_level(now, crowded, Use(in_use, wanted=True), level, RULES)
        seen.append(level.slots)
    # a burst of less than six seconds changes nothing
    assert seen == [9, 9, 9, 8, 6, 4]
    level = next_level(12, CALM, Use(2, wanted=True), level, RULES)
    assert level.crowded_since is None


def test_what_runs_is_expected_to_grow_to_what_it_needs() -> None:
    use, level = Use(2, promised=4500), Level(4)
    assert why_not(CALM, use, level, Expected(700)) == ""
    assert why_not(CALM, use, level, Expected(900)) == (
        "waits for memory: needs about 900 MB; of 6.0 GB free, 800 MB are the reserve, and 4.5 GB are what running"
        " notebooks are expected to take yet"
    )


def test_one_may_always_go_on() -> None:
    empty = replace(CALM, free=0, memory_pressure=99)
    level = next_level(9, empty, Use(0, wanted=True), Level(4), RULES)
    assert why_not(empty, Use(0), level, Expected(9000)) == ""
    assert why_not(empty, Use(1), level, Expected(1)) == "waits for memory, which is short: 0 MB free"


def test_the_youngest_is_put_back_when_memory_has_been_short_for_ten_seconds_and_then_every_thirty() -> None:
    short = replace(CALM, free=300)
    level, put_back = Level(4), []
    for now in range(0, 60, 2):
        level = next_level(now, short, Use(3), level, RULES)
        if puts_back(now, short, Use(3), level):
            level = replace(level, put_back=now)
            put_back.append(now)
    assert put_back == [10, 40]


def test_where_hardly_any_memory_is_left_the_youngest_is_put_back_at_once_and_the_next_soon_after() -> None:
    least = replace(CALM, free=100)
    level, put_back = Level(4), []
    for now in range(0, 20, 2):
        level = next_level(now, least, Use(4 - len(put_back)), level, RULES)
        if puts_back(now, least, Use(4 - len(put_back)), level):
            level = replace(level, put_back=now)
            put_back.append(now)
    # the last one goes on
    assert put_back == [0, 6, 12]


def test_the_last_one_is_not_put_back_and_none_where_memory_is_there_again() -> None:
    short = replace(CALM, free=300)
    level = next_level(0, short, Use(1), Level(4), RULES)
    assert not puts_back(20, short, Use(1), level)
    assert not puts_back(20, CALM, Use(3), level)
    assert next_level(21, CALM, Use(3), level, RULES).short_since is None


def test_stalls_count_before_memory_is_half_of_the_reserve() -> None:
    assert not is_short(replace(CALM, free=600))
    assert is_short(replace(CALM, free=600, memory_pressure=30))
    assert not is_short(replace(CALM, memory_pressure=30))


@given(readings(), st.integers(0, 40), st.integers(1, 40), st.integers(1, 8), st.integers(1, 30), st.booleans())
def test_the_level_stays_between_its_bounds_and_changes_by_one_upwards_at_most(
    reading: Reading, in_use: int, before: int, base: int, most: int, wanted: bool
) -> None:
    rules = Rules(base, most)
    started = min(max(before, min(base, most)), most)
    level = next_level(100, reading, Use(in_use, wanted), Level(before), rules)
    assert 1 <= min(base, most) <= level.slots <= most
    assert level.slots <= started + 1


@given(readings(), st.integers(1, 40), st.floats(0, 9000), st.floats(0, 9000))
def test_whatever_starts_beside_another_leaves_the_reserve_alone(
    reading: Reading, in_use: int, promised: float, need: float
) -> None:
    if not why_not(reading, Use(in_use, promised=promised), Level(50), Expected(need)) and reading.free is not None:
        assert reading.free - promised - need >= reserve(reading) - 1e-6


@given(readings(), st.floats(0, 9000), st.floats(0, 9000), st.floats(0, 9000))
def test_less_need_and_more_free_memory_never_keep_something_from_starting(
    reading: Reading, free: float, need: float, more: float
) -> None:
    tight = replace(reading, memory=8000, free=free)
    if not why_not(tight, Use(2), Level(9), Expected(need + more)):
        assert not why_not(tight, Use(2), Level(9), Expected(need))
        assert not why_not(replace(tight, free=free + more), Use(2), Level(9), Expected(need))


@given(readings())
def test_what_does_not_change_leads_to_one_level_and_stays_there(reading: Reading) -> None:
    level, seen = Level(4), []
    for now in range(0, 80, 2):
        level = next_level(now, reading, Use(level.slots, wanted=True), level, RULES)
        seen.append(level.slots)
    assert seen == sorted(seen)
    assert len(set(seen[-10:])) == 1
