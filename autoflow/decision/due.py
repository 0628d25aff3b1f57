# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a tick starts: the runs that are due or to be tried again, in order; the tick and its plan ask here."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoflow.dates import Days
from autoflow.decision.counted import CountedDays
from autoflow.decision.downstream import held_requests
from autoflow.decision.order import Order, days_of_runs, skipped_days
from autoflow.decision.verdict import Verdict, judge, judge_failures
from autoflow.definitions import Definitions
from autoflow.fitting import misfit
from autoflow.history import RunHistory
from autoflow.runs import Run, RunKey, RunState, build_run, key_maker, recorded_run


@dataclass(frozen=True)
class Decision:
    """What a tick found: runs to be executed now, in order, and when to look at failed ones again."""

    due: tuple[Run, ...]
    retry_at: dt.datetime | None = None
    """When the first of the failed runs that are not due yet will be; None when there are none."""
    given_up: tuple[Run, ...] = ()
    """Failed runs that have had all their attempts."""
    misfits: tuple[str, ...] = ()
    """Why some of the requested runs cannot be executed with workflows.yml as it is now."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """How many dates of triggers wait for others, by workflow."""


@dataclass
class _Found:
    """What has been found of a decision so far."""

    now: dt.datetime
    patient: bool
    due: dict[RunKey, Run] = field(default_factory=dict)
    given_up: dict[RunKey, Run] = field(default_factory=dict)
    retry_at: dt.datetime | None = None

    def add(self, run: Run, verdict: Verdict) -> None:
        if verdict.starts(self.now, patient=self.patient):
            self.due.setdefault(run.key, run)
        elif verdict.state is RunState.GIVEN_UP:
            self.given_up[run.key] = run
        elif verdict.retry_at is not None:
            self.retry_at = min(verdict.retry_at, self.retry_at or verdict.retry_at)


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
        Those of them whose runs have neither succeeded nor are in progress.
    running
        Runs in progress, with their reference dates: they have not succeeded, and others wait for them.
    """
    left = days.among(unsettled)
    if not definitions.has_order:
        return left
    in_progress = days_of_runs(definitions, running)
    undone = [some | (ready & runs) for some, ready, runs in zip(left.ready, days.ready, in_progress, strict=True)]
    return left.without(
        Order(days.ready, undone, skipped_days(definitions, days.ready, run_history)).all_held(definitions)
    )


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
        Days of each trigger that are ready and have not succeeded.
    patient
        Whether a failed run waits until its pause is over; attempts are counted either way.
    """
    asked = asked_runs(definitions, run_history, now, patient=patient)
    found = _Found(now, patient, given_up={run.key: run for run in asked.given_up}, retry_at=asked.retry_at)
    for trigger, days in zip(definitions.triggers, unsettled, strict=True):
        workflow = definitions.workflows[trigger.workflow_name]
        for day in days:
            run = build_run(workflow, trigger, dt.date.fromordinal(day))
            if run.key not in run_history.requests:
                found.add(run, judge(run_history, run.key, run.reference_date, RunState.DUE, workflow.retries))
    # sorting is stable: runs of one date keep the order of the triggers
    in_order = sorted(found.due.values(), key=lambda run: run.reference_date, reverse=definitions.order == "newest")
    in_order.sort(key=lambda run: -run.workflow.priority)
    # requested runs are waited for
    due, given_up = (*asked.due, *in_order), tuple(found.given_up.values())
    return Decision(due, found.retry_at, given_up, asked.misfits, asked.waiting)


def asked_runs(
    definitions: Definitions, run_history: RunHistory, now: dt.datetime, *, patient: bool = True
) -> Decision:
    """Decide which of the requested runs are to be executed now, in the order of the requests."""
    found, misfits, held = _Found(now, patient), list[str](), held_requests(definitions, run_history)
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
            found.add(recorded_run(workflow, request.parameters, key[1]), verdict)
    due, given_up = tuple(found.due.values()), tuple(found.given_up.values())
    return Decision(due, found.retry_at, given_up, tuple(misfits), Counter(name for name, _ in held))


def decide_requested(
    definitions: Definitions, waiting: Sequence[Run], run_history: RunHistory, now: dt.datetime
) -> Decision:
    """Decide without dates what was requested, which goes first, and what is still due of the runs that wait."""
    asked = asked_runs(definitions, run_history, now)
    return replace(asked, due=(*asked.due, *still_due(waiting, run_history)))


def still_due(runs: Sequence[Run], run_history: RunHistory) -> list[Run]:
    """Leave out, of runs that are due by dates, those that were requested or skipped since."""
    return [
        run
        for run in runs
        if run.key not in run_history.requests
        and judge(run_history, run.key, run.reference_date, RunState.DUE, run.workflow.retries).state
        is not RunState.SKIPPED
    ]


def _count_waiting(definitions: Definitions, waiting: Sequence[Days], run_history: RunHistory) -> Counter[str]:
    """Count the days of triggers that wait for others, and that nothing else is to be said of, by workflow."""
    skipped = {skip.workflow for skip in run_history.skips.skips}
    told_of = skipped.union(name for name, _ in (*run_history.failed, *run_history.requests))
    count = Counter[str]()
    for trigger, days in zip(definitions.triggers, waiting, strict=True):
        name = trigger.workflow_name
        if name not in told_of:
            count[name] += len(days)
            continue
        key_of, retries = key_maker(trigger), definitions.workflows[name].retries
        for date in map(dt.date.fromordinal, days):
            count[name] += judge(run_history, key_of(date), date, RunState.WAITING, retries).state is RunState.WAITING
    return count


def first_retry(definitions: Definitions, run_history: RunHistory) -> dt.datetime | None:
    """Find when the first of the failed runs may be tried again."""
    verdicts = (
        judge_failures(failures, workflow.retries)
        for (name, _), failures in run_history.failed.items()
        if (workflow := definitions.workflows.get(name))
    )
    return min((verdict.retry_at for verdict in verdicts if verdict.retry_at is not None), default=None)
