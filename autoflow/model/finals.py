# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that are final now, or made again of what is made again, until what depends on them is asked for."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autoflow.runs import RunKey

WAS_PROVISIONAL = (
    "(SELECT missing_dates FROM attempts AS old WHERE old.run = new.run AND old.id < new.id"
    " AND state = 'succeeded' ORDER BY old.id DESC LIMIT 1) NOT NULL"
)
"""Of an attempt that has succeeded: whether the success before it was made with dates missing."""


@dataclass(frozen=True)
class FinalRun:
    """A run that has succeeded with all its dates after it had without some, or was overtaken and is made again."""

    attempt_id: int
    workflow: str
    parameters_hash: str
    reference_date: dt.date
    parameters: Mapping[str, Any]
    ended: dt.datetime


def note_final(cursor: sqlite3.Cursor, attempt_id: int) -> None:
    """Note an attempt that has succeeded, if it is the first with all dates after one without some.

    So is one that takes the place of one which was overtaken: what depends on the run may have read that.
    """
    cursor.execute(
        "INSERT INTO finals SELECT id FROM attempts AS new WHERE id = ? AND (missing_dates IS NULL"  # noqa: S608
        f" AND {WAS_PROVISIONAL} OR EXISTS (SELECT 1 FROM overtaken JOIN attempts AS old ON old.id = attempt_id"
        " WHERE old.run = new.run AND old.id < new.id))",
        (attempt_id,),
    )
    cursor.execute(
        "DELETE FROM overtaken WHERE attempt_id IN (SELECT old.id FROM attempts AS old JOIN attempts AS new"
        " ON old.run = new.run WHERE new.id = ? AND old.id < new.id)",
        (attempt_id,),
    )


def request_overtaken(cursor: sqlite3.Cursor, attempt_id: int, now: str) -> None:
    """Request the run of an attempt that has succeeded, if what it may have read was made again meanwhile."""
    of_it = "WHERE id = ? AND EXISTS (SELECT 1 FROM overtaken WHERE attempt_id = id)"
    cursor.execute(
        "INSERT INTO requests (workflow, parameters_hash, reference_date, parameters, asked, automatic)"  # noqa: S608
        " SELECT workflow, parameters_hash, reference_date, parameters, ?, 1"
        f" FROM attempts JOIN runs ON number = run {of_it}",
        (now, attempt_id),
    )
    cursor.execute(f"UPDATE attempts SET superseded = ? {of_it}", (now, attempt_id))  # noqa: S608


def final_runs(connection: sqlite3.Connection) -> list[FinalRun]:
    """Read them, in order of dates."""
    rows = connection.execute(
        "SELECT id, workflow, parameters_hash, reference_date, parameters, ended"
        " FROM finals CROSS JOIN attempts ON id = attempt_id CROSS JOIN runs ON number = run"
        " ORDER BY reference_date, id"
    )
    return [
        FinalRun(id_, workflow, key, dt.date.fromisoformat(date), json.loads(text), dt.datetime.fromisoformat(ended))
        for id_, workflow, key, date, text, ended in rows
    ]


def became_final(connection: sqlite3.Connection) -> dict[RunKey, dt.datetime]:
    """Read which runs are final that were provisional before, and since when."""
    rows = connection.execute(
        "SELECT workflow, parameters_hash, ended FROM attempts AS new JOIN runs ON number = run"  # noqa: S608
        " WHERE new.state = 'succeeded' AND superseded IS NULL AND missing_dates IS NULL AND attempt > 1"
        f" AND {WAS_PROVISIONAL}"
    )
    return {(workflow, hashed): dt.datetime.fromisoformat(ended) for workflow, hashed, ended in rows}


def starts(connection: sqlite3.Connection, runs: Collection[int]) -> dict[int, dt.datetime]:
    """Read when the attempts of some runs started which have succeeded and count, or go on."""
    rows = connection.execute(
        "SELECT run, started FROM attempts WHERE run IN (SELECT value FROM json_each(?)) AND superseded IS NULL"
        " AND state IN ('succeeded', 'running') AND attempt > 0",
        (json.dumps([*runs]),),
    )
    return {run: dt.datetime.fromisoformat(started) for run, started in rows}
