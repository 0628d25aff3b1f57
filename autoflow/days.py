# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Sets of days as the stretches that they make: ten years of dates are mostly one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Stretch = tuple[int, int]
"""Half-open, in ordinals (`datetime.date.toordinal`): [start, end)."""


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

    def __len__(self) -> int:
        return sum(end - start for start, end in self.stretches)

    def __contains__(self, day: int) -> bool:
        return self.stretch_at(day) is not None

    def __or__(self, other: Days) -> Days:
        return Days.joined(self.stretches + other.stretches)

    def __and__(self, other: Days) -> Days:
        common: list[Stretch] = []
        mine, theirs = iter(self.stretches), iter(other.stretches)
        one, two = next(mine, None), next(theirs, None)
        while one and two:
            start, end = max(one[0], two[0]), min(one[1], two[1])
            if start < end:
                common.append((start, end))
            if one[1] < two[1]:
                one = next(mine, None)
            else:
                two = next(theirs, None)
        return Days(tuple(common))

    def __sub__(self, other: Days) -> Days:
        if not self.stretches or not other.stretches:
            return self
        first, last = self.stretches[0][0], self.stretches[-1][1]
        edges = [first, *(edge for stretch in other.stretches for edge in stretch), last]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return self & Days(tuple((start, end) for start, end in gaps if start < end))

    def stretch_at(self, day: int) -> Stretch | None:
        """Give the stretch that a day is in; None when it is in none."""
        number = bisect_right(self.stretches, day, key=lambda stretch: stretch[0]) - 1
        if number >= 0 and day < self.stretches[number][1]:
            return self.stretches[number]
        return None

    def windows(self, start: int, end: int) -> Days:
        """Give the days d for which all of [d + start, d + end) are in the set."""
        return Days(
            tuple((first - start, last - end + 1) for first, last in self.stretches if last - first >= end - start)
        )
