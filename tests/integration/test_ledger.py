# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The ledger: it gives what the record says, and asks it for what is new only."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoflow.context.ledger import Ledger
from autoflow.dates.date_stencil import DateStencil
from autoflow.dates.days import Days
from autoflow.dates.listed_dates import listed_at
from autoflow.decision.counted import ready_days
from autoflow.definitions import Definitions, Notebook, Trigger, Workflow
from autoflow.model.store import RunStore
from autoflow.runs.runs import AttemptState, build_run

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
FIRST = dt.date(2016, 1, 1).toordinal()
WORKFLOW = Workflow("w", (Notebook("a", filename="a.ipynb"),))
TRIGGERS = (
    Trigger("w", {"unit": "admin3"}),
    Trigger("w", {"unit": "admin2"}, date_stencil=DateStencil.parse([[-1, 1]])),
    Trigger("w", {"unit": "admin2"}, date_stencil=DateStencil.parse([[-1, 1]])),
)
DEFINITIONS = Definitions({"w": WORKFLOW}, TRIGGERS, schedule="0 0 * * *")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    store = RunStore(tmp_path / "autoflow.db")
    yield store
    store.close()


def succeed(store: RunStore, number: int, *days: int) -> None:
    for day in days:
        run = build_run(WORKFLOW, TRIGGERS[number], dt.date.fromordinal(FIRST + day))
        store.finish(store.begin(run, NOW), AttemptState.SUCCEEDED, NOW)


def unsettled(ledger: Ledger, dates: int, definitions: Definitions = DEFINITIONS) -> list[list[int]]:
    listed = listed_at({"calls": [dt.date.fromordinal(FIRST + day).isoformat() for day in range(dates)]}, NOW)
    found = asyncio.run(ledger.unsettled(definitions, ready_days(definitions, listed, NOW)))
    return [[day - FIRST for day in days] for days in found]


def test_what_succeeded_is_not_unsettled_for_each_trigger_that_it_is_a_run_of(store: RunStore) -> None:
    succeed(store, 0, 0, 2)
    succeed(store, 1, 3)
    assert unsettled(Ledger(store.read), 5) == [[1, 3, 4], [1, 2, 4], [1, 2, 4]]


def test_what_ran_since_is_looked_up_again(store: RunStore) -> None:
    ledger = Ledger(store.read)
    assert unsettled(ledger, 2) == [[0, 1], [1], [1]]
    succeed(store, 0, 0)
    assert unsettled(ledger, 2) == [[0, 1], [1], [1]]
    ledger.forget("w", dt.date.fromordinal(FIRST))
    assert unsettled(ledger, 3) == [[1, 2], [1, 2], [1, 2]]


def test_only_new_dates_are_looked_up(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, list[Days]] = {"settled_days": [], "settled_keys": []}

    def noting(name: str) -> Callable[[int, int], Any]:
        ask = getattr(store.read, name)
        return lambda *stretch: asked[name].append(Days((stretch,))) or ask(*stretch)

    for name in asked:
        monkeypatch.setattr(store.read, name, noting(name))
    succeed(store, 0, 2, 4)
    ledger = Ledger(store.read)
    unsettled(ledger, 4)
    unsettled(ledger, 4)
    unsettled(ledger, 6)
    found = {name: [[day - FIRST for day in days] for days in stretches] for name, stretches in asked.items()}
    # runs one by one, of dates alone that have any
    assert found == {"settled_days": [[0, 1, 2, 3], [4, 5]], "settled_keys": [[2], [4]]}


def test_a_run_that_ends_while_much_is_looked_up_is_not_taken_for_one_that_is_to_be_made(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = 10
    monkeypatch.setattr("autoflow.context.ledger.AT_ONCE", len(TRIGGERS))
    # dates without any run that is settled are passed over at one stroke
    succeed(store, 1, *range(dates))
    listed = listed_at({"calls": [dt.date.fromordinal(FIRST + day).isoformat() for day in range(dates)]}, NOW)
    ledger = Ledger(store.read)

    async def looking() -> list[Days]:
        found = asyncio.create_task(ledger.unsettled(DEFINITIONS, ready_days(DEFINITIONS, listed, NOW)))
        # the first dates have been looked up, and the last have not
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not found.done()
        succeed(store, 0, 0, dates - 1)
        for day in (0, dates - 1):
            ledger.forget("w", dt.date.fromordinal(FIRST + day))
        return await found

    first = asyncio.run(looking())[0]
    assert [day - FIRST for day in first] == list(range(1, dates - 1))


def test_other_definitions_are_looked_up_from_the_start(store: RunStore) -> None:
    succeed(store, 0, 0)
    ledger = Ledger(store.read)
    assert unsettled(ledger, 2)[0] == [1]
    fewer = replace(DEFINITIONS, triggers=(TRIGGERS[1], TRIGGERS[0]))
    assert unsettled(ledger, 2, fewer) == [[1], [1]]
    other = replace(DEFINITIONS, triggers=(Trigger("w", {"unit": "admin1"}),))
    assert unsettled(ledger, 2, other) == [[0, 1]]


def test_the_predecessors_successes_are_settled(tmp_path: Path) -> None:
    path = tmp_path / "taken over.db"
    run = build_run(WORKFLOW, TRIGGERS[0], dt.date.fromordinal(FIRST + 1))
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE workflow_runs (workflow_name, parameters_hash, state, timestamp)")
        connection.execute("INSERT INTO workflow_runs VALUES (?, ?, 'success', '2021-05-01 00:00:00')", run.key)
    connection.close()
    store = RunStore(path)
    assert unsettled(Ledger(store.read), 3)[0] == [0, 2]
    store.close()
