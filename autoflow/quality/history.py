# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The outcomes before a day: as a line of text, and what may be asked of those to come."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

from autoflow.quality.check import number_of, seconds_of
from autoflow.quality.outcomes import Outcome

DAYS = 28
"""Days that a line shows."""

DAY_SECONDS = 86400

BLOCKS = "▁▂▃▄▅▆▇█"


def recent(outcomes: Mapping[int, Outcome], day: int) -> list[float]:
    """Return the numbers of the days up to one, or times as seconds of the day; nan for a day without."""
    days = range(day - DAYS + 1, day + 1)
    numbers = [number_of(outcomes.get(each)) for each in days]
    times = [seconds_of(outcomes.get(each), each) for each in days]
    # one that is odd among them does not make them something else
    return min(numbers, times, key=lambda those: sum(map(math.isnan, those)))


def sparkline(outcomes: Mapping[int, Outcome], day: int) -> tuple[str, str, str]:
    """Draw the days up to one as blocks, from the smallest to the largest outcome, which are returned too.

    The line is empty where there are no outcomes, and has a blank for a day without. Times are of the day: without it.
    """
    numbers = recent(outcomes, day)
    there = [(number, day - DAYS + 1 + at) for at, number in enumerate(numbers) if not math.isnan(number)]
    if not there:
        return "", "", ""
    (low, first), (high, last) = min(there), max(there)
    steps = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    line = "".join(" " if math.isnan(each) else BLOCKS[round((each - low) * steps)] for each in numbers)
    return line, _without_day(outcomes.get(first), first), _without_day(outcomes.get(last), last)


def _without_day(outcome: Outcome, day: int) -> str:
    """Write an outcome, and of a time on its own day only the time."""
    seconds = seconds_of(outcome, day)
    return str(outcome) if not 0 <= seconds < DAY_SECONDS else f"{dt.timedelta(seconds=seconds)!s:0>8}"
