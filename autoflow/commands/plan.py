# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow plan``: what the next tick would run, and why."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from autoflow.capacity import Needs, Use, fitting
from autoflow.clock import utc_now
from autoflow.commands.answer import Streamed
from autoflow.commands.polling import listed_dates
from autoflow.commands.reading import LEFT_BEHIND, PRESENCE_PATIENCE, definitions_of, is_at_work, record
from autoflow.commands.terminal import print_json, print_line, print_table
from autoflow.context import Ledger
from autoflow.dates import ListedDates, read_dates_file
from autoflow.decision import (
    Decision,
    counted_days,
    decide,
    held_days,
    held_runs,
    incomplete_runs,
    undone_days,
    with_waiting_requests,
)
from autoflow.definitions import Automatic, Definitions
from autoflow.errors import ExitCode
from autoflow.machine import Machine
from autoflow.model import RecordedAttempt, RunReader, Silence, Sweeper
from autoflow.overview import Load, PoolLoad, list_age, pool_loads, seconds_left, why_due
from autoflow.runs import AttemptState, Run
from autoflow.schedule import LATEST, Schedule, next_tick
from autoflow.sensor import runs_at_a_time
from autoflow.settings import Settings
from autoflow.system import ask
from autoflow.wording import counted, moment, parameters_text, seconds_text

MOST_ROWS, AT_ONCE = 40, 10_000
"""Rows that are shown unless all are asked for, and those that are laid out together, each part with headings."""

MOST_RUNNING = 10

BASIS = " (by what runs took before, pools, and the memory that is free now)"
"""What the estimate rests on."""


@dataclass(frozen=True)
class Plan:
    """What the next tick would do."""

    now: dt.datetime
    decision: Decision
    rows: Callable[[], Iterator[dict[str, Any]]]
    """Makes what is to be said of the runs that would start, in order: there may be millions."""
    expected: float | None
    """In about how many seconds all of it is done, with what is in progress; None where nothing is known of it."""
    at_a_time: int
    automatic: bool
    """Whether more may go on at a time, as the machine bears it."""
    listed: ListedDates
    lagging: dt.datetime | None
    """When the first of the listed dates begins to count that waits for the lag of a trigger."""
    held: Mapping[str, Sequence[dt.date]]
    """Dates that nothing but held data keeps from running, by workflow."""
    silence: Silence | None
    running: Sequence[RecordedAttempt]
    at_work: bool
    """Whether an AutoFlow works on the record; else what is recorded as running waits for its next start."""
    tick: dt.datetime | None
    removals: Sequence[Path]
    """Old files that would go."""


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Show the plan."""
    today = utc_now()
    now = today if options.at is None else dt.datetime.combine(options.at, dt.time.max, dt.UTC)
    definitions = definitions_of(settings)
    if options.dates:
        definitions = _without_quality(definitions)
    working = _working(settings)
    with record(settings, missing_is_empty=True) as reader:
        plan = _plan(definitions, reader, _listed(options, reader, definitions, now), now, working)
    if options.json:
        print_json(options, _as_json(plan))
    else:
        _print(plan, options, today)
    return ExitCode.OK


def _without_quality(definitions: Definitions) -> Definitions:
    """Let all dates of a file be good: there are no outcomes of QA checks in it."""
    triggers = tuple(replace(trigger, quality=()) for trigger in definitions.triggers)
    return replace(definitions, quality=(), triggers=triggers)


@dataclass(frozen=True)
class Working:
    """What works on the record now."""

    at_work: bool
    slots: tuple[int, int] | None = None
    """How many slots a daemon with runs in progress gives, and how many are in use; None where none says so."""


def _working(settings: Settings) -> Working:
    """See what works on the record; to be asked before it is opened."""
    if is_at_work(settings):
        with suppress(OSError, ValueError, KeyError):
            if slots := ask(settings.control_socket, patience=PRESENCE_PATIENCE)["slots"]:
                return Working(at_work=True, slots=(slots["given"], slots["in_use"]))
        return Working(at_work=True)
    return Working(at_work=False)


def _plan(definitions: Definitions, reader: RunReader, listed: ListedDates, now: dt.datetime, working: Working) -> Plan:
    run_history = with_waiting_requests(definitions, reader.history(), listed, now, reader.good_among)
    days, running = counted_days(definitions, listed, now), reader.running()
    unsettled = asyncio.run(Ledger(reader).unsettled(definitions, days.ready))
    undone = undone_days(definitions, days, unsettled, running, run_history)
    decision = decide(definitions, undone, run_history, now)
    lengths = {name: reader.durations(name) for name in decision.due.by_workflow()}
    in_progress = reader.attempts(states=[AttemptState.RUNNING])
    at_a_time = _at_a_time(definitions, reader, decision, working.slots)
    worked = reader.worked(in_progress, now)
    load = Load(
        counts := decision.due.by_workflow(),
        [(each.workflow, worked[each.id]) for each in in_progress if working.at_work],
        at_a_time,
        [PoolLoad(**each) for each in pool_loads(definitions, counts)],
    )
    lacking = incomplete_runs(definitions, listed, now)

    def rows() -> Iterator[dict[str, Any]]:
        for run in decision.due:
            yield _row(run, why_due(run_history, run.key, lacking(run)), lengths[run.workflow.name])

    counting = (listed.next_to_count(rule, now) for rule in set(map(definitions.data_rule, definitions.triggers)))
    schedule = Schedule(definitions.schedule, definitions.timezone) if definitions.schedule else None
    return Plan(
        now=now,
        decision=decision,
        rows=rows,
        expected=seconds_left(reader, load) if decision.due else None,
        at_a_time=at_a_time,
        automatic=isinstance(definitions.concurrency, Automatic),
        listed=listed,
        lagging=min((time for time in counting if time is not None), default=None),
        held=_held(definitions, reader, listed, now),
        silence=reader.silence(),
        running=in_progress,
        at_work=working.at_work,
        tick=next_tick(schedule, now) if schedule and now < LATEST else None,
        removals=[path for removal in Sweeper(reader).decide(definitions.workflows, now) for path in removal.files],
    )


def _at_a_time(definitions: Definitions, reader: RunReader, decision: Decision, slots: tuple[int, int] | None) -> int:
    """Say how many runs go on at a time: with `auto`, as many as now, or at first, and as fit into the free memory."""
    number, first = runs_at_a_time(definitions), next(iter(decision.due), None)
    given, in_use = slots or (number, 0)
    if not isinstance(definitions.concurrency, Automatic) or first is None:
        return number
    needs = Needs(reader.peaks)
    need = max(needs.of(first.workflow.name, notebook.label) for notebook in first.workflow.notebooks)
    return int(min(given, fitting(Machine().read(), Use(in_use), need)))


def _held(
    definitions: Definitions, reader: RunReader, listed: ListedDates, now: dt.datetime
) -> dict[str, Sequence[dt.date]]:
    days = held_days(definitions, listed, now)
    if not any(days):
        return {}
    held: dict[str, set[int]] = {}
    left = asyncio.run(Ledger(reader).unsettled(definitions, days))
    for trigger, runs in zip(definitions.triggers, held_runs(definitions, left, reader.history()), strict=True):
        held.setdefault(trigger.workflow_name, set()).update(runs)
    return {name: [dt.date.fromordinal(day) for day in sorted(those)] for name, those in held.items() if those}


def _row(run: Run, reason: str, expected: float | None) -> dict[str, Any]:
    return {
        "reference_date": run.reference_date,
        "workflow": run.workflow.name,
        "parameters": run.parameters,
        "reason": reason,
        "expected_seconds": expected,
    }


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "as_of": plan.now,
        "last_poll": plan.listed.polled,
        "polls_fail_since": plan.silence.since if plan.silence else None,
        "under_way": [attempt.run for attempt in plan.running if plan.at_work],
        "left_behind": [attempt.run for attempt in plan.running if not plan.at_work],
        "next_tick": plan.tick,
        "runs": Streamed(plan.rows()),
        "expected_seconds": plan.expected,
        "at_a_time": plan.at_a_time,
        "next_retry": plan.decision.retry_at,
        "next_to_count": plan.lagging,
        "held": {workflow: len(dates) for workflow, dates in plan.held.items()},
        "given_up": len(plan.decision.given_up),
        "removals": [str(path) for path in plan.removals],
    }


def _print(plan: Plan, options: argparse.Namespace, today: dt.datetime) -> None:
    rows = islice(plan.rows(), None if options.all else MOST_ROWS)
    shown = (_shown(number, row) for number, row in enumerate(rows, 1))
    while some := list(islice(shown, AT_ONCE)):
        print_table(some, right=("#", "expected"))
    due = len(plan.decision.due)
    if due > MOST_ROWS and not options.all:
        print_line(f"... and {due - MOST_ROWS} more; --all shows them")
    if due:
        print_line()
    if plan.lagging is not None:
        print_line(f"listed dates are waiting for the lag of a trigger, the first until {moment(plan.lagging)}")
    for workflow, dates in plan.held.items():
        why = f"`autoflow why {shlex.quote(workflow)} {dates[0]}` explains"
        print_line(f"{workflow}: {counted(len(dates), 'date is', 'dates are')} held by QA checks or by somebody; {why}")
    for line in [*_summary(plan), *_under_way(plan, today)]:
        print_line(line)
    if options.dates:
        print_line(f"dates from {options.dates}")
    else:
        for line in list_age(plan.listed.polled, plan.silence, today):
            print_line(line)
    if plan.tick is not None and options.at is None:
        print_line(f"next tick at {moment(plan.tick)}")
    if plan.removals:
        files = counted(len(plan.removals), "old file")
        print_line(f"then {files} will be removed (keep in workflows.yml); --json lists them")


def _listed(options: argparse.Namespace, reader: RunReader, definitions: Definitions, now: dt.datetime) -> ListedDates:
    if options.dates:
        known = reader.listed_dates()
        listed = replace(read_dates_file(options.dates, now), outcomes=known.outcomes, overrides=known.overrides)
    else:
        listed = listed_dates(reader, definitions)
    return listed if options.at is None else listed.until(options.at, now)


def _shown(number: int, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "#": number,
        "date": row["reference_date"],
        "workflow": row["workflow"],
        "parameters": parameters_text(row["parameters"]),
        "reason": row["reason"],
        "expected": seconds_text(row["expected_seconds"]),
    }


def _summary(plan: Plan) -> list[str]:
    lines, decision = [], plan.decision
    if due := len(decision.due):
        expected = plan.expected
        more = ", or more" if plan.automatic else ""
        number = f"{plan.at_a_time} at a time{more}"
        length = f", about {seconds_text(expected)} with {number}" if expected is not None else ""
        lines.append(f"{counted(due, 'run')}{length}{BASIS if length else ''}")
    else:
        lines.append("no runs are due")
    if decision.retry_at is not None:
        lines.append(f"failed runs are waiting to be retried, the first until {moment(decision.retry_at)}")
    if given_up := len(decision.given_up):
        lines.append(f"{counted(given_up, 'run is', 'runs are')} out of retries; `autoflow calendar` shows them")
    return lines


def _under_way(plan: Plan, now: dt.datetime) -> list[str]:
    """Return which runs are in progress, the oldest first: they keep their slots until they end."""
    lines = [
        f"run {run.run} is running: {run.workflow} {run.reference_date}, since {moment(run.started)}"
        f" ({seconds_text(max((now - run.started).total_seconds(), 0.0))})"
        if plan.at_work
        else f"run {run.run}, {run.workflow} {run.reference_date}, since {moment(run.started)}: {LEFT_BEHIND}"
        for run in reversed(plan.running)
    ]
    return [*lines[:MOST_RUNNING], *([f"... and {len(lines) - MOST_RUNNING} more"] if lines[MOST_RUNNING:] else [])]
