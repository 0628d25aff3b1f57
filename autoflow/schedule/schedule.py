# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""When ticks are: cron expressions in a time zone. Times are arguments; there is no clock in here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from croniter.croniter import CroniterBadDateError

from autoflow.wording import closest, shown

FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of month": "1 to 31, or L for the last",
    "month": "1 to 12, or jan to dec",
    "day of week": "0 to 7, or sun to sat",
}
"""The fields of a cron expression, and what each may hold."""

EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""No tick is sought before: time zones have no offsets to speak of at the calendar's very beginning."""

LATEST = dt.datetime(9990, 1, 1, tzinfo=dt.UTC)
"""No tick can be sought after: the next one may lie beyond the calendar's end."""


@dataclass(frozen=True)
class Schedule:
    """A cron expression of five fields (or an alias such as ``@daily``), read in an IANA time zone."""

    expression: str
    timezone: str = "UTC"


def check_schedule(schedule: Schedule, now: dt.datetime) -> None:
    """Check that a schedule can be read, and ever ticks.

    Parameters
    ----------
    schedule
        Its time zone is known to be valid.
    now
        Aware time; a tick must follow.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    found, fields = shown(schedule.expression), schedule.expression.split()
    alias = len(fields) == 1 and fields[0].startswith("@")
    if not alias and len(fields) != len(FIELDS):
        raise ValueError(
            f"found {found} with {len(fields)} fields, expected five ({', '.join(FIELDS)}),"
            " such as '0 0 * * *' for every midnight"
        )
    if alias and not _is_readable(schedule.expression):
        raise ValueError(f"found {found}, expected five fields ({', '.join(FIELDS)}), or @hourly, @daily, @weekly")
    if not alias:
        check_fields(schedule.expression, zip(FIELDS, fields, strict=True))
    try:
        next_tick(schedule, now)
    except CroniterBadDateError:
        raise ValueError(f"{found} never ticks: there is no such date") from None


def check_fields(expression: str, fields: Iterable[tuple[str, str]]) -> None:
    """Check that each field of a cron expression can be read, given with its name.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    for name, field in fields:
        alone = " ".join(field if each == name else "*" for each in FIELDS)
        if not _is_readable(alone):
            raise ValueError(
                f"found {shown(expression)}, whose {name} {shown(field)} cannot be read; expected {FIELDS[name]},"
                " *, lists (1,15), ranges (1-5) or steps (*/2)"
            )


def check_timezone(name: str) -> None:
    """Check that a time zone is known.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
        meant = closest(name, known)
        hint = f"; did you mean '{meant}'?" if meant else "" if known else "; install the package tzdata first"
        raise ValueError(
            f"found {shown(name)}, expected an IANA time zone such as 'Africa/Accra' or 'UTC'{hint}"
        ) from None


@lru_cache(maxsize=64)
def next_tick(schedule: Schedule, after: dt.datetime) -> dt.datetime:
    """Return the first tick after a moment.

    A tick that clocks leap over happens when they have leapt, and one whose time comes twice happens the
    first time. A schedule for every hour follows the hours that pass instead.

    Parameters
    ----------
    schedule
        A valid one.
    after
        Aware time, before ``LATEST``.

    Returns
    -------
    datetime
        Aware, in UTC.
    """
    zone = ZoneInfo(schedule.timezone)
    after = max(after, EARLIEST).astimezone(zone)
    wall = after.replace(tzinfo=None, fold=0)
    # where clocks are set back, an earlier time on the wall may be yet to come
    again = max(_offset(wall, zone, 0) - _offset(wall, zone, 1), dt.timedelta())
    walls = croniter(schedule.expression, wall - again, ret_type=dt.datetime)
    hourly = _is_hourly(walls)
    ticks: list[dt.datetime] = []
    candidate = wall
    while not ticks or candidate <= wall + again:
        candidate = walls.get_next()
        ticks += [moment for moment in _moments(candidate, zone, hourly=hourly) if moment > after]
    return min(ticks)


def _moments(wall: dt.datetime, zone: ZoneInfo, *, hourly: bool) -> list[dt.datetime]:
    """Return the moments at which a tick happens whose time is on the wall, in UTC."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if first > second:
        return [] if hourly else [_end_of_gap(second, first, zone)]
    return [first, second] if hourly and first < second else [first]


def _end_of_gap(before: dt.datetime, after: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Search the second at which clocks leap."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > dt.timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(wall: dt.datetime, zone: ZoneInfo, fold: int) -> dt.timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or dt.timedelta()


def _is_hourly(cron: croniter) -> bool:
    """Whether every hour has its ticks, so that they follow the hours rather than a time of day."""
    return bool(cron.expanded[1] == ["*"])


def _is_readable(expression: str) -> bool:
    # croniter also knows random and hashed fields (R, H): not the same times after a restart
    if any(field[0] in "hHrR" for field in expression.split()):
        return False
    return bool(croniter.is_valid(expression))
