# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What has to hold at the moment at which an attempt begins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autoflow.history import Request
from autoflow.model.reader import RunReader
from autoflow.model.recorded import RecordedAttempt
from autoflow.runs.runs import AttemptState, Run
from tests.simulation.oracle import days_of, is_for, is_needed, ranges_of
from tests.simulation.world import DAY

if TYPE_CHECKING:
    from tests.simulation.life import Life

LONGEST_PAUSE = DAY


def check_start(life: Life, read: RunReader, run: Run, now: dt.datetime) -> None:
    """See that a run may be tried now: it has attempts left, its pause is over, and what it waits for is done.

    Raises
    ------
    ViolationError
    """
    before = [each for each in read.attempts(key=run.key) if each.superseded is None]
    is_new = any(each.state is AttemptState.SUCCEEDED for each in before)
    # what failed before a provisional success does not count for the final one
    failed = [each for each in before if each.state is AttemptState.FAILED and not is_new]
    request = read.requests().get(run.key)
    is_asked = request is not None and all(each.ended is None or each.ended < request.asked for each in failed)
    if failed and not is_asked:
        _check_retry(life, run, failed, now)
    if request is not None:
        _check_requested(life, read, run, request.asked)
    if request is None and run.key not in life.world.asked:
        _check_holds(life, run, now)
        for trigger in life.world.config["available_dates_sensor"]["workflows"]:
            if trigger["workflow_name"] == run.workflow.name and trigger["parameters"]["p"] == run.parameters["p"]:
                _check_order(life, read, trigger, run)


def _check_holds(life: Life, run: Run, now: dt.datetime) -> None:
    """See that nobody holds data that the run uses, also where it was decided before that was said."""
    used = days_of(run.parameters, run.reference_date)
    for (workflow, day), since in life.world.holds.items():
        is_held = workflow == run.workflow.name and day in used and since < now
        if is_held and not life.world.drawn["clock step"]:
            life.simulation.fail(f"{run} began though somebody has held {day} since {since}")


def _check_requested(life: Life, read: RunReader, run: Run, asked: dt.datetime) -> None:
    """See that all is done that was requested at the same time and that the run depends on."""
    skipped = {(skip.workflow, skip.reference_date) for skip in read.skips().skips}
    for other in read.requests().values():
        if other.asked != asked or other.key == run.key or (other.workflow, other.reference_date) in skipped:
            continue
        for trigger in _triggers(life):
            is_ours = (
                trigger["workflow_name"] == run.workflow.name and trigger["parameters"]["p"] == run.parameters["p"]
            )
            if is_ours and _depends(life, trigger, run, other):
                life.simulation.fail(f"{run} began before {other.workflow} {other.reference_date}, requested with it")


def _depends(life: Life, trigger: Mapping[str, Any], run: Run, other: Request) -> bool:
    is_same = other.workflow == run.workflow.name and other.parameters["p"] == run.parameters["p"]
    if "after" in trigger and is_same and other.reference_date < run.reference_date:
        return True
    return any(
        other.workflow == need["workflow"]
        and other.parameters["p"] in [each["parameters"]["p"] for each in _triggers(life) if is_needed(need, each)]
        and any(start <= other.reference_date < end for start, end in ranges_of(need["dates"], run.reference_date))
        for need in trigger.get("needs", ())
    )


def _check_retry(life: Life, run: Run, failed: list[RecordedAttempt], now: dt.datetime) -> None:
    # a decision may be older than an edit, and an edit than a decision
    both = (run.workflow.retries, life.agenda.definitions.workflows[run.workflow.name].retries)
    if all(retries.attempts is not None and len(failed) >= retries.attempts for retries in both):
        life.simulation.fail(f"{run} is tried again after {len(failed)} failed attempts, and may not be")
    if life.world.drawn["clock step"]:
        # times that were recorded with a wrong clock prove nothing
        return
    pause = min(min(each.pause * 2 ** (len(failed) - 1), LONGEST_PAUSE.total_seconds()) for each in both)
    last = max(each.ended for each in failed if each.ended is not None)
    if now < last + dt.timedelta(seconds=pause):
        life.simulation.fail(f"{run} is tried again at {now}, and failed for the {len(failed)}. time at {last}")


def _check_order(life: Life, read: RunReader, trigger: Mapping[str, Any], run: Run) -> None:
    """See that all is done that the run waits for."""
    date = run.reference_date
    for need in trigger.get("needs", ()):
        wanted = {day for start, end in ranges_of(need["dates"], date) for day in _days(start, end)}
        theirs = [each for each in _triggers(life) if is_needed(need, each)]
        for day in wanted:
            if not any(_is_done(life, read, each, day) for each in theirs):
                life.simulation.fail(f"{run} began though {need['workflow']} {day}, which it needs, is not done")
    # what is held is passed over: it is not known here
    held = trigger.get("quality", life.world.config["available_dates_sensor"].get("quality"))
    if "after" in trigger and "lag" not in trigger and "needs" not in trigger and not held:
        for day in _earlier(life, trigger, date):
            if not _is_done(life, read, trigger, day):
                life.simulation.fail(f"{run} began though that of {day}, which goes before it, is not done")


def _is_done(life: Life, read: RunReader, trigger: Mapping[str, Any], day: dt.date) -> bool:
    """Whether the run of a day has succeeded, or need not be waited for any more."""
    name = trigger["workflow_name"]
    if (name, day.isoformat()) in life.world.unskipped or any(
        (skip.workflow, skip.reference_date) == (name, day) for skip in read.skips().skips
    ):
        return True
    attempts = [
        each
        for each in read.attempts(workflow=name, first=day, last=day)
        if each.parameters and each.parameters["p"] == trigger["parameters"]["p"]
    ]
    return any(each.state is AttemptState.SUCCEEDED and each.superseded is None for each in attempts) or any(
        each.key in life.world.asked for each in attempts
    )


def _earlier(life: Life, trigger: Mapping[str, Any], date: dt.date) -> Iterator[dt.date]:
    """Give the dates before one that a trigger was to run for when it was last decided."""
    sensor, listed = life.world.config["available_dates_sensor"], life.listed.by_type
    types = trigger.get("cdr_types") or sensor.get("cdr_types") or list(listed)
    which = all if trigger.get("require", sensor.get("require")) == "all" else any
    for day in sorted({day for name in types for day in listed.get(name, ()) if day < date}):
        ranges = ranges_of(trigger.get("date_stencil", [0]), day)
        if is_for(trigger, day) and all(start < end for start, end in ranges):
            needed = {day, *(each for start, end in ranges for each in _days(start, end))}
            if any((trigger["workflow_name"], each) in life.world.held for each in needed):
                # what is held is passed over
                continue
            if all(which(each in listed.get(name, ()) for name in types) for each in needed):
                yield day


def _triggers(life: Life) -> list[dict[str, Any]]:
    triggers: list[dict[str, Any]] = life.world.config["available_dates_sensor"]["workflows"]
    return triggers


def _days(start: dt.date, end: dt.date) -> list[dt.date]:
    return [start + number * DAY for number in range((end - start).days)]
