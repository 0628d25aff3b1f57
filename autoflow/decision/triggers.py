# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which triggers a recorded run is of, now that workflows.yml may have changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace

from autoflow.dates import Days, EmptyIntervalError, ListedDates
from autoflow.decision.late import Incomplete, incomplete
from autoflow.definitions import Definitions, Trigger
from autoflow.runs import Run, RunKey, key_maker
from autoflow.schedule import why_excluded


def triggers_by_run(definitions: Definitions) -> Callable[[RunKey, dt.date], Iterator[Trigger]]:
    """Make the function that gives the triggers of a run; with another stencil or parameters it is another run.

    Where some of them are for its date, the others have no say in it: rules may change from one date on.
    """
    makers: dict[str, list[tuple[Trigger, Callable[[dt.date], RunKey]]]] = {}
    for trigger in definitions.triggers:
        makers.setdefault(trigger.workflow_name, []).append((trigger, key_maker(trigger)))

    def triggers_of(key: RunKey, date: dt.date) -> Iterator[Trigger]:
        found = [trigger for trigger, key_of in makers.get(key[0], ()) if _key(key_of, date) == key]
        for_date = [trigger for trigger in found if why_excluded(trigger, date) is None] if len(found) > 1 else found
        yield from for_date or found

    return triggers_of


def incomplete_runs(
    definitions: Definitions, listed: ListedDates, now: dt.datetime
) -> Callable[[Run], Incomplete | None]:
    """Make the function that says which dates a run is made without; None when none is missing, or all are needed.

    Where FlowAPI was never asked, as for a trial, nothing is known to be missing.
    """
    triggers_of = triggers_by_run(definitions)

    def lacking(run: Run) -> Incomplete | None:
        trigger = next(triggers_of(run.key, run.reference_date), None)
        if trigger is None or trigger.late is None:
            return None
        return incomplete(trigger, run.reference_date, listed.available(definitions.data_rule(trigger), now))

    may_lack = listed.polled is not None and any(trigger.late for trigger in definitions.triggers)
    return lacking if may_lack else lambda _: None


def missing_dates(
    definitions: Definitions, trigger: Trigger, run: Run, listed: ListedDates, now: dt.datetime
) -> tuple[dt.date, ...]:
    """Return the dates of a run that starts which it is made without.

    Where all are needed, it starts without some only when a person requests it; what a check holds is there for it.
    """
    if listed.polled is None:
        return ()
    if trigger.late is not None:
        lacking = incomplete_runs(definitions, listed, now)(run)
        return lacking.missing if lacking else ()
    there = listed.there(replace(definitions.data_rule(trigger), lag=dt.timedelta()), now)
    windows = trigger.date_stencil.intervals(run.reference_date)
    wanted = Days.joined((start.toordinal(), end.toordinal()) for start, end in windows)
    return tuple(map(dt.date.fromordinal, wanted - there))


def _key(key_of: Callable[[dt.date], RunKey], date: dt.date) -> RunKey | None:
    try:
        return key_of(date)
    except EmptyIntervalError:
        # its stencil holds no day for this date
        return None
