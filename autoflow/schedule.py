# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""When ticks are: cron expressions in a time zone. Times are arguments; there is no clock in here."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadCronError, CroniterBadDateError

AROUND_A_CHANGE = dt.timedelta(hours=4)
"""Longer than any change of clocks, in both directions together."""


@dataclass(frozen=True)
class Schedule:
    """A cron expression of five fields (or an alias such as ``@daily``), read in an IANA time zone."""

    expression: str
    timezone: str = "UTC"


def check_schedule(schedule: Schedule, now: dt.datetime) -> None:
    """See that a schedule can be read, and ever ticks.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    fields = schedule.expression.split()
    if not (len(fields) == 5 or (len(fields) == 1 and fields[0].startswith("@"))):
        raise ValueError(
            f"found {schedule.expression!r} with {len(fields)} fields, expected five (minute, hour, day of month,"
            " month, day of week), such as '0 0 * * *' for every midnight"
        )
    try:
        next_tick(schedule, now)
    except CroniterBadDateError:
        raise ValueError(f"{schedule.expression!r} never ticks: there is no such date") from None
    except (CroniterBadCronError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"found {schedule.expression!r}, which is no cron expression ({error})") from None


def check_timezone(name: str) -> None:
    """See that a time zone is known.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"found {name!r}, expected an IANA time zone such as 'Africa/Accra' or 'UTC'") from None


def next_tick(schedule: Schedule, after: dt.datetime) -> dt.datetime:
    """Give the first tick after a moment.

    A tick that clocks leap over happens when they have, and one whose time comes twice happens the first
    time; a schedule for every hour goes on every hour.

    Parameters
    ----------
    schedule
        A valid one.
    after
        Aware time.

    Returns
    -------
    datetime
        Aware, in UTC.
    """
    if schedule.timezone == "UTC":
        naive = after.astimezone(dt.UTC).replace(tzinfo=None)
        return _following(schedule.expression, naive).replace(tzinfo=dt.UTC)
    zone = ZoneInfo(schedule.timezone)
    local = after.astimezone(zone).replace(tzinfo=None)
    ticks: list[dt.datetime] = []
    candidate = local - AROUND_A_CHANGE
    # wall time and time run in different orders around a change: look a little beyond the first hit
    while not ticks or candidate < local + AROUND_A_CHANGE:
        candidate = _following(schedule.expression, candidate)
        ticks += [moment for moment in _moments(candidate, zone, _is_hourly(schedule.expression)) if moment > after]
    return min(ticks)


def _following(expression: str, naive: dt.datetime) -> dt.datetime:
    following: dt.datetime = croniter(expression, naive, ret_type=dt.datetime).get_next()
    return following


def _moments(wall: dt.datetime, zone: ZoneInfo, hourly: bool) -> list[dt.datetime]:
    """Give the moments at which clocks in a zone show a time: none becomes the end of the gap, two the first."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if first == second:
        return [first]
    if first < second:
        return [first, second] if hourly else [first]
    return [_end_of_gap(second, first, zone)]


def _end_of_gap(before: dt.datetime, after: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Search the second at which a zone's offset from UTC changes."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > dt.timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


@lru_cache(maxsize=8)
def _is_hourly(expression: str) -> bool:
    """Whether ticks follow the hours that pass rather than a time of day, as cron itself tells them apart."""
    fields = expression.split()
    return expression == "@hourly" or (len(fields) == 5 and fields[1].startswith("*"))
