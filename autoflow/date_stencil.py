# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Date stencils: patterns of dates relative to a reference date, and whether their data is there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Element = dt.date | int
Interval = tuple[dt.date, dt.date]
"""Half-open: [start, end)."""


class EmptyIntervalError(ValueError):
    """A pair of a date and an offset that holds no day for a reference date."""


class AvailableDates:
    """The dates that have data, with the length of the unbroken stretch that ends on each."""

    def __init__(self, dates: Iterable[dt.date]) -> None:
        self.dates: tuple[dt.date, ...] = tuple(sorted(set(dates)))
        self._stretches: dict[int, int] = {}
        for date in self.dates:
            day = date.toordinal()
            self._stretches[day] = self._stretches.get(day - 1, 0) + 1

    def __contains__(self, date: dt.date) -> bool:
        return date.toordinal() in self._stretches

    def cover(self, start: int, end: int) -> bool:
        """Whether all days of [start, end), given as ordinals, are there."""
        return self._stretches.get(end - 1, 0) >= end - start


@dataclass(frozen=True)
class DateStencil:
    """A list of half-open pairs, each end an absolute date or an offset in days from the reference date."""

    pairs: tuple[tuple[Element, Element], ...]

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
        ValueError
            Naming the element, what was found and what was expected.
        """
        if not _is_list(raw) or not raw:
            raise ValueError(
                f"found {raw!r}, expected a list of dates, offsets in days and pairs of them, such as [[-7, 0], 0]"
            )
        return cls(tuple(_pair(element, f"element {number}") for number, element in enumerate(raw, start=1)))

    def intervals(self, reference_date: dt.date) -> list[Interval]:
        """Give the intervals for a reference date.

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
            if not available.cover(day, day + 1)
        }
        return [dt.date.fromordinal(day) for day in sorted(days)]

    def complete(self, candidates: Iterable[dt.date], available: AvailableDates) -> list[dt.date]:
        """Keep the candidates for which all dates of the stencil are there; linear in their number."""
        fixed, moving, mixed = [], [], []
        for start, end in self.pairs:
            if isinstance(start, dt.date) and isinstance(end, dt.date):
                fixed.append((start.toordinal(), end.toordinal()))
            elif isinstance(start, int) and isinstance(end, int):
                moving.append((start, end))
            else:
                mixed.append((start, end))
        if not all(available.cover(start, end) for start, end in fixed):
            return []
        return [
            date
            for date in candidates
            if all(available.cover(date.toordinal() + start, date.toordinal() + end) for start, end in moving)
            and all(_covers(available, pair, date) for pair in mixed)
        ]


REFERENCE_DATE_ONLY = DateStencil(((0, 1),))
"""The default: a run needs the data of its reference date."""


def _covers(available: AvailableDates, pair: tuple[Element, Element], reference_date: dt.date) -> bool:
    start, end = (_ordinal(element, reference_date) for element in pair)
    return start < end and available.cover(start, end)


def _ordinal(element: Element, reference_date: dt.date) -> int:
    return element.toordinal() if isinstance(element, dt.date) else reference_date.toordinal() + element


def _pair(raw: Any, where: str) -> tuple[Element, Element]:
    if not _is_list(raw):
        element = _element(raw, where)
        if isinstance(element, int):
            return element, element + 1
        if element == dt.date.max:
            raise ValueError(f"{where}: {element} is the last day of the calendar")
        return element, element + dt.timedelta(days=1)
    if len(raw) != 2:
        raise ValueError(f"{where}: found a list of {len(raw)}, expected a pair [start, end)")
    start, end = _element(raw[0], f"{where}, start"), _element(raw[1], f"{where}, end")
    both = (isinstance(start, int) and isinstance(end, int) and start >= end) or (
        isinstance(start, dt.date) and isinstance(end, dt.date) and start >= end
    )
    if both:
        hint = "the end is not part of it" if start == end else "the start must come first"
        raise ValueError(f"{where}: {_words((start, end))} holds no day; {hint}")
    return start, end


def _element(raw: Any, where: str) -> Element:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, dt.date) and not isinstance(raw, dt.datetime):
        return raw
    if isinstance(raw, str):
        try:
            if len(raw) == len("2016-01-01"):
                return dt.date.fromisoformat(raw)
        except ValueError:
            pass
    raise ValueError(f"{where}: found {raw!r}, expected a date (YYYY-MM-DD) or a whole number of days")


def _is_list(raw: Any) -> bool:
    return isinstance(raw, Sequence) and not isinstance(raw, (str, bytes))


def _words(pair: tuple[Element, Element]) -> str:
    return f"[{pair[0]}, {pair[1]}]"
