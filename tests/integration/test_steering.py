# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people ask for, in the record: through a restart, an upgrade, and beside a daemon that writes."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoflow.context.ledger import Ledger
from autoflow.context.steering import Steering
from autoflow.dates.listed_dates import DataRule, listed_at
from autoflow.decision.counted import ready_days
from autoflow.decision.due import Decision, asked_runs, due_runs
from autoflow.definitions import Definitions, Notebook, Retries, Trigger, Workflow
from autoflow.fitting import changed_inputs
from autoflow.history import Skip
from autoflow.model.messages import Message
from autoflow.model.migrations import MIGRATIONS
from autoflow.model.recorded import KnownCause, Silence
from autoflow.model.recorded_times import TIMES
from autoflow.model.store import RunStore, open_for_reading
from autoflow.model.tables import APPLICATION_ID
from autoflow.overview.explanation import explain
from autoflow.overview.states import Facts, RunState
from autoflow.runs.runs import AttemptState, Failure, Run, build_run
from autoflow.settings.places import Places

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WORKFLOW = Workflow("flows", (Notebook("a", filename="a.ipynb"),), retries=Retries(attempts=1))
TRIGGER = Trigger("flows", {"unit": "admin2"}, dt.date(2016, 1, 3))
DEFINITIONS = Definitions({"flows": WORKFLOW}, (TRIGGER,), schedule="0 0 * * *")
DATES = [f"2016-01-0{day}" for day in (1, 2, 3, 4)]
AVAILABLE = listed_at({"calls": DATES}, NOW)


def a_run(day: int) -> Run:
    return build_run(WORKFLOW, TRIGGER, dt.date(2016, 1, day))


def order(do: str, *days: int, **more: Any) -> dict[str, Any]:
    if do == "run":
        return {"do": do, "runs": [{"workflow": "flows", "parameters": a_run(day).parameters} for day in days], **more}
    return {"do": do, "workflow": "flows", "dates": [f"2016-01-0{day}" for day in days], **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "autoflow.db"


@pytest.fixture
def store(path: Path) -> Iterator[RunStore]:
    store = RunStore(path)
    yield store
    store.close()


def decide(store: RunStore, now: dt.datetime) -> Decision:
    unsettled = asyncio.run(Ledger(store.read).unsettled(DEFINITIONS, ready_days(DEFINITIONS, AVAILABLE, NOW)))
    return due_runs(DEFINITIONS, unsettled, store.read.history(), now)


def due(store: RunStore, now: dt.datetime = NOW) -> list[int]:
    """Give the days that are due, and see that what people are told is the same."""
    days = [run.reference_date.day for run in decide(store, now).due]
    facts = Facts(DEFINITIONS, listed_at({"calls": DATES}, NOW), store.read.run_history(), now)
    for day in range(1, 5):
        state = explain(facts, TRIGGER, dt.date(2016, 1, day)).state
        assert (state is RunState.DUE) == (day in days), (day, state)
    return days


def finish(store: RunStore, day: int, state: AttemptState, at: dt.datetime = NOW) -> None:
    failure = Failure("no") if state is AttemptState.FAILED else None
    store.finish(store.begin(a_run(day), at), state, at, failure)


def test_what_is_asked_for_goes_first_and_stays_asked_for_after_a_restart(path: Path) -> None:
    store = RunStore(path)
    assert due(store) == [3, 4]
    assert Steering(store).carry_out(order("run", 4, 1), NOW) == {"done": 2}
    store.close()
    store = RunStore(path)
    assert due(store) == [1, 4, 3]
    finish(store, 1, AttemptState.SUCCEEDED)
    assert due(store) == [4, 3]
    store.close()


def changed(**keys: Any) -> Definitions:
    notebook = replace(WORKFLOW.notebooks[0], **keys)
    return replace(DEFINITIONS, workflows={"flows": replace(WORKFLOW, notebooks=(notebook,))})


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        (
            changed(parameters={"area": "region"}),
            "takes the workflow's parameter 'region' now, which",
        ),
        (replace(DEFINITIONS, triggers=(Trigger("flows"),)), "made with the parameter 'unit', which no trigger"),
        (replace(DEFINITIONS, workflows={}, triggers=()), "no longer has a workflow 'flows'"),
    ],
)
def test_what_workflows_yml_has_no_place_for_any_more_is_refused_and_not_tried(
    store: RunStore, definitions: Definitions, words: str
) -> None:
    steering = Steering(store)
    assert words in steering.carry_out(order("run", 3), NOW, definitions)["error"]
    assert not steering.changed.is_set()
    assert not store.read.requests()
    # the file changes after it was asked for, and is changed back
    assert steering.carry_out(order("run", 3), NOW, DEFINITIONS) == {"done": 1}
    assert not asked_runs(definitions, store.read.history(), NOW).due
    assert [run.reference_date.day for run in asked_runs(DEFINITIONS, store.read.history(), NOW).due] == [3]


def test_a_repair_is_refused_when_a_notebook_of_the_attempt_is_gone(store: RunStore) -> None:
    attempt = store.begin(a_run(3), NOW)
    store.begin_notebook(attempt, "a", NOW)
    store.finish(attempt, AttemptState.FAILED, NOW, Failure("no"))
    refused = Steering(store).carry_out(order("run", 3, repairs=attempt.id), NOW, changed(label="b"))
    assert "no longer has a notebook 'a' (it has 'b'); `autoflow rerun 1` runs" in refused["error"]


def test_a_notebook_is_used_again_only_if_it_would_be_given_the_same(store: RunStore) -> None:
    notebooks = (
        Notebook("a", filename="x/first.ipynb"),
        Notebook("b", filename="b.ipynb", parameters={"read": "a", "unit": "unit", "days": "daily.n"}),
    )
    workflow, run = replace(WORKFLOW, notebooks=notebooks), {"unit": "admin2"}
    others = {"daily.n": ["/elsewhere/n__1.ipynb"]}
    executed = {"read": "/elsewhere/first__flows_2016-01-01_0__1.ipynb", "unit": "admin2", "days": others["daily.n"]}
    assert changed_inputs(workflow, "b", executed, run, others) is None
    for given, words in (
        ({"read": executed["read"], "days": executed["days"]}, "takes 'unit' now"),
        ({**executed, "days": ["/elsewhere/n__0.ipynb"]}, "reads by 'daily.n' has been made again since, or removed"),
        ({**executed, "more": 1}, "executed with 'more'"),
        ({**executed, "unit": "admin3"}, "takes 'unit' from 'unit' now, and was given 'admin3'"),
        ({**executed, "read": "/elsewhere/other__flows.ipynb"}, "reads notebook 'a' now"),
    ):
        assert words in (changed_inputs(workflow, "b", given, run, others) or "")


def test_nothing_that_is_recorded_stays_later_than_now_when_the_clock_is_set_right(store: RunStore) -> None:
    ahead = NOW + dt.timedelta(days=365)
    store.record_tick(ahead)
    finish(store, 4, AttemptState.FAILED, ahead)
    store.record_poll({"calls": DATES}, ahead + HOUR)
    store.record_silence("no", ahead + HOUR)
    Steering(store).carry_out(order("run", 3, 1), ahead + HOUR)
    Steering(store).carry_out(order("skip", 1, reason="after that"), ahead + 2 * HOUR)
    cause = KnownCause("x", "late", "late", ahead, ahead)
    store.tell([Message("late", "late")], ["email"], ahead + HOUR, known=[cause])
    store.set_right(NOW)
    read = store.read
    assert read.last_tick() == NOW - 2 * HOUR
    assert read.last_poll() == NOW - HOUR
    assert read.silence() == Silence(NOW, NOW, "no")
    # what came first still does: it was skipped after it was asked for
    assert due(store, NOW) == [3]
    (failures,) = read.history().failed.values()
    assert failures.last == NOW - 2 * HOUR
    assert read.known()["x"].told == NOW - 2 * HOUR
    assert read.outbox()[0].made == NOW - HOUR
    assert max(max(dates.values()) for dates in read.listed_dates().by_type.values()) == NOW - HOUR
    store.set_right(NOW)
    assert read.last_poll() == NOW - HOUR


def test_every_column_that_holds_a_time_is_known(path: Path) -> None:
    """A new one that is forgotten would let something wait for years."""
    names = {"started", "ended", "superseded", "asked", "since", "appeared", "told", "made", "seen"}
    RunStore(path).close()
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        assert columns & names == set(TIMES.get(table, ())), table
    connection.close()


def test_an_error_that_sqlite_has_rolled_back_itself_is_the_one_that_is_told(store: RunStore) -> None:
    store.wait_at_most(0.05)
    store._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.skip(
            Skip("flows", dt.date(2016, 1, 1) + day * dt.timedelta(days=1), "", "x" * 1000, NOW) for day in range(99)
        )
    assert not store._connection.in_transaction
    store._connection.execute("PRAGMA max_page_count = 100000")
    assert due(store) == [3, 4]


def test_a_rerun_supersedes_a_success_and_counts_as_failed_while_it_fails(store: RunStore) -> None:
    finish(store, 3, AttemptState.SUCCEEDED)
    assert due(store) == [4]
    Steering(store).carry_out(order("run", 3), NOW + HOUR)
    assert due(store) == [3, 4]
    finish(store, 3, AttemptState.FAILED, NOW + 2 * HOUR)
    assert due(store, NOW + 3 * HOUR) == [4]
    assert [*decide(store, NOW + 3 * HOUR).given_up] == [a_run(3)]
    # nothing is lost: both attempts are in the record
    assert [each.state for each in store.read.attempts_of(1)] == [AttemptState.SUCCEEDED, AttemptState.FAILED]
    # and asking once more lets it be tried once more
    Steering(store).carry_out(order("run", 3), NOW + 4 * HOUR)
    assert due(store, NOW + 4 * HOUR) == [3, 4]


def test_a_running_run_is_not_superseded(store: RunStore) -> None:
    attempt = store.begin(a_run(3), NOW)
    assert Steering(store).carry_out(order("run", 3), NOW) == {"done": 0}
    store.finish(attempt, AttemptState.SUCCEEDED, NOW)
    assert due(store) == [4]


def test_a_repair_is_asked_for_once(store: RunStore) -> None:
    finish(store, 3, AttemptState.FAILED)
    Steering(store).carry_out(order("run", 3, repairs=1), NOW + HOUR)
    assert due(store, NOW + HOUR) == [3, 4]
    assert store.read.repairs(a_run(3).key) == 1
    store.begin(a_run(3), NOW + HOUR)
    assert store.read.repairs(a_run(3).key) is None


def test_skipped_dates_are_not_due_until_they_are_taken_in_again_or_asked_for(store: RunStore) -> None:
    steering = Steering(store)
    steering.carry_out(order("skip", 3, 4, reason="no flights"), NOW)
    assert due(store) == []
    steering.carry_out(order("unskip", 4), NOW)
    assert due(store) == [4]
    steering.carry_out(order("run", 3), NOW + HOUR)
    assert due(store, NOW + HOUR) == [3, 4]
    steering.carry_out(order("skip", 3, reason="after all"), NOW + 2 * HOUR)
    assert due(store, NOW + 2 * HOUR) == [4]


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"do": "dance"},
        {"do": "run"},
        {"do": "run", "runs": [{"workflow": "flows", "parameters": {}}]},
        {"do": "skip", "workflow": "flows", "dates": ["2016-02-30"], "reason": ""},
        {"do": "cancel", "run": "x", "reason": ""},
    ],
)
def test_an_order_that_can_not_be_read_changes_nothing_and_is_answered(
    store: RunStore, nonsense: dict[str, Any]
) -> None:
    steering = Steering(store)
    assert "cannot be read" in steering.carry_out(nonsense, NOW)["error"]
    assert not steering.changed.is_set()
    assert due(store) == [3, 4]


def test_what_does_not_run_can_not_be_cancelled(store: RunStore) -> None:
    assert Steering(store).carry_out({"do": "cancel", "run": 7, "reason": ""}, NOW) == {"error": "run 7 is not running"}


def test_a_poll_is_remembered_with_the_time_when_each_date_was_first_listed(store: RunStore, path: Path) -> None:
    store.record_poll({"calls": DATES[:2], "sms": DATES[:1]}, NOW)
    store.record_poll({"calls": DATES[:1] + DATES[2:], "sms": DATES[:1]}, NOW + HOUR)
    listed = store.read.listed_dates()
    assert listed.polled == NOW + HOUR
    assert {date.day: appeared for date, appeared in listed.by_type["calls"].items()} == {
        1: NOW,
        3: NOW + HOUR,
        4: NOW + HOUR,
    }
    assert list(listed.by_type["sms"]) == [dt.date(2016, 1, 1)]
    assert list(listed.available(DataRule(("sms",)), NOW).days) == [dt.date(2016, 1, 1).toordinal()]
    # ten years of days take a row
    connection = sqlite3.connect(path)
    first = dt.date(2016, 1, 1)
    store.record_poll({"calls": [(first + dt.timedelta(days=day)).isoformat() for day in range(3650)]}, NOW)
    assert connection.execute("SELECT count(*) FROM listed_dates WHERE cdr_type = 'calls'").fetchone()[0] <= 5
    connection.close()


def test_what_the_first_poll_lists_had_appeared_when_its_day_was_over(store: RunStore) -> None:
    rule = DataRule(lag=dt.timedelta(days=2))
    store.record_poll({"calls": DATES[:2]}, NOW)
    answered = store.record_poll({"calls": DATES[:3]}, NOW + HOUR)
    for listed in (answered, store.read.listed_dates()):
        # a backlog does not wait, what comes later does
        assert [dt.date.fromordinal(day).day for day in listed.available(rule, NOW + HOUR).days] == [1, 2]
        assert listed.counts_from(dt.date(2016, 1, 3), rule) == NOW + HOUR + rule.lag


def test_a_date_that_leaves_the_list_appears_anew_when_it_comes_back(store: RunStore) -> None:
    for number, dates in enumerate([DATES[:1], DATES[:2], DATES[:1], DATES[:2]]):
        store.record_poll({"calls": dates}, NOW + number * HOUR)
    assert store.read.listed_dates().by_type["calls"][dt.date(2016, 1, 2)] == NOW + 3 * HOUR


@pytest.mark.parametrize("bad", [{}, {"calls": [], "sms": []}, {"calls": DATES[:3]}, {"calls": DATES[:3], "sms": []}])
def test_a_type_that_is_gone_and_comes_back_keeps_the_age_of_its_dates(
    store: RunStore, bad: dict[str, list[str]]
) -> None:
    day, rule = dt.date(2016, 1, 3), DataRule(lag=dt.timedelta(days=2), require="all")
    store.record_poll({"calls": DATES[:2], "sms": DATES[:2]}, NOW)
    store.record_poll({"calls": DATES[:3], "sms": DATES[:3]}, NOW + HOUR)
    later = NOW + rule.lag + HOUR
    for listed in (store.record_poll(bad, later), store.read.listed_dates()):
        # both are still required, and what is gone is not there
        assert listed.wanted(None) == ("calls", "sms")
        assert not listed.available(rule, later).days
        assert listed.lacking(day, rule)[-1] == "sms"
    assert store.read.appeared(day) == (NOW + HOUR if bad.get("calls") else None)
    # a date that is not among those that come back is gone, and the others are as old as before
    listed = store.record_poll({"calls": DATES[:3], "sms": [DATES[0], DATES[2]]}, later + HOUR)
    assert store.read.listed_dates() == listed
    assert [dt.date.fromordinal(each).day for each in listed.available(rule, later + HOUR).days] == [1, 3]
    listed = store.record_poll({"calls": DATES[:3], "sms": DATES[:3]}, later + 2 * HOUR)
    assert listed.counts_from(dt.date(2016, 1, 2), rule) == later + 2 * HOUR + rule.lag


def test_a_type_that_never_had_dates_is_not_required_by_default(store: RunStore) -> None:
    rule = DataRule(require="all")
    answer = {"calls": DATES[:2], "mds": []}
    for listed in (store.record_poll(answer, NOW), store.read.listed_dates(), listed_at(answer, NOW)):
        assert len(listed.available(rule, NOW).days) == 2
        assert not listed.available(DataRule(("calls", "mds"), "all"), NOW).days


def test_what_was_asked_for_and_is_done_is_not_read_again(store: RunStore) -> None:
    Steering(store).carry_out(order("run", 3, 4), NOW)
    finish(store, 3, AttemptState.SUCCEEDED)
    finish(store, 4, AttemptState.FAILED)
    assert [request.reference_date.day for request in store.read.requests().values()] == [4]
    assert due(store, NOW + HOUR) == []


def test_a_clock_that_was_ahead_and_is_set_right_keeps_no_date_waiting(store: RunStore) -> None:
    ahead, day = NOW + dt.timedelta(days=365), dt.date(2016, 1, 2)
    rule = DataRule(lag=dt.timedelta(days=2))
    store.record_poll({"calls": DATES[:1]}, NOW)
    store.record_poll({"calls": DATES[:2]}, ahead)
    assert store.read.listed_dates().counts_from(day, rule) == ahead + rule.lag
    store.record_poll({"calls": DATES[:2]}, NOW + HOUR)
    assert store.read.listed_dates().counts_from(day, rule) == NOW + HOUR + rule.lag


def test_reading_needs_no_lock_and_can_not_write(store: RunStore, path: Path) -> None:
    finish(store, 3, AttemptState.SUCCEEDED)
    reader = open_for_reading(path)
    finish(store, 4, AttemptState.SUCCEEDED)
    assert [each.run for each in reader.attempts()] == [2, 1]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM runs")
    reader.close()


def test_a_record_of_before_is_brought_up_to_date_with_all_that_is_in_it(path: Path) -> None:
    connection = sqlite3.connect(path)
    MIGRATIONS[0](connection.cursor(), Places.below(path.parent))
    connection.execute(
        "INSERT INTO runs (workflow, parameters_hash, reference_date, parameters, attempt, state, started, ended)"
        " VALUES (?, ?, '2016-01-03', '{}', 1, 'success', ?, ?)",
        (*a_run(3).key, NOW.isoformat(), NOW.isoformat()),
    )
    connection.execute("PRAGMA user_version = 1")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    reader = open_for_reading(path)
    assert [run.state for run in reader.attempts()] == [AttemptState.SUCCEEDED]
    reader.close()
    assert path.read_bytes() == before
    store = RunStore(path)
    assert due(store) == [4]
    store.close()


def test_what_the_predecessor_did_can_be_superseded_and_stays_so(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE workflow_runs (id INTEGER PRIMARY KEY, workflow_name, parameters_hash, state, timestamp)"
    )
    connection.execute(
        "INSERT INTO workflow_runs VALUES (1, 'flows', ?, 'success', '2021-05-01 00:00:00.000000')", [a_run(3).key[1]]
    )
    connection.commit()
    connection.close()
    store = RunStore(path)
    assert due(store) == [4]
    Steering(store).carry_out(order("run", 3), NOW)
    store.close()
    store = RunStore(path)
    assert due(store) == [3, 4]
    store.close()
