# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What follows from data that were ingested anew, or left the list: runs that used them are stale, or run again."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TypeVar

from autoflow.context import Context, recorded
from autoflow.decision import data_uses, dependent_runs, runs_that_used, triggers_by_run
from autoflow.definitions import Definitions
from autoflow.model import Departure, Restatement, RunReader, open_for_reading, weightiest_first
from autoflow.overview import why_not_made_again
from autoflow.runs import Run, RunKey, recorded_run
from autoflow.settings import Settings
from autoflow.threads import to_end
from autoflow.wording import counted, first_few

logger = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Runs that are marked or requested before others have their turn."""

Item = TypeVar("Item")


async def mark_restated(context: Context, definitions: Definitions, stop: asyncio.Event) -> None:
    """Mark the runs that have used what was ingested anew; a crash may have come between the last time."""
    store, now = context.store, context.now()
    for together in _seen_together(store.read.unmarked()):
        mark = partial(store.mark_stale, restatement=together[0].id, now=now)
        number = len(await _marked(context, await _using(context, definitions, together), mark, stop))
        await recorded(context.conditions, stop, partial(store.marked, together[-1].id))
        what = first_few(weightiest_first(together), between="; ")
        used = counted(number, "run has", "runs have") if number else "no run has"
        logger.warning("ingested anew: %s; %s used %s", what, used, "it" if len(together) == 1 else "them")


async def mark_for_others(context: Context, definitions: Definitions, stop: asyncio.Event) -> None:
    """Mark the runs of triggers that were not there when data changed: a trigger that is back has its runs of before.

    Their data have changed as those of others have, though nobody asked then.
    """
    store, now, uses = context.store, context.now(), data_uses(definitions)
    known = store.read.marked_for()
    if known == uses.keys():
        return
    # where nobody has noted it, all triggers were there
    added = tuple(trigger for use, trigger in uses.items() if known is not None and use not in known)
    unmarked = {each.id for each in store.read.unmarked()}
    before = [each for each in store.read.restatements() if each.id not in unmarked] if added else []
    number, those = 0, replace(definitions, triggers=added)
    for together in _seen_together(before):
        mark = partial(store.mark_stale, restatement=together[0].id, now=now, begun_by=together[0].seen)
        number += len(await _marked(context, await _using(context, those, together), mark, stop))
    for departure in store.read.departures() if added else []:
        mark = partial(store.mark_departed, departure=departure, now=now)
        number += len(await _marked(context, await _using(context, those, [departure]), mark, stop))
    await recorded(context.conditions, stop, partial(store.marked_for, uses))
    if number:
        what = counted(number, "run has", "runs have")
        logger.warning("workflows.yml has changed: %s used data that were others then", what)


async def mark_departed(context: Context, definitions: Definitions, stop: asyncio.Event) -> None:
    """Mark the runs that have used dates which have left FlowAPI's list since, and are not back."""
    store, now, used = context.store, context.now(), set[int]()
    noted, wanted = store.read.unmarked_departures(), _wanted_types(definitions)
    departures = [each for each in noted if wanted is None or each.cdr_type in wanted]
    if others := [each.id for each in noted if each not in departures]:
        await recorded(context.conditions, stop, partial(store.forget_departures, others))
    for each in departures:
        mark = partial(store.mark_departed, departure=each, now=now)
        used.update(await _marked(context, await _using(context, definitions, [each]), mark, stop))
    if departures:
        await recorded(context.conditions, stop, partial(store.marked_departures, departures[-1].id))
    if used:
        what = first_few(departures, between="; ")
        logger.warning("no longer listed: %s; %s used them", what, counted(len(used), "run has", "runs have"))


async def run_again(context: Context, definitions: Definitions, stop: asyncio.Event) -> None:
    """Request the stale runs whose triggers say so, and what depends on them; one that was in progress has ended."""
    if not any(definitions.restatement_of(trigger) == "rerun" for trigger in definitions.triggers):
        return
    asked = await request(context, await to_end(_to_run_again, context.settings, definitions, context.now()), stop)
    if asked:
        logger.info("requested again: %s", counted(asked, "run"))


async def request(context: Context, runs: Sequence[Run], stop: asyncio.Event) -> int:
    """Request runs that nobody has named, and return how many were."""
    number, ask_for = 0, partial(context.store.ask_for, automatic=True)
    async for some in _in_turns(runs):
        asked = await recorded(context.conditions, stop, partial(ask_for, some, context.now()))
        for run in asked:
            context.ledger.forget(run.workflow.name, run.reference_date)
        number += len(asked)
    return number


def _to_run_again(settings: Settings, definitions: Definitions, now: dt.datetime) -> list[Run]:
    """Find what is to be requested, the oldest first, by a connection of this thread's own."""
    reader = open_for_reading(settings.db_path, settings.places)
    try:
        runs = _to_make_good(reader, definitions, now)
        if not runs or not definitions.has_order:
            return runs
        known, run_history = {run.key for run in runs}, reader.run_history()
        spans = {name: reader.span(name) for name in definitions.workflows}
        depending = [run for run in dependent_runs(definitions, run_history, spans, runs) if run.key not in known]
        why_not = why_not_made_again(definitions, reader, {run.key: run.reference_date for run in depending}, now)
        tell_of_left_out(depending, why_not)
        everything = [*runs, *(run for run in depending if run.key not in why_not)]
        return sorted(everything, key=lambda run: run.reference_date)
    finally:
        reader.close()


def _to_make_good(reader: RunReader, definitions: Definitions, now: dt.datetime) -> list[Run]:
    """Find the stale runs that are to be made again.

    One that could not be made now, since a check holds the new data, or that somebody skips, stays as it is.
    """
    triggers_of = triggers_by_run(definitions)

    def is_wanted(key: RunKey, date: dt.date) -> bool:
        return any(definitions.restatement_of(trigger) == "rerun" for trigger in triggers_of(key, date))

    wanted = {
        stale.key: stale
        for stale in reader.stale(also_kept=False)
        if stale.mark.is_worth_another_try and stale.mark.can_be_made_again
        if is_wanted(stale.key, stale.reference_date)
    }
    if not wanted:
        return []
    dates = {key: stale.reference_date for key, stale in wanted.items()}
    marks = {key: stale.mark for key, stale in wanted.items()}
    why_not = why_not_made_again(definitions, reader, dates, now, marks)
    return [
        recorded_run(definitions.workflows[stale.workflow], stale.parameters, stale.parameters_hash)
        for key, stale in wanted.items()
        if key not in why_not
    ]


def tell_of_left_out(runs: Iterable[Run], why: Mapping[RunKey, str]) -> None:
    """Say which runs stay as they are, though what they depend on is made again."""
    left = [f"{run.workflow.name} {run.reference_date}: {why[run.key]}" for run in runs if run.key in why]
    if left:
        logger.warning("not made again with what they depend on: %s", first_few(left, between="; "))


def _wanted_types(definitions: Definitions) -> set[str] | None:
    """Name the CDR types whose departures matter to somebody; None where all do."""
    found: set[str] = set()
    for trigger in definitions.triggers:
        if definitions.restatement_of(trigger) not in (None, "ignore"):
            types = definitions.data_rule(trigger).cdr_types
            if types is None:
                return None
            found.update(types)
    return found


def _seen_together(restatements: Iterable[Restatement]) -> Iterator[list[Restatement]]:
    for _, together in groupby(restatements, lambda each: each.seen):
        yield list(together)


async def _marked(
    context: Context, keys: Sequence[RunKey], mark: Callable[[Sequence[RunKey]], list[int]], stop: asyncio.Event
) -> list[int]:
    """Mark runs, and return the ids of the attempts that were."""
    found: list[int] = []
    async for some in _in_turns(keys):
        found += await recorded(context.conditions, stop, partial(mark, some))
    return found


async def _using(
    context: Context, definitions: Definitions, changes: Iterable[Restatement | Departure]
) -> Sequence[RunKey]:
    dates: dict[str, set[dt.date]] = {}
    for each in changes:
        dates.setdefault(each.cdr_type, set()).add(each.date)
    spans = {name: context.store.read.span(name) for name in definitions.workflows}
    return list(await to_end(partial(runs_that_used, definitions, dates, spans)))


async def _in_turns(items: Sequence[Item]) -> AsyncIterator[Sequence[Item]]:
    """Give some of very many at a time, and let others have their turn between."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
        await asyncio.sleep(0)
