# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Date stencils: patterns of dates relative to a reference date, and whether their data is there."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from autoflow.dates.days import Days, Stretch
from autoflow.dates.first_days import CYCLE_YEARS, LEAST_DAYS, UNITS, FirstDay, starts_of
from autoflow.dates.tolerance import MOST_DAYS, Share, Tolerance
from autoflow.wording import closest, did_you_mean, shown

Moving = int | FirstDay
"""An offset in days from the reference date, or a first day of a week, month, quarter or year around it."""
Element = dt.date | Moving
Pair = tuple[Element, Element]
Interval = tuple[dt.date, dt.date]
"""Half-open: [start, end)."""

Position = tuple[int | str, ...]
Complaint = tuple[Position, str]
"""The position of a mistake, such as (0, 1) for the end of the first pair, and what is wrong there."""

ENDS = ("start", "end")

LAST_DAY = Days.of([dt.date.max.toordinal()])
EVERY_DAY = Days(((dt.date.min.toordinal(), dt.date.max.toordinal() + 1),))
ANY_DAY = dt.date(2000, 1, 1)


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
    """A list of half-open pairs: of absolute dates, offsets in days and first days around a reference date."""

    pairs: tuple[Pair, ...]
    tolerances: tuple[Tolerance | None, ...] = ()
    """What each of them must still have where it need not be complete; nothing where all must be."""

    @classmethod
    def parse(cls, raw: Any) -> DateStencil:
        """Read a stencil as YAML gives it.

        Parameters
        ----------
        raw
            A list of dates (or ISO strings), integer offsets in days, names of first days such as ``month-1``, and
            pairs of these; a single d stands for that one day, [d, d + 1). A pair that need not be complete is a
            mapping with ``from`` and ``to``.

        Raises
        ------
        StencilError
            Naming each wrong element, what was found and what was expected.
        """
        if not _is_list(raw) or not raw:
            example = "expected a list of dates, offsets in days, names such as month, and pairs, such as [[-7, 0], 0]"
            raise StencilError([((), f"found {shown(raw)}, {example}")])
        pairs: list[Pair] = []
        tolerances: list[Tolerance | None] = []
        complaints: list[Complaint] = []
        for number, element in enumerate(raw):
            try:
                is_mapping = isinstance(element, Mapping)
                pair, tolerance = _window(element, (number,)) if is_mapping else (_pair(element, (number,)), None)
            except StencilError as error:
                complaints += error.complaints
                continue
            pairs.append(pair)
            tolerances.append(tolerance)
        if complaints:
            raise StencilError(complaints)
        return cls(tuple(pairs), tuple(tolerances) if any(tolerances) else ())

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

    def complete(self, available: Days, among: Days = EVERY_DAY) -> Days:
        """Return the reference dates for which all dates of the stencil are there.

        Parameters
        ----------
        among
            The reference dates that matter: others may be left out.
        """
        complete = among
        moving = []
        for pair in self.pairs:
            start, end = pair
            if isinstance(start, int) and isinstance(end, int):
                moving.append((start, end))
            elif isinstance(start, FirstDay) or isinstance(end, FirstDay):
                complete = _complete_around(pair, available, complete)
            else:
                complete &= _complete_from_date(pair, available)
        # a month written day by day is one window
        for first, last in Days.joined(moving).stretches:
            complete &= available.windows(first, last)
        return complete

    def first_to_reach(self, number: int, day: int) -> int:
        """Return the first reference date for which one of the pairs, by its place, reaches a day."""
        return _first_from(self.pairs[number][1], day + 1)


def holds_always(pair: Pair) -> bool:
    """Whether a pair, which may be written, holds a day for every reference date."""
    start, end = pair
    if isinstance(start, FirstDay) and isinstance(end, FirstDay):
        return start.unit == end.unit
    return type(start) is type(end)


def _complete_from_date(pair: Pair, available: Days) -> Days:
    """Return the reference dates for which all days are there of a pair with an absolute date, and no first day."""
    start, end = pair
    # the stretch that an absolute end has to be in, and the one that it leaves the other end
    fixed = start.toordinal() if isinstance(start, dt.date) else end.toordinal() - 1  # type: ignore[union-attr]
    stretch = available.stretch_at(fixed)
    if stretch is None:
        return Days()
    if isinstance(end, int):
        return Days(((fixed + 1 - end, stretch[1] + 1 - end),))
    if isinstance(start, int):
        return Days(((stretch[0] - start, fixed + 1 - start),))
    return EVERY_DAY if stretch[1] >= end.toordinal() else Days()  # type: ignore[union-attr]


def _complete_around(pair: Pair, available: Days, among: Days) -> Days:
    """Return those of some reference dates for which all days are there of a pair with a first day.

    Both ends move on with the reference date, or stand still: those of one stretch of days are a stretch themselves.
    """
    start, end = pair
    least = _least_days(pair)
    found = Days.joined(
        (_first_from(start, first), _first_from(end, last + 1))
        for first, last in available.stretches
        if last - first >= least
    )
    found &= among
    if holds_always(pair) or not found:
        return found
    first, last = found.stretches[0][0], found.stretches[-1][1] - 1
    return found & _holding_days(pair, dt.date.fromordinal(first).year, dt.date.fromordinal(last).year)


def _least_days(pair: Pair) -> int:
    """Return how many days a pair holds at the least, where it holds any."""
    start, end = pair
    if isinstance(start, FirstDay) and isinstance(end, FirstDay) and start.unit == end.unit and end.days == 0:
        return (end.offset - start.offset) * LEAST_DAYS[start.unit]
    return 1


def _first_from(element: Element, day: int) -> int:
    """Return the first reference date for which an element is a day or a later one."""
    if isinstance(element, dt.date):
        return EVERY_DAY.stretches[0][0] if element.toordinal() >= day else EVERY_DAY.stretches[-1][1]
    return day - element if isinstance(element, int) else element.first_from(day)


@lru_cache(maxsize=256)
def _holding_days(pair: Pair, first_year: int, last_year: int) -> Days:
    """Return the days of some years for which a pair holds a day."""
    start, end = pair
    first, last = dt.date(first_year, 1, 1).toordinal(), dt.date(last_year, 12, 31).toordinal() + 1
    if isinstance(start, dt.date):
        return Days.joined([(max(first, _first_from(end, start.toordinal() + 1)), last)])
    if isinstance(end, dt.date):
        return Days.joined([(first, min(last, _first_from(start, end.toordinal())))])
    units = {each.unit for each in pair if isinstance(each, FirstDay)}
    begins = sorted({first, *(day for unit in units for day in starts_of(unit, first, last))})
    return Days.joined(
        _holding_stretch(start, end, stretch) for stretch in zip(begins, [*begins[1:], last], strict=True)
    )


def _holding_stretch(start: Moving, end: Moving, days: Stretch) -> Stretch:
    """Return those of some days for which a pair holds a day; first days do not move within them."""
    first, last = days
    if isinstance(start, int):
        return first, min(last, first + end - start)
    if isinstance(end, int):
        return max(first, first + start - end + 1), last
    return days if first + start < first + end else (first, first)


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
            found = _words((start, end)) if _is_list(element) else shown(element)
            complaints.append(((number,), f"found {found}, expected dates (YYYY-MM-DD) and no offsets or names"))
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


def _is_never(start: Element, end: Element) -> bool:
    """Whether a pair holds no day for any reference date."""
    if holds_always((start, end)):
        # whatever the reference date is: so ends of one kind compare for all
        return _ordinal(start, ANY_DAY) >= _ordinal(end, ANY_DAY)
    if isinstance(start, dt.date) or isinstance(end, dt.date):
        return False
    # most hold one within some decades
    return not any(_holding_days((start, end), ANY_DAY.year, ANY_DAY.year + years - 1) for years in (28, CYCLE_YEARS))


def _pair(raw: Any, position: Position) -> Pair:
    if not _is_list(raw):
        element = _element(raw, position)
        if isinstance(element, int):
            return element, element + 1
        if isinstance(element, FirstDay):
            return element, replace(element, days=1)
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
    if _is_never(start, end):
        always = " for any reference date" if not holds_always((start, end)) else ""
        hint = "the end is not part of it" if start == end else "the start must come first"
        raise StencilError([(position, f"{_words((start, end))} holds no day{always}; {hint}")])
    return start, end


def _window(raw: Mapping[Any, Any], position: Position) -> tuple[Pair, Tolerance]:
    """Read a pair that need not be complete."""
    complaints: list[Complaint] = []
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in WINDOW_KEYS:
            complaints.append((position, f"unknown key {shown(key)}; {did_you_mean(str(key), WINDOW_KEYS)}"))
            continue
        try:
            values[key] = WINDOW_KEYS[key](value)
        except ValueError as error:
            complaints.append(((*position, key), str(error)))
    absent = [key for key in ("from", "to") if key not in raw]
    complaints += [(position, f"missing {key}; a window is such as {{from: month, to: month+1}}") for key in absent]
    pair = None
    if not complaints:
        try:
            pair = _pair([values.pop("from"), values.pop("to")], position)
        except StencilError as error:
            complaints += [(_of_window(where), message) for where, message in error.complaints]
    if pair is None or complaints:
        raise StencilError(complaints)
    return pair, Tolerance(**values)


def _of_window(position: Position) -> Position:
    """Name an end of a pair as its mapping does."""
    return (position[0], ("from", "to")[int(position[1])]) if len(position) > 1 else position


def _gap(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= MOST_DAYS:
        return raw
    raise ValueError(f"found {shown(raw)}, expected how many days that follow each other may be missing, such as 6")


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    raise ValueError(f"found {shown(raw)}, expected true or false")


WINDOW_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "from": lambda raw: raw,
    "to": lambda raw: raw,
    "at_least": Share.read,
    "longest_gap": _gap,
    "require_last": _flag,
}
"""The keys of a pair that need not be complete, and how their values are read."""


def _element(raw: Any, position: Position) -> Element:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if (date := as_date(raw)) is not None:
        return date
    if isinstance(raw, str) and (first_day := FirstDay.read(raw.strip())) is not None:
        return first_day
    expected = "expected a date (YYYY-MM-DD), a whole number of days, or a first day such as month or month-1"
    raise StencilError([(position, f"found {shown(raw)}, {expected}{_element_hint(raw)}")])


def _element_hint(raw: Any) -> str:
    """Say what may be meant by an element that cannot be read."""
    match = re.fullmatch(r"\s*([A-Za-z_]+)\s*(?:([+-])\s*(\d+))?\s*", raw) if isinstance(raw, str) else None
    if match is None:
        return ""
    word, sign, number = match.groups()
    meant = closest(word, [*UNITS, "reference_date", "today", "day"])
    if meant in UNITS:
        return f"; did you mean {meant}{sign}{number}?" if sign else f"; did you mean {meant}?"
    return "; the reference date itself is 0, the day before it -1" if meant else ""


def _is_list(raw: Any) -> bool:
    return isinstance(raw, Sequence) and not isinstance(raw, (str, bytes))


def _where(position: Position) -> str:
    """Name a position as people count: ``element 1, start: ``."""
    if not position:
        return ""
    parts = (part if isinstance(part, str) else ENDS[part] for part in position[1:])
    return ", ".join([f"element {int(position[0]) + 1}", *parts]) + ": "


def _words(pair: Pair) -> str:
    return f"[{pair[0]}, {pair[1]}]"
