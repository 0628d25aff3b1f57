# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which runs are due: the dates, the history and the time are arguments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

import pytest

from autoflow.dates.date_stencil import DateStencil
from autoflow.dates.days import Days
from autoflow.dates.listed_dates import listed_at
from autoflow.decision.attempts import next_try
from autoflow.decision.counted import ready_days
from autoflow.decision.due import Decision, due_runs
from autoflow.definitions import Definitions, Notebook, Retries, Trigger, Workflow
from autoflow.history import Failures, RunHistory
from autoflow.runs.runs import RunKey

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
DATES = listed_at({"calls": [f"2016-01-0{day}" for day in (1, 2, 3, 5)]}, NOW)
WORKFLOW = Workflow("w", (Notebook("a", filename="a.ipynb"),))
ONE = Definitions({"w": WORKFLOW}, (Trigger("w"),), schedule="0 0 * * *")


def decide(
    definitions: Definitions, failures: Mapping[RunKey, Failures] = MappingProxyType({}), **options: bool
) -> Decision:
    return due_runs(definitions, ready_days(definitions, DATES, NOW), RunHistory(failed=failures), NOW, **options)


def days(
    definitions: Definitions, failures: Mapping[RunKey, Failures] = MappingProxyType({}), **options: bool
) -> list[int]:
    return [run.reference_date.day for run in decide(definitions, failures, **options).due]


def with_triggers(*triggers: Trigger) -> Definitions:
    return replace(ONE, triggers=triggers)


def test_each_available_date_is_due_oldest_first() -> None:
    assert days(ONE) == [1, 2, 3, 5]
    assert days(replace(ONE, order="newest")) == [5, 3, 2, 1]


def test_dates_before_the_earliest_and_with_an_incomplete_stencil_are_not() -> None:
    assert days(with_triggers(Trigger("w", earliest_date=dt.date(2016, 1, 3)))) == [3, 5]
    assert days(with_triggers(Trigger("w", date_stencil=DateStencil.parse([[-1, 1]])))) == [2, 3]


def test_triggers_take_turns_by_date() -> None:
    definitions = with_triggers(Trigger("w", {"unit": "admin3"}), Trigger("w", {"unit": "admin2"}))
    runs = [*decide(definitions).due]
    assert [(run.reference_date.day, run.parameters["unit"]) for run in runs[:4]] == [
        (1, "admin3"),
        (1, "admin2"),
        (2, "admin3"),
        (2, "admin2"),
    ]


@pytest.mark.parametrize(("order", "dates"), [("oldest", [1, 2, 3, 5]), ("newest", [5, 3, 2, 1])])
def test_a_higher_priority_goes_before_all_dates_of_a_lower_one(
    order: Literal["oldest", "newest"], dates: list[int]
) -> None:
    urgent = Workflow("urgent", WORKFLOW.notebooks, priority=1)
    definitions = replace(
        ONE, workflows={"w": WORKFLOW, "urgent": urgent}, triggers=(Trigger("w"), Trigger("urgent")), order=order
    )
    runs = [(run.workflow.name, run.reference_date.day) for run in decide(definitions).due]
    assert runs == [(name, day) for name in ("urgent", "w") for day in dates]


def test_identical_triggers_count_once() -> None:
    assert days(with_triggers(Trigger("w"), Trigger("w"))) == [1, 2, 3, 5]


def test_what_is_settled_is_not_due() -> None:
    first = dt.date(2016, 1, 1).toordinal()
    runs = due_runs(ONE, [Days.of([first, first + 2])], RunHistory(), NOW).due
    assert [run.reference_date.day for run in runs] == [1, 3]


def test_a_failed_run_waits_for_its_pause_and_then_is_due_again() -> None:
    run = next(iter(decide(ONE).due))
    for minutes, expected in ((9, [2, 3, 5]), (11, [1, 2, 3, 5])):
        last = NOW - dt.timedelta(minutes=minutes)
        failures = {run.key: Failures(1, last)}
        assert days(ONE, failures) == expected
        assert days(ONE, failures, patient=False) == [1, 2, 3, 5]
    failures = {run.key: Failures(1, NOW - dt.timedelta(minutes=9))}
    assert decide(ONE, failures).retry_at == NOW + dt.timedelta(minutes=1)


def test_after_all_its_attempts_a_run_is_given_up() -> None:
    definitions = replace(ONE, workflows={"w": replace(WORKFLOW, retries=Retries(attempts=3))})
    run = next(iter(decide(definitions).due))
    long_ago = NOW - dt.timedelta(days=30)
    decision = decide(definitions, {run.key: Failures(3, long_ago)}, patient=False)
    assert [run.reference_date.day for run in decision.due] == [2, 3, 5]
    assert [run.reference_date.day for run in decision.given_up] == [1]


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 10), (2, 20), (3, 40), (8, 1280), (9, 1440), (500, 1440), (10**6, 1440)]
)
def test_pauses_double_up_to_a_day(attempts: int, minutes: int) -> None:
    assert next_try(Retries(), Failures(attempts, NOW)) == NOW + dt.timedelta(minutes=minutes)
