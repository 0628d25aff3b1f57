# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dates that were ingested anew, and the runs whose results rest on what was there before."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoflow.quality import Change, change_text, changes_in, digest
from autoflow.runs import RunKey

Blocks = Mapping[str, Mapping[str, Mapping[str, str | None]]]
"""Outcomes of QA checks by CDR type, check and year; None is for what is gone."""


@dataclass(frozen=True)
class Restatement:
    """A date of a CDR type that was ingested anew."""

    id: int
    cdr_type: str
    date: dt.date
    seen: dt.datetime
    changes: Mapping[str, Change]
    """What outcomes were, and are, by check."""

    def __str__(self) -> str:
        changes = ", ".join(change_text(check, change) for check, change in self.changes.items())
        return f"{self.cdr_type} of {self.date}: {changes}"


@dataclass(frozen=True)
class StaleRun:
    """A run that has succeeded, with data that have been ingested anew since."""

    run: int
    attempt_id: int
    workflow: str
    parameters_hash: str
    reference_date: dt.date
    text: str
    """Its parameters as JSON: of very many, few are looked into."""
    restatement: int | None
    """The first of those that were seen together, and made it stale; None where dates that it used have only left."""
    since: dt.datetime
    kept: str | None = None
    """Why its report stays as it is; None when nobody has said so."""
    departure: int | None = None
    """The first of the dates that it used and that have left FlowAPI's list since."""
    same_as: int | None = None
    """The number of the attempt before, which has the same results though data were ingested anew since."""
    held: bool = False
    """Whether its reports are kept out of ``latest`` for that."""

    @property
    def key(self) -> RunKey:
        return self.workflow, self.parameters_hash

    @property
    def parameters(self) -> Mapping[str, object]:
        """Those of the run."""
        found: dict[str, object] = json.loads(self.text)
        return found

    @property
    def windows(self) -> Sequence[Sequence[str]]:
        """Pairs of ISO dates, half-open."""
        return self.parameters.get("date_ranges", ())  # type: ignore[return-value]

    def used(self, date: dt.date) -> bool:
        """Whether a date is in the windows of the run."""
        return any(start <= date.isoformat() < end for start, end in self.windows)


def replace_outcomes(cursor: sqlite3.Cursor, changed: Blocks, now: str) -> list[int]:
    """Write blocks of outcomes, and note the dates that were ingested anew; return the ids of these."""
    found: dict[tuple[str, int], dict[str, Change]] = {}
    for cdr_type, checks in changed.items():
        for check, years in checks.items():
            for year, block in years.items():
                for day, change in _replaced(cursor, (cdr_type, check, year), block).items():
                    found.setdefault((cdr_type, day), {})[check] = change
    ids = []
    for (cdr_type, day), changes in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        cursor.execute(
            "INSERT INTO restatements (cdr_type, date, seen, changes) VALUES (?, ?, ?, ?)",
            (cdr_type, dt.date.fromordinal(day).isoformat(), now, json.dumps(dict(sorted(changes.items())))),
        )
        ids.append(int(cursor.lastrowid or 0))
    cursor.execute("INSERT INTO meta VALUES ('qa_changes', '1') ON CONFLICT (key) DO UPDATE SET value = value + 1")
    return ids


def _replaced(cursor: sqlite3.Cursor, key: tuple[str, str, str], block: str | None) -> dict[int, Change]:
    """Write a block, and return what has changed in it; a date that comes back is compared with what it was."""
    where = "cdr_type = ? AND name = ? AND year = ?"
    old = cursor.execute(f"SELECT outcomes FROM qa_outcomes WHERE {where}", key).fetchone()  # noqa: S608
    changed, gone, come = changes_in(key[2], old[0] if old else None, block)
    known = cursor.execute("SELECT day, outcome FROM qa_gone WHERE cdr_type = ? AND name = ?", key[:2]).fetchall()
    for day, outcome in known:
        if day in come:
            cursor.execute("DELETE FROM qa_gone WHERE cdr_type = ? AND name = ? AND day = ?", (*key[:2], day))
            if come[day] != outcome:
                changed[day] = outcome, come[day]
    if gone:
        cursor.executemany(
            "INSERT OR REPLACE INTO qa_gone (cdr_type, name, day, outcome) VALUES (?, ?, ?, ?)",
            [(*key[:2], day, outcome) for day, outcome in gone.items()],
        )
    cursor.execute(f"DELETE FROM qa_outcomes WHERE {where}", key)  # noqa: S608
    if block:
        cursor.execute(
            "INSERT INTO qa_outcomes (cdr_type, name, year, digest, outcomes) VALUES (?, ?, ?, ?, ?)",
            (*key, digest(block), block),
        )
    return changed


def mark_stale(cursor: sqlite3.Cursor, keys: Iterable[RunKey], restatement: int, now: str) -> int:
    """Mark the attempts of runs that have used what a restatement has replaced, and return how many there are.

    One that is in progress has begun with it too. What somebody has kept as it is is marked anew.
    """
    done = 0
    for key in keys:
        done += cursor.execute(
            "INSERT INTO stale (attempt_id, restatement, since)"
            " SELECT id, ?, ? FROM runs CROSS JOIN attempts ON run = number WHERE workflow = ? AND parameters_hash = ?"
            " AND superseded IS NULL AND attempts.state IN ('running', 'succeeded') AND attempt > 0"
            " ON CONFLICT (attempt_id) DO UPDATE SET restatement = excluded.restatement, since = excluded.since,"
            " kept = NULL, same_as = NULL WHERE kept NOT NULL OR same_as NOT NULL OR restatement IS NULL",
            (restatement, now, *key),
        ).rowcount
    return done


def note_same_results(cursor: sqlite3.Cursor, attempt_id: int, before: int, now: str, *, hold: bool) -> None:
    """Mark an attempt as stale that was made again, and has the same results as the one before, which is given too."""
    cursor.execute(
        "INSERT INTO stale (attempt_id, restatement, departure, since, same_as, held)"
        " SELECT ?, restatement, departure, ?, (SELECT attempt FROM attempts WHERE id = attempt_id), ?"
        " FROM stale WHERE attempt_id = ?"
        # its data may have been ingested anew once more while it went on
        " ON CONFLICT (attempt_id) DO UPDATE SET held = excluded.held",
        (attempt_id, now, hold, before),
    )


def keep(cursor: sqlite3.Cursor, run: int, reason: str, now: str) -> int:
    """Note that the report of a stale run stays as it is, in the record, and soon in its manifest."""
    where = "attempt_id IN (SELECT id FROM attempts WHERE run = ? AND superseded IS NULL)"
    kept = cursor.execute(f"UPDATE stale SET kept = ? WHERE {where}", (reason, run)).rowcount  # noqa: S608
    cursor.execute(
        f"INSERT OR REPLACE INTO kept_reports SELECT attempt_id, kept, ? FROM stale WHERE {where}",  # noqa: S608
        (now, run),
    )
    return kept


@dataclass(frozen=True)
class KeptReports:
    """The reports of a stale attempt that stay as they are, which their manifests do not say yet."""

    attempt_id: int
    reason: str
    since: dt.datetime
    held: bool
    """Whether they were kept out of ``latest``."""


def kept_reports(connection: sqlite3.Connection) -> list[KeptReports]:
    """Read what manifests of reports have yet to say."""
    rows = connection.execute(
        "SELECT attempt_id, reason, kept_reports.since, coalesce(held, 0) FROM kept_reports LEFT JOIN stale USING"
        " (attempt_id) ORDER BY attempt_id"
    )
    return [KeptReports(id_, reason, dt.datetime.fromisoformat(since), bool(held)) for id_, reason, since, held in rows]


def restatements_since(connection: sqlite3.Connection, first: int) -> list[Restatement]:
    """Read the restatements from one on, in order."""
    rows = connection.execute(
        "SELECT id, cdr_type, date, seen, changes FROM restatements WHERE id >= ? ORDER BY id", (first,)
    )
    return [
        Restatement(
            id_,
            cdr_type,
            dt.date.fromisoformat(date),
            dt.datetime.fromisoformat(seen),
            {check: (old, new) for check, (old, new) in json.loads(changes).items()},
        )
        for id_, cdr_type, date, seen, changes in rows
    ]


def stale_runs(connection: sqlite3.Connection) -> list[StaleRun]:
    """Read the runs that have succeeded and are stale, those too that are kept as they are; the oldest date first."""
    # few are stale, of very many runs: they go first
    rows = connection.execute(
        "SELECT run, id, workflow, parameters_hash, reference_date, parameters, restatement, since, kept,"
        " departure, same_as, held"
        " FROM stale CROSS JOIN attempts ON id = attempt_id CROSS JOIN runs ON number = run"
        " WHERE attempts.state = 'succeeded' AND superseded IS NULL AND reference_date NOT NULL"
        " ORDER BY reference_date, workflow, run"
    )
    return [_stale_run(*row) for row in rows]


def _stale_run(*row: Any) -> StaleRun:
    *own, date, parameters, restatement, since, kept, departure, same_as, held = row
    run, attempt_id, workflow, parameters_hash = own
    return StaleRun(
        run,
        attempt_id,
        workflow,
        parameters_hash,
        dt.date.fromisoformat(date),
        parameters,
        restatement,
        dt.datetime.fromisoformat(since),
        kept,
        departure,
        same_as,
        bool(held),
    )
