# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a tick starts: the runs that are due or to be tried again, in order; the tick and its plan ask here."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from autoflow.dates import Days, ListedDates
from autoflow.decision.counted import CountedDays, days_with_data
from autoflow.decision.downstream import held_requests
from autoflow.decision.order import Order, days_of_runs, kept_days, keys_of, skipped_days
from autoflow.decision.verdict import Verdict, judge, judge_failures
from autoflow.definitions import Definitions
from autoflow.fitting import misfit
from autoflow.history import RunHistory
from autoflow.runs import Run, RunKey, Runs, RunState, Series, Stage, recorded_run

Judged = TypeVar("Judged")


@dataclass(frozen=True)
class Decision:
    """What a tick found: runs to be executed now, in order, and when to look at failed ones again."""

    due: Runs
    retry_at: dt.datetime | None = None
    """When the first of the failed runs that are not due yet will be; None when there are none."""
    given_up: Runs = field(default_factory=Runs)
    """Failed runs that have had all their attempts."""
    misfits: tuple[str, ...] = ()
    """Why some of the requested runs cannot be executed with workflows.yml as it is now."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """How many dates of triggers wait for others, by workflow."""


def undone_days(
    definitions: Definitions,
    days: CountedDays,
    unsettled: Sequence[Days],
    running: Mapping[RunKey, dt.date],
    run_history: RunHistory,
) -> CountedDays:
    """Leave the days that are not settled, and let runs wait that have to wait for others.

    Parameters
    ----------
    days
        All that count.
    unsettled
        Those of them whose runs have neither succeeded nor are in progress. What has succeeded and was requested again
        since may be missing among them: others wait for that all the same.
    running
        Runs in progress, with their reference dates: they have not succeeded, and others wait for them.
    """
    left = days.among(without_kept(definitions, days, unsettled, run_history))
    if not definitions.has_order:
        return left
    requested = {key: request.reference_date for key, request in run_history.requests.items()}
    to_be_done = days_of_runs(definitions, {**requested, **running})
    undone = [some | (ready & runs) for some, ready, runs in zip(left.ready, days.ready, to_be_done, strict=True)]
    return left.without(
        Order(days.ready, undone, skipped_days(definitions, days.ready, run_history)).all_held(definitions)
    )


def without_kept(
    definitions: Definitions, days: CountedDays, unsettled: Sequence[Days], run_history: RunHistory
) -> Sequence[Days]:
    """Leave out days that were run with dates missing, and that are not run again now."""
    if not run_history.provisional:
        return unsettled
    kept = kept_days(definitions, days, run_history)
    # what one trigger keeps as it is, no other one makes again
    runs = {
        key: dt.date.fromordinal(day)
        for trigger, those in zip(definitions.triggers, kept, strict=True)
        for day, key in keys_of(trigger, those)
    }
    return [one - those for one, those in zip(unsettled, days_of_runs(definitions, runs), strict=True)]


def decide(
    definitions: Definitions, unsettled: CountedDays, run_history: RunHistory, now: dt.datetime, *, patient: bool = True
) -> Decision:
    """Decide what becomes of the days that have not succeeded; see `due_runs`."""
    decision = due_runs(definitions, unsettled.ready, run_history, now, patient=patient)
    waiting = Counter(decision.waiting) + _count_waiting(definitions, unsettled.waiting, run_history)
    return replace(decision, waiting=waiting)


def due_runs(
    definitions: Definitions,
    unsettled: Sequence[Days],
    run_history: RunHistory,
    now: dt.datetime,
    *,
    patient: bool = True,
) -> Decision:
    """Decide which runs are to be executed now.

    Parameters
    ----------
    definitions, run_history, now
        All that the decision depends on, with:
    unsettled
        Days of each trigger that are ready and have not succeeded. Most of them are due with nothing more to be said:
        these are not looked at one by one.
    patient
        Whether a failed run waits until its pause is over; attempts are counted either way.
    """
    asked = asked_runs(definitions, run_history, now, patient=patient)
    starting, hopeless, retries = list[Series](), list[Series](), [asked.retry_at]
    for series in _series(definitions, unsettled):
        judged = [
            (day, verdict)
            for day, key, verdict in _told(series, run_history, RunState.DUE)
            if key not in run_history.requests
        ]
        due, given_up, retry_at = _sorted_out(judged, now, patient=patient)
        plain = series.days - run_history.told.get(series.workflow.name, Days())
        starting.append(series.on(plain | Days.of(due)))
        hopeless.append(series.on(Days.of(given_up)))
        retries.append(retry_at)
    return Decision(
        # requested runs are waited for
        due=Runs.staged((*asked.due.stages, *_in_order(_each_once(starting), definitions.order))),
        retry_at=min((time for time in retries if time is not None), default=None),
        given_up=asked.given_up.then(Runs.staged([Stage(tuple(_each_once(hopeless)))])),
        misfits=asked.misfits,
        waiting=asked.waiting,
    )


def asked_runs(
    definitions: Definitions, run_history: RunHistory, now: dt.datetime, *, patient: bool = True
) -> Decision:
    """Decide which of the requested runs are to be executed now, in the order of the requests."""
    judged, misfits, held = list[tuple[Run, Verdict]](), list[str](), held_requests(definitions, run_history)
    for key, request in run_history.requests.items():
        # a workflow that is gone may come back
        workflow = definitions.workflows.get(request.workflow)
        if workflow is None or key in held:
            continue
        # whatever data there are, and whatever the triggers say
        verdict = judge(run_history, key, request.reference_date, RunState.EXCLUDED, workflow.retries)
        if verdict.state not in (RunState.DUE, RunState.FAILED, RunState.GIVEN_UP):
            continue
        if why := misfit(definitions, request.workflow, request.parameters):
            misfits.append(f"{request.workflow} {request.reference_date}: {why}")
        else:
            judged.append((recorded_run(workflow, request.parameters, key[1]), verdict))
    due, given_up, retry_at = _sorted_out(judged, now, patient=patient)
    waiting = Counter(name for name, _ in held)
    return Decision(Runs.of(due), retry_at, Runs.of(given_up), tuple(misfits), waiting)


def decide_requested(definitions: Definitions, waiting: Runs, run_history: RunHistory, now: dt.datetime) -> Decision:
    """Decide without dates what was requested, which goes first, and what is still due of the runs that wait."""
    asked = asked_runs(definitions, run_history, now)
    return replace(asked, due=asked.due.then(still_due(waiting, run_history)))


def with_data(runs: Runs, definitions: Definitions, listed: ListedDates, now: dt.datetime) -> Runs:
    """Leave out, of runs that are due by dates, those whose data somebody has held since."""

    def left(series: Series) -> Days:
        if isinstance(series.source, Run):
            return series.days
        available = listed.available(definitions.data_rule(series.source), now)
        return series.days & days_with_data(series.source, available, now)

    return runs.only(left)


def still_due(runs: Runs, run_history: RunHistory) -> Runs:
    """Leave out, of runs that are due by dates, those that were requested or skipped since."""

    def left(series: Series) -> Days:
        return series.days - Days.of(
            day
            for day, key, verdict in _told(series, run_history, RunState.DUE)
            if key in run_history.requests or verdict.state is RunState.SKIPPED
        )

    return runs.only(left)


def _series(definitions: Definitions, days: Sequence[Days]) -> Iterator[Series]:
    """Yield the runs of each trigger that has any for some days."""
    for trigger, those in zip(definitions.triggers, days, strict=True):
        if those:
            yield Series(definitions.workflows[trigger.workflow_name], trigger, those)


def _told(series: Series, run_history: RunHistory, by_dates: RunState) -> Iterator[tuple[int, RunKey, Verdict]]:
    """Judge the runs that the record has more to say of than that they have not succeeded."""
    workflow = series.workflow
    for day, key in series.keys(run_history.told.get(workflow.name, Days())):
        yield day, key, judge(run_history, key, dt.date.fromordinal(day), by_dates, workflow.retries)


def _sorted_out(
    judged: Iterable[tuple[Judged, Verdict]], now: dt.datetime, *, patient: bool
) -> tuple[list[Judged], list[Judged], dt.datetime | None]:
    """Tell what starts, what is given up, and when the first of the others may be tried again."""
    starting, given_up, retries = list[Judged](), list[Judged](), list[dt.datetime]()
    for each, verdict in judged:
        if verdict.starts(now, patient=patient):
            starting.append(each)
        elif verdict.state is RunState.GIVEN_UP:
            given_up.append(each)
        elif verdict.retry_at is not None:
            retries.append(verdict.retry_at)
    return starting, given_up, min(retries, default=None)


def _in_order(series: Sequence[Series], order: Literal["oldest", "newest"]) -> Iterator[Stage]:
    """Order runs by priority and date; those of one date keep the order of the triggers."""
    for priority in sorted({each.workflow.priority for each in series}, reverse=True):
        yield Stage(tuple(each for each in series if each.workflow.priority == priority), order)


def _each_once(series: Iterable[Series]) -> list[Series]:
    """Leave out runs that a trigger before makes too, and triggers without any."""
    before, left = dict[Hashable, list[Series]](), list[Series]()
    for each in series:
        others = before.setdefault(each.family, [])
        if rest := each.days - each.days_in(others):
            left.append(each.on(rest))
            others.append(left[-1])
    return left


def _count_waiting(definitions: Definitions, waiting: Sequence[Days], run_history: RunHistory) -> Counter[str]:
    """Count the days of triggers that wait for others, and that nothing else is to be said of, by workflow."""
    count = Counter[str]()
    for series in _series(definitions, waiting):
        others = (verdict for _, _, verdict in _told(series, run_history, RunState.WAITING))
        more = sum(verdict.state is not RunState.WAITING for verdict in others)
        count[series.workflow.name] += len(series.days) - more
    return count


def first_retry(definitions: Definitions, run_history: RunHistory) -> dt.datetime | None:
    """Find when the first of the failed runs may be tried again."""
    verdicts = (
        judge_failures(failures, workflow.retries)
        for (name, _), failures in run_history.failed.items()
        if (workflow := definitions.workflows.get(name))
    )
    return min((verdict.retry_at for verdict in verdicts if verdict.retry_at is not None), default=None)
