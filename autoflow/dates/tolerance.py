# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a window of days must still have where it need not be complete."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from autoflow.dates.days import Days, Stretch
from autoflow.wording import counted, shown, spans

MOST_DAYS = 100_000


@dataclass(frozen=True)
class Share:
    """So many days, or a part of the days that there are."""

    number: Fraction
    relative: bool = False
    """Whether it is a part: one day is not the same as 100 %."""

    @classmethod
    def read(cls, raw: Any) -> Share:
        """Take a number of days, or text such as ``60%``.

        Raises
        ------
        ValueError
            Saying what was found and what was expected.
        """
        if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= MOST_DAYS:
            return cls(Fraction(raw))
        if isinstance(raw, str) and re.fullmatch(r"\d{1,3}(\.\d{1,6})? *%", raw, re.ASCII):
            part = Fraction(raw.removesuffix("%").strip()) / 100
            if 0 < part <= 1:
                return cls(part, relative=True)
        raise ValueError(f"found {shown(raw)}, expected a number of days such as 25, or a percentage such as 60%")

    def of(self, days: int) -> int:
        """Return how many of some days it is."""
        return ceil(self.number * days) if self.relative else int(self.number)

    def __str__(self) -> str:
        return f"{float(self.number * 100):g}%" if self.relative else str(self.number)


@dataclass(frozen=True)
class Tolerance:
    """What an incomplete window must still have."""

    at_least: Share | None = None
    longest_gap: int | None = None
    """How many days that follow each other may be missing."""
    require_last: bool = False

    def unmet(self, window: Stretch, available: Days) -> Iterator[str]:
        """Yield what a window lacks of it, in words."""
        missing = available.missing_in(window)
        there, days = window[1] - window[0] - len(missing), window[1] - window[0]
        if self.at_least is not None and there < self.at_least.of(days):
            yield f"{there} of {counted(days, 'day')} are there, at_least is {self.at_least}"
        longest = max(missing.stretches, key=lambda gap: gap[1] - gap[0], default=None)
        if self.longest_gap is not None and longest and longest[1] - longest[0] > self.longest_gap:
            gap = [dt.date.fromordinal(day) for day in range(*longest)]
            yield f"{spans(gap)} are missing, longest_gap is {self.longest_gap}"
        if self.require_last and window[1] - 1 in missing:
            yield f"the last day, {dt.date.fromordinal(window[1] - 1)}, is missing, and require_last wants it"
