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

from autoflow.capacity.slots import Capacity, Slots
from autoflow.commands import plan
from autoflow.context.ledger import Ledger
from autoflow.context.steering import Ended, Steering
from autoflow.dates import EVERY_DAY, Days
from autoflow.dates.listed_dates import ListedDates
from autoflow.decision import attempts, counted, due, late, order, verdict
from autoflow.decision.order import Order
from autoflow.history import RunHistory
from autoflow.model import retention, store
from autoflow.model.reader import RunReader
from autoflow.model.store import RunStore
from autoflow.overview import explanation, states
from autoflow.runs.in_order import Runs
from autoflow.runs.runs import AttemptState, RunState
from autoflow.sensor import restatements, sensor
from autoflow.shared_data import versions
from autoflow.shared_data.versions import SharedDirectory
from autoflow.workflows import directories, notebook, other_runs
from autoflow.workflows.directories import Directories
from autoflow.workflows.replaced import Replaced
from tests.simulation.additions import SECRET

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


DAYS_WAITED_FOR = late.days_waited_for


def _at_once(trigger: Any, available: Any, now: dt.datetime) -> Days:
    return DAYS_WAITED_FOR(replace(trigger, late=replace(trigger.late, after=dt.timedelta())), available, now)


def _kept_none(definitions: Any, *_: Any) -> list[Days]:
    return [Days() for _ in definitions.triggers]


def _one_more_attempt(retries: Any, failures: Any) -> bool:
    return retries.attempts is not None and failures.attempts > retries.attempts


def _no_pause(retries: Any, failures: Any) -> dt.datetime:
    return failures.last


def _cancel_all(self: Any, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    for number in list(self._tasks):
        self._ended[number] = Ended(AttemptState.CANCELLED, "a neighbour")
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


def _none_held(self: RunReader, workflow: str) -> list[Any]:
    """Take what is kept out of latest for what latest leads to."""
    return [replace(each, held=False, in_use=each.in_use and not each.held) for each in MADE_BY(self, workflow)]


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


async def _for_all(self: Slots, rank: int = 0, grant: Callable[[], bool] | None = None) -> None:
    if grant is None:
        # a place in a pool
        await TAKE(self, rank)
    else:
        self._taken += 1


def _one_too_many(newest_first: Any, amount: Any, now: dt.datetime) -> set[int]:
    return BEYOND(newest_first, amount - 1 if isinstance(amount, int) else amount, now)


def _never_given_up(*arguments: Any) -> Any:
    verdict = JUDGE(*arguments)
    return verdict._replace(state=RunState.FAILED) if verdict.state is RunState.GIVEN_UP else verdict


def _without_priority(*arguments: Any, **named: Any) -> Any:
    definitions, decision = arguments[0], DUE_RUNS(*arguments, **named)
    in_order = sorted(decision.due, key=lambda run: run.reference_date, reverse=definitions.order == "newest")
    return replace(decision, due=Runs.of(in_order))


def _one_left_out(*arguments: Any, **named: Any) -> Any:
    decision = due.decide(*arguments, **named)
    return replace(decision, due=Runs.of([*decision.due][:-1]))


def _build_half(self: SharedDirectory, target: Any, version: Any, unchanged: Any, changes: Any, written: Any) -> None:
    BUILD(self, target, version, unchanged, changes, dict(list(written.items())[:-1]))


async def _settle_failed_too(self: Directories, token: Any, *, succeeded: bool) -> None:
    if not succeeded and self._view and not self._staged:
        await self.stage(token)
    await SETTLE(self, token, succeeded=True)


def _failures_uncounted(self: RunReader, attempt_id: int) -> Iterator[Any]:
    return (each for each in ENDS_AFTER(self, attempt_id) if each[2] is not AttemptState.FAILED)


def _pools_without_end(self: Capacity, notebooks: int, pools: Mapping[str, int]) -> None:
    RESIZE(self, notebooks, dict.fromkeys(pools, 99))


def _any_before(reader: RunReader, run: Any, label: str) -> list[tuple[dt.date, Any]]:
    """Give the newest executed notebook of a workflow, of whatever trigger and date."""
    executed = list(reader.executed_notebooks(run.workflow.name, label, dt.date.min, dt.date.max))
    return [(date, path) for date, _, path in executed[-1:]]


async def _nothing(*_: Any) -> None:
    pass


def _none_is_back(cursor: Any, cdr_type: str, gone: Any, back: Any, now: str) -> None:
    NOTE_DEPARTURES(cursor, cdr_type, gone, (), now)


def _whatever_checks_say(self: ListedDates, rule: Any, now: dt.datetime) -> Days:
    return UNTRUSTED(self, replace(rule, quality=()), now)


def _of_restated_alone(*arguments: Any) -> Replaced | None:
    found = OF(*arguments)
    return found if found is not None and found.restated else None


class _Unlocked:
    def __init__(self, path: Any) -> None: ...

    def release(self) -> None: ...


RECORD_POLL, ENDS_AFTER, BUILD, SETTLE = (
    RunStore.record_poll,
    RunReader.ends_after,
    SharedDirectory._build,
    Directories.settle,
)
UNTRUSTED, MADE_BY = ListedDates._untrusted, RunReader.made_by
NOTE_DEPARTURES = store.note_departures
RESIZE, TAKE, READ_SECRETS = Capacity.resize, Slots.take, notebook.read_secrets
OF = Replaced.of
BEYOND, JUDGE, DUE_RUNS = retention._beyond, verdict.judge, due.due_runs


@contextmanager
def _each_by_itself(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    yield connection.cursor()


MUTATIONS: dict[str, Mutation] = {
    "a failed attempt too many": _everywhere("is_given_up", _one_more_attempt),
    "no pause before the next attempt": _everywhere("next_try", _no_pause),
    "interrupted runs stay running": lambda: patch.object(RunStore, "recover", lambda *_, **__: []),
    "a neighbour is cancelled too": lambda: patch.object(Steering, "_cancel", _cancel_all),
    "what the record says of single runs is not looked at": lambda: patch.object(RunHistory, "told", {}),
    "a skip is not heeded": _everywhere("is_skipped", lambda *_: False),
    "what is settled is looked up no more": lambda: patch.object(Ledger, "forget", lambda *_: None),
    "a date that returns is lost": lambda: patch.object(RunStore, "record_poll", _without_returned),
    "late dates are not waited for": lambda: patch.object(counted, "days_waited_for", _at_once),
    "windows may lack what they must have": lambda: patch.multiple(
        late, _unmet=lambda *_: iter(()), _days_waited_for=late._days_waited_for.__wrapped__
    ),
    "provisional runs are not made again": lambda: patch.object(order, "finalises", lambda _: False),
    "provisional runs are made again and again": lambda: patch.object(due, "kept_days", _kept_none),
    "a lag is not waited for": lambda: patch.object(
        ListedDates, "_counting", lambda self, name, lag, now: self.days.get(name, Days())
    ),
    "a notification is sent again": lambda: patch.object(RunStore, "take_out", lambda *_: None),
    "the name of a report is not recorded": lambda: patch.object(RunStore, "record_report", lambda *_: None),
    "keep takes what another attempt names": lambda: patch.object(retention, "to_be_removed", _sharing_nothing),
    "keep takes what latest leads to": lambda: patch.object(RunReader, "made_by", _none_held),
    "more notebooks at a time than there are slots": lambda: patch.object(Slots, "take", _for_all),
    # a change that fails without being rolled back is no fault that can be seen: sqlite itself rolls back what a full
    # disk ends, and a process that is gone commits nothing
    "each statement of a change is kept by itself": lambda: patch.object(store, "transaction", _each_by_itself),
    "a held date counts": lambda: patch.object(ListedDates, "_untrusted", _whatever_checks_say),
    "what people decide of dates is not heeded": lambda: patch.object(RunReader, "overrides", lambda _: {}),
    "a stale run is not marked": lambda: patch.object(RunStore, "mark_stale", lambda *_, **__: 0),
    "keep is off by one": lambda: patch.object(retention, "_beyond", _one_too_many),
    "runs overtake those that they are to come after": lambda: patch.object(Order, "_left", lambda *_: Days()),
    "runs that are needed are not waited for": lambda: patch.object(Order, "_complete", lambda *_: EVERY_DAY),
    "the plan leaves out a run": lambda: patch.object(plan, "decide", _one_left_out),
    "the calendar says failed of what is given up": lambda: patch.object(states, "judge", _never_given_up),
    "the priority of workflows is ignored": lambda: patch.object(due, "due_runs", _without_priority),
    "half a shared directory is published": lambda: patch.object(SharedDirectory, "_build", _build_half),
    "what a failed run wrote is shared": lambda: patch.object(Directories, "settle", _settle_failed_too),
    "the earlier date wins in a shared directory": lambda: patch.object(versions, "_overruled", lambda *_: False),
    "metrics do not count failures": lambda: patch.object(RunReader, "ends_after", _failures_uncounted),
    "a record is not locked": lambda: patch.object(store, "RecordLock", _Unlocked),
    "a pool has no end": lambda: patch.object(Capacity, "resize", _pools_without_end),
    "a notebook gets no secrets": lambda: patch.object(notebook, "read_secrets", lambda *_: {}),
    "every notebook gets the secrets": lambda: patch.object(
        notebook, "read_secrets", lambda s, _: READ_SECRETS(s, [SECRET])
    ),
    "notebooks for some dates run for all": lambda: patch.object(other_runs, "matches", lambda *_: True),
    "the notebook of the run before is any": lambda: patch.object(other_runs, "_before", _any_before),
    "runs have one directory": lambda: patch.object(directories, "run_place", lambda _: "runs/one"),
    "what rests on provisional runs is not made again": lambda: patch.object(RunReader, "finals", lambda _: []),
    "requested runs overtake each other": lambda: patch.object(due, "held_requests", lambda *_: {}),
    "a trigger that is back has the data of before": lambda: patch.object(sensor, "mark_for_others", _nothing),
    "what depends on others is made again of any data": lambda: patch.object(
        restatements, "why_not_made_again", lambda *_: {}
    ),
    "a date that is back is taken for away": lambda: patch.object(store, "note_departures", _none_is_back),
    "what used a date that left is not marked": lambda: patch.object(RunStore, "mark_departed", lambda *_, **__: 0),
    "a final run is not compared": lambda: patch.object(Replaced, "of", _of_restated_alone),
    "results that are the same are not noted": lambda: patch.object(
        RunStore, "note_same_results", lambda *_, **__: None
    ),
}

FOUND_BY = {
    "a failed attempt too many": 1,
    "no pause before the next attempt": 1,
    "interrupted runs stay running": 2,
    "a neighbour is cancelled too": 16,
    "what the record says of single runs is not looked at": 1,
    "a skip is not heeded": 1,
    "what is settled is looked up no more": 1,
    "a date that returns is lost": 6,
    "a lag is not waited for": 6,
    "a notification is sent again": 3,
    "the name of a report is not recorded": 1,
    "more notebooks at a time than there are slots": 13,
    "keep is off by one": 4,
    "runs overtake those that they are to come after": 5,
    "runs that are needed are not waited for": 9,
    "the plan leaves out a run": 1,
    "the calendar says failed of what is given up": 1,
    "the priority of workflows is ignored": 17,
    "half a shared directory is published": 1,
    "what a failed run wrote is shared": 1,
    "the earlier date wins in a shared directory": 17,
    "metrics do not count failures": 1,
    "a record is not locked": 8,
    "a pool has no end": 4,
    "a notebook gets no secrets": 3,
    "every notebook gets the secrets": 1,
    "notebooks for some dates run for all": 3,
    "the notebook of the run before is any": 29,
    "runs have one directory": 1,
    "requested runs overtake each other": 11,
    "what rests on provisional runs is not made again": 339,
    "late dates are not waited for": 1,
    "windows may lack what they must have": 1,
    "provisional runs are not made again": 1,
    "provisional runs are made again and again": 1,
    "each statement of a change is kept by itself": 2,
    "a held date counts": 4,
    "what people decide of dates is not heeded": 4,
    "a stale run is not marked": 1,
    "a date that is back is taken for away": 4,
    "what used a date that left is not marked": 10,
    "results that are the same are not noted": 53,
    "a final run is not compared": 1,
    "keep takes what another attempt names": 44,
    "keep takes what latest leads to": 1933,
}
"""The first seed that found each fault when all were planted last; the others need more seeds."""
