# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which runs wait for other runs: those before them (``after: previous``), and those of other workflows (``needs``)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Self

from autoflow.dates import EVERY_DAY, AvailableDates, Days, EmptyIntervalError, ListedDates
from autoflow.decision.attempts import is_skipped
from autoflow.decision.counted import CountedDays, counted_days
from autoflow.decision.late import finalises
from autoflow.definitions import Definitions, Need, Trigger
from autoflow.history import RunHistory
from autoflow.runs import RunKey, RunState, key_maker


@dataclass(frozen=True)
class Order:
    """How far the runs of each trigger are, as far as others wait for them; each with the days of all triggers."""

    ready: Sequence[Days] = ()
    """Days that data are there for."""
    undone: Sequence[Days] = ()
    """Those of them whose runs have not succeeded."""
    skipped: Sequence[Days] = ()
    """Those of them that are skipped."""

    @classmethod
    def read(
        cls, definitions: Definitions, listed: ListedDates, now: dt.datetime, read: Callable[[], RunHistory]
    ) -> Self:
        """Find how far the runs are from the whole of a record, which is read where some runs wait for others."""
        if not definitions.has_order:
            return cls()
        run_history, counted = read(), counted_days(definitions, listed, now)
        ready = counted.ready
        kept = kept_days(definitions, counted, run_history)
        undone = [
            days - _succeeded(trigger, days & run_history.known(trigger.workflow_name), run_history) - those
            for trigger, days, those in zip(definitions.triggers, ready, kept, strict=True)
        ]
        return cls(ready, undone, skipped_days(definitions, ready, run_history))

    def held(self, definitions: Definitions, number: int) -> Days:
        """Find the days of a trigger, by its place in the file, whose runs wait for other runs."""
        trigger = definitions.triggers[number]
        held = self.ready[number] - self._complete(definitions, trigger, self._done())
        if trigger.after and (left := self._left(definitions, number)):
            held |= self.undone[number] - Days.of([left.stretches[0][0]])
        return (held & self.undone[number]) - self.skipped[number]

    def all_held(self, definitions: Definitions) -> list[Days]:
        """Find, for each trigger, the days whose runs wait for other runs."""
        return [self.held(definitions, number) for number in range(len(self.ready))]

    def waits_for(self, definitions: Definitions, number: int, date: dt.date) -> list[tuple[str, dt.date]]:
        """Name the runs that a run waits for, by workflow and date."""
        trigger, found = definitions.triggers[number], list[tuple[str, dt.date]]()
        left = self._left(definitions, number)
        if trigger.after and left and left.stretches[0][0] < date.toordinal():
            found.append((trigger.workflow_name, dt.date.fromordinal(left.stretches[0][0])))
        for need in trigger.needs:
            there = AvailableDates(_of_need(definitions, need, self._done()))
            found += [(need.workflow, missing) for missing in need.dates.missing(date, there)]
        return found

    def _done(self) -> list[Days]:
        return [ready - undone for ready, undone in zip(self.ready, self.undone, strict=True)]

    def _left(self, definitions: Definitions, number: int) -> Days:
        """Find the days that those after them wait for: there are data for them, and for the runs that they need."""
        complete = self._complete(definitions, definitions.triggers[number], self.ready)
        return (self.undone[number] & complete) - self.skipped[number]

    def _complete(self, definitions: Definitions, trigger: Trigger, days: Sequence[Days]) -> Days:
        """Find the days for which all runs that are needed are among some days."""
        theirs = (need.dates.complete(_of_need(definitions, need, days)) for need in trigger.needs)
        return reduce(and_, theirs, EVERY_DAY)


def _of_need(definitions: Definitions, need: Need, days: Sequence[Days]) -> Days:
    """Join the days of the triggers that make the runs that are needed."""
    theirs = (each for trigger, each in zip(definitions.triggers, days, strict=True) if is_needed(need, trigger))
    return reduce(or_, theirs, Days())


def skipped_days(definitions: Definitions, ready: Sequence[Days], run_history: RunHistory) -> list[Days]:
    """Find the days of each trigger that are skipped; what was requested after it was skipped is not."""
    found = []
    for trigger, days in zip(definitions.triggers, ready, strict=True):
        among = days & run_history.skips.days.get(trigger.workflow_name, Days())
        found.append(Days.of(day for day, key in keys_of(trigger, among) if _is_skipped(run_history, key, day)))
    return found


def _is_skipped(run_history: RunHistory, key: RunKey, day: int) -> bool:
    skip = run_history.skips.of(key, dt.date.fromordinal(day))
    return skip is not None and is_skipped(skip, run_history.requests.get(key))


def kept_days(definitions: Definitions, counted: CountedDays, run_history: RunHistory) -> list[Days]:
    """Find the days of each trigger that were run with dates missing, and that are not run again now."""
    provisional = days_of_runs(definitions, run_history.provisional)
    return [
        days - complete if finalises(trigger) else days
        for trigger, days, complete in zip(definitions.triggers, provisional, counted.complete, strict=True)
    ]


def days_of_runs(definitions: Definitions, runs: Mapping[RunKey, dt.date]) -> list[Days]:
    """Find the days of each trigger that some runs are for, which are given with their reference dates."""
    dates = Days.of(date.toordinal() for date in runs.values())
    return [Days.of(day for day, key in keys_of(trigger, dates) if key in runs) for trigger in definitions.triggers]


def is_needed(need: Need, trigger: Trigger) -> bool:
    """Whether a trigger makes the runs that are needed."""
    if trigger.workflow_name != need.workflow:
        return False
    return need.parameters is None or dict(need.parameters) == dict(trigger.parameters)


def _succeeded(trigger: Trigger, days: Days, run_history: RunHistory) -> Days:
    latest = ((day, run_history.latest.get(key)) for day, key in keys_of(trigger, days))
    return Days.of(day for day, each in latest if each is not None and each.state == RunState.SUCCEEDED)


def keys_of(trigger: Trigger, days: Days) -> list[tuple[int, RunKey]]:
    """Give the keys of a trigger's runs for some days, without those that its stencil holds no day for."""
    key_of, found = key_maker(trigger), []
    for day in days:
        try:
            found.append((day, key_of(dt.date.fromordinal(day))))
        except EmptyIntervalError:
            continue
    return found
