# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Schedules: when ticks are, also where clocks change, and which expressions are refused."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoflow.schedule.schedule import Schedule, check_schedule, check_timezone, next_tick

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)

# half an hour's change, two hours' change, changes at midnight, no changes, none at all
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Santiago",
    "Asia/Kathmandu",
    "UTC",
]


def ticks(expression: str, zone: str, after: str, count: int) -> list[str]:
    """List ticks as local times with their offset from UTC."""
    moment, told = dt.datetime.fromisoformat(after), []
    for _ in range(count):
        moment = next_tick(Schedule(expression, zone), moment)
        assert moment.tzinfo is dt.UTC
        told.append(f"{moment.astimezone(ZoneInfo(zone)):%m-%d %H:%M%z}")
    return told


def test_midnight_is_read_in_utc_by_default() -> None:
    assert next_tick(Schedule("0 0 * * *"), NOW) == dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def test_a_tick_is_after_the_moment_asked_for() -> None:
    midnight = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    assert next_tick(Schedule("0 0 * * *"), midnight) == midnight + dt.timedelta(days=1)
    assert next_tick(Schedule("0 0 * * *"), midnight - dt.timedelta(microseconds=1)) == midnight


def test_midnight_is_read_in_the_time_zone() -> None:
    assert ticks("0 0 * * *", "Asia/Kathmandu", "2026-11-23T12:00+00:00", 2) == ["11-24 00:00+0545", "11-25 00:00+0545"]


def test_a_time_that_clocks_leap_over_ticks_when_they_have_leapt() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+00:00", 2) == ["03-29 03:00+0200", "03-30 02:30+0200"]


def test_two_times_that_clocks_leap_over_tick_once() -> None:
    assert ticks("15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00+00:00", 2) == [
        "03-29 03:00+0200",
        "03-30 02:15+0200",
    ]


def test_a_time_that_comes_twice_ticks_the_first_time() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+00:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]


def test_a_schedule_for_every_hour_follows_the_hours() -> None:
    assert ticks("30 * * * *", "Europe/Berlin", "2026-03-29T00:00+00:00", 3) == [
        "03-29 01:30+0100",
        "03-29 03:30+0200",
        "03-29 04:30+0200",
    ]
    assert ticks("30 * * * *", "Europe/Berlin", "2026-10-25T00:00+00:00", 3) == [
        "10-25 02:30+0200",
        "10-25 02:30+0100",
        "10-25 03:30+0100",
    ]


@pytest.mark.parametrize("expression", ["@hourly", "0 * * * *", "0 0-23 * * *", "0 */1 * * *", "0 0-11,12-23 * * *"])
def test_every_hour_can_be_written_in_many_ways(expression: str) -> None:
    hours = ticks(expression, "Europe/Berlin", "2026-10-25T00:00+00:00", 2)
    assert hours == ["10-25 02:00+0100", "10-25 03:00+0100"]


def test_half_an_hours_change_of_clocks_is_a_change() -> None:
    assert ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00+00:00", 2) == [
        "10-04 02:30+1100",
        "10-05 02:15+1100",
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_the_beginning_of_the_calendar_has_a_next_tick(zone: str) -> None:
    """A daemon that is to tick at once asks for what follows the earliest moment there is."""
    assert next_tick(Schedule("0 0 * * *", zone), dt.datetime.min.replace(tzinfo=dt.UTC)) < NOW


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Africa/Accra"])
def test_each_day_of_a_year_has_its_tick(zone: str) -> None:
    moment, dates = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC), []
    for _ in range(365):
        moment = next_tick(Schedule("0 0 * * *", zone), moment)
        dates.append(moment.astimezone(ZoneInfo(zone)).date())
    assert dates == [dt.date(2026, 1, 2) + dt.timedelta(days=number) for number in range(365)]


@pytest.mark.parametrize("start", ["2026-04-04T12:00+00:00", "2026-10-03T12:00+00:00", "2026-10-24T22:00+00:00"])
@pytest.mark.parametrize("zone", ZONES)
def test_half_hourly_ticks_are_half_an_hour_apart(zone: str, start: str) -> None:
    moment = next_tick(Schedule("*/30 * * * *", zone), dt.datetime.fromisoformat(start))
    for _ in range(12):
        following = next_tick(Schedule("*/30 * * * *", zone), moment)
        assert following - moment == dt.timedelta(minutes=30)
        moment = following


def reference_ticks(
    minutes: set[int], hours: set[int], zone: ZoneInfo, start: dt.datetime, end: dt.datetime
) -> list[dt.datetime]:
    """Walk over all minutes with an eye on the wall clock, and note the ticks."""
    found, seen = [], set()
    moment = start - dt.timedelta(days=1)
    before = (moment - MINUTE).astimezone(zone).replace(tzinfo=None)
    while moment < end:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        leapt = [before + MINUTE * number for number in range(1, (wall - before) // MINUTE)]
        shown = [wall] if len(hours) == 24 else [time for time in [*leapt, wall] if time not in seen]
        if moment > start and any(time.minute in minutes and time.hour in hours for time in shown):
            found.append(moment)
        seen.update(shown)
        before, moment = wall, moment + MINUTE
    return found


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    change=st.sampled_from(
        ["2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-04", "2026-10-25", "2026-11-01"]
    ),
    offset=st.integers(-1800, 1800),
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 4), min_size=1, max_size=3) | st.just(set(range(24))),
)
def test_ticks_are_those_that_a_watcher_of_the_wall_clock_counts(
    zone: str, change: str, offset: int, minutes: set[int], hours: set[int]
) -> None:
    start = dt.datetime.fromisoformat(change).replace(tzinfo=dt.UTC) + dt.timedelta(minutes=offset)
    expression = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    expected = reference_ticks(minutes, hours, ZoneInfo(zone), start, start + dt.timedelta(hours=40))
    found, moment = [], start
    for _ in expected:
        moment = next_tick(Schedule(expression, zone), moment)
        found.append(moment)
    assert found == expected


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    expression=st.sampled_from(
        ["0 0 * * *", "*/7 * * * *", "30 2 * * sun", "15 1-3 * * *", "0 0 L * *", "@weekly", "59 23 31 12 *"]
    ),
    after=st.datetimes(dt.datetime(1995, 1, 1), dt.datetime(2090, 1, 1), timezones=st.just(dt.UTC)),
    share=st.floats(0, 0.999),
)
def test_asked_again_before_a_tick_the_answer_stays(
    zone: str, expression: str, after: dt.datetime, share: float
) -> None:
    schedule = Schedule(expression, zone)
    tick = next_tick(schedule, after)
    assert tick > after
    microseconds = int((tick - after) / dt.timedelta(microseconds=1) * share)
    assert next_tick(schedule, after + dt.timedelta(microseconds=microseconds)) == tick


@pytest.mark.parametrize(
    "expression",
    ["0 0 * * *", "*/5 * * * *", "@daily", "@hourly", "0 6 * * mon-fri", "0 0 L * *", "0 0 29 2 *", " 0 0 1,15 * * "],
)
def test_usual_expressions_are_taken(expression: str) -> None:
    check_schedule(Schedule(expression), NOW)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "found '' with 0 fields, expected five"),
        ("0 0 * *", "found '0 0 [*] [*]' with 4 fields, expected five"),
        ("0 0 0 * * *", "with 6 fields, expected five"),
        ("60 0 * * *", "whose minute '60' cannot be read; expected 0 to 59"),
        ("0 24 * * *", "whose hour '24' cannot be read; expected 0 to 23"),
        ("0 0 0 * *", "whose day of month '0' cannot be read; expected 1 to 31"),
        ("0 0 * 13 *", "whose month '13' cannot be read; expected 1 to 12"),
        ("0 0 * * funday", "whose day of week 'funday' cannot be read; expected 0 to 7"),
        ("*/0 * * * *", "whose minute '[*]/0' cannot be read"),
        ("R 0 * * *", "whose minute 'R' cannot be read"),
        ("H 0 * * *", "whose minute 'H' cannot be read"),
        ("@reboot", "found '@reboot', expected five fields"),
        ("0 0 31 2 *", "'0 0 31 2 [*]' never ticks: there is no such date"),
        ("0 0 31 4,6 *", "never ticks"),
    ],
)
def test_a_wrong_expression_is_told_with_its_field(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_schedule(Schedule(expression), NOW)


@settings(deadline=None)
@given(st.text(alphabet="0123456789*/,-#?LWRH@ abcdejfmon", max_size=24))
def test_any_text_is_a_schedule_or_is_refused(text: str) -> None:
    try:
        check_schedule(Schedule(text), NOW)
    except ValueError as error:
        assert "found" in str(error) or "never ticks" in str(error)  # noqa: PT017
    else:
        assert next_tick(Schedule(text), NOW) > NOW


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Africa/Accra"])
def test_iana_time_zones_are_taken(name: str) -> None:
    check_timezone(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Europe/Berlim", "did you mean 'Europe/Berlin'"),
        ("africa/accra", "did you mean 'Africa/Accra'"),
        ("Africa", "found 'Africa', expected an IANA time zone"),
        ("", "found '', expected an IANA time zone"),
        ("../../etc/passwd", "expected an IANA time zone"),
        ("a\0b", "expected an IANA time zone"),
    ],
)
def test_another_time_zone_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_timezone(name)
