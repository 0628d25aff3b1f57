# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One tick: ask FlowAPI for dates, decide which runs are due, and hand these to the executor."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_

from autoflow.context import Context, recorded
from autoflow.dates import AvailableDates, DataRule, Days, ListedDates
from autoflow.decision import WHAT_TO_DO, is_asked_for, is_given_up, is_skipped, misfit, moment, next_try
from autoflow.definitions import Definitions, Trigger
from autoflow.errors import FlowapiError
from autoflow.jobs import Jobs
from autoflow.model import History
from autoflow.runs import AttemptState, Run, RunKey, build_run, recorded_run
from autoflow.schedule import reference_days
from autoflow.sensor.executor import Executor, Work, names_of
from autoflow.settings import Settings, Token, read_token
from autoflow.threads import to_end
from autoflow.wording import counted

LONG, LONG_UNKNOWN, LONGER_THAN_USUAL = dt.timedelta(hours=1), dt.timedelta(hours=3), 4
"""When a run is worth a warning: after so long, and so many times what its workflow takes usually, as far as known."""

FEW, ROUNDS = 2_000, 10
"""Days that are decided about at once, and how often it is tried to do so in a thread where there are more."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What a tick found: runs to be executed now, in order, and when to look at failed ones again."""

    due: tuple[Run, ...]
    retry_at: dt.datetime | None = None
    """When the first of the failed runs that are not due yet will be; None when there are none."""
    given_up: tuple[Run, ...] = ()
    """Failed runs that have had all their attempts."""
    misfits: tuple[str, ...] = ()
    """Why some of the runs that somebody asked for cannot be made as workflows.yml is now."""


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
    listed = await poll(context, definitions, token, executor.stop)
    now = context.now()
    ready = ready_days(definitions, listed, now)
    context.backlog.waiting = waiting_dates(definitions, listed, now, ready)
    decision = await _decide(context, definitions, ready, patient=patient)
    tell_of_given_up(context, decision)
    tell_of_misfits(context, decision)
    tell_of_long_runs(context)
    executor.take_up(Work(definitions, decision.due, listed, decision.retry_at))
    if executor.waiting:
        logger.info("%s due", counted(len(executor.waiting), "run is", "runs are"))
    return decision


async def _decide(context: Context, definitions: Definitions, ready: Sequence[Days], *, patient: bool) -> Decision:
    """Decide what is due: in a thread where there is much of it, and again when something was recorded meanwhile."""
    for patience in reversed(range(ROUNDS)):
        unsettled = await context.ledger.unsettled(definitions, ready)
        history, changes = context.store.read.history(), context.store.changes
        decide = partial(due_runs, definitions, unsettled, history, context.now(), patient=patient)
        if not patience or sum(map(len, unsettled)) <= FEW:
            break
        decision = await to_end(decide)
        if changes == context.store.changes:
            return decision
    return decide()


def tell_of_given_up(context: Context, decision: Decision) -> None:
    """Let people know of runs that are not tried any more."""
    if decision.given_up:
        number, names = len(decision.given_up), names_of(decision.given_up)
        message = f"{counted(number, 'run is', 'runs are')} out of retries: {names}"
        context.conditions.begin("given up", message, logging.WARNING)
    else:
        context.conditions.end("given up", "no runs are out of retries now")


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
    for attempt in read.attempts(states=[AttemptState.RUNNING]):
        took = now - attempt.started
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
    return listed


async def ask_flowapi(jobs: Jobs, settings: Settings, token: Token) -> Mapping[str, list[str]]:
    """Ask FlowAPI for the dates that have data, by CDR type.

    Raises
    ------
    FlowapiError
        When it does not give them.
    """
    with jobs.workspace() as workspace:
        reply = await jobs.call(
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
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} returned no available dates: {what}")
    by_type: Mapping[str, list[str]] = reply.value
    return by_type


def warn_of_types(
    context: Context, definitions: Definitions, by_type: Mapping[str, list[str]], listed: ListedDates
) -> None:
    """Warn of CDR types that count somewhere and have no dates."""
    rules = [definitions.data_rule(trigger) for trigger in definitions.triggers]
    for cdr_type in dict.fromkeys(name for rule in rules for name in rule.cdr_types or {**by_type, **listed.by_type}):
        name = f"no dates of {cdr_type}"
        if by_type.get(cdr_type):
            context.conditions.end(name, f"FlowAPI lists dates for CDR type {cdr_type} again")
        else:
            context.conditions.begin(name, f"FlowAPI lists no dates for CDR type {cdr_type}", logging.WARNING)


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
    return Decision((*asked.due, *in_order), min(retry_at, default=None), tuple(given_up.values()), asked.misfits)


def asked_runs(definitions: Definitions, history: History, now: dt.datetime, *, patient: bool = True) -> Decision:
    """Decide which of the runs that somebody has asked for are to be executed now, in the order of asking."""
    due: list[Run] = []
    given_up: list[Run] = []
    retry_at: list[dt.datetime] = []
    misfits: list[str] = []
    for key, request in history.requests.items():
        skip = history.skips.of(key, request.reference_date)
        # a workflow that is gone may come back
        workflow = definitions.workflows.get(request.workflow)
        if workflow is None or key in history.settled or (skip is not None and is_skipped(skip, request)):
            continue
        if why := misfit(definitions, request.workflow, request.parameters):
            misfits.append(f"{request.workflow} {request.reference_date}: {why}")
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
    return Decision(tuple(due), min(retry_at, default=None), tuple(given_up), tuple(misfits))


def take_asked(context: Context, definitions: Definitions, executor: Executor) -> None:
    """Put what somebody has just asked for first, and leave out what is to be skipped, with no look at FlowAPI."""
    history = context.store.read.history()
    asked = asked_runs(definitions, history, context.now())
    kept = [
        run
        for run in executor.waiting
        if run.key not in history.requests and history.skips.of(run.key, run.reference_date) is None
    ]
    tell_of_misfits(context, asked)
    times = [time for time in (asked.retry_at, executor.retry_at) if time is not None]
    work = Work(definitions, (*asked.due, *kept), context.store.read.listed_dates(), min(times, default=None))
    executor.take_up(work)


def first_retry(definitions: Definitions, history: History) -> dt.datetime | None:
    """Find when the first of the failed runs may be tried again."""
    times = [
        next_try(workflow.retries, failures)
        for (name, _), failures in history.failed.items()
        if (workflow := definitions.workflows.get(name)) and not is_given_up(workflow.retries, failures)
    ]
    return min(times, default=None)
