# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One tick: ask FlowAPI for dates, decide which runs are due, and hand these to the executor."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, reduce
from operator import or_

from autoflow.context import Context, recorded
from autoflow.dates import Days, ListedDates
from autoflow.decision import (
    Decision,
    counted_days,
    decide,
    decide_requested,
    held_days,
    held_runs,
    judge,
    undone_days,
    with_data,
    with_waiting_requests,
)
from autoflow.definitions import Definitions
from autoflow.errors import FlowapiError
from autoflow.fitting import WHAT_TO_DO
from autoflow.history import RunHistory
from autoflow.runs import AttemptState, Run, Runs, RunState
from autoflow.sensor.executor import Executor, Work, names_of
from autoflow.sensor.finals import follow_finals, follow_for_others
from autoflow.sensor.flowapi import ask_flowapi
from autoflow.sensor.quality import poll_quality
from autoflow.sensor.restatements import mark_departed, mark_for_others
from autoflow.settings import Token, read_token
from autoflow.wording import counted, moment
from autoflow.workflows import note_kept

LONG, LONG_UNKNOWN, LONGER_THAN_USUAL = dt.timedelta(hours=1), dt.timedelta(hours=3), 4
"""When a run is worth a warning: after so long, and so many times what its workflow takes usually, as far as known."""

NO_DATES = "no dates of "
"""How the names of the conditions begin that FlowAPI lists none of a CDR type."""

MOST_LOOKED_AT = 1000
"""Runs out of retries, up to which it is looked at once which of them are so still."""

logger = logging.getLogger(__name__)


async def tick(context: Context, definitions: Definitions, executor: Executor, *, patient: bool = True) -> Decision:
    """Poll once, and hand what is due to the executor.

    Parameters
    ----------
    patient
        Whether a failed run waits until its pause is over.

    Raises
    ------
    FlowapiError
        When FlowAPI gives no list of available dates.
    SettingsError
        When there is no usable token.
    """
    token = read_token(context.settings, context.now())
    warn_of_expiry(context, token)
    # a crash may have come between
    await note_kept(context, executor.stop)
    listed = await poll(context, definitions, token, executor.stop)
    await follow_for_others(context, definitions, executor.stop)
    await follow_finals(context, definitions, executor.stop)
    decision = await _decide(context, definitions, listed, patient=patient)
    context.backlog.waiting = decision.waiting
    context.backlog.held = await _held(context, definitions, listed)
    tell_of_given_up(context, decision.given_up)
    tell_of_misfits(context, decision)
    tell_of_long_runs(context)
    again = _again(context, definitions, listed, executor.stop)
    executor.take_up(Work(definitions, decision.due, listed, decision.retry_at, again))
    if executor.waiting:
        logger.info("%s due", counted(len(executor.waiting), "run is", "runs are"))
    return decision


async def _decide(context: Context, definitions: Definitions, listed: ListedDates, *, patient: bool) -> Decision:
    """Decide what is due; but for the ledger's look into the record, at one stroke."""
    days = counted_days(definitions, listed, context.now())
    unsettled = await context.ledger.unsettled(definitions, days.all)
    read, now = context.store.read, context.now()
    run_history = with_waiting_requests(definitions, read.history(), listed, now, read.good_among)
    running = read.running() if definitions.has_order else {}
    undone = undone_days(definitions, days, unsettled, running, run_history)
    return decide(definitions, undone, run_history, now, patient=patient)


async def _held(context: Context, definitions: Definitions, listed: ListedDates) -> Mapping[str, int]:
    """Count the dates of triggers that nothing but held data keeps from running, by workflow."""
    held = held_days(definitions, listed, context.now())
    if not any(held):
        return {}
    unsettled, number = await context.ledger.unsettled(definitions, held), Counter[str]()
    runs = held_runs(definitions, unsettled, context.store.read.history())
    for trigger, days in zip(definitions.triggers, runs, strict=True):
        number[trigger.workflow_name] += len(days)
    return number


def _again(
    context: Context, definitions: Definitions, listed: ListedDates, stop: asyncio.Event
) -> Callable[[], Awaitable[Runs]] | None:
    """Make the function that finds what is due once more when a run has succeeded that others may wait for."""
    if not definitions.has_order:
        return None

    async def due() -> Runs:
        await follow_finals(context, definitions, stop)
        return (await _decide(context, definitions, listed, patient=True)).due

    return due


def tell_of_given_up(context: Context, given_up: Runs) -> None:
    """Let people know of runs that are not tried any more."""
    context.backlog.given_up = given_up
    if given_up:
        message = f"{counted(len(given_up), 'run is', 'runs are')} out of retries: {names_of(given_up)}"
        context.conditions.begin("given up", message, logging.WARNING)
    else:
        context.conditions.end("given up", "no runs are out of retries now")


def _still_given_up(given_up: Runs, run_history: RunHistory) -> Runs:
    """Leave out the runs that people have asked for again or skipped; very many are left to the next tick."""
    if len(given_up) > MOST_LOOKED_AT:
        return given_up

    def is_still(run: Run) -> bool:
        verdict = judge(run_history, run.key, run.reference_date, RunState.DUE, run.workflow.retries)
        return verdict.state is RunState.GIVEN_UP

    return Runs.of(filter(is_still, given_up))


def tell_of_misfits(context: Context, decision: Decision) -> None:
    """Let people know of what was asked for and cannot be run."""
    if decision.misfits:
        more = f" (and {len(decision.misfits) - 1} more)" if len(decision.misfits) > 1 else ""
        message = f"requested runs cannot start: {decision.misfits[0]}{more}; {WHAT_TO_DO}"
        context.conditions.begin("misfits", message, logging.WARNING)
    else:
        context.conditions.end("misfits", "all requested runs can start now")


def tell_of_long_runs(context: Context) -> None:
    """Let people know of runs that take far longer than usual: a query that FlowMachine has lost is waited for."""
    read, now = context.store.read, context.now()
    long = []
    running = [each for each in read.attempts(states=[AttemptState.RUNNING]) if now - each.started >= LONG]
    worked = read.worked(running, now)
    for attempt in running:
        # one that waits for a worker all the time takes no longer than usual
        took = dt.timedelta(seconds=worked[attempt.id])
        if took >= LONG:
            usual = read.durations(attempt.workflow)
            if took >= (LONG_UNKNOWN if usual is None else LONGER_THAN_USUAL * dt.timedelta(seconds=usual)):
                since = moment(attempt.started)
                long.append(f"run {attempt.run} ({attempt.workflow} {attempt.reference_date}) since {since}")
    if long:
        message = (
            f"running far longer than usual: {', '.join(sorted(long))}; a query that FlowMachine lost, for"
            " example in a restart, never finishes: `autoflow cancel` stops a run, `autoflow rerun` runs it again"
        )
        context.conditions.begin("long runs", message, logging.WARNING)
    else:
        context.conditions.end("long runs", "no run takes far longer than usual now")


def warn_of_expiry(context: Context, token: Token) -> None:
    """Warn of a token that nears its end, once for each of the days that the settings name."""
    if token.expires is None:
        context.conditions.end("token", "FLOWAPI_TOKEN is valid and does not expire")
        return
    left = token.expires - context.now()
    passed = [days for days in context.settings.token_warning_days if left <= dt.timedelta(days=days)]
    if passed:
        context.conditions.begin(
            "token",
            f"FLOWAPI_TOKEN expires at {token.expires:%Y-%m-%d %H:%M} UTC, in less than {min(passed)} days;"
            f" {token.renewal}",
            logging.WARNING,
        )
    else:
        context.conditions.end("token", f"FLOWAPI_TOKEN is valid until {token.expires:%Y-%m-%d %H:%M} UTC")


async def poll(context: Context, definitions: Definitions, token: Token, stop: asyncio.Event) -> ListedDates:
    """Ask FlowAPI for the dates that have data, and record them; that it gives none is recorded too."""
    try:
        by_type = await ask_flowapi(context.jobs, context.settings, token)
    except FlowapiError as error:
        await recorded(context.conditions, stop, partial(context.store.record_silence, str(error), context.now()))
        raise
    listed = await recorded(context.conditions, stop, partial(context.store.record_poll, by_type, context.now()))
    warn_of_types(context, definitions, by_type, listed)
    logger.debug("FlowAPI lists %d dates", len(reduce(or_, listed.days.values(), Days())))
    await mark_for_others(context, definitions, stop)
    await mark_departed(context, definitions, stop)
    return await poll_quality(context, definitions, token, listed, stop)


def warn_of_types(
    context: Context, definitions: Definitions, by_type: Mapping[str, list[str]], listed: ListedDates
) -> None:
    """Warn of CDR types that count somewhere and have no dates."""
    rules = [definitions.data_rule(trigger) for trigger in definitions.triggers]
    counting = dict.fromkeys(name for rule in rules for name in rule.cdr_types or {**by_type, **listed.by_type})
    for name in context.conditions.by_name:
        if name.startswith(NO_DATES) and name.removeprefix(NO_DATES) not in counting:
            context.conditions.end(name, f"no trigger goes by CDR type {name.removeprefix(NO_DATES)} now")
    for cdr_type in counting:
        name = f"{NO_DATES}{cdr_type}"
        if by_type.get(cdr_type):
            context.conditions.end(name, f"FlowAPI lists dates for CDR type {cdr_type} again")
        else:
            context.conditions.begin(name, f"FlowAPI lists no dates for CDR type {cdr_type}", logging.WARNING)


def take_asked(context: Context, definitions: Definitions, executor: Executor) -> None:
    """Put requested runs first, and leave out those that somebody skips or holds now, without a poll."""
    read, now = context.store.read, context.now()
    listed = read.listed_dates()
    run_history = with_waiting_requests(definitions, read.history(), listed, now, read.good_among)
    waiting = executor.waiting
    if listed.overrides != executor.listed.overrides:
        waiting = with_data(waiting, definitions, listed, now)
    decision = decide_requested(definitions, waiting, run_history, now)
    tell_of_misfits(context, decision)
    tell_of_given_up(context, _still_given_up(context.backlog.given_up, run_history))
    times = [time for time in (decision.retry_at, executor.retry_at) if time is not None]
    again_at = min(times, default=None)
    executor.take_up(
        Work(definitions, decision.due, listed, again_at, _again(context, definitions, listed, executor.stop))
    )
