# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What depends on runs: what is made again with them, and which requested runs wait for other requested runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import reduce
from graphlib import TopologicalSorter
from operator import or_

from autoflow.dates import EVERY_DAY, Days
from autoflow.decision.order import days_of_runs, is_needed
from autoflow.decision.verdict import judge
from autoflow.definitions import Definitions, Trigger
from autoflow.history import RunHistory
from autoflow.runs import Run, RunKey, RunState, build_run, key_maker, keys_of_days

UNFINISHED = frozenset({RunState.DUE, RunState.RUNNING, RunState.FAILED, RunState.GIVEN_UP})
"""What a requested run is for as long as those after it wait for it."""

GOOD = frozenset({RunState.SUCCEEDED, RunState.PROVISIONAL})


def dependent_runs(
    definitions: Definitions,
    run_history: RunHistory,
    spans: Mapping[str, tuple[dt.date, dt.date] | None],
    runs: Sequence[Run],
) -> list[Run]:
    """Find the runs with an attempt that counts which depend on some runs, in the order in which they are made.

    Parameters
    ----------
    run_history
        The whole of it.
    spans
        The first and the last date of attempts, by workflow; None where there are none.
    """
    made = [_made(trigger, run_history, spans.get(trigger.workflow_name)) for trigger in definitions.triggers]
    chosen = days_of_runs(definitions, {run.key: run.reference_date for run in runs})
    needs: dict[str, set[str]] = {}
    for trigger in definitions.triggers:
        needs.setdefault(trigger.workflow_name, set()).update(need.workflow for need in trigger.needs)
    places = {name: place for place, name in enumerate(TopologicalSorter(needs).static_order())}
    found = {
        run.key: run
        for trigger, days in zip(definitions.triggers, dependents(definitions, chosen, made), strict=True)
        for day in days
        for run in [build_run(definitions.workflows[trigger.workflow_name], trigger, dt.date.fromordinal(day))]
    }
    return sorted(found.values(), key=lambda run: (run.reference_date, places[run.workflow.name]))


def _made(trigger: Trigger, run_history: RunHistory, span: tuple[dt.date, dt.date] | None) -> Days:
    if span is None:
        return Days()
    days = range(span[0].toordinal(), span[1].toordinal() + 1)
    return Days.of(day for day, key in zip(days, keys_of_days(trigger, days), strict=True) if key in run_history.latest)


def dependents(definitions: Definitions, runs: Sequence[Days], among: Sequence[Days]) -> list[Days]:
    """Find what depends on some runs, directly or by way of others.

    Parameters
    ----------
    runs, among
        Days of each trigger: of the runs, and of those that are looked at.
    """
    found, news = [Days()] * len(among), list(runs)
    while any(news):
        news = [
            ((_following(trigger, days_of_news) | _needing(definitions, trigger, news, days)) & days) - seen
            for trigger, days_of_news, days, seen in zip(definitions.triggers, news, among, found, strict=True)
        ]
        found = [one | other for one, other in zip(found, news, strict=True)]
    return [one - other for one, other in zip(found, runs, strict=True)]


def held_requests(definitions: Definitions, run_history: RunHistory) -> dict[RunKey, dt.date]:
    """Find the requested runs that wait for other requested runs, which they depend on; with their dates."""
    if len(run_history.requests) < 2 or not definitions.has_order:
        return {}
    states = {
        # one that waits for its data is passed over by those after it, as it is by dates, and those that need it wait
        key: RunState.HELD
        if request.waits
        else judge(run_history, key, request.reference_date, RunState.EXCLUDED, workflow.retries).state
        for key, request in run_history.requests.items()
        if (workflow := definitions.workflows.get(key[0]))
    }
    dates = {key: run_history.requests[key].reference_date for key in states}
    unfinished = days_of_runs(definitions, {key: dates[key] for key in states if states[key] in UNFINISHED})
    # those after one that is skipped pass it over, those that need it do not
    needed = days_of_runs(definitions, {key: dates[key] for key in states if states[key] not in GOOD})
    held: dict[RunKey, dt.date] = {}
    for number, trigger in enumerate(definitions.triggers):
        key_of = key_maker(trigger)
        own = unfinished[number]
        waiting = _following(trigger, own) | _needing(definitions, trigger, needed, own)
        for date in map(dt.date.fromordinal, waiting & own):
            # one that has failed meanwhile did begin
            if states[key_of(date)] is RunState.DUE:
                held[key_of(date)] = date
    return held


def _following(trigger: Trigger, days: Days) -> Days:
    """Find the days whose runs come after some runs of their own trigger."""
    if not trigger.after or not days:
        return Days()
    return EVERY_DAY & Days.joined([(days.stretches[0][0] + 1, EVERY_DAY.stretches[-1][1])])


def _needing(definitions: Definitions, trigger: Trigger, runs: Sequence[Days], among: Days) -> Days:
    """Find those of some days whose runs need some runs of other triggers."""
    found = Days()
    for need in trigger.needs:
        theirs = (days for other, days in zip(definitions.triggers, runs, strict=True) if is_needed(need, other))
        # those whose stencil is complete without them do not need them
        found |= among - need.dates.complete(EVERY_DAY - reduce(or_, theirs, Days()), among)
    return found
