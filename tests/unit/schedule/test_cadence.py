# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which reference dates a trigger is for: dates match as croniter says, and each that is left out has its reason."""

from __future__ import annotations

import datetime as dt

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from autoflow.dates.date_stencil import Interval
from autoflow.dates.days import Days
from autoflow.definitions import Trigger
from autoflow.schedule.cadence import check_dates, matching_days, overlap, reference_days, why_excluded

FIRST = dt.date(2016, 1, 1)


def date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def matching(expression: str, year: int, most: int = 4) -> list[str]:
    return [dt.date.fromordinal(day).isoformat()[5:] for day in matching_days(expression, year, year)][:most]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * sun", ["01-03", "01-10", "01-17", "01-24"]),
        ("* * 7", ["01-03", "01-10", "01-17", "01-24"]),
        ("L * *", ["01-31", "02-29", "03-31", "04-30"]),
        ("15,L FEB *", ["02-15", "02-29"]),
        ("1 1,4,7,10 *", ["01-01", "04-01", "07-01", "10-01"]),
        ("* * sun#1", ["01-03", "02-07", "03-06", "04-03"]),
        ("* * sun#5", ["01-31", "05-29", "07-31", "10-30"]),
        ("* * L5", ["01-29", "02-26", "03-25", "04-29"]),
        ("* 2 mon#5", ["02-29"]),
        ("? * mon", ["01-04", "01-11", "01-18", "01-25"]),
        # cron takes either where both days are restricted
        ("15 * mon", ["01-04", "01-11", "01-15", "01-18"]),
        ("*/10 1 *", ["01-01", "01-11", "01-21", "01-31"]),
    ],
)
def test_dates_match_as_in_cron(expression: str, expected: list[str]) -> None:
    check_dates(expression)
    assert matching(expression, 2016) == expected


@settings(deadline=None)
@given(
    st.sampled_from(["*", "?", "1", "L", "1,15", "*/2", "10-20", "29", "31", "L,1", "1-31"]),
    st.sampled_from(["*", "2", "1,4,7,10", "feb", "*/3", "jan-mar", "11-2"]),
    st.sampled_from(
        ["*", "?", "sun", "0", "7", "L5", "L0", "sun#1", "fri#2,fri#4", "1-5", "*/2", "sat-sun", "sun,wed"]
    ),
    st.integers(1971, 2090),
)
def test_whatever_is_accepted_matches_as_croniter_says(day: str, month: str, weekday: str, year: int) -> None:
    expression = f"{day} {month} {weekday}"
    try:
        check_dates(expression)
    except ValueError:
        return
    ticks = croniter(f"0 0 {expression}", dt.datetime(year - 1, 12, 31), ret_type=dt.datetime)
    expected = []
    while (tick := ticks.get_next()).year <= year + 2:
        expected.append(tick.toordinal())
    assert list(matching_days(expression, year, year + 2)) == expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("sun", "found 'sun' with 1 field, expected three (day of month, month, day of week), such as '* * sun'"),
        ("0 0 * * sun", "with 5 fields, expected three (day of month, month, day of week), such as '* * sun' for every"
         " Sunday; leave out minute and hour"),
        ("@weekly", "found '@weekly' with 1 field"),
        ("", "found '' with 0 fields"),
        ("* * son", "whose day of week 'son' cannot be read; expected 0 to 7, or sun to sat"),
        ("32 * *", "whose day of month '32' cannot be read; expected 1 to 31, or L for the last"),
        ("* 13 *", "whose month '13' cannot be read"),
        ("* * sun#6", "whose day of week 'sun#6' cannot be read"),
        ("H * *", "whose day of month 'H' cannot be read"),
        ("* R *", "whose month 'R' cannot be read"),
        ("* * h", "whose day of week 'h' cannot be read"),
        ("30 2 *", "'30 2 *' never matches: there is no such date"),
        ("15 * sun#1", "which restricts both days"),
        ("1W * sun", "which restricts both days"),
        ("L * L5", "which restricts both days"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_or_never_matches_is_told(expression: str, words: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        check_dates(expression)
    assert words in str(raised.value)


def intervals() -> st.SearchStrategy[tuple[Interval, ...]]:
    day = st.integers(0, 60).map(lambda days: FIRST + dt.timedelta(days=days))
    return st.lists(st.tuples(day, st.integers(1, 10)), max_size=3).map(
        lambda pairs: tuple((start, start + dt.timedelta(days=length)) for start, length in pairs)
    )


@given(
    earliest=st.none() | st.dates(FIRST, dt.date(2016, 2, 1)),
    latest=st.none() | st.dates(FIRST, dt.date(2016, 3, 1)),
    dates=st.sampled_from([None, "* * sun", "L * *", "1 * wed"]),
    exclude=intervals(),
)
def test_a_date_is_left_out_when_and_only_when_there_is_a_reason(
    earliest: dt.date | None, latest: dt.date | None, dates: str | None, exclude: tuple[Interval, ...]
) -> None:
    trigger = Trigger("w", earliest_date=earliest, latest_date=latest, dates=dates, exclude=exclude)
    days = Days(((FIRST.toordinal(), FIRST.toordinal() + 80),))
    expected = [day for day in days if why_excluded(trigger, dt.date.fromordinal(day)) is None]
    assert list(reference_days(trigger, days)) == expected


@pytest.mark.parametrize(
    ("keys", "day", "reason"),
    [
        ({"earliest_date": date("2016-01-08")}, "2016-01-07", "before the earliest date, 2016-01-08"),
        ({"latest_date": date("2016-01-08")}, "2016-01-09", "after the latest date, 2016-01-08"),
        ({"dates": "* * sun"}, "2016-01-04", "not one of the dates '* * sun'; the next one is 2016-01-10"),
        ({"dates": "* * sun", "exclude": ((date("2016-01-10"), date("2016-01-11")),)}, "2016-01-04",
         "not one of the dates '* * sun'; the next one is 2016-01-17"),
        ({"dates": "29 2 *"}, "2017-01-04", "not one of the dates '29 2 *'"),
        ({"exclude": ((date("2016-01-04"), date("2016-01-05")),)}, "2016-01-04",
         "excluded in workflows.yml: 2016-01-04"),
        ({"exclude": ((date("2016-01-04"), date("2016-01-08")),)}, "2016-01-07",
         "excluded in workflows.yml: 2016-01-04 to 2016-01-07"),
        ({"exclude": ((date("2016-01-04"), date("2016-01-08")),)}, "2016-01-08", None),
        ({"latest_date": date("2016-01-08"), "earliest_date": date("2016-01-08")}, "2016-01-08", None),
    ],
)  # fmt: skip
def test_the_reason_is_in_words(keys: dict[str, object], day: str, reason: str | None) -> None:
    assert why_excluded(Trigger("w", **keys), date(day)) == reason  # type: ignore[arg-type]


def test_the_calendars_ends_are_dates_as_well() -> None:
    ends = Days.of([1, dt.date.max.toordinal()])
    assert len(reference_days(Trigger("w", dates="1,31 * *"), ends)) == 2
    assert why_excluded(Trigger("w", dates="1 * *"), dt.date.max) == "not one of the dates '1 * *'"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({}, {}, True),
        ({"earliest_date": FIRST}, {"latest_date": FIRST}, True),
        ({"earliest_date": date("2016-01-02")}, {"latest_date": FIRST}, False),
        ({"dates": "* * sun"}, {"dates": "* * mon"}, False),
        ({"dates": "* * sun"}, {"dates": "L * *"}, True),
        ({"dates": "* 2 sun#5", "earliest_date": date("2080-01-01")}, {}, True),
        ({"dates": "* * sun", "earliest_date": date("2016-01-04"), "latest_date": date("2016-01-09")}, {}, False),
        ({"exclude": ((date("0001-01-01"), date("2016-01-01")),)}, {"latest_date": date("2015-12-31")}, False),
        ({"exclude": ((date("1500-01-01"), date("2900-01-01")),)}, {}, True),
    ],
)
def test_triggers_that_are_for_a_date_both_are_told_from_those_that_are_not(
    one: dict[str, object], other: dict[str, object], both: bool
) -> None:
    assert overlap(Trigger("w", **one), Trigger("w", **other)) is both  # type: ignore[arg-type]
