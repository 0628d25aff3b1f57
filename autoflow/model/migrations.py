# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How the tables of each older version of the record become those of the next."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from autoflow.settings import Places


def _create_tables(cursor: sqlite3.Cursor, _: Places) -> None:
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


def _add_steering(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for requests, and for the dates that the last poll found; long, since it is SQL."""
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


def _add_messages(cursor: sqlite3.Cursor, _: Places) -> None:
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


def _make_paths_relative(cursor: sqlite3.Cursor, places: Places) -> None:
    """Let the record hold paths relative to the outputs, also those of outputs that have been moved since."""
    directories = {"notebook": places.notebooks, "report": places.reports}
    for column, directory in directories.items():
        rows = cursor.execute(f"SELECT run_id, label, {column} FROM notebooks WHERE {column} NOT NULL")  # noqa: S608
        cursor.executemany(
            f"UPDATE notebooks SET {column} = ? WHERE run_id = ? AND label = ?",  # noqa: S608
            [(places.brought_over(path, directory), run_id, label) for run_id, label, path in rows.fetchall()],
        )
    for table, key in (("runs", "id"), ("notebooks", "run_id")):
        rows = cursor.execute(
            f"SELECT {key}, error FROM {table} WHERE json_extract(error, '$.notebook') NOT NULL"  # noqa: S608
        )
        errors = []
        for number, text in rows.fetchall():
            error = json.loads(text)
            error["notebook"] = places.brought_over(error["notebook"], places.notebooks)
            errors.append((json.dumps(error), number, text))
        # an attempt may have more than one notebook with an error
        cursor.executemany(f"UPDATE {table} SET error = ? WHERE {key} = ? AND error = ?", errors)  # noqa: S608


def _add_warnings(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for what is to be known of a report."""
    cursor.execute("ALTER TABLE notebooks ADD COLUMN warnings TEXT")


def _tell_runs_from_attempts(cursor: sqlite3.Cursor, _: Places) -> None:
    """Return each run one number for its life, and count its attempts within it; what was called run was an attempt.

    A run gets the number that its first attempt had, and new ones get numbers that no attempt ever had: so an old
    number is that of its run, or of none.
    """
    cursor.execute("ALTER TABLE runs RENAME TO old_attempts")
    cursor.execute("ALTER TABLE notebooks RENAME TO old_notebooks")
    _create_runs(cursor)
    _create_notebooks(cursor)
    cursor.execute(
        "INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters)"
        " SELECT min(id), workflow, parameters_hash, max(reference_date), max(parameters)"
        " FROM old_attempts GROUP BY workflow, parameters_hash"
    )
    state = "CASE {0}state WHEN 'success' THEN 'succeeded' ELSE {0}state END"
    # the reason followed in the error, which nothing but this prefix told from others
    cancelled = "old.state = 'interrupted' AND json_extract(error, '$.message') LIKE 'cancelled: %'"
    reason = "json_set(error, '$.message', substr(json_extract(error, '$.message'), length('cancelled: ') + 1))"
    cursor.execute(
        "INSERT INTO attempts (id, run, attempt, state, started, ended, error, superseded)"  # noqa: S608
        f" SELECT id, number, attempt, CASE WHEN {cancelled} THEN 'cancelled' ELSE {state.format('old.')} END,"
        f" started, ended, CASE WHEN {cancelled} THEN {reason} ELSE error END, superseded"
        " FROM old_attempts AS old JOIN runs USING (workflow, parameters_hash)"
    )
    columns = "label, started, ended, notebook, report, error, warnings"
    cursor.execute(
        f"INSERT INTO notebooks (attempt_id, state, reused_from, {columns})"  # noqa: S608
        f" SELECT run_id, {state.format('')}, (SELECT attempt FROM attempts WHERE id = reused_from), {columns}"
        " FROM old_notebooks"
    )
    cursor.execute("UPDATE requests SET repairs = (SELECT attempt FROM attempts WHERE id = repairs)")
    cursor.execute("DROP TABLE old_notebooks")
    cursor.execute("DROP TABLE old_attempts")
    _index_runs(cursor)
    cursor.execute(
        "UPDATE runs SET state = (SELECT state FROM attempts WHERE run = number AND superseded IS NULL"
        " ORDER BY id DESC LIMIT 1)"
    )
    cursor.execute("INSERT INTO meta SELECT 'old_numbers', max(id) FROM attempts HAVING max(id) NOT NULL")
    cursor.execute("UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM attempts) WHERE name = 'runs'")


def _create_runs(cursor: sqlite3.Cursor) -> None:
    """Create the tables of runs and attempts; long, since it is SQL."""
    # a number is never used again, whatever becomes of the run
    cursor.execute(
        """
        CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            workflow TEXT NOT NULL,
            parameters_hash TEXT NOT NULL,
            reference_date TEXT,  -- null, as parameters, for what the predecessor recorded
            parameters TEXT,
            state TEXT,  -- that of its newest attempt that counts; null when none does
            UNIQUE (workflow, parameters_hash)
        )
        """
    )
    # ids follow each other in the order in which attempts were started
    cursor.execute(
        """
        CREATE TABLE attempts (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
            attempt INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'interrupted', 'cancelled')),
            started TEXT NOT NULL,
            ended TEXT,
            error TEXT,
            superseded TEXT,
            UNIQUE (run, attempt)
        )
        """
    )


def _create_notebooks(cursor: sqlite3.Cursor) -> None:
    cursor.execute(
        """
        CREATE TABLE notebooks (
            attempt_id INTEGER NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
            label TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'interrupted')),
            started TEXT NOT NULL,
            ended TEXT,
            notebook TEXT,
            report TEXT,
            error TEXT,
            reused_from INTEGER,
            warnings TEXT,
            PRIMARY KEY (attempt_id, label)
        ) WITHOUT ROWID
        """
    )


def _index_runs(cursor: sqlite3.Cursor) -> None:
    # a tick reads this alone, and so does a calendar the next one
    cursor.execute(
        "CREATE INDEX runs_settled ON runs (reference_date, workflow, parameters_hash)"
        " WHERE state IN ('running', 'succeeded')"
    )
    cursor.execute("CREATE INDEX runs_dates ON runs (reference_date, workflow, parameters_hash, state)")
    cursor.execute(
        "CREATE INDEX runs_unsettled ON runs (reference_date) WHERE state IN ('failed', 'interrupted', 'cancelled')"
    )
    cursor.execute(
        "CREATE UNIQUE INDEX attempts_live ON attempts (run)"
        " WHERE state IN ('running', 'succeeded') AND superseded IS NULL"
    )
    cursor.execute("CREATE INDEX attempts_failed ON attempts (run) WHERE state = 'failed'")
    cursor.execute("CREATE INDEX attempts_under_way ON attempts (state) WHERE state = 'running'")
    for event, row in (("INSERT", "NEW"), ("UPDATE OF state, superseded", "NEW"), ("DELETE", "OLD")):
        cursor.execute(
            f"CREATE TRIGGER attempts_{event.partition(' ')[0].lower()} AFTER {event} ON attempts BEGIN"  # noqa: S608
            " UPDATE runs SET state = (SELECT state FROM attempts WHERE run = number AND superseded IS NULL"
            f" ORDER BY id DESC LIMIT 1) WHERE number = {row}.run; END"
        )


def _add_quality(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for outcomes of QA checks, by years, which a poll compares, and for what people decide of dates."""
    cursor.execute(
        """
        CREATE TABLE qa_outcomes (
            cdr_type TEXT NOT NULL,
            name TEXT NOT NULL,
            year TEXT NOT NULL,
            digest TEXT NOT NULL,
            outcomes TEXT NOT NULL,
            PRIMARY KEY (cdr_type, name, year)
        )
        """
    )
    # what people have decided of dates of data, whatever the checks say
    cursor.execute(
        """
        CREATE TABLE overrides (
            workflow TEXT NOT NULL,
            date TEXT NOT NULL,
            accepted INTEGER NOT NULL,  -- 0: held
            reason TEXT NOT NULL,
            since TEXT NOT NULL,
            PRIMARY KEY (workflow, date)
        ) WITHOUT ROWID
        """
    )


def _add_restatements(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for dates that were ingested anew, and for the attempts that had used what was there before."""
    cursor.execute(
        """
        CREATE TABLE restatements (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            cdr_type TEXT NOT NULL,
            date TEXT NOT NULL,
            seen TEXT NOT NULL,
            changes TEXT NOT NULL
        )
        """
    )
    cursor.execute("CREATE INDEX restatements_dates ON restatements (date)")
    # the last outcomes of dates that have none now: they may come back as they were
    cursor.execute(
        """
        CREATE TABLE qa_gone (
            cdr_type TEXT NOT NULL,
            name TEXT NOT NULL,
            day INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            PRIMARY KEY (cdr_type, name, day)
        ) WITHOUT ROWID
        """
    )
    cursor.execute(
        """
        CREATE TABLE stale (
            attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
            restatement INTEGER NOT NULL,  -- the first of those that made it so, which were seen together
            kept TEXT,  -- why the report stays as it is; null when nobody has said so
            since TEXT NOT NULL
        )
        """
    )


def _add_missing_dates(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for the dates that attempts were made without, and tell runs that have succeeded so from others."""
    # null where all were there; those of older attempts were
    cursor.execute("ALTER TABLE attempts ADD COLUMN missing_dates TEXT")
    state = "CASE WHEN state = 'succeeded' AND missing_dates NOT NULL THEN 'provisional' ELSE state END"
    for event, row in (("INSERT", "NEW"), ("UPDATE OF state, superseded", "NEW"), ("DELETE", "OLD")):
        name = f"attempts_{event.partition(' ')[0].lower()}"
        cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON attempts BEGIN"  # noqa: S608
            f" UPDATE runs SET state = (SELECT {state} FROM attempts WHERE run = number AND superseded IS NULL"
            f" ORDER BY id DESC LIMIT 1) WHERE number = {row}.run; END"
        )
    cursor.execute("CREATE INDEX runs_provisional ON runs (reference_date) WHERE state = 'provisional'")


def _add_sources(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for what notebooks were like, and other files that reports are made of: few sets, of many runs."""
    cursor.execute("CREATE TABLE sources (id INTEGER PRIMARY KEY, files TEXT NOT NULL UNIQUE)")
    # null where it was not recorded
    cursor.execute("ALTER TABLE notebooks ADD COLUMN sources INTEGER REFERENCES sources (id)")


def _add_same_results(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for runs that were made again with the same results, and for dates that have left FlowAPI's list."""
    cursor.execute("ALTER TABLE stale RENAME TO old_stale")
    cursor.execute(
        """
        CREATE TABLE stale (
            attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
            restatement INTEGER,  -- the first of those that made it so, which were seen together; null where none did
            departure INTEGER,  -- the first of the dates that it used and that have left the list since
            kept TEXT,  -- why the report stays as it is; null when nobody has said so
            since TEXT NOT NULL,
            same_as INTEGER,  -- the number of the attempt before it, which has the same results
            held INTEGER NOT NULL DEFAULT 0  -- 1: its reports are kept out of latest until somebody keeps them
        )
        """
    )
    columns = "attempt_id, restatement, kept, since"
    cursor.execute(f"INSERT INTO stale ({columns}) SELECT {columns} FROM old_stale")  # noqa: S608
    cursor.execute("DROP TABLE old_stale")
    # a row of a date that is listed again goes
    cursor.execute(
        """
        CREATE TABLE departures (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            cdr_type TEXT NOT NULL,
            date TEXT NOT NULL,
            seen TEXT NOT NULL,
            UNIQUE (cdr_type, date)
        )
        """
    )
    # what the manifests of reports that are kept have yet to say
    cursor.execute(
        """
        CREATE TABLE kept_reports (
            attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
            reason TEXT NOT NULL,
            since TEXT NOT NULL
        )
        """
    )


def _add_finals(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for runs that are final now, until what depends on them is looked at."""
    cursor.execute("CREATE TABLE finals (attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE)")


def _add_peaks(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for the memory that notebooks have taken at most, in MB."""
    cursor.execute("ALTER TABLE notebooks ADD COLUMN peak_mb INTEGER")
    cursor.execute("CREATE INDEX notebooks_peaks ON notebooks (attempt_id, label, peak_mb) WHERE peak_mb NOT NULL")


def _add_later_changes(cursor: sqlite3.Cursor, _: Places) -> None:
    """Make room for data that change once more, and for what tells whether they are again what they were."""
    # the first since the results were found to be the same, or since somebody kept them
    cursor.execute("ALTER TABLE stale ADD COLUMN later INTEGER")
    # the attempts that had used what was ingested anew, by the first of those that were seen together
    cursor.execute(
        """
        CREATE TABLE restated_attempts (
            restatement INTEGER NOT NULL,
            attempt_id INTEGER NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
            PRIMARY KEY (restatement, attempt_id)
        ) WITHOUT ROWID
        """
    )
    # and those that had used a date which has left the list
    cursor.execute(
        """
        CREATE TABLE departed_attempts (
            departure INTEGER NOT NULL REFERENCES departures (id) ON DELETE CASCADE,
            attempt_id INTEGER NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
            PRIMARY KEY (departure, attempt_id)
        ) WITHOUT ROWID
        """
    )
    for table in "restated_attempts", "departed_attempts":
        cursor.execute(f"CREATE INDEX {table}_id ON {table} (attempt_id)")
    cursor.execute("INSERT INTO restated_attempts SELECT restatement, attempt_id FROM stale WHERE restatement NOT NULL")
    # only the first date that left is known of each: the next poll marks them by all
    cursor.execute(
        "INSERT INTO departed_attempts SELECT departure, attempt_id FROM stale JOIN departures ON id = departure"
    )
    cursor.execute("DELETE FROM meta WHERE key = 'departures_marked'")
    # nobody has named the run: it waits until its data count
    cursor.execute("ALTER TABLE requests ADD COLUMN automatic INTEGER NOT NULL DEFAULT 0")
    # attempts in progress that may have read what is made again now: they are made again when they have ended
    cursor.execute("CREATE TABLE overtaken (attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE)")
    # of all outcomes of the dates that an attempt used, when it began; null where these do not tell of each date
    cursor.execute("ALTER TABLE attempts ADD COLUMN data_digest TEXT")
    # JSON of the CDR types whose data an attempt used; null where it used all, or nobody has noted
    cursor.execute("ALTER TABLE attempts ADD COLUMN cdr_types TEXT")


MIGRATIONS: tuple[Callable[[sqlite3.Cursor, Places], None], ...] = (
    _create_tables,
    _add_steering,
    _add_messages,
    _make_paths_relative,
    _add_warnings,
    _tell_runs_from_attempts,
    _add_quality,
    _add_restatements,
    _add_missing_dates,
    _add_sources,
    _add_same_results,
    _add_finals,
    _add_peaks,
    _add_later_changes,
)
"""Steps from each version of the schema (``PRAGMA user_version``) to the next."""
