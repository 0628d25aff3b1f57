# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that are final now: what was made with their provisional results is made again."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Sequence
from functools import partial

from autoflow.context import Context, recorded
from autoflow.decision import dependent_runs
from autoflow.definitions import Definitions
from autoflow.model import FinalRun, open_for_reading
from autoflow.overview import why_not_made_again
from autoflow.runs import AttemptState, Run, recorded_run
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
        before = reader.started_before([run_history.latest[run.key].run for run in found], ended)
        depending = [run for run in found if run_history.latest[run.key].run in before]
        running = {run.key for run in depending if run_history.latest[run.key].state == AttemptState.RUNNING}
        why_not = why_not_made_again(definitions, reader, {run.key: run.reference_date for run in depending}, now)
    finally:
        reader.close()
    if not running - why_not.keys():
        tell_of_left_out(depending, why_not)
    again = [run for run in depending if run.key not in running and run.key not in why_not]
    return again, bool(running - why_not.keys())
