# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow plan``: what the next tick would run, and why."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.polling import listed_dates
from autoflow.commands.reading import definitions_of, record
from autoflow.commands.terminal import print_json, print_line, print_table
from autoflow.context import Ledger
from autoflow.dates import ListedDates, read_dates_file
from autoflow.decision import due_runs, list_age, moment, order_of, ready_days, why_due
from autoflow.definitions import Keep
from autoflow.errors import ExitCode
from autoflow.model import RecordedAttempt, RunReader, to_be_removed
from autoflow.runs import AttemptState
from autoflow.schedule import LATEST, Schedule, next_tick
from autoflow.sensor import concurrency_of
from autoflow.settings import Settings
from autoflow.wording import counted, parameters_text, seconds_text

MOST_ROWS = 40
MOST_RUNNING = 10


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Show the plan."""
    today = utc_now()
    now = today if options.at is None else dt.datetime.combine(options.at, dt.time.max, dt.UTC)
    definitions = definitions_of(settings)
    with record(settings, missing_is_empty=True) as reader:
        listed = _listed(options, reader, now)
        run_history = reader.history()
        ready = ready_days(definitions, listed, now)
        removals = [
            removal
            for workflow in definitions.workflows.values()
            if workflow.keep != Keep()
            for removal in to_be_removed(reader.made_by(workflow.name), workflow.keep, now)
        ]
        unsettled = asyncio.run(Ledger(reader).unsettled(definitions, ready))
        order = order_of(definitions, listed, now, reader.run_history)
        if order.ready:
            unsettled = [days - order.held(definitions, number) for number, days in enumerate(unsettled)]
        decision = due_runs(definitions, unsettled, run_history, now)
        silence, running = reader.silence(), reader.attempts(states=[AttemptState.RUNNING])
        lengths = {name: reader.durations(name) for name in {run.workflow.name for run in decision.due}}
        rows: list[dict[str, Any]] = [
            {
                "reference_date": run.reference_date,
                "workflow": run.workflow.name,
                "parameters": run.parameters,
                "reason": why_due(run_history, run.key),
                "expected_seconds": lengths[run.workflow.name],
            }
            for run in decision.due
        ]
    rules = {definitions.data_rule(trigger) for trigger in definitions.triggers}
    lagging = min((time for rule in rules if (time := listed.next_to_count(rule, now)) is not None), default=None)
    schedule = Schedule(definitions.schedule, definitions.timezone) if definitions.schedule else None
    tick = next_tick(schedule, now) if schedule and now < LATEST else None
    known = [row["expected_seconds"] for row in rows if row["expected_seconds"] is not None]
    at_a_time = concurrency_of(definitions).runs
    expected = sum(known) / min(at_a_time, len(rows)) * len(rows) / len(known) if known else None
    if options.json:
        print_json(
            {
                "as_of": now,
                "last_poll": listed.polled,
                "polls_fail_since": silence.since if silence else None,
                "under_way": [each.run for each in running],
                "next_tick": tick,
                "runs": rows,
                "expected_seconds": expected,
                "at_a_time": at_a_time,
                "next_retry": decision.retry_at,
                "next_to_count": lagging,
                "given_up": len(decision.given_up),
                "removals": [str(path) for removal in removals for path in removal.files],
            }
        )
        return ExitCode.OK
    shown = rows if options.all else rows[:MOST_ROWS]
    print_table([_shown(number, row) for number, row in enumerate(shown, 1)], right=("", "expected"))
    if len(shown) < len(rows):
        print_line(f"... and {len(rows) - len(shown)} more; --all shows them")
    if rows:
        print_line()
    if lagging is not None:
        print_line(f"listed dates are waiting for the lag of a trigger, the first until {moment(lagging)}")
    for line in _summary(rows, expected, at_a_time, decision.retry_at, len(decision.given_up)):
        print_line(line)
    for line in _under_way(running, today):
        print_line(line)
    if options.dates:
        print_line(f"dates from {options.dates}")
    else:
        for line in list_age(listed.polled, silence, today):
            print_line(line)
    if tick is not None and options.at is None:
        print_line(f"next tick at {moment(tick)}")
    if files := sum(len(removal.files) for removal in removals):
        print_line(f"then {counted(files, 'old file')} will be removed (keep in workflows.yml); --json lists them")
    return ExitCode.OK


def _listed(options: argparse.Namespace, reader: RunReader, now: dt.datetime) -> ListedDates:
    listed = read_dates_file(options.dates, now) if options.dates else listed_dates(reader)
    return listed if options.at is None else listed.until(options.at, now)


def _shown(number: int, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "": number,
        "date": row["reference_date"],
        "workflow": row["workflow"],
        "parameters": parameters_text(row["parameters"]),
        "reason": row["reason"],
        "expected": seconds_text(row["expected_seconds"]),
    }


def _summary(
    rows: list[dict[str, Any]],
    expected: float | None,
    at_a_time: int,
    retry_at: dt.datetime | None,
    given_up: int,
) -> list[str]:
    lines = []
    if rows:
        length = f", about {seconds_text(expected)} with {at_a_time} at a time" if expected is not None else ""
        lines.append(f"{counted(len(rows), 'run')}{length}")
    else:
        lines.append("no runs are due")
    if retry_at is not None:
        lines.append(f"failed runs are waiting to be retried, the first until {moment(retry_at)}")
    if given_up:
        lines.append(f"{counted(given_up, 'run is', 'runs are')} out of retries; `autoflow calendar` shows them")
    return lines


def _under_way(running: Sequence[RecordedAttempt], now: dt.datetime) -> list[str]:
    """Say which runs are in progress, the oldest first: they keep their slots until they end."""
    lines = [
        f"run {run.run} is running: {run.workflow} {run.reference_date}, since {moment(run.started)}"
        f" ({seconds_text(max((now - run.started).total_seconds(), 0.0))})"
        for run in reversed(running)
    ]
    return [*lines[:MOST_RUNNING], *([f"... and {len(lines) - MOST_RUNNING} more"] if lines[MOST_RUNNING:] else [])]
