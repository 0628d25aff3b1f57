# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates nothing but held data keeps from running: data that QA checks, or people, keep from counting."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from autoflow.dates import AvailableDates, Days, ListedDates
from autoflow.decision.late import days_waited_for
from autoflow.decision.verdict import judge
from autoflow.definitions import Definitions, Trigger
from autoflow.history import RunHistory
from autoflow.runs import RunState, key_maker
from autoflow.schedule import reference_days


def held_days(definitions: Definitions, listed: ListedDates, now: dt.datetime) -> list[Days]:
    """Find, for each trigger, the dates that it is for, and that nothing but held data keeps from running."""
    found = []
    for trigger in definitions.triggers:
        rule = definitions.data_rule(trigger)
        held = listed.held(rule, now)
        if held:
            available = listed.available(rule, now)
            held = reference_days(trigger, kept_by_holds(trigger, available, held))
            # what is run without held data is not kept by it
            held -= days_waited_for(trigger, available, now)
        found.append(held)
    return found


def kept_by_holds(trigger: Trigger, available: AvailableDates, held: Days) -> Days:
    """Find the days that could run if the held ones counted too, and cannot as it is."""
    if not held:
        return held
    stencil = trigger.date_stencil
    return AvailableDates(available.days | held).complete(stencil) - available.complete(stencil)


def held_runs(definitions: Definitions, unsettled: Sequence[Days], run_history: RunHistory) -> list[Days]:
    """Leave, of days that held data keeps from running and that are not settled, those whose runs are held.

    Others have failed, are skipped, or were requested.
    """
    found = []
    for trigger, days in zip(definitions.triggers, unsettled, strict=True):
        name = trigger.workflow_name
        key_of, retries = key_maker(trigger), definitions.workflows[name].retries
        dates = map(dt.date.fromordinal, days & run_history.told.get(name, Days()))
        states = ((date, judge(run_history, key_of(date), date, RunState.HELD, retries).state) for date in dates)
        found.append(days - Days.of(date.toordinal() for date, state in states if state is not RunState.HELD))
    return found
