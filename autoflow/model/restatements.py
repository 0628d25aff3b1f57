# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dates that were ingested anew, and the runs whose results rest on what was there before."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from autoflow.quality import Change, changes_in, changes_text, digest, weight_of
from autoflow.runs import RunKey
from autoflow.wording import other_data_text

Blocks = Mapping[str, Mapping[str, Mapping[str, str | None]]]
"""Outcomes of QA checks by CDR type, check and year; None is for what is gone."""

NOT_KEPT = "(kept IS NULL OR later NOT NULL)"
"""Of what somebody has kept, data may have been ingested anew once more."""

DOUBTED = "same_as NOT NULL AND kept IS NULL"
"""It has the results of other data, and nobody has said that they are right."""

RIGHT = "same_as NOT NULL AND kept NOT NULL"
"""It has the results of other data, and somebody has said that they are right, be it before data changed once more."""


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
        return f"{self.cdr_type} of {self.date}: {changes_text(self.changes)}"


def weightiest_first(restatements: Iterable[Restatement]) -> list[Restatement]:
    """Order what is shown only in part: what tells the most of the data goes first, and of that the oldest dates."""
    return sorted(restatements, key=lambda each: (-weight_of(each.changes), each.date, each.cdr_type))


@dataclass(frozen=True)
class Departure:
    """A date of a CDR type that has left FlowAPI's list."""

    id: int
    cdr_type: str
    date: dt.date
    seen: dt.datetime

    def __str__(self) -> str:
        return f"{self.cdr_type} of {self.date}"


class StaleMark(NamedTuple):
    """Why a run is stale that has succeeded; there may be very many."""

    run: int
    restatement: int | None
    """The first that its results do not have; None where dates that it used have only left."""
    departure: int | None
    """The first of the dates that it used and that have left FlowAPI's list since."""
    kept: str | None
    """Why its report stays as it is; None when nobody has said so since its data changed last."""
    same_as: int | None
    """The number of the first attempt with the same results, though that was made of other data."""
    held: int
    """Whether its reports are kept out of ``latest`` for that."""
    then: str | None = None
    """JSON of the dates that that attempt was made without; None where there were none."""
    now: str | None = None
    """JSON of the dates that the run was made without in the end."""
    later: int | None = None
    """The first restatement since its results were found to be the same, or since somebody kept them."""
    kept_before: str | None = None
    """Why its report stayed as it was, until that restatement."""
    cdr_types: str | None = None
    """JSON of the CDR types whose data it used; None where it used all, or nobody has noted."""

    @property
    def is_doubted(self) -> bool:
        """Whether it has the results of other data, and nobody has said that they are right."""
        return self.same_as is not None and self.kept is None and self.kept_before is None

    @property
    def is_worth_another_try(self) -> bool:
        """Whether its data have changed since it was made: what FlowMachine's cache has answered, it answers again."""
        return self.same_as is None or self.later is not None

    @property
    def can_be_made_again(self) -> bool:
        """Whether its data are listed: what used dates that have left has to wait for them."""
        return self.departure is None

    @property
    def came(self) -> list[dt.date]:
        """The dates that the attempt with the same results was made without, and this one was not."""
        return [] if self.kept_before is not None else _dates_between(self.now, self.then)

    @property
    def left(self) -> list[dt.date]:
        """The dates that this attempt was made without, and the one with the same results was not."""
        are_told = self.same_as is not None and self.kept_before is None
        return _dates_between(self.then, self.now) if are_told else []

    @property
    def other_data(self) -> str:
        """In what its data are others than those of the attempt with the same results."""
        # what was ingested anew only after it was made is no reason for other results
        restated = self.restatement is not None and self.restatement != self.later
        return other_data_text(restated=restated, came=self.came, left=self.left)


def _dates_between(before: str | None, after: str | None) -> list[dt.date]:
    """Read the dates of a JSON list that another one does not have."""
    others = json.loads(before or "[]")
    return [dt.date.fromisoformat(date) for date in json.loads(after or "[]") if date not in others]


@dataclass(frozen=True)
class StaleRun:
    """A run that has succeeded, with data that have been ingested anew since, or are there no more."""

    mark: StaleMark
    attempt_id: int
    workflow: str
    parameters_hash: str
    reference_date: dt.date
    text: str
    """Its parameters as JSON: of very many, few are looked into."""
    since: str
    """When that was seen."""

    @property
    def run(self) -> int:
        return self.mark.run

    @property
    def kept(self) -> str | None:
        return self.mark.kept

    @property
    def key(self) -> RunKey:
        return self.workflow, self.parameters_hash

    @property
    def parameters(self) -> Mapping[str, object]:
        """Those of the run."""
        found: dict[str, object] = json.loads(self.text)
        return found

    @property
    def windows(self) -> list[tuple[dt.date, dt.date]]:
        """The dates that it used, half-open."""
        ranges: Any = self.parameters.get("date_ranges", ())
        return [(dt.date.fromisoformat(start), dt.date.fromisoformat(end)) for start, end in ranges]


@dataclass(frozen=True)
class UsedChange:
    """Dates that were seen together to be ingested anew, or to have left the list, some of which attempts had used."""

    kind: Literal["restatement", "departure"]
    number: int
    """Of the first restatement, or departure."""
    seen: dt.datetime


@dataclass(frozen=True)
class StaleGroup:
    """Runs of a workflow that something made stale, as people are told of them; there may be very many."""

    kind: Literal["restatement", "departure"]
    number: int
    """Of the first restatement, or departure."""
    workflow: str
    runs: int
    spans: tuple[tuple[dt.date, dt.date], ...]
    """Reference dates that follow each other, both ends among them."""
    again: int = 0
    """How many of the runs were requested again since."""


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


def mark_stale(
    cursor: sqlite3.Cursor, keys: Iterable[RunKey], restatement: int, now: str, begun_by: str | None = None
) -> list[int]:
    """Mark the attempts of runs that have used what a restatement has replaced, and return their ids.

    One that is in progress has begun with it too. What somebody has kept as it is, and what has the results of other
    data, is marked anew, and keeps what is known of its results. What the restatement has marked before stays as it is.

    Parameters
    ----------
    begun_by
        When the restatement was seen, where attempts may have begun since; these have the new data.
    """
    found: list[int] = []
    for key in keys:
        ids = cursor.execute(
            "INSERT OR IGNORE INTO restated_attempts (restatement, attempt_id)"
            " SELECT ?, id FROM runs CROSS JOIN attempts ON run = number WHERE workflow = ? AND parameters_hash = ?"
            " AND superseded IS NULL AND attempts.state IN ('running', 'succeeded') AND attempt > 0"
            " AND started <= coalesce(?, started)"
            # one that was made with dates missing has not used these
            " AND (missing_dates IS NULL OR EXISTS ("
            "SELECT 1 FROM restatements AS seen, json_each(parameters, '$.date_ranges') AS window WHERE seen.id >= ?"
            " AND (cdr_types IS NULL OR seen.cdr_type IN (SELECT value FROM json_each(cdr_types)))"
            " AND date >= json_extract(window.value, '$[0]') AND date < json_extract(window.value, '$[1]')"
            " AND date NOT IN (SELECT value FROM json_each(missing_dates)))) RETURNING attempt_id",
            (restatement, *key, begun_by, restatement),
        )
        found += [id_ for (id_,) in ids.fetchall()]
    cursor.executemany(
        "INSERT INTO stale (attempt_id, restatement, since) VALUES (?, ?, ?)"  # noqa: S608
        " ON CONFLICT (attempt_id) DO UPDATE SET restatement = coalesce(restatement, excluded.restatement),"
        f" since = CASE WHEN {DOUBTED} THEN since ELSE excluded.since END,"
        " later = CASE WHEN kept NOT NULL OR same_as NOT NULL THEN excluded.restatement END"
        " WHERE restatement IS NULL OR ((kept NOT NULL OR same_as NOT NULL) AND later IS NULL)",
        [(id_, restatement, now) for id_ in found],
    )
    return found


def note_same_results(cursor: sqlite3.Cursor, attempt_id: int, before: int, now: str, *, hold: bool) -> None:
    """Mark an attempt as stale that was made again of other data, and has the results of the one before, given too."""
    cursor.execute(
        "INSERT INTO stale (attempt_id, restatement, since, same_as, held)"  # noqa: S608
        # of several in a row, the first is the one that was made of other data, unless somebody has kept one since
        f" SELECT ?, CASE WHEN {RIGHT} THEN later ELSE restatement END, ?,"
        " CASE WHEN kept IS NULL THEN coalesce(same_as, attempt) ELSE attempt END, ?"
        " FROM attempts LEFT JOIN stale ON attempt_id = id WHERE id = ?"
        # its data may have been ingested anew once more while it went on, or have left the list
        " ON CONFLICT (attempt_id) DO UPDATE SET held = excluded.held, same_as = excluded.same_as,"
        " later = restatement, restatement = coalesce(excluded.restatement, restatement)",
        (attempt_id, now, hold, before),
    )


def keep(cursor: sqlite3.Cursor, run: int, reason: str, now: str) -> int:
    """Note that the report of a stale run stays as it is, in the record, and soon in its manifest."""
    where = "attempt_id IN (SELECT id FROM attempts WHERE run = ? AND superseded IS NULL)"
    kept = cursor.execute(f"UPDATE stale SET kept = ?, later = NULL WHERE {where}", (reason, run)).rowcount  # noqa: S608
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


MARK = (
    f"run, CASE WHEN {RIGHT} THEN coalesce(later, restatement) ELSE restatement END, departure,"  # noqa: S608
    " CASE WHEN later IS NULL THEN kept END, same_as, held,"
    " CASE WHEN same_as NOT NULL THEN (SELECT missing_dates FROM attempts AS first"
    " WHERE first.run = attempts.run AND first.attempt = same_as) END, attempts.missing_dates,"
    " later, CASE WHEN later NOT NULL THEN kept END, cdr_types"
)

# few are stale, of very many runs: they go first
STALE = "FROM stale CROSS JOIN attempts ON id = attempt_id"
GOOD = "attempts.state = 'succeeded' AND superseded IS NULL"


MANY, MOST_DAYS = 5_000, 366
"""Of so many stale runs, those of fewer days are found sooner by their dates."""


def stale_marks(connection: sqlite3.Connection, span: tuple[dt.date, dt.date] | None) -> dict[int, StaleMark]:
    """Read which runs that have succeeded are stale, by their numbers; those of a span of dates, or a few more."""
    few_dates = span is not None and (span[1] - span[0]).days < MOST_DAYS
    many = few_dates and connection.execute("SELECT 1 FROM stale LIMIT 1 OFFSET ?", (MANY,)).fetchone()
    if span and many:
        by_date = "FROM runs CROSS JOIN attempts ON run = number CROSS JOIN stale ON attempt_id = id"
        dates = tuple(map(str, span))
        sql = f"SELECT {MARK} {by_date} WHERE reference_date BETWEEN ? AND ? AND {GOOD}"
        rows = connection.execute(sql, dates)
    else:
        rows = connection.execute(f"SELECT {MARK} {STALE} WHERE {GOOD}")
    rows.row_factory = None
    # of hundreds of thousands, half the time of StaleMark._make
    return {mark[0]: mark for mark in map(partial(tuple.__new__, StaleMark), rows)}


def stale_mark(connection: sqlite3.Connection, attempt_id: int) -> StaleMark | None:
    """Read why an attempt is stale, whether it still counts or not; None where it is not."""
    row = connection.execute(f"SELECT {MARK} {STALE} WHERE id = ?", (attempt_id,)).fetchone()
    return StaleMark._make(row) if row else None


def has_data_of_its_results(connection: sqlite3.Connection, attempt_id: int, before: int) -> bool:
    """Whether an attempt is made of the data that the results of the one before, given too, belong to.

    Where these are doubted, that is the first attempt that had them. Where QA checks do not tell of all data of either,
    nobody knows, and where data were ingested anew while it went on, it may have used both.
    """
    row = connection.execute(
        "SELECT 1 FROM attempts AS made CROSS JOIN attempts AS before CROSS JOIN attempts AS first"
        " LEFT JOIN stale AS doubt ON doubt.attempt_id = before.id"
        " LEFT JOIN stale AS anew ON anew.attempt_id = first.id LEFT JOIN restatements AS seen"
        " ON seen.id = CASE WHEN anew.same_as IS NULL THEN anew.restatement ELSE anew.later END"
        " WHERE made.id = ? AND before.id = ? AND first.run = before.run"
        " AND first.attempt = CASE WHEN doubt.kept IS NULL THEN coalesce(doubt.same_as, before.attempt)"
        " ELSE before.attempt END"
        " AND first.data_digest = made.data_digest AND (seen.seen IS NULL OR seen.seen >= first.ended)",
        (attempt_id, before),
    ).fetchone()
    return row is not None


def stale_runs(
    connection: sqlite3.Connection, workflow: str | None, limit: int | None, *, also_kept: bool = True
) -> list[StaleRun]:
    """Read the runs that have succeeded and are stale, the oldest date first.

    Parameters
    ----------
    also_kept
        Whether those are among them that are kept as they are.
    """
    condition = "coalesce(? = workflow, 1)" + ("" if also_kept else f" AND {NOT_KEPT}")
    return _stale_runs(connection, condition, (workflow, -1 if limit is None else limit))


@dataclass(frozen=True)
class StaleSummary:
    """How many runs are stale that nobody keeps as they are."""

    runs: int
    changed: int
    """Those whose data have changed since they were made."""
    same: int
    """Those that have the results of an earlier attempt, which was made of other data."""
    held: int
    """Those whose reports are kept out of ``latest``."""
    gone: int
    """Those of which dates have left FlowAPI's list, and nothing else has changed."""
    since: dt.datetime


def stale_summary(connection: sqlite3.Connection) -> StaleSummary | None:
    """Count the stale runs that nobody keeps; None where there are none."""
    runs, changed, same, held, gone, since = connection.execute(
        f"SELECT count(*), coalesce(sum(NOT ({DOUBTED}) OR later NOT NULL), 0), coalesce(sum({DOUBTED}), 0),"
        f" coalesce(sum(held), 0), coalesce(sum(restatement IS NULL AND same_as IS NULL), 0), min(since) {STALE}"
        f" WHERE {GOOD} AND {NOT_KEPT}"
    ).fetchone()
    return StaleSummary(runs, changed, same, held, gone, dt.datetime.fromisoformat(since)) if runs else None


def count_stale_marks(connection: sqlite3.Connection) -> tuple[int, ...]:
    """Count the marks of runs: all, those that are kept, marked anew since, and kept out of ``latest``."""
    counts = connection.execute("SELECT count(*), count(kept), count(later), total(held) FROM stale").fetchone()
    return tuple(map(int, counts))


def same_results(connection: sqlite3.Connection, limit: int) -> list[StaleRun]:
    """Read the first of the runs that were run again with the same results, and that nobody keeps."""
    return _stale_runs(connection, DOUBTED, (limit,))


def _stale_runs(connection: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> list[StaleRun]:
    rows = connection.execute(
        f"SELECT {MARK}, id, workflow, parameters_hash, reference_date, parameters, since {STALE}"
        f" CROSS JOIN runs ON number = run WHERE {GOOD} AND reference_date NOT NULL AND {condition}"
        " ORDER BY reference_date, workflow, run LIMIT ?",
        values,
    )
    rows.row_factory = None
    return [
        StaleRun(StaleMark._make(mark), id_, workflow, hashed, dt.date.fromisoformat(date), text, since)
        for *mark, id_, workflow, hashed, date, text, since in rows
    ]


USED = {
    "restatement": "SELECT restatement AS cause, attempt_id FROM restated_attempts"
    " WHERE restatement IN (SELECT value FROM json_each(?))",
    "departure": "SELECT DISTINCT cause, attempt_id FROM (SELECT id, min(id) OVER (PARTITION BY seen) AS cause"
    " FROM departures) CROSS JOIN departed_attempts ON departure = id WHERE cause IN (SELECT value FROM json_each(?))",
}
"""The attempts that had used what has changed, by its kind."""

TOLD = {
    # of what has the results of other data, people are told as such, and of what is kept, of nothing
    "restatement": "CASE WHEN later NOT NULL THEN cause >= later ELSE kept IS NULL AND same_as IS NULL END",
    "departure": NOT_KEPT,
}
"""Of which of them people are told."""


def used_changes(connection: sqlite3.Connection) -> list[UsedChange]:
    """Read what has changed of data that attempts had used, all of which are marked by it."""
    rows = connection.execute(
        "SELECT 'restatement', id, seen FROM restatements WHERE EXISTS ("
        "SELECT 1 FROM restated_attempts WHERE restatement = id)"
        " AND id <= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'restatements_marked')"
        " UNION ALL SELECT 'departure', min(id), seen FROM departures GROUP BY seen"
        " HAVING max(EXISTS (SELECT 1 FROM departed_attempts WHERE departure = id))"
        " AND max(id) <= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'departures_marked')"
    )
    return [UsedChange(kind, number, dt.datetime.fromisoformat(seen)) for kind, number, seen in rows]


def stale_groups(connection: sqlite3.Connection, changes: Iterable[UsedChange], again_since: str) -> list[StaleGroup]:
    """Read how many runs changes of data made stale that nobody keeps, also those requested again since a time."""
    numbers: dict[str, list[int]] = {}
    for change in changes:
        numbers.setdefault(change.kind, []).append(change.number)
    found: dict[tuple[str, int, str], list[tuple[Any, ...]]] = {}
    for kind, those in numbers.items():
        # dates that follow each other have the same distance from their numbers
        rows = connection.execute(
            f"WITH used AS ({USED[kind]}), days AS ("  # noqa: S608
            "SELECT cause, workflow, reference_date, count(*) AS runs, count(superseded) AS again"
            " FROM used CROSS JOIN stale USING (attempt_id) CROSS JOIN attempts ON id = attempt_id"
            f" CROSS JOIN runs ON number = run WHERE {TOLD[kind]}"
            " AND attempts.state = 'succeeded' AND reference_date NOT NULL"
            " AND (superseded IS NULL OR superseded >= ?) GROUP BY 1, 2, 3),"
            " numbered AS (SELECT *, julianday(reference_date) - row_number()"
            " OVER (PARTITION BY cause, workflow ORDER BY reference_date) AS stretch FROM days)"
            " SELECT cause, workflow, sum(runs), sum(again), min(reference_date), max(reference_date) FROM numbered"
            " GROUP BY cause, workflow, stretch ORDER BY 1, 2, 5",
            (json.dumps(those), again_since),
        )
        for cause, workflow, *stretch in rows:
            found.setdefault((kind, cause, workflow), []).append(tuple(stretch))
    return [
        StaleGroup(
            "restatement" if kind == "restatement" else "departure",
            cause,
            workflow,
            sum(runs for runs, *_ in stretches),
            tuple((dt.date.fromisoformat(first), dt.date.fromisoformat(last)) for *_, first, last in stretches),
            sum(again for _, again, *_ in stretches),
        )
        for (kind, cause, workflow), stretches in found.items()
    ]


def departures(connection: sqlite3.Connection, first: int = 0) -> list[Departure]:
    """Read which dates have left FlowAPI's list and are not back, from one on."""
    rows = connection.execute("SELECT id, cdr_type, date, seen FROM departures WHERE id >= ? ORDER BY id", (first,))
    return [
        Departure(id_, cdr_type, dt.date.fromisoformat(date), dt.datetime.fromisoformat(seen))
        for id_, cdr_type, date, seen in rows
    ]


def note_departures(
    cursor: sqlite3.Cursor, cdr_type: str, gone: Iterable[dt.date], back: Iterable[dt.date], now: str
) -> None:
    """Note dates that have left the list, and unmark what had used those that are back."""
    cursor.executemany(
        "INSERT OR IGNORE INTO departures (cdr_type, date, seen) VALUES (?, ?, ?)",
        [(cdr_type, date.isoformat(), now) for date in gone],
    )
    rows = cursor.execute("SELECT id, date FROM departures WHERE cdr_type = ?", (cdr_type,)).fetchall()
    returned = {date.isoformat() for date in back} if rows else set()
    for id_ in (id_ for id_, date in rows if date in returned):
        # what had used several of them stays marked by those that are still away
        cursor.execute(
            "UPDATE stale SET departure = (SELECT min(departure) FROM departed_attempts AS other"
            " WHERE other.attempt_id = stale.attempt_id AND departure != ?) WHERE departure = ?",
            (id_, id_),
        )
        cursor.execute(
            "DELETE FROM stale WHERE departure IS NULL AND restatement IS NULL AND same_as IS NULL"
            " AND attempt_id IN (SELECT attempt_id FROM departed_attempts WHERE departure = ?)",
            (id_,),
        )
        cursor.execute("DELETE FROM departures WHERE id = ?", (id_,))


def mark_departed(cursor: sqlite3.Cursor, keys: Iterable[RunKey], departure: Departure, now: str) -> list[int]:
    """Mark the attempts of runs that had begun when a date that they used left the list; return their ids."""
    found: list[int] = []
    for key in keys:
        ids = cursor.execute(
            "INSERT OR REPLACE INTO departed_attempts (departure, attempt_id)"
            " SELECT ?, id FROM runs CROSS JOIN attempts ON run = number WHERE workflow = ? AND parameters_hash = ?"
            " AND superseded IS NULL AND attempts.state IN ('running', 'succeeded') AND attempt > 0 AND started < ?"
            " AND (missing_dates IS NULL OR ? NOT IN (SELECT value FROM json_each(missing_dates)))"
            " RETURNING attempt_id",
            (departure.id, *key, departure.seen.isoformat(timespec="microseconds"), departure.date.isoformat()),
        )
        found += [id_ for (id_,) in ids.fetchall()]
    cursor.executemany(
        "INSERT INTO stale (attempt_id, departure, since) VALUES (?, ?, ?)"
        " ON CONFLICT (attempt_id) DO UPDATE SET departure = excluded.departure WHERE departure IS NULL",
        [(id_, departure.id, now) for id_ in found],
    )
    return found
