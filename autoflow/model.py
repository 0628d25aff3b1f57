# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The run store: the record of every attempt at every run, and the only code that knows SQL."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from autoflow.errors import StoreError
from autoflow.naming import OUTPUT_SUFFIXES
from autoflow.retention import Made, Removal
from autoflow.runs import Failure, Run, RunKey, RunState

APPLICATION_ID = 0x4146_4C57
"""Marks a sqlite file as AutoFlow's."""


@dataclass(frozen=True)
class Failures:
    """The failed attempts at one run."""

    attempts: int
    last: dt.datetime


@dataclass(frozen=True)
class History:
    """What the record says of runs that are not simply new."""

    settled: frozenset[RunKey]
    """Runs that succeeded, or are running."""
    failed: Mapping[RunKey, Failures]


@dataclass(frozen=True)
class Attempt:
    """One row of the record."""

    id: int
    workflow: str
    reference_date: dt.date | None
    parameters_hash: str
    attempt: int
    state: RunState


class RunStore:
    """The record in one sqlite file, held by one AutoFlow at a time.

    Parameters
    ----------
    path
        The file; made when missing. ``<path>.lock`` beside it says who holds it.

    Raises
    ------
    StoreError
        When another AutoFlow holds it, or the file is not a database that this version knows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _take_lock(path)
        try:
            self._connection = _open(path)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file, then let others have it."""
        self._connection.close()
        os.close(self._lock)

    def recover(self, now: dt.datetime) -> list[Attempt]:
        """Record what a dead AutoFlow left running as interrupted, and return those attempts."""
        left = [
            _attempt(row) for row in self._connection.execute("SELECT * FROM runs WHERE state = 'running' ORDER BY id")
        ]
        with self._transaction() as cursor:
            for table in ("runs", "notebooks"):
                cursor.execute(
                    f"UPDATE {table} SET state = 'interrupted', ended = ? WHERE state = 'running'",  # noqa: S608
                    (_text(now),),
                )
        return left

    def history(self) -> History:
        """Read all that decides whether a run is due, in one go."""
        settled = self._connection.execute(
            "SELECT workflow, parameters_hash FROM runs WHERE state IN ('running', 'success')"
        )
        failed = self._connection.execute(
            "SELECT workflow, parameters_hash, count(*), max(ended) FROM runs WHERE state = 'failed' GROUP BY 1, 2"
        )
        return History(
            settled=frozenset((workflow, parameters_hash) for workflow, parameters_hash in settled),
            failed={
                (workflow, parameters_hash): Failures(attempts, dt.datetime.fromisoformat(last))
                for workflow, parameters_hash, attempts, last in failed
            },
        )

    def begin(self, run: Run, now: dt.datetime) -> Attempt:
        """Record that an attempt at a run starts.

        Raises
        ------
        StoreError
            When the run is running or has succeeded: the database itself refuses a second one.
        """
        with self._transaction() as cursor:
            (tried,) = cursor.execute(
                "SELECT coalesce(max(attempt), 0) FROM runs WHERE workflow = ? AND parameters_hash = ?", run.key
            ).fetchone()
            try:
                cursor.execute(
                    "INSERT INTO runs (workflow, parameters_hash, reference_date, parameters, attempt, state, started)"
                    " VALUES (?, ?, ?, ?, ?, 'running', ?)",
                    (*run.key, run.reference_date.isoformat(), json.dumps(run.parameters), tried + 1, _text(now)),
                )
            except sqlite3.IntegrityError as error:
                raise StoreError(f"{self.path}: {run} is running or has succeeded already") from error
            row = cursor.execute("SELECT * FROM runs WHERE id = ?", (cursor.lastrowid,)).fetchone()
        return _attempt(row)

    def finish(self, attempt: Attempt, state: RunState, now: dt.datetime, failure: Failure | None = None) -> None:
        """Record how an attempt ended."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE runs SET state = ?, ended = ?, error = ? WHERE id = ?",
                (state, _text(now), _json(failure), attempt.id),
            )

    def begin_notebook(self, attempt: Attempt, label: str, now: dt.datetime) -> None:
        """Record that a notebook of an attempt starts."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO notebooks (run_id, label, state, started) VALUES (?, ?, 'running', ?)",
                (attempt.id, label, _text(now)),
            )

    def finish_notebook(
        self,
        attempt: Attempt,
        label: str,
        state: RunState,
        now: dt.datetime,
        *,
        notebook: Path | None = None,
        failure: Failure | None = None,
    ) -> None:
        """Record how the execution of a notebook ended, and where the executed notebook is."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET state = ?, ended = ?, notebook = ?, error = ? WHERE run_id = ? AND label = ?",
                (state, _text(now), str(notebook) if notebook else None, _json(failure), attempt.id, label),
            )

    def record_report(self, attempt: Attempt, label: str, report: Path) -> None:
        """Record where the report of a notebook is."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET report = ? WHERE run_id = ? AND label = ?", (str(report), attempt.id, label)
            )

    def reports_of(self, key: RunKey, label: str) -> list[Path]:
        """List the reports of a notebook that earlier attempts at a run have made, the oldest first."""
        rows = self._connection.execute(
            "SELECT report FROM notebooks JOIN runs ON runs.id = run_id"
            " WHERE workflow = ? AND parameters_hash = ? AND label = ? AND report NOT NULL ORDER BY run_id",
            (*key, label),
        )
        return [Path(report) for (report,) in rows]

    def made_by(self, workflow: str) -> list[Made]:
        """List what the attempts of a workflow that are over have made, and still have on disk."""
        rows = self._connection.execute(
            """
            SELECT run_id, label, reference_date, parameters, runs.state AS state, runs.ended AS ended, notebook,
                report, EXISTS (
                    SELECT 1 FROM runs AS later WHERE later.workflow = runs.workflow
                    AND later.parameters_hash = runs.parameters_hash AND later.state = 'success' AND later.id > runs.id
                ) AS replaced
            FROM notebooks JOIN runs ON runs.id = run_id
            WHERE workflow = ? AND runs.state != 'running' AND runs.ended NOT NULL
                AND (notebook NOT NULL OR report NOT NULL OR runs.state != 'success')
            """,
            (workflow,),
        )
        return [_made(row) for row in rows]

    def forget(self, removals: Sequence[Removal]) -> None:
        """Record that files are gone, and drop attempts of which nothing is to be known any more."""
        with self._transaction() as cursor:
            for removal in removals:
                key = removal.made.run_id, removal.made.label
                if removal.notebook:
                    cursor.execute("UPDATE notebooks SET notebook = NULL WHERE run_id = ? AND label = ?", key)
                if removal.reports:
                    cursor.execute("UPDATE notebooks SET report = NULL WHERE run_id = ? AND label = ?", key)
            for run_id in {removal.made.run_id for removal in removals if removal.record}:
                cursor.execute(
                    "DELETE FROM runs WHERE id = ? AND state != 'success' AND NOT EXISTS ("
                    "SELECT 1 FROM notebooks WHERE run_id = runs.id AND (notebook NOT NULL OR report NOT NULL))",
                    (run_id,),
                )

    def fail_notebook(self, attempt: Attempt, label: str, failure: Failure) -> None:
        """Record that a notebook's report could not be made."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET state = 'failed', error = ? WHERE run_id = ? AND label = ?",
                (_json(failure), attempt.id, label),
            )

    def last_tick(self) -> dt.datetime | None:
        """Read the time for which the newest tick was scheduled; None in a new installation."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'last_tick'").fetchone()
        return dt.datetime.fromisoformat(row[0]) if row else None

    def record_tick(self, scheduled: dt.datetime) -> None:
        """Remember the newest tick, so that one missed while AutoFlow is down can be told."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('last_tick', ?)", (_text(scheduled),))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with _transaction(self._connection) as cursor:
            yield cursor


def _take_lock(path: Path) -> int:
    """Hold the file beside the database for the life of the process.

    A lock of the operating system's ends with its process, however that dies; what is written in the
    file only serves the message that a second AutoFlow gives.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"{lock}: can not be opened ({error.strerror}); the database's directory must exist and be writable"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise StoreError(
            f"{path}: held by another AutoFlow ({holder}); stop that one, or give this one"
            " its own AUTOFLOW_OUTPUTS_DIR or AUTOFLOW_DB_URI"
        ) from error
    os.truncate(descriptor, 0)
    since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    os.write(descriptor, f"pid {os.getpid()}, since {since}\n".encode())
    return descriptor


def _open(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        # FULL: a run recorded as a success must still be one after a power cut
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{path}: can not be used as AutoFlow's database ({error}); expected a sqlite file of AutoFlow's,"
            " or none: move it away, or set AUTOFLOW_DB_URI to another file"
        ) from error
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def _create_tables(cursor: sqlite3.Cursor) -> None:
    cursor.execute(
        """
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY,
            workflow TEXT NOT NULL,
            parameters_hash TEXT NOT NULL,
            reference_date TEXT,  -- null, as parameters, for what the predecessor recorded
            parameters TEXT,
            attempt INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('running', 'success', 'failed', 'interrupted')),
            started TEXT NOT NULL,
            ended TEXT,
            error TEXT
        )
        """
    )
    cursor.execute(
        "CREATE UNIQUE INDEX runs_live ON runs (workflow, parameters_hash) WHERE state IN ('running', 'success')"
    )
    cursor.execute("CREATE INDEX runs_tried ON runs (workflow, parameters_hash, attempt)")
    cursor.execute("CREATE INDEX runs_failed ON runs (workflow, parameters_hash, ended) WHERE state = 'failed'")
    cursor.execute(
        """
        CREATE TABLE notebooks (
            run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            label TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('running', 'success', 'failed', 'interrupted')),
            started TEXT NOT NULL,
            ended TEXT,
            notebook TEXT,
            report TEXT,
            error TEXT,
            PRIMARY KEY (run_id, label)
        ) WITHOUT ROWID
        """
    )
    cursor.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


MIGRATIONS: tuple[Callable[[sqlite3.Cursor], None], ...] = (_create_tables,)
"""Steps from each version of the schema (``PRAGMA user_version``) to the next."""


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    with _transaction(connection) as cursor:
        (version,) = cursor.execute("PRAGMA user_version").fetchone()
        (application,) = cursor.execute("PRAGMA application_id").fetchone()
        if version and application != APPLICATION_ID:
            raise StoreError(
                f"{path}: is the database of another program; set AUTOFLOW_DB_URI to a file of AutoFlow's own"
            )
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{path}: was written by a newer AutoFlow (schema {version}; this one knows {len(MIGRATIONS)});"
                " install that version again, or restore the database from before the upgrade"
            )
        for migration in MIGRATIONS[version:]:
            migration(cursor)
        if version < len(MIGRATIONS):
            cursor.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        _take_over_history(cursor)


def _take_over_history(cursor: sqlite3.Cursor) -> None:
    """Count as done what the predecessor recorded as a success in the same file.

    Its table stays as it is. What it left ``running`` or ``failed`` is due again.
    """
    present = cursor.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'workflow_runs'").fetchone()
    if present:
        cursor.execute(
            """
            INSERT OR IGNORE INTO runs (workflow, parameters_hash, attempt, state, started, ended)
            SELECT workflow_name, parameters_hash, 0, 'success', timestamp, timestamp
            FROM workflow_runs WHERE state = 'success' AND workflow_name NOT NULL AND parameters_hash NOT NULL
                AND timestamp NOT NULL
            """
        )


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        id=row["id"],
        workflow=row["workflow"],
        reference_date=dt.date.fromisoformat(row["reference_date"]) if row["reference_date"] else None,
        parameters_hash=row["parameters_hash"],
        attempt=row["attempt"],
        state=RunState(row["state"]),
    )


def _made(row: sqlite3.Row) -> Made:
    parameters = json.loads(row["parameters"] or "{}")
    own = {name: value for name, value in parameters.items() if name not in ("reference_date", "date_ranges")}
    report = Path(row["report"]) if row["report"] else None
    return Made(
        run_id=row["run_id"],
        label=row["label"],
        reference_date=row["reference_date"] or "",
        parameters=json.dumps(own, sort_keys=True),
        succeeded=row["state"] == RunState.SUCCESS,
        replaced=bool(row["replaced"]),
        ended=dt.datetime.fromisoformat(row["ended"]),
        notebook=Path(row["notebook"]) if row["notebook"] else None,
        reports=tuple(report.with_suffix(suffix) for suffix in OUTPUT_SUFFIXES) if report else (),
    )


def _text(moment: dt.datetime) -> str:
    """Fixed width and UTC, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _json(failure: Failure | None) -> str | None:
    return json.dumps(asdict(failure)) if failure else None
