# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One tick: ask FlowAPI for dates, decide which runs are due, and execute them."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from autoflow.attempts import is_asked_for, is_given_up, is_skipped, next_try
from autoflow.cadence import reference_days
from autoflow.context import Context
from autoflow.date_stencil import AvailableDates, EmptyIntervalError
from autoflow.days import Days
from autoflow.definitions import Concurrency, Definitions, Trigger
from autoflow.errors import FlowapiError
from autoflow.listed_dates import DataRule, ListedDates
from autoflow.run_reader import History
from autoflow.runs import Run, RunKey, RunState, build_run, key_maker, recorded_run
from autoflow.settings import Token, read_token
from autoflow.workflows import execute

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What a tick found: runs to be executed now, in order, and when to look at failed ones again."""

    due: tuple[Run, ...]
    retry_at: dt.datetime | None = None
    """When the first of the failed runs that are not due yet will be; None when there are none."""
    given_up: tuple[Run, ...] = ()
    """Failed runs that have had all their attempts."""


@dataclass(frozen=True)
class Outcome:
    """What a tick did."""

    states: Mapping[RunState, int] = field(default_factory=dict)
    not_started: int = 0
    """Runs that were due but were left for a later tick."""
    retry_at: dt.datetime | None = None


async def tick(
    context: Context,
    definitions: Definitions,
    stop: asyncio.Event,
    *,
    until: dt.datetime | None = None,
    patient: bool = True,
) -> Outcome:
    """Poll once and execute what is due.

    Parameters
    ----------
    stop
        Once set, no further run starts.
    until
        Time of the next tick: runs that have not started by then are left for it, so that newer data
        has its turn.
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
    # who does not wait has come because there is something to do
    async with _warmth(context, definitions, at_once=not patient):
        return await _tick(context, definitions, token, stop, until, patient=patient)


async def _tick(
    context: Context,
    definitions: Definitions,
    token: Token,
    stop: asyncio.Event,
    until: dt.datetime | None,
    *,
    patient: bool,
) -> Outcome:
    listed = await poll(context, definitions, token)
    ready = ready_days(definitions, listed, context.now())
    context.backlog.waiting = waiting_dates(definitions, listed, context.now(), ready)
    unsettled = context.ledger.unsettled(definitions, ready)
    decision = due_runs(definitions, unsettled, context.store.read.history(), context.now(), patient=patient)
    if decision.given_up:
        names = ", ".join(str(run) for run in decision.given_up[:3])
        more = "" if len(decision.given_up) <= 3 else ", ..."
        message = f"{len(decision.given_up)} runs have had all their attempts: {names}{more}"
        context.conditions.begin("given up", message, logging.WARNING)
    else:
        context.conditions.end("given up", "no run has had all its attempts any more")
    if decision.due:
        logger.info("%d runs are due", len(decision.due))
    states = await _execute_all(context, definitions, decision.due, listed, token, stop, until)
    retry_at = _look_ahead(context, definitions, decision)
    return Outcome(states, len(context.backlog.due), retry_at)


def warn_of_expiry(context: Context, token: Token) -> None:
    """Warn of a token that nears its end, once for each of the days that the settings name."""
    if token.expires is None:
        context.conditions.end("token", "FLOWAPI_TOKEN is good, and does not expire")
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
        context.conditions.end("token", f"FLOWAPI_TOKEN is good until {token.expires:%Y-%m-%d %H:%M} UTC")


async def poll(context: Context, definitions: Definitions, token: Token) -> ListedDates:
    """Ask FlowAPI for the dates that have data, and warn of CDR types that count somewhere and have none."""
    settings = context.settings
    with context.jobs.workspace() as workspace:
        reply = await context.jobs.call(
            "available_dates",
            {"url": settings.flowapi_url, "ssl_certificate": str(settings.ssl_certificate or "")},
            workspace,
            timeout=settings.poll_timeout,
            secrets={"FLOWAPI_TOKEN": token.value},
        )
    if reply.cause == "timeout":
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} did not answer within {settings.poll_timeout:g} s")
    if reply.cause != "done":
        what = reply.error.get("message") or f"{reply.how}. {reply.log}"
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} gave no available dates: {what}")
    by_type: Mapping[str, list[str]] = reply.value
    listed = context.store.record_poll(by_type, context.now())
    rules = [definitions.data_rule(trigger) for trigger in definitions.triggers]
    for cdr_type in dict.fromkeys(name for rule in rules for name in rule.cdr_types or {**by_type, **listed.by_type}):
        name = f"no dates of {cdr_type}"
        if by_type.get(cdr_type):
            context.conditions.end(name, f"FlowAPI lists dates for CDR type {cdr_type} again")
        else:
            context.conditions.begin(name, f"FlowAPI lists no dates for CDR type {cdr_type}", logging.WARNING)
    logger.debug("%d dates are listed", len(reduce(or_, listed.days.values(), Days())))
    return listed


def ready_days(definitions: Definitions, listed: ListedDates, now: dt.datetime) -> list[Days]:
    """Find, for each trigger, the dates that it is for, that count, and whose stencil is complete."""
    return [
        reference_days(trigger, available.complete(trigger.date_stencil))
        for trigger, available in _counting(definitions, listed, now)
    ]


def waiting_dates(definitions: Definitions, listed: ListedDates, now: dt.datetime, ready: Sequence[Days]) -> int:
    """Count the dates of all triggers that count, and whose stencil is not complete."""
    counting = zip(_counting(definitions, listed, now), ready, strict=True)
    return sum(len(reference_days(trigger, available.days) - days) for (trigger, available), days in counting)


def _counting(
    definitions: Definitions, listed: ListedDates, now: dt.datetime
) -> Iterator[tuple[Trigger, AvailableDates]]:
    """Give each trigger with the dates that count for it."""
    available: dict[DataRule, AvailableDates] = {}
    for trigger in definitions.triggers:
        rule = definitions.data_rule(trigger)
        if rule not in available:
            available[rule] = listed.available(rule, now)
        yield trigger, available[rule]


def due_runs(
    definitions: Definitions,
    unsettled: Sequence[Days],
    history: History,
    now: dt.datetime,
    *,
    patient: bool = True,
) -> Decision:
    """Decide which runs are to be executed now.

    Parameters
    ----------
    definitions, history, now
        All that the decision depends on, with:
    unsettled
        Days of each trigger that are ready and have not succeeded.
    patient
        Whether a failed run waits until its pause is over; attempts are counted either way.
    """
    asked = asked_runs(definitions, history, now, patient=patient)
    due: dict[RunKey, Run] = {}
    given_up = {run.key: run for run in asked.given_up}
    retry_at: list[dt.datetime] = [] if asked.retry_at is None else [asked.retry_at]
    for trigger, days in zip(definitions.triggers, unsettled, strict=True):
        workflow = definitions.workflows[trigger.workflow_name]
        for day in days:
            run = build_run(workflow, trigger, dt.date.fromordinal(day))
            if run.key in history.requests or history.skips.of(run.key, run.reference_date) is not None:
                continue
            failed = history.failed.get(run.key)
            if failed is None:
                due.setdefault(run.key, run)
            elif is_given_up(workflow.retries, failed):
                given_up[run.key] = run
            elif patient and (again := next_try(workflow.retries, failed)) > now:
                retry_at.append(again)
            else:
                due.setdefault(run.key, run)
    # sorting is stable: runs of one date keep the order of the triggers
    in_order = sorted(due.values(), key=lambda run: run.reference_date, reverse=definitions.order == "newest")
    # what somebody asked for is waited for
    return Decision((*asked.due, *in_order), min(retry_at, default=None), tuple(given_up.values()))


def asked_runs(definitions: Definitions, history: History, now: dt.datetime, *, patient: bool = True) -> Decision:
    """Decide which of the runs that somebody has asked for are to be executed now, in the order of asking."""
    due: list[Run] = []
    given_up: list[Run] = []
    retry_at: list[dt.datetime] = []
    for key, request in history.requests.items():
        # a workflow that is gone may come back
        workflow = definitions.workflows.get(request.workflow)
        skip = history.skips.of(key, request.reference_date)
        if workflow is None or key in history.settled or (skip is not None and is_skipped(skip, request)):
            continue
        run, failures = recorded_run(workflow, request.parameters, key[1]), history.failed.get(key)
        if failures is None or is_asked_for(request, failures):
            due.append(run)
        elif is_given_up(workflow.retries, failures):
            given_up.append(run)
        elif patient and (again := next_try(workflow.retries, failures)) > now:
            retry_at.append(again)
        else:
            due.append(run)
    return Decision(tuple(due), min(retry_at, default=None), tuple(given_up))


def _look_ahead(context: Context, definitions: Definitions, decision: Decision) -> dt.datetime | None:
    """Find when the first failed run may be tried again, and tell of those that may not."""
    history = context.store.read.history()
    # what was asked for meanwhile may have failed too, and its pause may be over already
    asked = asked_runs(definitions, history, dt.datetime.min.replace(tzinfo=dt.UTC))
    times = [time for time in (decision.retry_at, asked.retry_at) if time is not None]
    for run in decision.due:
        failed = history.failed.get(run.key)
        if failed is None:
            continue
        if is_given_up(run.workflow.retries, failed):
            logger.error("%s: given up after %d failed attempts", run, failed.attempts)
        else:
            times.append(next_try(run.workflow.retries, failed))
    return min(times, default=None)


async def run_asked(
    context: Context, definitions: Definitions, stop: asyncio.Event, *, until: dt.datetime | None = None
) -> Outcome:
    """Execute what somebody has asked for, with no look at FlowAPI's dates.

    Raises
    ------
    SettingsError
        When there is no usable token.
    """
    token = read_token(context.settings, context.now())
    decision = asked_runs(definitions, context.store.read.history(), context.now())
    listed = context.store.read.listed_dates()
    async with _warmth(context, definitions):
        states = await _execute_all(context, definitions, decision.due, listed, token, stop, until)
    return Outcome(states, len(context.backlog.due), _look_ahead(context, definitions, decision))


def _warmth(context: Context, definitions: Definitions, *, at_once: bool = False) -> AbstractAsyncContextManager[None]:
    """Have warm kernels where these are wanted."""
    return context.jobs.warmth(definitions.preload, at_once=at_once) if definitions.warm else nullcontext()


async def _execute_all(
    context: Context,
    definitions: Definitions,
    runs: Iterable[Run],
    listed: ListedDates,
    token: Token,
    stop: asyncio.Event,
    until: dt.datetime | None,
) -> Counter[RunState]:
    """Execute runs in order, and keep the page beside the reports up to date meanwhile."""
    async with context.index.kept():
        return await _in_order(context, definitions, runs, listed, token, stop, until)


async def _in_order(
    context: Context,
    definitions: Definitions,
    runs: Iterable[Run],
    listed: ListedDates,
    token: Token,
    stop: asyncio.Event,
    until: dt.datetime | None,
) -> Counter[RunState]:
    """Execute as many runs at a time as is allowed in all and for each workflow."""
    limit = concurrency_of(definitions)
    slots = asyncio.Semaphore(limit.notebooks)
    waiting = list(runs)
    running: dict[asyncio.Task[RunState], Run] = {}
    states: Counter[RunState] = Counter()
    changed = context.steering.changed
    try:
        while True:
            if changed.is_set():
                changed.clear()
                waiting = _reconsidered(context, definitions, waiting, running.values())
            context.backlog.due = waiting
            while len(running) < limit.runs and not stop.is_set() and (until is None or context.now() < until):
                run = _first_allowed(waiting, running.values())
                if run is None:
                    break
                waiting.remove(run)
                seen = listed.listed(_cdr_types_of(definitions, run))
                running[asyncio.create_task(execute(context, run, token, slots, stop, seen))] = run
            if not running:
                return states
            steered = asyncio.create_task(changed.wait())
            try:
                await asyncio.wait({*running, steered}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                steered.cancel()
            for task in [task for task in running if task.done()]:
                context.ledger.forget(running.pop(task))
                context.index.changed()
                states[task.result()] += 1
    finally:
        for task, run in running.items():
            context.ledger.forget(run)
            context.index.changed()
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _reconsidered(
    context: Context, definitions: Definitions, waiting: Iterable[Run], running: Iterable[Run]
) -> list[Run]:
    """Put what somebody has just asked for first, and leave out what is to be skipped."""
    history = context.store.read.history()
    asked = {run.key: run for run in asked_runs(definitions, history, context.now()).due}
    under_way = {run.key for run in running}
    kept = [
        run
        for run in waiting
        if run.key not in asked
        and run.key not in history.requests
        and history.skips.of(run.key, run.reference_date) is None
    ]
    return [*(run for key, run in asked.items() if key not in under_way), *kept]


def _cdr_types_of(definitions: Definitions, run: Run) -> tuple[str, ...] | None:
    """Find the CDR types that count for a run: those of the trigger that it is of, if there still is one."""
    for trigger in definitions.triggers:
        if trigger.workflow_name == run.workflow.name:
            with suppress(EmptyIntervalError):
                if key_maker(trigger)(run.reference_date) == run.key:
                    return definitions.data_rule(trigger).cdr_types
    return definitions.cdr_types


def _first_allowed(waiting: list[Run], running: Iterable[Run]) -> Run | None:
    """Find the first run whose workflow is not at its own limit."""
    under_way = Counter(run.workflow.name for run in running)
    for run in waiting:
        if run.workflow.concurrency is None or under_way[run.workflow.name] < run.workflow.concurrency:
            return run
    return None


def concurrency_of(definitions: Definitions) -> Concurrency:
    """Give how much goes on at a time, on this machine where workflows.yml does not say."""
    cores = min(len(os.sched_getaffinity(0)), 4)
    return definitions.concurrency or Concurrency(runs=cores, notebooks=cores)
