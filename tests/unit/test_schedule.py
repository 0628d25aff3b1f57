# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ticks, in UTC and across changes of clocks."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

from autoflow.schedule import Schedule, check_schedule, check_timezone, next_tick

UTC = dt.UTC


def ticks(expression: str, zone: str, start: str, number: int) -> list[str]:
    moment = dt.datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = []
    for _ in range(number):
        moment = next_tick(Schedule(expression, zone), moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


def test_ticks_are_in_utc_and_after_the_moment() -> None:
    assert ticks("0 0 * * *", "UTC", "2026-01-01 00:00", 2) == ["01-02 00:00", "01-03 00:00"]
    assert ticks("@daily", "UTC", "2026-01-01 12:30", 1) == ["01-02 00:00"]


def test_a_time_zone_shifts_the_ticks() -> None:
    assert ticks("0 6 * * *", "Asia/Kathmandu", "2026-01-01 00:00", 2) == ["01-01 00:15", "01-02 00:15"]


def test_a_tick_that_clocks_leap_over_happens_once_right_after() -> None:
    # Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC
    assert ticks("30 2 * * *", "Europe/Berlin", "2026-03-27 12:00", 4) == [
        "03-28 01:30", "03-29 01:00", "03-30 00:30", "03-31 00:30",
    ]  # fmt: skip


def test_a_tick_whose_time_comes_twice_happens_the_first_time() -> None:
    # Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC
    assert ticks("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", 3) == ["10-25 00:30", "10-26 01:30", "10-27 01:30"]


@pytest.mark.parametrize("start", ["2026-03-28 21:30", "2026-10-24 21:30"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "UTC"])
def test_hourly_ticks_go_on_hourly(start: str, zone: str) -> None:
    moment = dt.datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = []
    for _ in range(8):
        moment = next_tick(Schedule("*/30 * * * *", zone), moment)
        found.append(moment)
    assert {later - earlier for earlier, later in pairwise(found)} == {dt.timedelta(minutes=30)}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Africa/Accra"])
def test_a_year_of_days_has_a_tick_each(zone: str) -> None:
    moment, found = dt.datetime(2026, 1, 1, tzinfo=UTC), []
    while moment.year == 2026:
        moment = next_tick(Schedule("0 0 * * *", zone), moment)
        found.append(moment)
    gaps = {later - earlier for earlier, later in pairwise(found)}
    assert len(found) in (365, 366)
    assert min(gaps) >= dt.timedelta(hours=22)
    assert max(gaps) <= dt.timedelta(hours=25)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 31 2 *", "never ticks"),
        ("* * * *", "with 4 fields"),
        ("0 0 * * * *", "with 6 fields"),
        ("", "with 0 fields"),
        ("61 0 * * *", "no cron expression"),
        ("a b c d e", "no cron expression"),
        ("@reboot", "no cron expression"),
    ],
)
def test_what_is_no_schedule_is_told(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_schedule(Schedule(expression), dt.datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "Europe"])
def test_what_is_no_time_zone_is_told(name: str) -> None:
    with pytest.raises(ValueError, match="IANA time zone"):
        check_timezone(name)
