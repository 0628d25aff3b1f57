# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Date stencils: patterns of dates relative to a reference date, and whether their data is there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from autoflow.dates.days import Days
from autoflow.wording import closest, shown

Element = dt.date | int
Pair = tuple[Element, Element]
Interval = tuple[dt.date, dt.date]
"""Half-open: [start, end)."""

Complaint = tuple[tuple[int, ...], str]
"""The position of a mistake, such as (0, 1) for the end of the first pair, and what is wrong there."""

ENDS = ("start", "end")

LAST_DAY = Days.of([dt.date.max.toordinal()])
EVERY_DAY = Days(((dt.date.min.toordinal(), dt.date.max.toordinal() + 1),))


class EmptyIntervalError(ValueError):
    """A pair of a date and an offset that holds no day for a reference date."""


class StencilError(ValueError):
    """All that is wrong with a stencil as people wrote it.

    Its message counts elements from 1.
    """

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(f"{_where(position)}{message}" for position, message in self.complaints))


class AvailableDates:
    """The dates that have data."""

    def __init__(self, dates: Iterable[dt.date] | Days) -> None:
        days = dates if isinstance(dates, Days) else Days.of(date.toordinal() for date in dates)
        # the calendar's last day is in no half-open interval: none can end after it
        self.days = days - LAST_DAY

    def __contains__(self, date: dt.date) -> bool:
        return date.toordinal() in self.days

    def complete(self, stencil: DateStencil) -> Days:
        """Return those of them for which all dates of a stencil are there."""
        return self.days & stencil.complete(self.days)

    @property
    def ends(self) -> Interval | None:
        """The first and the last of them; None when there are none."""
        stretches = self.days.stretches
        return (dt.date.fromordinal(stretches[0][0]), dt.date.fromordinal(stretches[-1][1] - 1)) if stretches else None


@dataclass(frozen=True)
class DateStencil:
    """A list of half-open pairs, each end an absolute date or an offset in days from the reference date."""

    pairs: tuple[Pair, ...]

    @classmethod
    def parse(cls, raw: Any) -> DateStencil:
        """Read a stencil as YAML gives it.

        Parameters
        ----------
        raw
            A list of dates (or ISO strings), integer offsets in days, and pairs of either; a single d
            stands for [d, d + 1).

        Raises
        ------
        StencilError
            Naming each wrong element, what was found and what was expected.
        """
        if not _is_list(raw) or not raw:
            example = "expected a list of dates, offsets in days and pairs of them, such as [[-7, 0], 0]"
            raise StencilError([((), f"found {shown(raw)}, {example}")])
        pairs: list[Pair] = []
        complaints: list[Complaint] = []
        for number, element in enumerate(raw):
            try:
                pairs.append(_pair(element, (number,)))
            except StencilError as error:
                complaints += error.complaints
        if complaints:
            raise StencilError(complaints)
        return cls(tuple(pairs))

    def intervals(self, reference_date: dt.date) -> list[Interval]:
        """Return the intervals for a reference date.

        Raises
        ------
        EmptyIntervalError
            When one holds no day, or lies beyond the years 1 to 9999.
        """
        intervals = []
        for pair in self.pairs:
            start, end = (_ordinal(element, reference_date) for element in pair)
            try:
                interval = dt.date.fromordinal(start), dt.date.fromordinal(end)
            except (ValueError, OverflowError) as error:
                raise EmptyIntervalError(f"{_words(pair)} is beyond the calendar for {reference_date}") from error
            if start >= end:
                raise EmptyIntervalError(
                    f"{_words(pair)} is empty for {reference_date}: [{interval[0]}, {interval[1]})"
                )
            intervals.append(interval)
        return intervals

    def missing(self, reference_date: dt.date, available: AvailableDates) -> list[dt.date]:
        """List the dates that the stencil needs and that are not there, in order.

        Raises
        ------
        EmptyIntervalError
            As `intervals` does.
        """
        days = {
            day
            for start, end in self.intervals(reference_date)
            for day in range(start.toordinal(), end.toordinal())
            if day not in available.days
        }
        return [dt.date.fromordinal(day) for day in sorted(days)]

    def complete(self, available: Days) -> Days:
        """Return the reference dates for which all dates of the stencil are there."""
        complete = EVERY_DAY
        moving = []
        for start, end in self.pairs:
            if isinstance(start, int) and isinstance(end, int):
                moving.append((start, end))
                continue
            # the stretch that an absolute end has to be in, and the one that it leaves the other end
            fixed = start.toordinal() if isinstance(start, dt.date) else end.toordinal() - 1  # type: ignore[union-attr]
            stretch = available.stretch_at(fixed)
            if stretch is None:
                return Days()
            if isinstance(start, dt.date) and isinstance(end, dt.date):
                if stretch[1] < end.toordinal():
                    return Days()
            elif isinstance(end, int):
                complete &= Days(((fixed + 1 - end, stretch[1] + 1 - end),))
            elif isinstance(start, int):
                complete &= Days(((stretch[0] - start, fixed + 1 - start),))
        # a month written day by day is one window
        for start, end in Days.joined(moving).stretches:
            complete &= available.windows(start, end)
        return complete


def parse_intervals(raw: Any) -> tuple[Interval, ...]:
    """Read a list of dates and of half-open pairs of dates, as stencils have them but without offsets.

    Raises
    ------
    StencilError
        Naming each wrong element, what was found and what was expected.
    """
    if not _is_list(raw):
        example = "expected a list of dates and pairs of dates, such as [2016-01-01, [2016-12-24, 2017-01-01]]"
        raise StencilError([((), f"found {shown(raw)}, {example}")])
    intervals: list[Interval] = []
    complaints: list[Complaint] = []
    for number, element in enumerate(raw):
        try:
            start, end = _pair(element, (number,))
        except StencilError as error:
            complaints += error.complaints
            continue
        if isinstance(start, dt.date) and isinstance(end, dt.date):
            intervals.append((start, end))
        else:
            found = shown(element) if isinstance(element, int) else _words((start, end))
            complaints.append(((number,), f"found {found}, expected dates (YYYY-MM-DD) and no offsets"))
    if complaints:
        raise StencilError(complaints)
    return tuple(intervals)


REFERENCE_DATE_ONLY = DateStencil(((0, 1),))
"""The default: a run needs the data of its reference date."""


def as_date(raw: Any) -> dt.date | None:
    """Take a date, or the text YYYY-MM-DD; None when it is neither."""
    if isinstance(raw, str):
        try:
            date = dt.date.fromisoformat(raw)
        except ValueError:
            return None
        # Python reads 20160101 and 2016-W01-1 as well
        return date if date.isoformat() == raw else None
    return raw if isinstance(raw, dt.date) and not isinstance(raw, dt.datetime) else None


def _ordinal(element: Element, reference_date: dt.date) -> int:
    return element.toordinal() if isinstance(element, dt.date) else reference_date.toordinal() + element


def _pair(raw: Any, position: tuple[int, ...]) -> Pair:
    if not _is_list(raw):
        element = _element(raw, position)
        if isinstance(element, int):
            return element, element + 1
        if element == dt.date.max:
            raise StencilError([(position, f"{element} is the last day of the calendar")])
        return element, element + dt.timedelta(days=1)
    if len(raw) != 2:
        raise StencilError([(position, f"found a list of {len(raw)}, expected a pair [start, end)")])
    ends: list[Element] = []
    complaints: list[Complaint] = []
    for number, end in enumerate(raw):
        try:
            ends.append(_element(end, (*position, number)))
        except StencilError as error:
            complaints += error.complaints
    if complaints:
        raise StencilError(complaints)
    start, end = ends
    if (isinstance(start, int) and isinstance(end, int) and start >= end) or (
        isinstance(start, dt.date) and isinstance(end, dt.date) and start >= end
    ):
        hint = "the end is not part of it" if start == end else "the start must come first"
        raise StencilError([(position, f"{_words((start, end))} holds no day; {hint}")])
    return start, end


def _element(raw: Any, position: tuple[int, ...]) -> Element:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if (date := as_date(raw)) is not None:
        return date
    hint = ""
    if isinstance(raw, str) and closest(raw, ["reference_date"]):
        hint = "; the reference date itself is 0, the day before it -1"
    expected = "expected a date (YYYY-MM-DD) or a whole number of days"
    raise StencilError([(position, f"found {shown(raw)}, {expected}{hint}")])


def _is_list(raw: Any) -> bool:
    return isinstance(raw, Sequence) and not isinstance(raw, (str, bytes))


def _where(position: tuple[int, ...]) -> str:
    """Name a position as people count: ``element 1, start: ``."""
    if not position:
        return ""
    return ", ".join([f"element {position[0] + 1}", *(ENDS[number] for number in position[1:])]) + ": "


def _words(pair: Pair) -> str:
    return f"[{pair[0]}, {pair[1]}]"
