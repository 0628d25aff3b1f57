# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that are due, a few or millions: the same as if each were looked at by itself, in the same order."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from itertools import islice
from random import Random

import pytest

from autoflow.dates.date_stencil import DateStencil
from autoflow.dates.days import Days
from autoflow.decision.counted import CountedDays
from autoflow.decision.due import decide, due_runs, still_due
from autoflow.decision.verdict import judge
from autoflow.definitions import Definitions, Notebook, Retries, Trigger, Workflow
from autoflow.history import Failures, LastState, Request, RunHistory, Skip, Skips
from autoflow.runs.in_order import Runs
from autoflow.runs.runs import Run, RunKey, RunState, build_run

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
FIRST = dt.date(2016, 1, 1).toordinal()
DAYS = 8
STENCILS = [DateStencil.parse(each) for each in ([0], [[-1, 1]], [["2016-01-03", 1]], [[-2, 1]])]
"""For 5 January 2016, two of them are the same."""


def drawn_definitions(chance: Random) -> Definitions:
    workflows = {
        name: Workflow(
            name, (Notebook("a", filename="a.ipynb"),), retries=Retries(attempts=2), priority=chance.choice([0, 0, 3])
        )
        for name in ("one", "two", "three")
    }
    triggers = tuple(
        Trigger(chance.choice([*workflows]), {"unit": chance.choice("ab")}, date_stencil=chance.choice(STENCILS))
        for _ in range(chance.randrange(1, 7))
    )
    return Definitions(workflows, triggers, schedule="0 0 * * *", order=chance.choice(["oldest", "newest"]))


def drawn_days(chance: Random, trigger: Trigger) -> Days:
    # for dates before it, a stencil from a date on holds no day
    first = 2 if trigger.date_stencil == STENCILS[2] else 0
    return Days.of(FIRST + day for day in range(first, DAYS) if chance.random() < 0.7)


def drawn_history(chance: Random, runs: list[Run], *, dated: bool) -> RunHistory:
    """Draw what may have become of runs: most have a record of nothing."""
    latest, failed, requests, skips = {}, {}, {}, list[Skip]()
    for run in runs:
        what = chance.choice(["nothing"] * 5 + ["failed", "failed", "interrupted", "requested", "skipped"])
        then = NOW - dt.timedelta(minutes=chance.randrange(1, 40))
        if what in ("failed", "interrupted"):
            latest[run.key] = LastState(1, what)
        if what == "failed":
            failed[run.key] = Failures(chance.randrange(1, 3), then, run.reference_date if dated else None)
        elif what == "requested":
            requests[run.key] = Request(*run.key, run.reference_date, run.parameters, then)
        elif what == "skipped":
            skips.append(Skip(run.workflow.name, run.reference_date, chance.choice(["", run.key[1]]), "no", then))
    return RunHistory(latest, failed, requests, Skips(tuple(skips)))


def one_by_one(
    definitions: Definitions, unsettled: list[Days], history: RunHistory
) -> tuple[list[RunKey], list[RunKey], dt.datetime | None]:
    """Tell the rule without any haste: each day of each trigger is built and judged, then all are sorted."""
    due, given_up, retries = dict[RunKey, Run](), dict[RunKey, Run](), list[dt.datetime]()
    for trigger, days in zip(definitions.triggers, unsettled, strict=True):
        workflow = definitions.workflows[trigger.workflow_name]
        for day in days:
            run = build_run(workflow, trigger, dt.date.fromordinal(day))
            if run.key in history.requests:
                continue
            verdict = judge(history, run.key, run.reference_date, RunState.DUE, workflow.retries)
            if verdict.starts(NOW):
                due.setdefault(run.key, run)
            elif verdict.state is RunState.GIVEN_UP:
                given_up[run.key] = run
            elif verdict.retry_at is not None:
                retries.append(verdict.retry_at)
    in_order = sorted(due.values(), key=lambda run: run.reference_date, reverse=definitions.order == "newest")
    in_order.sort(key=lambda run: -run.workflow.priority)
    return [run.key for run in in_order], [*given_up], min(retries, default=None)


@pytest.mark.parametrize("seed", range(150))
def test_a_decision_is_that_of_each_run_by_itself(seed: int) -> None:
    chance = Random(seed)
    definitions = drawn_definitions(chance)
    unsettled = [drawn_days(chance, trigger) for trigger in definitions.triggers]
    runs = [
        build_run(definitions.workflows[trigger.workflow_name], trigger, dt.date.fromordinal(day))
        for trigger, days in zip(definitions.triggers, unsettled, strict=True)
        for day in days
    ]
    history = drawn_history(chance, runs, dated=chance.random() < 0.8)
    waiting = [Days() for _ in unsettled]
    decision = decide(definitions, CountedDays(unsettled, waiting), history, NOW)
    by_dates = [run for run in decision.due if run.key not in history.requests]
    wanted = one_by_one(definitions, unsettled, history)
    given_up = [run.key for run in decision.given_up if run.key not in history.requests]
    assert ([run.key for run in by_dates], given_up) == wanted[:2]
    if not history.requests:
        assert decision.retry_at == wanted[2]
    # what was requested goes first
    assert {run.key for run in [*decision.due][: len(decision.due) - len(by_dates)]} <= set(history.requests)
    assert_counts_are_right(decision.due)
    # some wait, and some of these are more than waiting
    waits = decide(definitions, CountedDays(waiting, unsettled), history, NOW).waiting
    states = (judge(history, run.key, run.reference_date, RunState.WAITING, run.workflow.retries).state for run in runs)
    assert +Counter(waits) == Counter(
        run.workflow.name for run, state in zip(runs, states, strict=True) if state is RunState.WAITING
    )


def assert_counts_are_right(runs: Runs) -> None:
    listed = [*runs]
    assert len({run.key for run in listed}) == len(listed) == len(runs)
    assert runs.by_workflow() == Counter(run.workflow.name for run in listed)
    assert runs.oldest() == {
        name: min(run.reference_date for run in listed if run.workflow.name == name)
        for name in {run.workflow.name for run in listed}
    }
    assert bool(runs) == bool(listed)


@pytest.mark.parametrize("seed", range(60))
def test_runs_in_order_are_taken_and_put_together_as_lists_are(seed: int) -> None:
    chance = Random(seed)
    definitions = drawn_definitions(chance)

    def drawn() -> Runs:
        days = [drawn_days(chance, trigger) for trigger in definitions.triggers]
        due = due_runs(definitions, days, RunHistory(), NOW).due
        # some are requested
        some = chance.sample([*due], chance.randrange(len(due) + 1)) if chance.random() < 0.5 else []
        return Runs.of(some).then(due)

    one, other = drawn(), drawn()
    first, second = [*one], [*other]
    some = {run.key: run.reference_date for run in chance.sample(first + second, min(3, len(first)))}
    assert [*one.among(some)] == [run for run in first if run.key in some]
    assert [*one.without(some)] == [run for run in first if run.key not in some]
    known = {run.key for run in first}
    both = one.then(other)
    assert [run.key for run in both] == [run.key for run in first + [run for run in second if run.key not in known]]
    assert_counts_are_right(both)
    name = chance.choice([*definitions.workflows])
    assert both.first(lambda workflow: workflow.name == name) == next(
        (run for run in both if run.workflow.name == name), None
    )
    # what was requested or skipped since is left out
    history = drawn_history(chance, first, dated=True)
    skipped = {
        run.key
        for run in first
        if judge(history, run.key, run.reference_date, RunState.DUE, run.workflow.retries).state is RunState.SKIPPED
    }
    left = [run for run in first if run.key not in history.requests and run.key not in skipped]
    assert [*still_due(one, history)] == left


def test_millions_of_due_runs_are_counted_and_begun_without_being_built() -> None:
    """Each of ten million would take a second in a hundred thousand; these take none."""
    workflow = Workflow("w", (Notebook("a", filename="a.ipynb"),))
    triggers = tuple(Trigger("w", {"n": n}) for n in range(100))
    definitions = Definitions({"w": workflow}, triggers, schedule="0 0 * * *", order="newest")
    days = Days(((FIRST, FIRST + 100_000),))
    due = due_runs(definitions, [days] * len(triggers), RunHistory(), NOW).due
    assert len(due) == 10_000_000
    newest = dt.date.fromordinal(FIRST + 99_999)
    assert [(run.reference_date, run.parameters["n"]) for run in islice(due, 3)] == [
        (newest, 0),
        (newest, 1),
        (newest, 2),
    ]
    rest = due.without({run.key: run.reference_date for run in islice(due, 2)})
    assert (len(rest), rest.first(lambda _: True)) == (9_999_998, next(islice(due, 2, None)))
