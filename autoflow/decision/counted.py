# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates count for each trigger: those that it is for, with data for all that it needs or not yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoflow.dates import EVERY_DAY, AvailableDates, DataRule, Days, ListedDates
from autoflow.decision.held import held_days
from autoflow.definitions import Definitions, Trigger
from autoflow.schedule import reference_days


@dataclass(frozen=True)
class CountedDays:
    """Days of each trigger that it is for, and that count."""

    ready: Sequence[Days]
    """Those whose stencil is complete."""
    waiting: Sequence[Days]
    """The others."""

    @property
    def all(self) -> list[Days]:
        return [one | other for one, other in zip(self.ready, self.waiting, strict=True)]

    def without(self, held: Sequence[Days]) -> CountedDays:
        """Let some of the days that are ready wait."""
        return CountedDays(
            [one - those for one, those in zip(self.ready, held, strict=True)],
            [one | (those & ready) for one, ready, those in zip(self.waiting, self.ready, held, strict=True)],
        )

    def among(self, days: Sequence[Days]) -> CountedDays:
        """Leave those that are among some days."""
        return CountedDays(
            [one & those for one, those in zip(self.ready, days, strict=True)],
            [one & those for one, those in zip(self.waiting, days, strict=True)],
        )


def counted_days(definitions: Definitions, listed: ListedDates, now: dt.datetime) -> CountedDays:
    """Find, for each trigger, the dates that it is for and that count."""
    ready, waiting = ready_days(definitions, listed, now), []
    by_holds = held_days(definitions, listed, now)
    for (trigger, available), days, held in zip(_counting(definitions, listed, now), ready, by_holds, strict=True):
        # with ends of two kinds, a stencil may hold no day for some reference dates: there are no runs for these
        possible = trigger.date_stencil.complete(EVERY_DAY, available.days)
        waiting.append(reference_days(trigger, possible) - days - held)
    return CountedDays(ready, waiting)


def ready_days(definitions: Definitions, listed: ListedDates, now: dt.datetime) -> list[Days]:
    """Find, for each trigger, the dates that it is for, that count, and whose stencil is complete."""
    return [
        reference_days(trigger, available.complete(trigger.date_stencil))
        for trigger, available in _counting(definitions, listed, now)
    ]


def _counting(
    definitions: Definitions, listed: ListedDates, now: dt.datetime
) -> Iterator[tuple[Trigger, AvailableDates]]:
    """Yield each trigger with the dates that count for it."""
    available: dict[DataRule, AvailableDates] = {}
    for trigger in definitions.triggers:
        rule = definitions.data_rule(trigger)
        if rule not in available:
            available[rule] = listed.available(rule, now)
        yield trigger, available[rule]
