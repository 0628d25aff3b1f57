# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which runs have used dates of data that were ingested anew, and which of them can be made again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from hashlib import sha256

from autoflow.dates import AvailableDates, Days, ListedDates
from autoflow.decision.counted import counting, days_with_data
from autoflow.decision.order import is_needed, keys_of
from autoflow.decision.triggers import triggers_by_run
from autoflow.definitions import Definitions, Trigger
from autoflow.history import RunHistory
from autoflow.runs import RunKey, key_maker
from autoflow.schedule import reference_days


def runs_that_used(
    definitions: Definitions,
    dates: Mapping[str, Collection[dt.date]],
    spans: Mapping[str, tuple[dt.date, dt.date] | None],
) -> dict[RunKey, Trigger]:
    """Find the runs whose windows have some dates of CDR types in them, unless their triggers ignore restatements.

    Parameters
    ----------
    spans
        The first and the last reference date that there is a record of, by workflow; None where there is none.
    """
    found: dict[RunKey, Trigger] = {}
    for trigger in definitions.triggers:
        span = spans.get(trigger.workflow_name)
        if span is None or definitions.restatement_of(trigger) in (None, "ignore"):
            continue
        types = definitions.data_rule(trigger).cdr_types
        those = [date.toordinal() for name in (dates if types is None else types) for date in dates.get(name, ())]
        key_of = key_maker(trigger)
        for day in _using(trigger, Days.of(those), span) if those else ():
            found[key_of(dt.date.fromordinal(day))] = trigger
    return found


def data_uses(definitions: Definitions) -> dict[str, Trigger]:
    """Return the triggers whose runs changes of data mark, by text that tells which runs each change marks."""
    found: dict[str, Trigger] = {}
    for trigger in definitions.triggers:
        if definitions.restatement_of(trigger) not in (None, "ignore"):
            types, parameters = definitions.data_rule(trigger).cdr_types, sorted(trigger.parameters.items())
            found[_use(trigger.workflow_name, parameters, trigger.date_stencil.pairs, types)] = trigger
    return found


def runs_with_data(
    definitions: Definitions, listed: ListedDates, now: dt.datetime, runs: Mapping[RunKey, dt.date]
) -> set[RunKey]:
    """Find those of some runs that could be made with the data that count now, had they never been.

    Of a run that no trigger is for nothing is known, and where FlowAPI was never asked, of none: these are among them.

    Parameters
    ----------
    runs
        With their reference dates.
    """
    if listed.polled is None:
        return {*runs}
    dates = Days.of(date.toordinal() for date in runs.values())
    found, lacking = set[RunKey](), set[RunKey]()
    for trigger, available in counting(definitions, listed, now):
        ready = days_with_data(trigger, available, now)
        for day, key in keys_of(trigger, dates):
            if key in runs:
                (found if day in ready else lacking).add(key)
    return found | (runs.keys() - lacking)


def with_waiting_requests(
    definitions: Definitions,
    run_history: RunHistory,
    listed: ListedDates,
    now: dt.datetime,
    good_among: Callable[[Iterable[RunKey]], Set[RunKey]],
) -> RunHistory:
    """Let requests of runs that nobody has named wait where their data do not count now, or runs that they need lack.

    Parameters
    ----------
    good_among
        Finds those of some runs that have succeeded and count.
    """
    automatic = {key: each.reference_date for key, each in run_history.requests.items() if each.automatic}
    if not automatic:
        return run_history
    there = runs_with_data(definitions, listed, now, automatic)
    # those that are requested too are waited for as all requests are
    triggers_of = triggers_by_run(definitions)
    needs = {
        key: {
            needed
            for trigger in triggers_of(key, date)
            for needed in needed_runs(definitions, trigger, date)
            if needed not in run_history.requests
        }
        for key, date in automatic.items()
    }
    good = good_among({needed for those in needs.values() for needed in those})
    lacking = {key for key, those in needs.items() if not those <= good}
    waiting = {key: replace(run_history.requests[key], waits=True) for key in (automatic.keys() - there) | lacking}
    # in the order of the requests
    return replace(run_history, requests={key: waiting.get(key, each) for key, each in run_history.requests.items()})


def needed_runs(definitions: Definitions, trigger: Trigger, date: dt.date) -> Iterator[RunKey]:
    """Name the runs that a trigger's run for a date needs."""
    for need in trigger.needs:
        ends = need.dates.intervals(date)
        days = Days.joined((start.toordinal(), end.toordinal()) for start, end in ends)
        for other in definitions.triggers:
            if is_needed(need, other):
                yield from (needed for _, needed in keys_of(other, reference_days(other, days)))


def run_uses(definitions: Definitions) -> dict[str, Trigger]:
    """Return the triggers whose runs need other runs, by text that tells which runs they make."""
    return {
        _use(trigger.workflow_name, sorted(trigger.parameters.items()), trigger.date_stencil.pairs): trigger
        for trigger in definitions.triggers
        if trigger.needs
    }


def _use(*what: object) -> str:
    """Write in a short text what tells one trigger from others."""
    return sha256(repr(what).encode()).hexdigest()[:16]


def _using(trigger: Trigger, days: Days, span: tuple[dt.date, dt.date]) -> Days:
    """Find the reference dates of a span whose windows have some days in them."""
    first, last = (date.toordinal() for date in span)
    among = Days(((first, last + 1),))
    everything = Days(((1, dt.date.max.toordinal()),))
    stencil = trigger.date_stencil
    return (stencil.complete(everything) - stencil.complete(AvailableDates(everything - days).days)) & among
