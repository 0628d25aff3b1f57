# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates are done and which are not: one state for each trigger and date.

Pure functions of what workflows.yml says, what FlowAPI lists and what the record says, for commands and
pages alike. The rule itself is in `autoflow.decision`, where a tick asks too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import Self

from autoflow.dates import AvailableDates, DataRule, Days, ListedDates
from autoflow.decision import SETTLED, Order, Verdict, held_requests, judge, kept_by_holds
from autoflow.definitions import Definitions, Trigger
from autoflow.history import RunHistory
from autoflow.model import RunReader
from autoflow.runs import RunKey, RunState, keys_of_days
from autoflow.schedule import reference_days

Span = tuple[dt.date, dt.date]
"""The first and the last date."""

WAITS = Verdict(RunState.WAITING)

NO_RUN = Verdict(RunState.EXCLUDED)
"""Of a date that the stencil holds no day for; there may be very many."""

SIGNS = {
    RunState.GIVEN_UP: "G",
    RunState.FAILED: "F",
    RunState.RUNNING: "R",
    RunState.DUE: "d",
    RunState.HELD: "h",
    RunState.WAITING: "w",
    RunState.SUCCEEDED: "#",
    RunState.NOT_AVAILABLE: ".",
    RunState.SKIPPED: "s",
    RunState.EXCLUDED: "-",
}
"""What stands for each state; of several days, the first here is shown."""


@dataclass(frozen=True)
class Facts:
    """All that the state of a date depends on.

    Raises
    ------
    ValueError
        When some runs wait for others, and ``order`` does not say which.
    """

    definitions: Definitions
    listed: ListedDates
    run_history: RunHistory
    now: dt.datetime
    order: Order = field(default_factory=Order)

    def __post_init__(self) -> None:
        if self.definitions.has_order and len(self.order.ready) != len(self.definitions.triggers):
            raise ValueError("some runs wait for others: their order is among the facts")

    @classmethod
    def read(
        cls,
        definitions: Definitions,
        reader: RunReader,
        listed: ListedDates,
        now: dt.datetime,
        span: Span | None = None,
    ) -> Self:
        """Read from the record what decides the states of a span of dates, both ends in it, or of all dates."""
        order = Order.read(definitions, listed, now, reader.run_history)
        return cls(definitions, listed, reader.run_history(*span or ()), now, order)

    @cached_property
    def held_requests(self) -> Mapping[RunKey, dt.date]:
        """The requested runs that wait for other requested runs, with their dates."""
        return held_requests(self.definitions, self.run_history)

    def available(self, trigger: Trigger) -> AvailableDates:
        """Return the dates that count for a trigger."""
        return self.listed.available(self.definitions.data_rule(trigger), self.now)

    def held_data(self, trigger: Trigger) -> Days:
        """Return the listed dates that do not count for a trigger, since QA checks or people keep them from it."""
        return self.listed.held(self.definitions.data_rule(trigger), self.now)

    def held(self, trigger: Trigger) -> Days:
        """Find the days whose runs wait for other runs."""
        if not self.order.ready:
            return Days()
        return self.order.held(self.definitions, self.definitions.triggers.index(trigger))

    def waits_for(self, trigger: Trigger, date: dt.date) -> list[tuple[str, dt.date]]:
        """Name the runs that a run waits for, by workflow and date."""
        if not self.order.ready:
            return []
        return self.order.waits_for(self.definitions, self.definitions.triggers.index(trigger), date)


@dataclass(frozen=True)
class Row:
    """One trigger, and the state of each date from ``first`` on."""

    trigger: Trigger
    first: dt.date
    states: Sequence[RunState]
    runs: Sequence[int | None]
    """The number of the run, for each of these dates that has one with an attempt that counts."""


def span(definitions: Definitions, listed: ListedDates) -> Span | None:
    """Return the first and the last date that there is something to say about; None when there is none."""
    triggers = definitions.triggers
    rules = {definitions.data_rule(trigger) for trigger in triggers}
    # what is listed and does not count yet is of interest too
    types = {name for rule in rules for name in listed.wanted(rule.cdr_types)}
    days = [listed.days.get(name, Days()) for name in types]
    ends = AvailableDates(reduce(or_, days, Days())).ends
    known = [trigger.earliest_date for trigger in triggers if trigger.earliest_date is not None]
    if ends is None:
        return (min(known), max(known)) if known else None
    # with an earliest date for every trigger, what lies before is of no interest
    first = max(ends[0], min(known)) if len(known) == len(triggers) else ends[0]
    return min(first, ends[1]), ends[1]


def calendar(facts: Facts, first: dt.date, last: dt.date, workflow: str | None = None) -> Iterator[Row]:
    """Yield the state of each date of a span, both ends in it, for each trigger in the order of the file."""
    available: dict[DataRule, AvailableDates] = {}
    for trigger in facts.definitions.triggers:
        if workflow in (None, trigger.workflow_name):
            rule = facts.definitions.data_rule(trigger)
            if rule not in available:
                available[rule] = facts.available(trigger)
            days = list(verdicts(facts, trigger, first, last, available[rule]))
            yield Row(trigger, first, [verdict.state for verdict, _ in days], [run for _, run in days])


def verdicts(
    facts: Facts, trigger: Trigger, first: dt.date, last: dt.date, available: AvailableDates
) -> Iterator[tuple[Verdict, int | None]]:
    """Say for each date of a span what a trigger's run is, and give its number; linear in the length of the span."""
    run_history = facts.run_history
    retries = facts.definitions.workflows[trigger.workflow_name].retries
    days = range(first.toordinal(), last.toordinal() + 1)
    those = Days.joined([(days.start, days.stop)])
    # of ten years one date alone may be asked for, and many times
    complete = frozenset((available.complete(trigger.date_stencil) & those) - facts.held(trigger))
    held, latest = facts.held_requests, run_history.latest
    wanted, there = frozenset(reference_days(trigger, those)), frozenset(available.days & those)
    by_holds = frozenset(kept_by_holds(trigger, available, facts.held_data(trigger)) & those)
    for day, key in zip(days, keys_of_days(trigger, days), strict=True):
        if key is None:
            yield NO_RUN, None
            continue
        newest = latest.get(key)
        # most of ten years are done: these are quick
        if newest is not None and newest.state in SETTLED and key not in held:
            yield SETTLED[newest.state], newest.run
            continue
        if day not in wanted:
            by_dates = RunState.EXCLUDED
        elif day in by_holds:
            by_dates = RunState.HELD
        elif day not in there:
            by_dates = RunState.NOT_AVAILABLE
        else:
            by_dates = RunState.DUE if day in complete else RunState.WAITING
        verdict = judge(run_history, key, dt.date.fromordinal(day), by_dates, retries)
        if key in held:
            verdict = WAITS
        yield verdict, None if newest is None else newest.run
