# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Faults planted to see that the simulation sees them: ``python -m tests.simulation --mutations``."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any
from unittest.mock import patch

from autoflow.context.ledger import Ledger
from autoflow.context.steering import Steering
from autoflow.dates.listed_dates import ListedDates
from autoflow.decision import attempts, order, verdict
from autoflow.model import retention, store
from autoflow.model.store import RunStore
from autoflow.overview import explanation
from autoflow.sensor import sensor
from autoflow.workflows.slots import Slots

Mutation = Callable[[], AbstractContextManager[Any]]


def _everywhere(name: str, value: Any) -> Mutation:
    """Put another function in the place of one of `attempts`, wherever it is imported."""

    @contextmanager
    def mutated() -> Iterator[None]:
        places = [module for module in (attempts, order, verdict, explanation) if hasattr(module, name)]
        patches = [patch.object(module, name, value) for module in places]
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in patches:
                each.stop()

    return mutated


def _one_more_attempt(retries: Any, failures: Any) -> bool:
    return retries.attempts is not None and failures.attempts > retries.attempts


def _no_pause(retries: Any, failures: Any) -> dt.datetime:
    return failures.last


def _cancel_all(self: Any, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    for number in list(self._tasks):
        self._cancelled[number] = "a neighbour"
        self._tasks[number].cancel()
    return {"done": 1}


def _sharing_nothing(made: Any, keep: Any, now: dt.datetime) -> list[Any]:
    """Remove what is old though another attempt, which is kept, names the same file."""
    groups = groupby(sorted(made, key=retention._history), key=retention._history)
    removals = [removal for _, group in groups for removal in retention._let_go(list(group), keep, now)]
    return [
        replace(each, files=retention._files(each.made, notebook=each.notebook, reports=each.reports))
        for each in removals
    ]


def _without_returned(self: RunStore, answer: Any, now: dt.datetime) -> ListedDates:
    """Lose the dates that come back after they had left the list."""
    known = self.read.appearances()
    seen: set[Any] = self.__dict__.setdefault("_ever", set())
    lost = {
        name: [date for date in dates if (name, date) not in seen or dt.date.fromisoformat(date) in known.get(name, {})]
        for name, dates in answer.items()
    }
    seen |= {(name, date) for name, dates in answer.items() for date in dates}
    return RECORD_POLL(self, lost, now)


async def _for_all(self: Slots) -> None:
    self._taken += 1


RECORD_POLL = RunStore.record_poll


@contextmanager
def _never_rolled_back(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
    finally:
        cursor.execute("COMMIT")


MUTATIONS: dict[str, Mutation] = {
    "a failed attempt too many": _everywhere("is_given_up", _one_more_attempt),
    "no pause before the next attempt": _everywhere("next_try", _no_pause),
    "interrupted runs stay running": lambda: patch.object(RunStore, "recover", lambda *_, **__: []),
    "a neighbour is cancelled too": lambda: patch.object(Steering, "_cancel", _cancel_all),
    "a skip is not heeded": _everywhere("is_skipped", lambda *_: False),
    "what is settled is looked up no more": lambda: patch.object(Ledger, "forget", lambda *_: None),
    "a date that returns is lost": lambda: patch.object(RunStore, "record_poll", _without_returned),
    "a lag is not waited for": lambda: patch.object(
        ListedDates, "_counting", lambda self, name, lag, now: self.days.get(name, sensor.Days())
    ),
    "a notification is sent again": lambda: patch.object(RunStore, "take_out", lambda *_: None),
    "the name of a report is not recorded": lambda: patch.object(RunStore, "record_report", lambda *_: None),
    "keep takes what another attempt names": lambda: patch.object(retention, "to_be_removed", _sharing_nothing),
    "more notebooks at a time than there are slots": lambda: patch.object(Slots, "__aenter__", _for_all),
    "a change in a transaction that fails is kept": lambda: patch.object(store, "transaction", _never_rolled_back),
}
