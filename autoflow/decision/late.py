# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs whose windows need not be complete: when waiting for dates ends, and what must be there by then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from autoflow.dates import EVERY_DAY, AvailableDates, DateStencil, Days, EmptyIntervalError, Stretch
from autoflow.definitions import Late, Trigger
from autoflow.schedule import reference_days
from autoflow.wording import counted

DAY = dt.timedelta(days=1)
LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Incomplete:
    """A run that some of its dates are missing for, and that need not wait for all of them."""

    missing: tuple[dt.date, ...]
    days: int
    """Of all its windows, each once."""
    waits_until: dt.datetime
    """When waiting ends."""
    unmet: tuple[str, ...]
    """What the dates that are there do not come up to, in words; without it, the run is made then."""

    @property
    def share(self) -> str:
        """How many are missing, in words."""
        return f"{len(self.missing)} of {counted(self.days, 'day')} missing"


def incomplete(trigger: Trigger, date: dt.date, available: AvailableDates) -> Incomplete | None:
    """Say what becomes of a run whose windows need not be complete; None where they are, or have to be.

    Raises
    ------
    EmptyIntervalError
        When the stencil holds no day for the date.
    """
    if trigger.late is None:
        return None
    windows = _windows(trigger.date_stencil, date)
    wanted = Days.joined(windows)
    missing = wanted - available.days
    if not missing:
        return None
    last = max(wanted.stretches[-1][1], date.toordinal() + 1)
    over = dt.datetime.combine(dt.date.fromordinal(min(last, dt.date.max.toordinal())), dt.time(), dt.UTC)
    return Incomplete(
        tuple(map(dt.date.fromordinal, missing)),
        len(wanted),
        over + min(trigger.late.after, LATEST - over),
        tuple(_unmet(trigger.date_stencil, trigger.late, windows, available.days)),
    )


def days_waited_for(trigger: Trigger, available: AvailableDates, now: dt.datetime) -> Days:
    """Find the dates that a trigger is for, for which waiting is over, and whose windows have what they must.

    A reference date itself need not have data.
    """
    if trigger.late is None or not any(trigger.date_stencil.tolerances) or available.ends is None:
        return Days()
    earliest = dt.datetime.min.replace(tzinfo=dt.UTC)
    # the last of their days, and they themselves, have to be over for so long
    end = (now - min(trigger.late.after, now - earliest)).astimezone(dt.UTC).date().toordinal()
    candidates = reference_days(trigger, _around(trigger.date_stencil, available, end))
    return _days_waited_for(trigger.date_stencil, trigger.late, available.days, candidates, end)


def finalises(trigger: Trigger) -> bool:
    """Whether what was run with missing dates is run again once they are there."""
    # without `late` nothing is run with missing dates any more: what was, is finished when it can be
    return trigger.late is None or trigger.late.finalise


def _around(stencil: DateStencil, available: AvailableDates, end: int) -> Days:
    """Return the reference dates before a day whose windows may have some of the dates that are there."""
    days = available.days
    first = days.stretches[0][0]
    start = min([first, *(stencil.first_to_reach(number, first) for number in range(len(stencil.pairs)))])
    strict = [pair for pair, tolerance in zip_longest(stencil.pairs, stencil.tolerances) if tolerance is None]
    return DateStencil(tuple(strict)).complete(days, EVERY_DAY & Days.joined([(start, end)]))


@lru_cache(maxsize=256)
def _days_waited_for(stencil: DateStencil, late: Late, available: Days, candidates: Days, end: int) -> Days:
    """Find, among reference dates, those that are run as they are; between two polls nothing of it changes."""
    found = []
    for day in candidates - (available & stencil.complete(available, candidates)):
        try:
            windows = _windows(stencil, dt.date.fromordinal(day))
        except EmptyIntervalError:
            continue
        if max(last for _, last in windows) <= end and not any(_unmet(stencil, late, windows, available)):
            found.append(day)
    return Days.of(found)


def _windows(stencil: DateStencil, date: dt.date) -> list[Stretch]:
    return [(start.toordinal(), end.toordinal()) for start, end in stencil.intervals(date)]


def _unmet(stencil: DateStencil, late: Late, windows: Sequence[Stretch], available: Days) -> Iterator[str]:
    """Yield, in words, what incomplete windows do not come up to."""
    for window, tolerance in zip_longest(windows, stencil.tolerances):
        missing = available.missing_in(window)
        if not missing:
            continue
        first, last = dt.date.fromordinal(window[0]), dt.date.fromordinal(window[1] - 1)
        name = str(first) if first == last else f"{first} to {last}"
        if tolerance is None:
            yield f"{name} has to be complete"
        elif missing.stretches == (window,):
            yield f"nothing of {name} is there"
        else:
            yield from (f"of {name}, {words}" for words in tolerance.unmet(window, available))
    wanted = Days.joined(windows)
    there = len(wanted & available)
    if late.at_least is not None and there < len(wanted) and there < late.at_least.of(len(wanted)):
        yield f"{there} of {counted(len(wanted), 'day')} are there, at_least of late is {late.at_least}"
