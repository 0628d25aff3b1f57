# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The run store: the record of every attempt at every run; with `autoflow.run_reader` the only code that knows SQL."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from autoflow.errors import StoreError, is_not_mounted, may_pass
from autoflow.listed_dates import ListedDates
from autoflow.messages import Message
from autoflow.retention import Made, Removal
from autoflow.run_reader import Known, RecordedNotebook, RunReader, Skip, open_reader
from autoflow.runs import Failure, Run, RunKey, RunState

APPLICATION_ID = 0x4146_4C57
"""Marks a sqlite file as AutoFlow's."""


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
        self.read = RunReader(self._connection)

    def close(self) -> None:
        """Close the file, then let others have it."""
        self._connection.close()
        os.close(self._lock)

    @property
    def changes(self) -> int:
        """How many rows have been changed since it was opened: another number, once there is something new."""
        return self._connection.total_changes

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
            # a repair is asked for once: were it to fail, the next attempt is a whole one
            cursor.execute("UPDATE requests SET repairs = NULL WHERE workflow = ? AND parameters_hash = ?", run.key)
            row = cursor.execute("SELECT * FROM runs WHERE id = ?", (cursor.lastrowid,)).fetchone()
        return _attempt(row)

    def finish(self, attempt: Attempt, state: RunState, now: dt.datetime, failure: Failure | None = None) -> None:
        """Record how an attempt ended."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE runs SET state = ?, ended = ?, error = ? WHERE id = ?",
                (state, _text(now), _json(failure), attempt.id),
            )
            if state is RunState.SUCCESS:
                # it was asked for and is done; a tick reads all that is not
                key = attempt.workflow, attempt.parameters_hash
                cursor.execute("DELETE FROM requests WHERE workflow = ? AND parameters_hash = ?", key)

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
        return self.read.made_by(workflow)

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

    def reuse_notebook(self, attempt: Attempt, notebook: RecordedNotebook, executed_by: int) -> None:
        """Record that an attempt uses a notebook that an earlier one has executed."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO notebooks (run_id, label, state, started, ended, notebook, report, reused_from)"
                " VALUES (?, ?, 'success', ?, ?, ?, ?, ?)",
                (
                    attempt.id,
                    notebook.label,
                    _text(notebook.started),
                    _text(notebook.ended) if notebook.ended else None,
                    notebook.notebook,
                    notebook.report,
                    notebook.reused_from or executed_by,
                ),
            )

    def ask_for(self, runs: Iterable[Run], now: dt.datetime, repairs: int | None = None) -> list[Run]:
        """Make runs due because somebody asks for them, whatever the triggers say.

        Earlier attempts stay in the record but count no more, unless one of them is to be repaired. A run
        that was skipped is skipped no more. One that is running is left alone.

        Parameters
        ----------
        repairs
            The attempt whose executed notebooks are to be used again.

        Returns
        -------
        list of Run
            Those that are due now.
        """
        asked = []
        with self._transaction() as cursor:
            for run in runs:
                running = cursor.execute(
                    "SELECT 1 FROM runs WHERE workflow = ? AND parameters_hash = ? AND state = 'running'", run.key
                ).fetchone()
                if running:
                    continue
                if repairs is None:
                    cursor.execute(
                        "UPDATE runs SET superseded = ?"
                        " WHERE workflow = ? AND parameters_hash = ? AND superseded IS NULL",
                        (_text(now), *run.key),
                    )
                date = run.reference_date.isoformat()
                cursor.execute(
                    "INSERT OR REPLACE INTO requests (workflow, parameters_hash, reference_date, parameters, asked,"
                    " repairs) VALUES (?, ?, ?, ?, ?, ?)",
                    (*run.key, date, json.dumps(run.parameters), _text(now), repairs),
                )
                cursor.execute(
                    # a skip of the whole date stays for the other runs of it: what was asked for later goes before
                    "DELETE FROM skips WHERE workflow = ? AND reference_date = ? AND parameters_hash = ?",
                    (run.workflow.name, date, run.parameters_hash),
                )
                asked.append(run)
        return asked

    def skip(self, skips: Iterable[Skip]) -> None:
        """Record what is not to be run."""
        with self._transaction() as cursor:
            cursor.executemany(
                "INSERT OR REPLACE INTO skips (workflow, reference_date, parameters_hash, reason, since)"
                " VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        skip.workflow,
                        skip.reference_date.isoformat(),
                        skip.parameters_hash,
                        skip.reason,
                        _text(skip.since),
                    )
                    for skip in skips
                ],
            )

    def unskip(self, workflow: str, dates: Iterable[dt.date]) -> int:
        """Forget that dates of a workflow are skipped, and return how many entries there were."""
        with self._transaction() as cursor:
            return sum(
                cursor.execute(
                    "DELETE FROM skips WHERE workflow = ? AND reference_date = ?", (workflow, date.isoformat())
                ).rowcount
                for date in dates
            )

    def record_poll(self, answer: Mapping[str, Iterable[str]], now: dt.datetime) -> ListedDates:
        """Remember the dates that FlowAPI lists, and when each was first listed.

        A date that leaves the list and comes back appears anew: its data has changed. Where a whole type
        is gone that had dates, it is the answer that is doubted: when it comes back, its dates are as old as ever.

        Parameters
        ----------
        answer
            ISO dates by CDR type.

        Returns
        -------
        ListedDates
            What is remembered.
        """
        before = self.read.listed_dates()
        appeared = self.read.appearances()
        by_type: dict[str, dict[dt.date, dt.datetime]] = {}
        gone = set()
        with self._transaction() as cursor:
            for cdr_type in sorted(appeared.keys() | answer.keys()):
                known = appeared.get(cdr_type, {})
                dates = sorted({dt.date.fromisoformat(date) for date in answer.get(cdr_type, ())})
                # nothing was listed later than now: the clock was ahead, and has been set right
                listed = {date: min(known.get(date, now), now) for date in dates}
                # a type that never had dates is not told from one that is not listed
                if listed or known:
                    by_type[cdr_type] = listed
                if known and not listed:
                    gone.add(cdr_type)
                    continue
                if listed == known:
                    continue
                cursor.execute("DELETE FROM listed_dates WHERE cdr_type = ?", (cdr_type,))
                cursor.executemany(
                    "INSERT INTO listed_dates (cdr_type, first, days, appeared) VALUES (?, ?, ?, ?)",
                    [
                        (cdr_type, first.isoformat(), days, _text(appeared))
                        for first, days, appeared in _stretches(listed.items())
                    ],
                )
            since = now if before.polled is None else before.watched_since and min(before.watched_since, now)
            noted = {"last_poll": _text(now), "gone_types": json.dumps(sorted(gone))}
            if since is not None:
                noted["first_poll"] = _text(since)
            cursor.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", noted.items())
        return ListedDates(by_type, now, since)

    def tell(
        self,
        messages: Iterable[Message],
        channels: Sequence[str],
        now: dt.datetime,
        *,
        known: Iterable[Known] = (),
        over: Iterable[str] = (),
    ) -> None:
        """Put messages into the outbox, and remember with them what people know: both, or neither.

        Parameters
        ----------
        channels
            Which are to take each of the messages.
        known
            What is wrong, as people know it then.
        over
            Names of what is not wrong any more.
        """
        with self._transaction() as cursor:
            cursor.executemany("DELETE FROM causes WHERE name = ?", [(name,) for name in over])
            cursor.executemany(
                "INSERT OR REPLACE INTO causes (name, event, what, since, told, workflow, runs)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        each.name,
                        each.event,
                        each.what,
                        _text(each.since),
                        _text(each.told) if each.told else None,
                        each.workflow,
                        json.dumps(each.runs),
                    )
                    for each in known
                ],
            )
            cursor.executemany(
                "INSERT INTO outbox (channel, made, message) VALUES (?, ?, ?)",
                [(channel, _text(now), json.dumps(asdict(message))) for message in messages for channel in channels],
            )

    def take_out(self, ids: Iterable[int]) -> None:
        """Take messages out of the outbox."""
        with self._transaction() as cursor:
            cursor.executemany("DELETE FROM outbox WHERE id = ?", [(id_,) for id_ in ids])

    def last_tick(self) -> dt.datetime | None:
        """Read the time for which the newest tick was scheduled; None in a new installation."""
        return self.read.last_tick()

    def record_tick(self, scheduled: dt.datetime) -> None:
        """Remember the newest tick, so that one missed while AutoFlow is down can be told."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('last_tick', ?)", (_text(scheduled),))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with _transaction(self._connection) as cursor:
            yield cursor


def open_for_reading(path: Path, *, missing_is_empty: bool = False) -> RunReader:
    """Open a record for reading only: no lock is taken, and a daemon that holds it goes on.

    Parameters
    ----------
    missing_is_empty
        Whether a record that does not exist yet is read as one with nothing in it.

    Raises
    ------
    StoreError
        When there is no record, or not one that can be read.
    """
    if missing_is_empty and not path.exists():
        connection = sqlite3.connect(":memory:", isolation_level=None)
        _migrate(connection, path)
        connection.row_factory = sqlite3.Row
        return RunReader(connection)
    return open_reader(path, len(MIGRATIONS))


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
            f"{lock}: cannot be opened ({error.strerror}); the database's directory must exist and be writable",
            passing=may_pass(error) or (isinstance(error, FileNotFoundError) and is_not_mounted(path.parent)),
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise StoreError(
            f"{path}: held by another AutoFlow ({holder}); stop that one, or give this one"
            " its own AUTOFLOW_OUTPUTS_DIR or AUTOFLOW_DB_URI",
            passing=True,
        ) from error
    since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    # on a full disk it is held all the same
    with suppress(OSError):
        os.truncate(descriptor, 0)
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
        passing = may_pass(error) and not path.is_dir()
        raise StoreError(
            f"{path}: cannot be used as AutoFlow's database ({error}); "
            + (
                "look at the disk, and at who else uses the file"
                if passing
                else "expected a sqlite file of AutoFlow's, or none: move it away, or set AUTOFLOW_DB_URI to another"
            ),
            passing=passing,
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


def _add_steering(cursor: sqlite3.Cursor) -> None:
    """Make room for what people ask for, and for the dates that the last poll found."""
    cursor.execute("ALTER TABLE runs ADD COLUMN superseded TEXT")
    cursor.execute("DROP INDEX runs_live")
    cursor.execute(
        "CREATE UNIQUE INDEX runs_live ON runs (workflow, parameters_hash)"
        " WHERE state IN ('running', 'success') AND superseded IS NULL"
    )
    cursor.execute("DROP INDEX runs_failed")
    cursor.execute(
        "CREATE INDEX runs_failed ON runs (workflow, parameters_hash, ended)"
        " WHERE state = 'failed' AND superseded IS NULL"
    )
    cursor.execute("CREATE INDEX runs_interrupted ON runs (workflow, parameters_hash) WHERE state = 'interrupted'")
    # a calendar reads this alone, and not the rows with their parameters
    cursor.execute("CREATE INDEX runs_dates ON runs (reference_date, workflow, parameters_hash, state, superseded)")
    cursor.execute(
        "CREATE INDEX runs_settled ON runs (reference_date, workflow, parameters_hash)"
        " WHERE state IN ('running', 'success') AND superseded IS NULL"
    )
    cursor.execute("ALTER TABLE notebooks ADD COLUMN reused_from INTEGER")
    cursor.execute(
        """
        CREATE TABLE requests (
            workflow TEXT NOT NULL,
            parameters_hash TEXT NOT NULL,
            reference_date TEXT NOT NULL,
            parameters TEXT NOT NULL,
            asked TEXT NOT NULL,
            repairs INTEGER,
            PRIMARY KEY (workflow, parameters_hash)
        ) WITHOUT ROWID
        """
    )
    cursor.execute(
        """
        CREATE TABLE skips (
            workflow TEXT NOT NULL,
            reference_date TEXT NOT NULL,
            parameters_hash TEXT NOT NULL,  -- empty: every run of that date
            reason TEXT NOT NULL,
            since TEXT NOT NULL,
            PRIMARY KEY (workflow, reference_date, parameters_hash)
        ) WITHOUT ROWID
        """
    )
    cursor.execute(
        """
        CREATE TABLE listed_dates (
            cdr_type TEXT NOT NULL,
            first TEXT NOT NULL,
            days INTEGER NOT NULL,
            appeared TEXT NOT NULL,
            PRIMARY KEY (cdr_type, first)
        ) WITHOUT ROWID
        """
    )


def _add_messages(cursor: sqlite3.Cursor) -> None:
    """Make room for what people were told, and for the messages that are to be sent."""
    cursor.execute(
        """
        CREATE TABLE causes (
            name TEXT PRIMARY KEY,
            event TEXT NOT NULL,
            what TEXT NOT NULL,
            since TEXT NOT NULL,
            told TEXT,  -- null: noticed, and not told yet
            workflow TEXT,
            runs TEXT NOT NULL
        ) WITHOUT ROWID
        """
    )
    # an id is never used again: it makes the Message-ID of an e-mail
    cursor.execute(
        """
        CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            channel TEXT NOT NULL,
            made TEXT NOT NULL,
            message TEXT NOT NULL
        )
        """
    )
    # unlike runs_failed also what a rerun has superseded: it failed all the same, until it succeeds
    cursor.execute("CREATE INDEX runs_failures ON runs (workflow, parameters_hash, id) WHERE state = 'failed'")


MIGRATIONS: tuple[Callable[[sqlite3.Cursor], None], ...] = (_create_tables, _add_steering, _add_messages)
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
                -- what was taken over before may have been superseded since
                AND NOT EXISTS (
                    SELECT 1 FROM runs WHERE attempt = 0 AND workflow = workflow_name
                        AND runs.parameters_hash = workflow_runs.parameters_hash
                )
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


def _stretches(dates: Iterable[tuple[dt.date, dt.datetime]]) -> Iterator[tuple[dt.date, int, dt.datetime]]:
    """Join dates that follow each other and appeared together: first date, number of days, appearance."""
    first, days, since = None, 0, None
    for date, appeared in dates:
        if first is not None and since == appeared and date == first + dt.timedelta(days=days):
            days += 1
            continue
        if first is not None and since is not None:
            yield first, days, since
        first, days, since = date, 1, appeared
    if first is not None and since is not None:
        yield first, days, since


def _text(moment: dt.datetime) -> str:
    """Fixed width and UTC, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _json(failure: Failure | None) -> str | None:
    return json.dumps(asdict(failure)) if failure else None
