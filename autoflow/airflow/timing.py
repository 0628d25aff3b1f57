# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""When a DAG runs, in AutoFlow's terms: when to look for data, reference dates, and the days that they need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from croniter import croniter

from autoflow.airflow.values import Length, Moment, Unknown
from autoflow.dates import DateStencil
from autoflow.schedule import check_dates, check_timezone

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 1,4,7,10 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
DAY = 86400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEVER = dt.date.max
MANY = 60
"""Dates that are looked at to see how far apart they lie."""


@dataclass
class Timing:
    """The schedule of a sensor and the dates of a trigger; ``notes`` is what they do not say."""

    schedule: str = "0 * * * *"
    dates: str | None = None
    days: int = 1
    """Days of data that a run needs, from its reference date on."""
    unit: str | None = None
    """What a run needs instead, where its dates are the first days of it: a month, a quarter or a year."""
    timezone: str | None = None
    earliest: dt.date | None = None
    latest: dt.date | None = None
    notes: list[str] = field(default_factory=list)


def timing_of(arguments: Mapping[str, Any]) -> Timing:
    """Translate a DAG's schedule and dates.

    Airflow's run for a date begins when the interval that starts on that date is over. So that date is the reference
    date, and the stencil holds the days of the interval.
    """
    timing = Timing()
    defaults = arguments.get("default_args")
    given = {**(defaults if isinstance(defaults, dict) else {}), **arguments}
    _read_bounds(timing, given)
    names = ("schedule", "schedule_interval", "timetable")
    name = next((name for name in names if name in arguments), None)
    # what Airflow 2 takes where nothing is said
    schedule = arguments[name] if name else Length(seconds=DAY)
    _read_schedule(timing, schedule)
    if given.get("catchup") is False:
        timing.notes.append(
            "catchup=False: Airflow leaves out the dates before the DAG is switched on; AutoFlow runs all from"
            " earliest_date on, so set that to the first date that is wanted"
        )
    return timing


def _read_bounds(timing: Timing, given: Mapping[str, Any]) -> None:
    for name in ("start_date", "end_date"):
        moment = given.get(name)
        if isinstance(moment, Moment):
            setattr(timing, "earliest" if name == "start_date" else "latest", moment.date)
            if moment.timezone:
                _read_timezone(timing, moment.timezone)
        elif moment is not None:
            source = moment.source if isinstance(moment, Unknown) else str(moment)
            key = "earliest_date" if name == "start_date" else "latest_date"
            timing.notes.append(f"{name} is `{source}`, which only running the file would tell: set {key}")
    if timing.earliest and timing.latest and timing.earliest > timing.latest:
        timing.notes.append(f"end_date {timing.latest} is before start_date {timing.earliest}: set latest_date")
        timing.latest = None


def _read_timezone(timing: Timing, name: str) -> None:
    try:
        check_timezone(name)
    except ValueError:
        timing.notes.append(f"the time zone {name!r} is not known here")
    else:
        timing.timezone = None if name == "UTC" else name


def _read_schedule(timing: Timing, schedule: Any) -> None:
    if schedule is None:
        timing.earliest, timing.latest = NEVER, None
        timing.notes.append(
            "schedule=None: the DAG runs when somebody starts it. No date is run by itself here either;"
            " `autoflow backfill` runs the dates that are asked for"
        )
    elif schedule == "@once":
        if timing.earliest is None:
            timing.notes.append("schedule='@once': set earliest_date and latest_date to the date of the one run")
        timing.latest = timing.earliest
    elif isinstance(schedule, Length):
        _read_length(timing, schedule)
    elif isinstance(schedule, str) and schedule != "@continuous":
        _read_cron(timing, PRESETS.get(schedule, schedule))
    else:
        source = schedule.source if isinstance(schedule, Unknown) else repr(schedule)
        timing.notes.append(f"schedule is `{source}`: set dates and date_stencil")


def _read_length(timing: Timing, length: Length) -> None:
    """Translate an interval, which Airflow counts from the start date."""
    start = timing.earliest
    day = start.day if start else 1
    if length.months and not length.seconds and (12 % length.months == 0 or length.months % 12 == 0):
        first = start.month if start else 1
        months = sorted({(first - 1 + step) % 12 + 1 for step in range(0, 12, length.months)})
        _set_dates(timing, f"{day} {'*' if len(months) == 12 else ','.join(map(str, months))} *")
        if length.months > 12:
            timing.notes.append(f"it runs every {length.months // 12} years; AutoFlow runs it every year")
    elif not length.months and length.seconds == 7 * DAY:
        _set_dates(timing, f"* * {WEEKDAYS[start.weekday()] if start else 'mon'}")
    elif length.months or length.seconds % DAY or length.seconds <= 0:
        timing.notes.append("its interval is no whole number of days; AutoFlow has one run for each date")
    elif length.seconds != DAY:
        timing.days = int(length.seconds // DAY)
        timing.notes.append(f"it runs every {timing.days} days; cron fields cannot say that, so every date is run")
    if start is None and (length.months or length.seconds > DAY):
        timing.notes.append("Airflow counts its intervals from start_date, which is not known: check dates")


def _read_cron(timing: Timing, expression: str) -> None:
    fields = expression.split()
    if len(fields) != 5 or not croniter.is_valid(expression):
        timing.notes.append(f"schedule {expression!r} is no cron expression of five fields: set schedule and dates")
        return
    minute, hour, *dates = fields
    timing.schedule = f"{minute} {hour} * * *"
    if not (minute.isdigit() and hour.isdigit()):
        timing.notes.append(f"schedule {expression!r} runs several times a day; AutoFlow has one run for each date")
    if dates != ["*", "*", "*"]:
        _set_dates(timing, " ".join(dates))


def _set_dates(timing: Timing, dates: str) -> None:
    """Set the reference dates, and the days from each to the next."""
    try:
        check_dates(dates)
    except ValueError as error:
        timing.notes.append(f"dates: {error}")
        return
    timing.dates = dates
    walls = croniter(f"0 0 {dates}", dt.datetime(2023, 1, 1), ret_type=dt.datetime)
    days = [walls.get_next().toordinal() for _ in range(MANY)]
    gaps = {second - first for first, second in pairwise(days)}
    timing.days = max(gaps)
    timing.unit = next((unit for unit in ("month", "quarter", "year") if _are_first_days(days, unit)), None)
    if len(gaps) > 1 and not timing.unit:
        timing.notes.append(
            f"from one of its dates to the next it is {min(gaps)} to {max(gaps)} days: the stencil has the longest"
        )


def _are_first_days(days: list[int], unit: str) -> bool:
    """Whether some days are the first days of one month, quarter or year after the other."""
    stencil, dates = DateStencil.parse([[unit, f"{unit}+1"]]), map(dt.date.fromordinal, days)
    return all(stencil.intervals(first) == [(first, following)] for first, following in pairwise(dates))
