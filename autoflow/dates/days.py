# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Sets of days as the stretches that they make: ten years of dates are mostly one."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

Stretch = tuple[int, int]
"""Half-open, in ordinals (`datetime.date.toordinal`): [start, end)."""

_start, _end = itemgetter(0), itemgetter(1)


@dataclass(frozen=True)
class Days:
    """A set of days; sorted stretches that neither overlap nor touch."""

    stretches: tuple[Stretch, ...] = ()

    @classmethod
    def of(cls, days: Iterable[int]) -> Days:
        """Make a set of ordinals in any order."""
        return cls.joined((day, day + 1) for day in days)

    @classmethod
    def joined(cls, stretches: Iterable[Stretch]) -> Days:
        """Make a set of stretches that may overlap, in any order."""
        joined: list[Stretch] = []
        for stretch in sorted(stretches):
            start, end = stretch
            if joined and start <= joined[-1][1]:
                if end > joined[-1][1]:
                    joined[-1] = joined[-1][0], end
            elif start < end:
                joined.append(stretch)
        return cls(tuple(joined))

    def __iter__(self) -> Iterator[int]:
        for start, end in self.stretches:
            yield from range(start, end)

    def __reversed__(self) -> Iterator[int]:
        for start, end in reversed(self.stretches):
            yield from range(end - 1, start - 1, -1)

    def __len__(self) -> int:
        return sum(end - start for start, end in self.stretches)

    def __contains__(self, day: int) -> bool:
        return self.stretch_at(day) is not None

    # what is not changed by another set stays the same object: triggers that are alike share sets with very many gaps
    def __or__(self, other: Days) -> Days:
        if not other.stretches or self.stretches == other.stretches:
            return self
        return Days.joined(self.stretches + other.stretches) if self.stretches else other

    def __and__(self, other: Days) -> Days:
        if self.stretches == other.stretches:
            return self
        few, many = sorted((self.stretches, other.stretches), key=len)
        common: list[Stretch] = []
        for start, end in few:
            first = bisect_right(many, start, key=_end)
            inside = many[first : bisect_left(many, end, lo=first, key=_start)]
            if not inside:
                continue
            common += inside
            # all but the outermost are in whole, and the same objects: sets that are alike share them
            place = len(common) - len(inside)
            if common[place][0] < start:
                common[place] = start, common[place][1]
            if common[-1][1] > end:
                common[-1] = common[-1][0], end
        return Days(tuple(common))

    def __sub__(self, other: Days) -> Days:
        if self.stretches == other.stretches:
            return Days()
        if not self.stretches or not other.stretches:
            return self
        first, last = self.stretches[0][0], self.stretches[-1][1]
        edges = [first, *chain.from_iterable(other.stretches), last]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return self & Days(tuple((start, end) for start, end in gaps if start < end))

    def missing_in(self, stretch: Stretch) -> Days:
        """Return the days of a stretch that are not in the set, whatever else is."""
        whole = Days((stretch,))
        # a set without its few days here: all of it would have to be gone through else
        return whole - (self & whole)

    def stretch_at(self, day: int) -> Stretch | None:
        """Return the stretch that a day is in; None when it is in none."""
        number = bisect_right(self.stretches, day, key=_start) - 1
        if number >= 0 and day < self.stretches[number][1]:
            return self.stretches[number]
        return None

    def windows(self, start: int, end: int) -> Days:
        """Return the days d for which all of [d + start, d + end) are in the set."""
        return Days(
            tuple((first - start, last - end + 1) for first, last in self.stretches if last - first >= end - start)
        )


def days_before(date: dt.date, days: int) -> dt.date:
    """Go back so many days, but not beyond the first day of the calendar."""
    return dt.date.fromordinal(max(date.toordinal() - days, 1))
