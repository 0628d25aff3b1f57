# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""First days of weeks, months, quarters and years around a reference date, whatever their lengths."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal, Self, get_args

Unit = Literal["week", "month", "quarter", "year"]

UNITS: tuple[Unit, ...] = get_args(Unit)

MONTHS = {"month": 1, "quarter": 3, "year": 12}

LEAST_DAYS = {"week": 7, "month": 28, "quarter": 90, "year": 365}

CYCLE_YEARS, CYCLE_DAYS = 400, 146_097
"""The calendar repeats itself, with its days of the week."""

FIRST_DAY = rf"({'|'.join(UNITS)})(?: *([+-]) *(\d+))?"
"""How one is written: ``month``, ``month-1``, ``month + 1``."""


@dataclass(frozen=True)
class FirstDay:
    """The first day of the ISO week, month, quarter or year of a reference date, or of one before or after it.

    Added to a reference date's ordinal it gives its own, as an offset in days does.
    """

    unit: Unit
    offset: int = 0
    days: int = 0
    """Days after the first."""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Take what is written as `FIRST_DAY` says; None for anything else."""
        match = re.fullmatch(FIRST_DAY, text, re.ASCII)
        if match is None or len(text) > 40:
            return None
        name, sign, number = match.groups()
        unit = next(unit for unit in UNITS if unit == name)
        return cls(unit, int(f"{sign}{number}") if sign else 0)

    def __str__(self) -> str:
        return f"{self.unit}{f'{self.offset:+}' if self.offset else ''}{f'{self.days:+}d' if self.days else ''}"

    def __radd__(self, day: int) -> int:
        return _start(self.unit, _index(self.unit, day) + self.offset) + self.days

    def first_from(self, day: int) -> int:
        """Return the first reference date for which it is a day or a later one."""
        wanted = day - self.days
        index = _index(self.unit, wanted)
        return _start(self.unit, index + (_start(self.unit, index) < wanted) - self.offset)


def starts_of(unit: Unit, first: int, end: int) -> list[int]:
    """List the first days of the weeks, months, quarters or years that begin in [first, end)."""
    starts = (_start(unit, index) for index in range(_index(unit, first), _index(unit, end) + 1))
    return [start for start in starts if first <= start < end]


def _start(unit: Unit, index: int) -> int:
    """Return the first day of a week, month, quarter or year that is counted from the calendar's beginning."""
    if unit == "week":
        return index * 7 + 1
    year, month = divmod(index * MONTHS[unit], 12)
    cycles, year = divmod(year, CYCLE_YEARS)
    # the years of the calendar that have no date of Python's are counted too
    return dt.date(year + CYCLE_YEARS, month + 1, 1).toordinal() + (cycles - 1) * CYCLE_DAYS


def _index(unit: Unit, day: int) -> int:
    """Count the weeks, months, quarters or years from the calendar's beginning to a day."""
    if unit == "week":
        return (day - 1) // 7
    cycles, day = divmod(day - 1, CYCLE_DAYS)
    date = dt.date.fromordinal(day + 1)
    return (12 * (date.year + cycles * CYCLE_YEARS) + date.month - 1) // MONTHS[unit]
