# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The record: what is in it after each step of a run, a crash, or a take-over."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autoflow.definitions import Notebook, Trigger, Workflow
from autoflow.errors import StoreError
from autoflow.model.migrations import MIGRATIONS
from autoflow.model.retention import Removal
from autoflow.model.store import RunStore, open_for_reading
from autoflow.model.tables import APPLICATION_ID
from autoflow.notices import Notice
from autoflow.runs.runs import AttemptState, Failure, Run, RunKey, build_run
from autoflow.settings.places import Places

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)


def a_run(day: int = 7) -> Run:
    workflow = Workflow("flows", (Notebook("a", filename="a.ipynb"),))
    return build_run(workflow, Trigger("flows", {"unit": "admin2"}), dt.date(2016, 1, day))


def settled(store: RunStore) -> set[RunKey]:
    dated = store.read.settled_keys(dt.date(2016, 1, 1).toordinal(), dt.date(2016, 2, 1).toordinal())
    return store.read.dateless_keys().union(*(keys for _, keys in dated))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "autoflow.db"


def test_a_success_is_settled_also_after_a_restart(path: Path) -> None:
    store = RunStore(path)
    store.finish(store.begin(a_run(), NOW), AttemptState.SUCCEEDED, LATER)
    store.close()
    store = RunStore(path)
    assert settled(store) == {a_run().key}
    store.close()


def test_the_database_refuses_a_second_live_run(path: Path) -> None:
    store = RunStore(path)
    attempt = store.begin(a_run(), NOW)
    with pytest.raises(StoreError, match="is running or has succeeded"):
        store.begin(a_run(), NOW)
    store.finish(attempt, AttemptState.SUCCEEDED, LATER)
    with pytest.raises(StoreError, match="is running or has succeeded"):
        store.begin(a_run(), NOW)
    store.close()


def test_a_run_with_dates_missing_is_provisional_until_it_is_made_again(path: Path) -> None:
    store, key, missing = RunStore(path), a_run().key, (dt.date(2016, 1, 3), dt.date(2016, 1, 5))
    attempt = store.begin(a_run(), NOW, missing)
    assert settled(store) == {key}
    store.finish(attempt, AttemptState.SUCCEEDED, LATER)
    store.close()
    store = RunStore(path)
    for history in (store.read.history(), store.read.run_history()):
        assert history.latest[key] == (1, "provisional")
        assert history.provisional == {key: dt.date(2016, 1, 7)}
    assert (settled(store), store.read.run_history(dt.date(2016, 1, 8)).provisional) == (set(), {})
    (provisional,) = store.read.attempts()
    assert (provisional.provisional, provisional.missing_dates) == (True, missing)
    assert list(store.read.succeeded_before("flows", dt.date(2016, 2, 1))) == [a_run().parameters]

    # the next attempt takes its place at once: were it to fail, the run has failed
    again = store.begin(a_run(), LATER)
    assert store.read.history().provisional == {}
    store.finish(again, AttemptState.FAILED, LATER, Failure("no"))
    assert store.read.history().latest[key] == (1, "failed")
    assert [(each.run, each.attempt, each.missing) for each in store.read.provisional([key])] == [(1, 1, ())]
    final = store.begin(a_run(), LATER)
    store.finish(final, AttemptState.SUCCEEDED, LATER)
    assert settled(store) == {key}
    assert [each.final_attempt for each in store.read.provisional([key])] == [3]
    assert store.read.provisional() == []
    store.close()


def test_a_crash_leaves_a_provisional_run_that_was_being_made_again_due(path: Path) -> None:
    store = RunStore(path)
    store.finish(store.begin(a_run(), NOW, [dt.date(2016, 1, 3)]), AttemptState.SUCCEEDED, NOW)
    store.begin(a_run(), LATER)
    store.close()
    store = RunStore(path)
    assert [each.attempt for each in store.recover(LATER)] == [2]
    assert (store.read.history().latest[a_run().key].state, settled(store)) == ("interrupted", set())
    store.close()


def test_attempts_are_counted_and_failures_remembered(path: Path) -> None:
    store = RunStore(path)
    for number in (1, 2, 3):
        attempt = store.begin(a_run(), NOW)
        assert attempt.attempt == number
        store.finish(attempt, AttemptState.FAILED, NOW + dt.timedelta(minutes=number), Failure("no"))
    failures = store.read.history().failed[a_run().key]
    assert (failures.attempts, failures.last) == (3, NOW + dt.timedelta(minutes=3))
    store.close()


def test_the_newest_failing_runs_are_read_and_those_that_are_known_however_old(path: Path) -> None:
    store = RunStore(path)
    for day in (1, 2, 3, 4, 5):
        store.finish(store.begin(a_run(day), NOW), AttemptState.FAILED, LATER, Failure("no"))
    again = store.begin(a_run(3), NOW)
    store.finish(again, AttemptState.FAILED, LATER, Failure("no", "a", 3, "ValueError"))
    for day in (2, 5):
        store.finish(store.begin(a_run(day), NOW), AttemptState.SUCCEEDED, LATER)
    name, reader = a_run().workflow.name, store.read

    def days(*arguments: Any) -> list[int]:
        return [run.reference_date.day for run in reader.failing(*arguments)]

    assert days([name], 9) == [1, 3, 4]
    assert days([name], 2) == [3, 4]
    # what has succeeded since is not among them, though people know of it
    assert days([name], 1, [a_run(1).key, a_run(2).key]) == [1, 3]
    assert days([], 9, [a_run(4).key]) == [4]
    assert days(["another"], 9) == []
    (newest,) = reader.failing([name], 1)
    assert (newest.run, newest.failure) == (again.run, Failure("no", "a", 3, "ValueError"))
    counted = reader.failures(a_run(3).key)
    assert counted is not None
    assert counted.attempts == 2
    assert reader.failures(a_run(2).key) is None
    store.close()


def test_settled_runs_come_date_by_date_and_failures_of_them_do_not_count(path: Path) -> None:
    store = RunStore(path)
    for day in (9, 7, 8):
        store.finish(store.begin(a_run(day), NOW), AttemptState.FAILED, LATER)
    for day in (9, 7):
        store.finish(store.begin(a_run(day), NOW), AttemptState.SUCCEEDED, LATER)
    first = dt.date(2016, 1, 7).toordinal()
    assert list(store.read.settled_keys(first, first + 2)) == [(first, {a_run(7).key})]
    assert [day - first for day, _ in store.read.settled_keys(first, first + 3)] == [0, 2]
    assert store.read.history().failed.keys() == {a_run(8).key}
    store.close()


def test_what_a_crash_left_running_was_interrupted_and_is_due_again(path: Path) -> None:
    store = RunStore(path)
    attempt = store.begin(a_run(), NOW)
    store.begin_notebook(attempt, "a", NOW)
    store.close()
    store = RunStore(path)
    assert [left.id for left in store.recover(LATER)] == [attempt.id]
    assert store.recover(LATER) == []
    assert settled(store) == set()
    assert store.read.history().failed == {}
    assert store.begin(a_run(), LATER).attempt == 2
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT state FROM notebooks").fetchall()
    assert rows == [("interrupted",)]


def test_a_second_autoflow_is_told_who_holds_the_database(path: Path) -> None:
    store = RunStore(path)
    with pytest.raises(StoreError, match=r"held by another AutoFlow \(pid \d+, since 20.*UTC\)"):
        RunStore(path)
    store.close()
    RunStore(path).close()


def test_the_predecessors_successes_count_and_nothing_else_of_it(path: Path) -> None:
    done, failed, stuck, twice = (a_run(day) for day in (1, 2, 3, 4))
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE workflow_runs (id INTEGER PRIMARY KEY, workflow_name VARCHAR, parameters_hash VARCHAR,"
            " state VARCHAR(7), timestamp DATETIME)"
        )
        rows = [
            (done, "running"),
            (done, "success"),
            (failed, "failed"),
            (stuck, "running"),
            (twice, "success"),
            (twice, "success"),
        ]
        connection.executemany(
            "INSERT INTO workflow_runs (workflow_name, parameters_hash, state, timestamp) VALUES (?, ?, ?, ?)",
            [(*run.key, state, f"2021-05-01 00:0{n}:00.000000") for n, (run, state) in enumerate(rows)],
        )
    connection.close()
    for _ in range(2):
        store = RunStore(path)
        assert settled(store) == {done.key, twice.key}
        store.close()
    with closing(sqlite3.connect(path)) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM workflow_runs").fetchone()
    assert kept == len(rows)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("this is my shopping list" * 100)
    with pytest.raises(StoreError, match="cannot be used as AutoFlow's database"):
        RunStore(path)
    assert path.read_text().startswith("this is my shopping list")


@pytest.mark.parametrize(
    ("application", "version", "message"),
    [(APPLICATION_ID, 99, "newer AutoFlow"), (0x1234, 3, "another program")],
)
def test_a_database_of_a_newer_or_another_program_is_refused(
    path: Path, application: int, version: int, message: str
) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"PRAGMA application_id = {application}")
    connection.close()
    with pytest.raises(StoreError, match=message):
        RunStore(path)


def test_a_directory_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must exist and be writable"):
        RunStore(tmp_path / "nowhere" / "autoflow.db")


def test_the_last_tick_is_remembered(path: Path) -> None:
    store = RunStore(path)
    assert store.last_tick() is None
    store.record_tick(NOW)
    store.record_tick(LATER)
    store.close()
    store = RunStore(path)
    assert store.last_tick() == LATER
    store.close()


def test_what_was_made_is_listed_for_sweeping_and_forgotten_after(path: Path, tmp_path: Path) -> None:
    store = RunStore(path)
    report = tmp_path / "r__w.1.pdf"
    for state in (AttemptState.FAILED, AttemptState.SUCCEEDED):
        attempt = store.begin(a_run(), NOW)
        store.begin_notebook(attempt, "a", NOW)
        store.finish_notebook(attempt, "a", state, LATER, notebook=tmp_path / f"{state}.ipynb")
        if state is AttemptState.SUCCEEDED:
            store.record_report(attempt, "a", report)
        store.finish(attempt, state, LATER)
    failed, good = store.made_by(a_run().workflow.name)
    assert (failed.succeeded, failed.replaced, failed.reports) == (False, True, ())
    assert (good.succeeded, good.replaced, good.ended) == (True, False, LATER)
    assert [file.suffix for file in good.reports] == [".pdf", ".html", ".json"]
    assert store.reports_of(a_run().key, "a") == [report]
    store.forget([Removal(failed, notebook=True, record=True), Removal(good, notebook=True)])
    (left,) = store.made_by(a_run().workflow.name)
    assert (left.notebook, left.reports[0]) == (None, report)
    # its success is never forgotten: the date would be due again
    store.forget([Removal(left, reports=True, record=True)])
    assert settled(store) == {a_run().key}
    assert store.read.history().failed == {}
    store.close()


def test_how_long_runs_take_is_known_without_what_their_notebooks_waited(path: Path) -> None:
    store, run = RunStore(path), a_run()

    def at(minutes: float) -> dt.datetime:
        return NOW + dt.timedelta(minutes=minutes)

    def worked(minutes: float) -> float:
        [attempt] = store.read.attempts()
        return store.read.worked([attempt], at(minutes))[attempt.id] / 60

    attempt = store.begin(run, NOW)
    assert worked(9) == 0
    store.begin_notebook(attempt, "first", at(10))
    # it has a slot, and waits for a worker
    assert worked(19) == 0
    store.record_sources(attempt, "first", {}, at(20))
    store.begin_notebook(attempt, "beside", at(22))
    store.record_sources(attempt, "beside", {}, at(22))
    assert worked(23) == 3
    # the worker has gone: it begins once more
    store.record_sources(attempt, "first", {}, at(24))
    store.finish_notebook(attempt, "first", AttemptState.SUCCEEDED, at(25))
    store.finish_notebook(attempt, "beside", AttemptState.SUCCEEDED, at(26))
    assert worked(40) == 4
    store.begin_notebook(attempt, "last", at(50))
    store.record_sources(attempt, "last", {}, at(60))
    store.finish_notebook(attempt, "last", AttemptState.SUCCEEDED, at(62))
    # and a report
    store.finish(attempt, AttemptState.SUCCEEDED, at(63))
    assert store.read.durations(run.workflow.name) == (4 + 2 + 1) * 60
    assert store.read.notebook_lengths(run.workflow.name) == {"first": 60, "beside": 4 * 60, "last": 2 * 60}
    store.close()


@pytest.mark.parametrize("name", ["linked.db", "hard.db", "elsewhere/autoflow.db"])
def test_a_record_is_held_by_whatever_name_its_file_has(path: Path, name: str) -> None:
    store = RunStore(path)
    other = path.parent / name
    if name == "linked.db":
        other.symlink_to(path)
    else:
        other.parent.mkdir(exist_ok=True)
        other.hardlink_to(path)
    with pytest.raises(StoreError, match="held by another AutoFlow"):
        RunStore(other)
    # that somebody tried has not let go of what sqlite holds
    store.begin(a_run(), NOW)
    locked = pytest.raises(sqlite3.OperationalError, match="locked")
    with closing(sqlite3.connect(path, timeout=0)) as connection, store._transaction(), locked:
        connection.execute("DELETE FROM runs")
    store.close()
    RunStore(path).close()


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE runs (id INTEGER)"],
        ["CREATE TABLE shopping (what)", "INSERT INTO shopping VALUES ('milk')"],
        ["CREATE TABLE workflow_runs (id INTEGER, something_else TEXT)"],
        ["CREATE TABLE workflow_runs (workflow_name, parameters_hash, state, timestamp)", "CREATE TABLE mine (x)"],
        ["CREATE VIEW seen AS SELECT 1"],
    ],
)
def test_a_foreign_database_is_refused_unchanged(path: Path, statements: list[str], wal: bool) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        for statement in statements:
            connection.execute(statement)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        RunStore(path)
    assert path.read_bytes() == before
    assert {each.name for each in path.parent.iterdir()} == {path.name, f"{path.name}.lock"}


def test_an_empty_file_is_adopted_and_what_is_no_file_is_refused(path: Path) -> None:
    path.touch()
    RunStore(path).close()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="it is not a file"):
        RunStore(path)


def test_the_take_over_says_what_it_took_and_what_it_left(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        ("w", "1", "success", "2021-05-01 00:00:00"),
        ("w", "1", "success", "2021-05-02 00:00:00"),
        ("w", "2", "success", "2021-05-01 00:00:00"),
        ("w", "2", "failed", "2021-05-02 00:00:00"),
        ("w", "3", "running", "2021-05-01 00:00:00"),
        ("w", "3", "failed", "2021-05-02 00:00:00"),
        ("w", "4", "running", "2021-05-01 00:00:00"),
        ("w", None, "success", "2021-05-01 00:00:00"),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE workflow_runs (workflow_name, parameters_hash, state, timestamp)")
        connection.executemany("INSERT INTO workflow_runs VALUES (?, ?, ?, ?)", rows)
    before = path.read_bytes()
    reader = open_for_reading(path)
    assert len(reader.attempts()) == 2
    reader.close()
    assert path.read_bytes() == before
    with caplog.at_level("INFO"):
        RunStore(path).close()
        RunStore(path).close()
    (said,) = [line for line in caplog.messages if "imported" in line]
    assert said.endswith(
        "2 successful runs imported from the Prefect-based AutoFlow; not imported: 1 that failed, which are due"
        " again, 1 that never ended, which are due again, 1 without a workflow, a hash or a time"
    )


def test_what_is_to_be_known_of_a_report_is_kept_with_it(path: Path, tmp_path: Path) -> None:
    notices = (Notice(4, "a script cannot be in a report"), Notice(None, "no font has this"))
    store = RunStore(path)
    attempt = store.begin(a_run(), NOW)
    for label, warnings in (("a", notices), ("b", ())):
        store.begin_notebook(attempt, label, NOW)
        store.finish_notebook(attempt, label, AttemptState.SUCCEEDED, LATER, notebook=tmp_path / f"{label}.ipynb")
        store.record_warnings(attempt, label, warnings)
    recorded = store.read.notebooks(attempt.id)
    assert [each.warnings for each in recorded] == [notices, ()]
    assert [str(each) for each in recorded[0].warnings] == [
        "cell 4: a script cannot be in a report",
        "no font has this",
    ]
    store.finish(attempt, AttemptState.FAILED, LATER)
    again = store.begin(a_run(), LATER)
    store.reuse_notebook(again, recorded[0], attempt.attempt)
    assert store.read.notebooks(again.id)[0].warnings == notices
    store.close()


def record_of_schema_5(path: Path) -> None:
    """Write a record in which each attempt was called a run and had a number of its own."""
    moment, cancelled = NOW.isoformat(), '{"message": "cancelled: wrong input", "label": null}'
    with closing(sqlite3.connect(path)) as connection, connection:
        for migration in MIGRATIONS[:5]:
            migration(connection.cursor(), Places.below(path.parent))
        for number, day, attempt, state, error, superseded in (
            (1, 1, 1, "failed", '{"message": "no"}', moment),
            (2, 2, 1, "interrupted", cancelled, None),
            (3, 1, 2, "failed", '{"message": "cancelled: not by a person"}', None),
            (4, 1, 3, "success", None, None),
            (5, 3, 1, "running", None, None),
            (6, 4, 1, "failed", '{"message": "no"}', None),
            (7, 2, 2, "interrupted", None, None),
        ):
            connection.execute(
                "INSERT INTO runs (id, workflow, parameters_hash, reference_date, parameters, attempt, state, started,"
                " ended, error, superseded) VALUES (?, ?, ?, ?, '{}', ?, ?, ?, ?, ?, ?)",
                (number, *a_run(day).key, f"2016-01-0{day}", attempt, state, moment, moment, error, superseded),
            )
        connection.execute(
            "INSERT INTO runs (id, workflow, parameters_hash, attempt, state, started, ended)"
            " VALUES (8, ?, ?, 0, 'success', ?, ?)",
            (*a_run(9).key, moment, moment),
        )
        connection.executemany(
            "INSERT INTO notebooks (run_id, label, state, started, ended, notebook, reused_from, warnings)"
            " VALUES (?, 'a', ?, ?, ?, 'notebooks/a.ipynb', ?, ?)",
            [
                (3, "success", moment, moment, None, None),
                (4, "success", moment, moment, 3, '[{"cell": 4, "message": "x"}]'),
            ],
        )
        connection.execute("INSERT INTO requests VALUES (?, ?, '2016-01-04', '{}', ?, 6)", (*a_run(4).key, moment))
        connection.execute("PRAGMA user_version = 5")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def test_each_run_of_an_older_record_gets_one_number_and_its_attempts_are_counted_within_it(path: Path) -> None:
    record_of_schema_5(path)
    before = path.read_bytes()
    reader = open_for_reading(path)
    read_only = reader.attempts()
    reader.close()
    assert path.read_bytes() == before
    store = RunStore(path)
    assert path.with_name(f"autoflow.db.before-schema-{len(MIGRATIONS)}").read_bytes() != b""
    attempts = store.read.attempts()
    assert attempts == read_only
    assert [(each.name, each.id, each.state.value) for each in reversed(attempts)] == [
        ("1.1", 1, "failed"),
        ("2.1", 2, "cancelled"),
        ("1.2", 3, "failed"),
        ("1.3", 4, "succeeded"),
        ("5.1", 5, "running"),
        ("6.1", 6, "failed"),
        ("2.2", 7, "interrupted"),
        ("8.0", 8, "succeeded"),
    ]
    reasons = [store.read.attempt(run, attempt) for run, attempt in ((2, 1), (1, 2))]
    assert [each.failure for each in reasons if each] == [Failure("wrong input"), Failure("cancelled: not by a person")]
    assert settled(store) == {a_run(1).key, a_run(3).key, a_run(9).key}
    assert store.read.history().failed.keys() == {a_run(4).key}
    (reused,) = store.read.notebooks(4)
    assert (reused.state.value, reused.reused_from, reused.warnings) == ("succeeded", 2, (Notice(4, "x"),))
    assert store.read.repairs(a_run(4).key) == 1
    assert [store.read.is_in_use(number) for number in (4, 5, 6)] == [False, True, True]
    # an old number is that of its run, or no run ever has it, and it is known what it was
    assert [found.name for number in (3, 4, 7) if (found := store.read.renumbered(number))] == ["1.2", "1.3", "2.2"]
    store.recover(LATER)
    new = [store.begin(a_run(day), LATER) for day in (3, 5)]
    assert [(each.run, each.attempt) for each in new] == [(5, 2), (9, 1)]
    assert store.read.renumbered(new[-1].id) is None
    store.close()


def test_the_database_itself_keeps_the_state_of_a_run_that_of_its_newest_attempt_that_counts(path: Path) -> None:
    store = RunStore(path)

    def state() -> str | None:
        return store.read.connection.execute("SELECT state FROM runs").fetchone()[0]

    for expected in (AttemptState.FAILED, AttemptState.CANCELLED, AttemptState.SUCCEEDED):
        attempt = store.begin(a_run(), NOW)
        assert state() == "running"
        store.finish(attempt, expected, NOW)
        assert state() == expected
    store.ask_for([a_run()], LATER)
    assert state() is None
    store.begin(a_run(), LATER)
    store.recover(LATER)
    assert state() == "interrupted"
    store.close()


def test_a_record_keeps_what_tells_it_from_others(tmp_path: Path) -> None:
    seen = []
    for name in ("one", "one", "two"):
        (tmp_path / name).mkdir(exist_ok=True)
        store = RunStore(tmp_path / name / "record.db")
        seen.append(store.identity())
        store.close()
    assert seen[0] == seen[1] != seen[2]
