# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates count for each trigger: those that it is for, with data for all that it needs or not yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from autoflow.dates import EVERY_DAY, AvailableDates, DataRule, Days, ListedDates
from autoflow.decision.held import held_days
from autoflow.decision.late import days_waited_for
from autoflow.definitions import Definitions, Trigger
from autoflow.schedule import reference_days


@dataclass(frozen=True)
class CountedDays:
    """Days of each trigger that it is for, and that count."""

    ready: Sequence[Days]
    """Those whose stencil is complete, or has what it must have where waiting for the rest is over."""
    waiting: Sequence[Days]
    """The others."""
    complete: Sequence[Days] = ()
    """Of all that are ready, those for which no date is missing, settled or not."""

    @property
    def all(self) -> list[Days]:
        return [one | other for one, other in zip(self.ready, self.waiting, strict=True)]

    def without(self, held: Sequence[Days]) -> CountedDays:
        """Let some of the days that are ready wait."""
        return replace(
            self,
            ready=[one - those for one, those in zip(self.ready, held, strict=True)],
            waiting=[one | (those & ready) for one, ready, those in zip(self.waiting, self.ready, held, strict=True)],
        )

    def among(self, days: Sequence[Days]) -> CountedDays:
        """Leave those that are among some days."""
        return replace(
            self,
            ready=[one & those for one, those in zip(self.ready, days, strict=True)],
            waiting=[one & those for one, those in zip(self.waiting, days, strict=True)],
        )


def counted_days(definitions: Definitions, listed: ListedDates, now: dt.datetime) -> CountedDays:
    """Find, for each trigger, the dates that it is for and that count."""
    ready, waiting, complete, there = [], [], [], dict[DataRule, Days]()
    by_holds = held_days(definitions, listed, now)
    for (trigger, available), held in zip(counting(definitions, listed, now), by_holds, strict=True):
        ready.append(days_ready(trigger, available, now))
        complete.append(days_complete(trigger, available, ready[-1]))
        rule = definitions.data_rule(trigger)
        if rule not in there:
            there[rule] = listed.there(rule, now)
        # with ends of two kinds, a stencil may hold no day for some reference dates: there are no runs for these
        possible = trigger.date_stencil.complete(EVERY_DAY, there[rule])
        waiting.append(reference_days(trigger, possible) - ready[-1] - held)
    return CountedDays(ready, waiting, complete)


def ready_days(definitions: Definitions, listed: ListedDates, now: dt.datetime) -> list[Days]:
    """Find, for each trigger, the dates that it is for, that count, and that wait for no more dates."""
    return [days_ready(trigger, available, now) for trigger, available in counting(definitions, listed, now)]


def days_ready(trigger: Trigger, available: AvailableDates, now: dt.datetime) -> Days:
    """Find the dates that a trigger is for, and that wait for no more dates."""
    return reference_days(trigger, days_with_data(trigger, available, now))


def days_with_data(trigger: Trigger, available: AvailableDates, now: dt.datetime) -> Days:
    """Find the dates whose windows have what they must, whether the trigger is for them or not."""
    days = available.complete(trigger.date_stencil)
    return days | days_waited_for(trigger, available, now) if trigger.late else days


def days_complete(trigger: Trigger, available: AvailableDates, ready: Days) -> Days:
    """Find those of the dates that wait no more for which no date is missing."""
    return trigger.date_stencil.complete(available.days, ready) if trigger.late else ready


def counting(
    definitions: Definitions, listed: ListedDates, now: dt.datetime
) -> Iterator[tuple[Trigger, AvailableDates]]:
    """Yield each trigger with the dates that count for it."""
    available: dict[DataRule, AvailableDates] = {}
    for trigger in definitions.triggers:
        rule = definitions.data_rule(trigger)
        if rule not in available:
            available[rule] = listed.available(rule, now)
        yield trigger, available[rule]
