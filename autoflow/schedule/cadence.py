# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which reference dates a trigger is for, whatever data there is."""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from functools import lru_cache
from typing import Protocol

from croniter import croniter
from croniter.croniter import CroniterBadDateError

from autoflow.dates import Days, Interval, Stretch
from autoflow.schedule.schedule import FIELDS, check_fields
from autoflow.wording import counted, shown

DATE_FIELDS = tuple(FIELDS)[2:]
"""The fields of a cron expression that dates are told by."""

ALL_MONTHS = 2001, 2028
"""Years that have a month of each kind: of each length, begun on each day of the week."""

LONGEST_GAP = 41 * 366
"""Days within which whatever matches matches again: February has five Sundays once in 40 years, around 2100."""

RECENT = dt.date(2000, 1, 1).toordinal()

DAY = dt.timedelta(days=1)


class Cadence(Protocol):
    """What restricts the reference dates of a trigger."""

    @property
    def earliest_date(self) -> dt.date | None: ...

    @property
    def latest_date(self) -> dt.date | None: ...

    @property
    def dates(self) -> str | None:
        """Cron fields that a reference date has to match: day of month, month, day of week."""

    @property
    def exclude(self) -> tuple[Interval, ...]:
        """Reference dates that are not run."""


@lru_cache(maxsize=256)
def check_dates(expression: str) -> None:
    """Check that a restriction to dates can be read, and is ever met.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    fields = expression.split()
    if len(fields) != len(DATE_FIELDS):
        hint = "; leave out minute and hour" if len(fields) == len(FIELDS) else ""
        raise ValueError(
            f"found {shown(expression)} with {counted(len(fields), 'field')}, expected three"
            f" ({', '.join(DATE_FIELDS)}), such as '* * sun' for every Sunday{hint}"
        )
    check_fields(expression, zip(DATE_FIELDS, fields, strict=True))
    day_of_month, _, day_of_week = (field.lower() for field in fields)
    special = "w" in day_of_month or "#" in day_of_week or "l" in day_of_week
    if special and not {day_of_month, day_of_week} & {"*", "?"}:
        # croniter wants both of these, where it takes either of all others
        raise ValueError(
            f"found {shown(expression)}, which restricts both days; with W, # or a last day of the week (L5) the other"
            " one must be *"
        )
    try:
        croniter(f"0 0 {expression}", dt.datetime(ALL_MONTHS[0], 1, 1)).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{shown(expression)} never matches: there is no such date") from None


def reference_days(trigger: Cadence, among: Days) -> Days:
    """Return those of some days that a trigger is for."""
    days = among & bounds(trigger)
    if trigger.dates is not None and days:
        first, last = days.stretches[0][0], days.stretches[-1][1] - 1
        days &= matching_days(trigger.dates, dt.date.fromordinal(first).year, dt.date.fromordinal(last).year)
    return days - Days.joined((start.toordinal(), end.toordinal()) for start, end in trigger.exclude)


def overlap(one: Cadence, other: Cadence) -> bool:
    """Whether two triggers are both for some date; a trigger and itself, whether it is for any at all."""
    days = bounds(one) & bounds(other)
    excluded = [interval for trigger in (one, other) for interval in trigger.exclude]
    for first, end in days.stretches:
        # a few decades before or after all that is excluded tell of the rest of the calendar
        start = max(first, min([end, RECENT, *(start.toordinal() for start, _ in excluded)]) - LONGEST_GAP)
        stop = min(end, max([start, *(end.toordinal() for _, end in excluded)]) + LONGEST_GAP)
        # most are met within a year, and decades take their time
        some = Days(((start, min(stop, start + 366)),)), Days(((start, stop),))
        return any(reference_days(one, days) & reference_days(other, days) for days in some)
    return False


def bounds(trigger: Cadence) -> Days:
    """Return all days from a trigger's earliest date to its latest."""
    earliest, latest = trigger.earliest_date or dt.date.min, trigger.latest_date or dt.date.max
    return Days.joined([(earliest.toordinal(), latest.toordinal() + 1)])


def why_excluded(trigger: Cadence, date: dt.date) -> str | None:
    """Say why a trigger is not for a date; None when it is."""
    if trigger.earliest_date is not None and date < trigger.earliest_date:
        return f"before the earliest date, {trigger.earliest_date}"
    if trigger.latest_date is not None and date > trigger.latest_date:
        return f"after the latest date, {trigger.latest_date}"
    if trigger.dates is not None and not matches(trigger.dates, date):
        following = _following(trigger, date)
        return f"not one of the dates '{trigger.dates}'{f'; the next one is {following}' if following else ''}"
    for start, end in trigger.exclude:
        if start <= date < end:
            return f"excluded in workflows.yml: {_words((start, end))}"
    return None


def matches(expression: str, date: dt.date) -> bool:
    """Whether a date matches a restriction to dates."""
    return date.toordinal() in matching_days(expression, date.year, date.year)


@lru_cache(maxsize=256)
def matching_days(expression: str, first_year: int, last_year: int) -> Days:
    """Return the days of some years that match a restriction to dates, by croniter's rules."""
    day_of_month, months, day_of_week = expression.split()
    wanted = croniter(f"0 0 1 {months} *").expanded[3]
    stretches: list[Stretch] = []
    for year in range(first_year, last_year + 1):
        for month in range(1, 13):
            if wanted == ["*"] or month in wanted:
                start = dt.date(year, month, 1).toordinal()
                days = _days_of_month(day_of_month, day_of_week, *monthrange(year, month))
                stretches += [(start + begin, start + end) for begin, end in days.stretches]
    return Days.joined(stretches)


@lru_cache(maxsize=1024)
def _days_of_month(day_of_month: str, day_of_week: str, weekday: int, length: int) -> Days:
    """Find the days that match in months that begin on a day of the week and have so many days, from 0.

    There are 28 kinds of months, and croniter takes its time.
    """
    first = next(
        dt.datetime(year, month, 1)
        for year in range(ALL_MONTHS[0], ALL_MONTHS[1] + 1)
        for month in range(1, 13)
        if monthrange(year, month) == (weekday, length)
    )
    cron = croniter(f"0 0 {day_of_month} * {day_of_week}", first - DAY, ret_type=dt.datetime)
    days = []
    while (day := (cron.get_next() - first).days) < length:
        days.append(day)
    return Days.of(days)


def _following(trigger: Cadence, date: dt.date) -> dt.date | None:
    """Find the next date that a trigger is for, unless that is far off."""
    day = date.toordinal()
    days = reference_days(trigger, Days(((day, min(day + 366, dt.date.max.toordinal()) + 1),)))
    return dt.date.fromordinal(days.stretches[0][0]) if days else None


def _words(interval: Interval) -> str:
    start, last = interval[0], interval[1] - DAY
    return str(start) if start == last else f"{start} to {last}"
