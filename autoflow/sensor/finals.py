# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that are final now: what was made with their provisional results is made again."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from autoflow.context import Context, recorded
from autoflow.decision import dependent_runs, needed_runs, run_uses
from autoflow.definitions import Definitions, Trigger
from autoflow.history import RunHistory
from autoflow.model import FinalRun, open_for_reading
from autoflow.overview import why_not_made_again
from autoflow.runs import AttemptState, Run, build_run, keys_of_days, recorded_run
from autoflow.sensor.restatements import request, tell_of_left_out
from autoflow.settings import Settings
from autoflow.threads import to_end
from autoflow.wording import counted, first_few

logger = logging.getLogger(__name__)


async def follow_finals(context: Context, definitions: Definitions, stop: asyncio.Event) -> None:
    """Ask for what depends on runs that are final now and was made before they were.

    What is in progress is asked for when it has ended; until then the runs are looked at again.
    """
    finals = context.store.read.finals()
    if not finals:
        return
    again, waits = await to_end(_made_before, context.settings, definitions, finals, context.now())
    if again:
        asked = await request(context, again, stop)
        final = first_few([f"{each.workflow} {each.reference_date}" for each in finals])
        logger.info("final now: %s; requested again: %s", final, counted(asked, "run that depends", "runs that depend"))
    if not waits:
        await recorded(context.conditions, stop, partial(context.store.forget_finals, finals))


async def follow_for_others(context: Context, definitions: Definitions, stop: asyncio.Event) -> None:
    """Ask for runs of triggers that were not there when runs that these need became final.

    A trigger that is back has its runs of before.
    """
    store, uses = context.store, run_uses(definitions)
    known = store.read.followed_for()
    if known == uses.keys():
        return
    # where nobody has noted it, all triggers were there
    added = [trigger for use, trigger in uses.items() if known is not None and use not in known]
    if added:
        again = await to_end(_resting_on_finals, context.settings, definitions, added, context.now())
        if asked := await request(context, again, stop) if again else 0:
            what = counted(asked, "run", "runs")
            logger.info("workflows.yml has changed: requested again since what they need is final now: %s", what)
    await recorded(context.conditions, stop, partial(store.followed_for, uses))


def _resting_on_finals(
    settings: Settings, definitions: Definitions, triggers: Sequence[Trigger], now: dt.datetime
) -> list[Run]:
    """Find the runs of some triggers that began before a run that they need was final, and what depends on these."""
    reader = open_for_reading(settings.db_path, settings.places)
    try:
        final, run_history = reader.became_final(), reader.run_history()
        spans = {name: reader.span(name) for name in definitions.workflows}
        runs = (
            [run for trigger in triggers for run in _made_by(definitions, trigger, run_history, spans)] if final else []
        )
        started = reader.starts([run_history.latest[run.key].run for run, _ in runs])
        resting = [
            run
            for run, trigger in runs
            if (began := started.get(run_history.latest[run.key].run)) is not None
            if any(final.get(key, began) > began for key in needed_runs(definitions, trigger, run.reference_date))
        ]
        depending = dependent_runs(definitions, run_history, spans, resting) if resting else []
        found = {run.key: run for run in [*resting, *depending]}
        why_not = why_not_made_again(definitions, reader, {key: run.reference_date for key, run in found.items()}, now)
    finally:
        reader.close()
    tell_of_left_out(found.values(), why_not)
    return [run for key, run in found.items() if key not in why_not]


def _made_by(
    definitions: Definitions,
    trigger: Trigger,
    run_history: RunHistory,
    spans: Mapping[str, tuple[dt.date, dt.date] | None],
) -> Iterator[tuple[Run, Trigger]]:
    """Give the runs of a trigger that have an attempt that counts."""
    span, workflow = spans.get(trigger.workflow_name), definitions.workflows[trigger.workflow_name]
    days = range(span[0].toordinal(), span[1].toordinal() + 1) if span else range(0)
    for day, key in zip(days, keys_of_days(trigger, days), strict=True):
        if key in run_history.latest:
            yield build_run(workflow, trigger, dt.date.fromordinal(day)), trigger


def _made_before(
    settings: Settings, definitions: Definitions, finals: Sequence[FinalRun], now: dt.datetime
) -> tuple[list[Run], bool]:
    """Find the runs that depend on some, and say whether one is in progress; all of a record may be looked at."""
    known = [each for each in finals if each.workflow in definitions.workflows]
    if not known or not definitions.has_order:
        return [], False
    reader = open_for_reading(settings.db_path, settings.places)
    try:
        run_history = reader.run_history()
        spans = {name: reader.span(name) for name in definitions.workflows}
        runs = [
            recorded_run(definitions.workflows[each.workflow], each.parameters, each.parameters_hash) for each in known
        ]
        found = dependent_runs(definitions, run_history, spans, runs)
        ended = max(each.ended for each in known)
        started = reader.starts([run_history.latest[run.key].run for run in found])
        before = {run for run, began in started.items() if began < ended}
        depending = [run for run in found if run_history.latest[run.key].run in before]
        running = {run.key for run in depending if run_history.latest[run.key].state == AttemptState.RUNNING}
        why_not = why_not_made_again(definitions, reader, {run.key: run.reference_date for run in depending}, now)
    finally:
        reader.close()
    if not running - why_not.keys():
        tell_of_left_out(depending, why_not)
    again = [run for run in depending if run.key not in running and run.key not in why_not]
    return again, bool(running - why_not.keys())
