# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Of which files the results in the record are made: sets of hashes, which very many runs have in common."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceSet:
    """Hashes of files by path, and the notebook that runs have made of them."""

    id: int
    workflow: str
    label: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class MadeOf:
    """A run that has succeeded, and the set of files that one of its notebooks is made of."""

    run: int
    workflow: str
    reference_date: dt.date
    parameters: Mapping[str, Any]
    made: dt.datetime
    label: str
    sources: int
    """The id of a set."""


_GOOD = (
    " FROM runs JOIN attempts ON run = number JOIN notebooks ON attempt_id = attempts.id"
    " WHERE runs.state IN ('succeeded', 'provisional') AND attempts.state = 'succeeded' AND superseded IS NULL"
    " AND reference_date NOT NULL"
)


def write_sources(cursor: sqlite3.Cursor, files: Mapping[str, str]) -> int:
    """Write a set of hashes unless it is there, and return its id."""
    text = json.dumps(dict(sorted(files.items())))
    cursor.execute("INSERT OR IGNORE INTO sources (files) VALUES (?)", (text,))
    (found,) = cursor.execute("SELECT id FROM sources WHERE files = ?", (text,)).fetchone()
    return int(found)


def source_sets(connection: sqlite3.Connection) -> list[SourceSet]:
    """Read of which files good runs have made each notebook of a workflow."""
    rows = connection.execute(
        f"SELECT id, workflow, label, files FROM (SELECT DISTINCT workflow, label, sources {_GOOD})"  # noqa: S608
        " JOIN sources ON id = sources ORDER BY workflow, label, id"
    )
    return [SourceSet(id_, workflow, label, json.loads(files)) for id_, workflow, label, files in rows]


def made_of(connection: sqlite3.Connection, sets: Collection[int]) -> Iterator[MadeOf]:
    """Read the good runs with a notebook that is made of one of some sets of files, by workflow and date."""
    what = "number, workflow, reference_date, parameters, coalesce(attempts.ended, attempts.started), label, sources"
    order = "workflow, reference_date, number, notebooks.started, label"
    rows = connection.execute(
        f"SELECT {what} {_GOOD} AND sources IN (SELECT value FROM json_each(?)) ORDER BY {order}",  # noqa: S608
        (json.dumps(sorted(sets)),),
    )
    for run, workflow, date, parameters, made, label, sources in rows:
        day, ended = dt.date.fromisoformat(date), dt.datetime.fromisoformat(made)
        yield MadeOf(run, workflow, day, json.loads(parameters), ended, label, sources)


def count_without_sources(connection: sqlite3.Connection) -> int:
    """Count the good runs of whose notebooks it was not recorded what they are made of."""
    (number,) = connection.execute(f"SELECT count(DISTINCT number) {_GOOD} AND sources IS NULL").fetchone()
    return int(number)
