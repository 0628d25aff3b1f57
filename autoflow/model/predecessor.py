# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the Prefect-based AutoFlow recorded: its successes count as done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from autoflow.wording import counted

PREDECESSORS_TABLE = "workflow_runs"


class OldRow(NamedTuple):
    """A row of the predecessor's table."""

    workflow_name: str | None
    parameters_hash: str | None
    state: str | None
    timestamp: str | None
    """In UTC, without a zone."""


@dataclass(frozen=True)
class TakenOver:
    """What became of the predecessor's record."""

    new: int = 0
    """Successes that were taken over now."""
    known: int = 0
    """Runs whose success is in AutoFlow's record already."""
    failed: int = 0
    """Runs that failed there at last, and are due again."""
    running: int = 0
    """Runs that were left running there, and are due again."""
    incomplete: int = 0
    """Rows without a workflow, a hash or a time."""

    def __str__(self) -> str:
        left = [
            f"{number} {why}"
            for number, why in (
                (self.known, "recorded already"),
                (self.failed, "that failed, which are due again"),
                (self.running, "that never ended, which are due again"),
                (self.incomplete, "without a workflow, a hash or a time"),
            )
            if number
        ]
        taken = f"{counted(self.new, 'successful run')} imported from the Prefect-based AutoFlow"
        return f"{taken}; not imported: {', '.join(left)}" if left else taken


# what was taken over before may have been superseded since: it is not to count again
_KNOWN = (
    "EXISTS (SELECT 1 FROM runs JOIN attempts ON run = number WHERE workflow = workflow_name"
    " AND runs.parameters_hash = old.parameters_hash"
    " AND (attempt = 0 OR (attempts.state IN ('running', 'succeeded') AND superseded IS NULL)))"
)


def count_rows(connection: sqlite3.Connection, rows: Iterable[OldRow]) -> TakenOver:
    """Say what would be taken over of rows of the predecessor's; the record is only read."""
    cursor = connection.cursor()
    _put_aside(cursor, rows)
    return _counted(cursor, "temp.imported")


def take_over_rows(cursor: sqlite3.Cursor, rows: Iterable[OldRow]) -> TakenOver:
    """Count as done what rows of the predecessor's have as a success."""
    _put_aside(cursor, rows)
    taken = take_over(cursor, "temp.imported")
    cursor.execute("DROP TABLE temp.imported")
    return taken


def _put_aside(cursor: sqlite3.Cursor, rows: Iterable[OldRow]) -> None:
    cursor.execute("CREATE TEMP TABLE imported (workflow_name TEXT, parameters_hash TEXT, state TEXT, timestamp TEXT)")
    cursor.executemany("INSERT INTO temp.imported VALUES (?, ?, ?, ?)", rows)


def take_over(cursor: sqlite3.Cursor, table: str) -> TakenOver:
    """Count as done what the predecessor recorded as a success.

    Its table stays as it is. What it left ``running`` or ``failed`` is due again.

    Parameters
    ----------
    table
        A table with the predecessor's columns.
    """
    counted = _counted(cursor, table)
    successes = (
        f"FROM {table} AS old WHERE old.state = 'success' AND workflow_name NOT NULL AND parameters_hash NOT NULL"
        f" AND timestamp NOT NULL AND NOT {_KNOWN} GROUP BY workflow_name, parameters_hash"
    )
    cursor.execute(
        f"CREATE TEMP TABLE taken AS SELECT workflow_name, parameters_hash, min(old.rowid), timestamp {successes}"
    )
    cursor.execute(
        "INSERT OR IGNORE INTO runs (workflow, parameters_hash) SELECT workflow_name, parameters_hash FROM temp.taken"
    )
    cursor.execute(
        "INSERT INTO attempts (run, attempt, state, started, ended)"
        " SELECT number, 0, 'succeeded', timestamp, timestamp FROM temp.taken"
        " JOIN runs ON workflow = workflow_name AND runs.parameters_hash = taken.parameters_hash"
    )
    cursor.execute("DROP TABLE temp.taken")
    return counted


def _counted(cursor: sqlite3.Cursor, table: str) -> TakenOver:
    new, already, failed, running = cursor.execute(
        f"""
        SELECT count(*) FILTER (WHERE succeeded AND NOT known), count(*) FILTER (WHERE known),
            count(*) FILTER (WHERE NOT succeeded AND NOT known AND last LIKE '% failed'),
            count(*) FILTER (WHERE NOT succeeded AND NOT known AND last NOT LIKE '% failed')
        FROM (
            SELECT max(state = 'success') AS succeeded, {_KNOWN} AS known, max(timestamp || ' ' || state) AS last
            FROM {table} AS old
            WHERE workflow_name NOT NULL AND parameters_hash NOT NULL AND timestamp NOT NULL AND state NOT NULL
            GROUP BY workflow_name, parameters_hash
        )
        """  # noqa: S608
    ).fetchone()
    (incomplete,) = cursor.execute(
        f"SELECT count(*) FROM {table} WHERE workflow_name IS NULL OR parameters_hash IS NULL"  # noqa: S608
        " OR timestamp IS NULL OR state IS NULL"
    ).fetchone()
    return TakenOver(new, already, failed, running, incomplete)
