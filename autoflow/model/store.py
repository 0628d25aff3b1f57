# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The record of every attempt at every run, as its one writer sees it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autoflow.dates import ListedDates, Override
from autoflow.errors import StoreError, is_not_mounted, may_pass
from autoflow.history import Skip
from autoflow.model.finals import FinalRun, note_final, request_overtaken
from autoflow.model.messages import Message
from autoflow.model.predecessor import OldRow, TakenOver, take_over_rows
from autoflow.model.reader import RunReader, open_read_only
from autoflow.model.record_lock import RecordLock
from autoflow.model.recorded import KnownCause, RecordedNotebook
from autoflow.model.recorded_times import set_right
from autoflow.model.restatements import (
    Blocks,
    Departure,
    keep,
    mark_departed,
    mark_stale,
    note_departures,
    note_same_results,
    replace_outcomes,
)
from autoflow.model.retention import NotebookFiles, Removal
from autoflow.model.sources import write_sources
from autoflow.model.tables import bring_up_to_date, check_owner, keep_copy, transaction, up_to_date_copy
from autoflow.naming import OUTPUT_SUFFIXES
from autoflow.notices import Notice
from autoflow.runs import AttemptState, Failure, Run, RunKey
from autoflow.settings import Places

PATIENCE = 5.0
"""Seconds for which another process may hold the record while it is opened."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One try at a run."""

    id: int
    run: int
    """The number of its run."""
    workflow: str
    reference_date: dt.date | None
    parameters_hash: str
    attempt: int
    """Its number within the run."""
    state: AttemptState


class RunStore:
    """The record in one sqlite file, held by one AutoFlow at a time.

    Parameters
    ----------
    path
        The file; made when missing. ``<path>.lock`` beside it says who holds it.
    places
        Where outputs are; by default beside the record.

    Raises
    ------
    StoreError
        When another AutoFlow holds it, or the file is not a database that this version knows.
    """

    def __init__(self, path: Path, places: Places | None = None) -> None:
        self.path = path
        self._places = places or Places.below(path.absolute().parent)
        self._lock = RecordLock(path)
        try:
            self._connection = _open(path, self._places)
        except BaseException:
            self._lock.release()
            raise
        self.read = RunReader(self._connection, self._places)

    def close(self) -> None:
        """Close the file, then let others have it."""
        self._connection.close()
        self._lock.release()

    def identity(self) -> str:
        """Return what tells the record from others, of whatever path on whatever machine; at first it is drawn."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR IGNORE INTO meta VALUES ('identity', lower(hex(randomblob(6))))")
            return str(cursor.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()[0])

    @property
    def changes(self) -> int:
        """How many rows have been changed since it was opened: another number, once there is something new."""
        return self._connection.total_changes

    def recover(self, now: dt.datetime, under_way: Collection[int] = ()) -> list[Attempt]:
        """Record as interrupted what a dead AutoFlow left running, and return those attempts.

        Parameters
        ----------
        under_way
            Numbers of runs that do go on.
        """
        rows = self._connection.execute(f"{_ATTEMPTS} WHERE attempts.state = 'running' ORDER BY id")
        left = [_attempt(row) for row in rows if row["run"] not in under_way]
        ids = [attempt.id for attempt in left]
        with self._transaction() as cursor:
            self._put_names_right(cursor, ids)
            for table, key in (("attempts", "id"), ("notebooks", "attempt_id")):
                cursor.execute(
                    f"UPDATE {table} SET state = 'interrupted', ended = ? WHERE state = 'running'"  # noqa: S608
                    f" AND {key} IN (SELECT value FROM json_each(?))",
                    (_text(now), json.dumps(ids)),
                )
        return left

    def _put_names_right(self, cursor: sqlite3.Cursor, ids: Sequence[int]) -> None:
        """Forget the names of outputs that a crash kept from being there, and remove the half of a report's files."""
        rows = cursor.execute(
            "SELECT attempt_id, label, notebook, report FROM notebooks"
            " WHERE attempt_id IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),),
        ).fetchall()
        for attempt_id, label, *texts in rows:
            notebook, report = self._places.notebook(texts[0]), self._places.report(texts[1])
            for column, path in (("notebook", notebook), ("report", report)):
                if path is None or path.exists():
                    continue
                # what lies on a file system that is not mounted is not gone
                if is_not_mounted(path.parent) and _has_others(cursor, column, ids):
                    continue
                if column == "report" and not _is_shared(cursor, texts[1]):
                    for suffix in OUTPUT_SUFFIXES:
                        path.with_suffix(suffix).unlink(missing_ok=True)
                cursor.execute(
                    f"UPDATE notebooks SET {column} = NULL WHERE attempt_id = ? AND label = ?",  # noqa: S608
                    (attempt_id, label),
                )

    def begin(
        self,
        run: Run,
        now: dt.datetime,
        missing: Sequence[dt.date] = (),
        data_digest: str | None = None,
        cdr_types: Sequence[str] | None = None,
    ) -> Attempt:
        """Record that an attempt at a run starts.

        An attempt that has succeeded with dates missing counts no more then, nor do those that had failed before it.

        Parameters
        ----------
        missing
            Dates that it is made without.
        data_digest
            What tells its data from others, as `autoflow.quality.digest_of` gives it.
        cdr_types
            Those whose data it uses; None for all.

        Raises
        ------
        StoreError
            When the run is running or has succeeded: the database itself refuses a second one.
        """
        with self._transaction() as cursor:
            known = run.reference_date.isoformat(), json.dumps(run.parameters), *run.key
            without = json.dumps([*map(str, missing)]) if missing else None
            types = None if cdr_types is None else json.dumps(sorted(cdr_types))
            # what the predecessor recorded has neither date nor parameters
            cursor.execute(
                "UPDATE runs SET reference_date = ?, parameters = ? WHERE workflow = ? AND parameters_hash = ?", known
            )
            if not cursor.rowcount:
                cursor.execute(
                    "INSERT INTO runs (reference_date, parameters, workflow, parameters_hash) VALUES (?, ?, ?, ?)",
                    known,
                )
            cursor.execute(
                "UPDATE attempts SET superseded = ? WHERE superseded IS NULL AND run ="
                " (SELECT number FROM runs WHERE workflow = ? AND parameters_hash = ? AND state = 'provisional')",
                (_text(now), *run.key),
            )
            try:
                cursor.execute(
                    "INSERT INTO attempts (run, attempt, state, started, missing_dates, data_digest, cdr_types)"
                    " SELECT number, coalesce((SELECT max(attempt) FROM attempts WHERE run = number), 0) + 1,"
                    " 'running', ?, ?, ?, ? FROM runs WHERE workflow = ? AND parameters_hash = ?",
                    (_text(now), without, data_digest, types, *run.key),
                )
            except sqlite3.IntegrityError as error:
                raise StoreError(f"{self.path}: {run} is running or has succeeded already") from error
            row = cursor.execute(f"{_ATTEMPTS} WHERE id = ?", (cursor.lastrowid,)).fetchone()
            # a repair is asked for once: were it to fail, the next attempt is a whole one
            cursor.execute("UPDATE requests SET repairs = NULL WHERE workflow = ? AND parameters_hash = ?", run.key)
        return _attempt(row)

    def finish(self, attempt: Attempt, state: AttemptState, now: dt.datetime, failure: Failure | None = None) -> None:
        """Record how an attempt ended."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE attempts SET state = ?, ended = ?, error = ? WHERE id = ?",
                (state, _text(now), self._json(failure), attempt.id),
            )
            if state is AttemptState.SUCCEEDED:
                # it was asked for and is done; a tick reads all that is not
                key = attempt.workflow, attempt.parameters_hash
                cursor.execute("DELETE FROM requests WHERE workflow = ? AND parameters_hash = ?", key)
                note_final(cursor, attempt.id)
                request_overtaken(cursor, attempt.id, _text(now))

    def forget_finals(self, finals: Iterable[FinalRun]) -> None:
        """Record that what depends on final runs is asked for."""
        with self._transaction() as cursor:
            cursor.executemany("DELETE FROM finals WHERE attempt_id = ?", [(each.attempt_id,) for each in finals])

    def begin_notebook(self, attempt: Attempt, label: str, now: dt.datetime) -> None:
        """Record that a notebook of an attempt starts."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO notebooks (attempt_id, label, state, started) VALUES (?, ?, 'running', ?)",
                (attempt.id, label, _text(now)),
            )

    def record_sources(
        self, attempt: Attempt, label: str, sources: Mapping[str, str], began: dt.datetime | None = None
    ) -> None:
        """Record hashes of the files that a notebook is made of, and its reports.

        Parameters
        ----------
        began
            When its execution has begun, for which it may have waited since it was started; None leaves that as it is.
        """
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET sources = ?, started = coalesce(?, started) WHERE attempt_id = ? AND label = ?",
                (write_sources(cursor, sources), _text(began) if began else None, attempt.id, label),
            )

    def finish_notebook(
        self,
        attempt: Attempt,
        label: str,
        state: AttemptState,
        now: dt.datetime,
        *,
        notebook: Path | None = None,
        failure: Failure | None = None,
        peak_mb: int | None = None,
    ) -> None:
        """Record how the execution of a notebook ended, where the executed notebook is, and what memory it has taken.

        Seven parameters, since it writes five columns of a row that two find.
        """
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET state = ?, ended = ?, notebook = ?, error = ?, peak_mb = ?"
                " WHERE attempt_id = ? AND label = ?",
                (state, _text(now), self._places.written(notebook), self._json(failure), peak_mb, attempt.id, label),
            )

    def record_warnings(self, attempt: Attempt, label: str, warnings: Sequence[Notice]) -> None:
        """Record what is to be known of the report of a notebook."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET warnings = ? WHERE attempt_id = ? AND label = ?",
                (_noted(warnings), attempt.id, label),
            )

    def record_notebook(self, attempt: Attempt, label: str, notebook: Path) -> None:
        """Record the name that an executed notebook is about to get, so that no crash leaves it unknown."""
        self._name(attempt, label, "notebook", notebook)

    def record_report(self, attempt: Attempt, label: str, report: Path | None) -> None:
        """Record the name that the first report of a notebook is about to get; None when it did not."""
        self._name(attempt, label, "report", report)

    def _name(self, attempt: Attempt, label: str, column: str, path: Path | None) -> None:
        with self._transaction() as cursor:
            cursor.execute(
                f"UPDATE notebooks SET {column} = ? WHERE attempt_id = ? AND label = ?",  # noqa: S608
                (self._places.written(path), attempt.id, label),
            )

    def reports_of(self, key: RunKey, label: str) -> list[Path]:
        """List the reports of a notebook that attempts at a run have made, the oldest first."""
        return self.read.reports_of(key, label)

    def take_over(self, rows: Iterable[OldRow]) -> TakenOver:
        """Count as done what rows of the predecessor's record have as a success."""
        with self._transaction() as cursor:
            taken = take_over_rows(cursor, rows)
        logger.info("%s: %s", self.path, taken)
        return taken

    def made_by(self, workflow: str) -> list[NotebookFiles]:
        """List what the attempts of a workflow have made, and still have on disk."""
        return self.read.made_by(workflow)

    def forget(self, removals: Sequence[Removal]) -> None:
        """Record that files are gone, and drop attempts of which nothing is to be known any more."""
        with self._transaction() as cursor:
            for removal in removals:
                key = removal.made.attempt_id, removal.made.label
                if removal.notebook:
                    cursor.execute("UPDATE notebooks SET notebook = NULL WHERE attempt_id = ? AND label = ?", key)
                if removal.reports:
                    cursor.execute("UPDATE notebooks SET report = NULL WHERE attempt_id = ? AND label = ?", key)
            for attempt_id in {removal.made.attempt_id for removal in removals if removal.record}:
                cursor.execute(
                    "DELETE FROM attempts WHERE id = ? AND state != 'succeeded' AND NOT EXISTS ("
                    "SELECT 1 FROM notebooks WHERE attempt_id = id AND (notebook NOT NULL OR report NOT NULL))",
                    (attempt_id,),
                )

    def fail_notebook(self, attempt: Attempt, label: str, failure: Failure) -> None:
        """Record that a notebook's report could not be made."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE notebooks SET state = 'failed', error = ? WHERE attempt_id = ? AND label = ?",
                (self._json(failure), attempt.id, label),
            )

    def reuse_notebook(self, attempt: Attempt, notebook: RecordedNotebook, executed_by: int) -> None:
        """Record that an attempt uses a notebook that an earlier one has executed, which is given by its number."""
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO notebooks (attempt_id, label, state, started, ended, notebook, report, reused_from,"
                " warnings, sources) VALUES (?, ?, 'succeeded', ?, ?, ?, ?, ?, ?, ?)",
                (
                    attempt.id,
                    notebook.label,
                    _text(notebook.started),
                    _text(notebook.ended) if notebook.ended else None,
                    self._places.written(notebook.notebook),
                    self._places.written(notebook.report),
                    notebook.reused_from or executed_by,
                    _noted(notebook.warnings),
                    write_sources(cursor, notebook.sources) if notebook.sources else None,
                ),
            )

    def ask_for(
        self, runs: Iterable[Run], now: dt.datetime, repairs: int | None = None, *, automatic: bool = False
    ) -> list[Run]:
        """Make requested runs due, whatever the triggers say.

        Earlier attempts stay in the record but count no more, unless one of them is to be repaired. A run
        that was skipped is skipped no more. One that is running is left alone; where nobody has named it, it is
        requested as soon as it has succeeded.

        Parameters
        ----------
        repairs
            The number of the attempt whose executed notebooks are to be used again.
        automatic
            Whether nobody has named them: each of them waits until its data count.

        Returns
        -------
        list of Run
            Those that are due now.
        """
        asked = []
        with self._transaction() as cursor:
            for run in runs:
                running = cursor.execute(
                    "SELECT attempts.id FROM runs JOIN attempts ON run = number WHERE workflow = ?"
                    " AND parameters_hash = ? AND runs.state = 'running' AND attempts.state = 'running'",
                    run.key,
                ).fetchone()
                if running:
                    if automatic:
                        cursor.execute("INSERT OR IGNORE INTO overtaken VALUES (?)", tuple(running))
                    continue
                if repairs is None:
                    cursor.execute(
                        "UPDATE attempts SET superseded = ? WHERE superseded IS NULL"
                        " AND run = (SELECT number FROM runs WHERE workflow = ? AND parameters_hash = ?)",
                        (_text(now), *run.key),
                    )
                date = run.reference_date.isoformat()
                cursor.execute(
                    "INSERT OR REPLACE INTO requests (workflow, parameters_hash, reference_date, parameters, asked,"
                    " repairs, automatic) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*run.key, date, json.dumps(run.parameters), _text(now), repairs, automatic),
                )
                if not automatic:
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

    def override(self, overrides: Iterable[Override]) -> None:
        """Record what somebody has decided of dates of data."""
        with self._transaction() as cursor:
            cursor.executemany(
                "INSERT OR REPLACE INTO overrides (workflow, date, accepted, reason, since) VALUES (?, ?, ?, ?, ?)",
                [
                    (each.workflow, each.date.isoformat(), each.accepted, each.reason, _text(each.since))
                    for each in overrides
                ],
            )

    def forget_overrides(self, workflow: str, dates: Iterable[dt.date]) -> int:
        """Forget what was decided of dates, and return how many of them there were."""
        with self._transaction() as cursor:
            return sum(
                cursor.execute(
                    "DELETE FROM overrides WHERE workflow = ? AND date = ?", (workflow, date.isoformat())
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
                gone_dates, new_dates = known.keys() - listed.keys(), listed.keys() - known.keys()
                note_departures(cursor, cdr_type, sorted(gone_dates), sorted(new_dates), _text(now))
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
            cursor.execute("DELETE FROM meta WHERE key = 'silence'")
        return ListedDates(by_type, now, since, before.outcomes, before.overrides)

    def record_outcomes(self, changed: Blocks, now: dt.datetime) -> list[int]:
        """Remember outcomes of QA checks, and the dates whose outcomes are others than before.

        Parameters
        ----------
        changed
            By CDR type, check and year the blocks that are new or others than before; None for one that is gone.

        Returns
        -------
        list of int
            Numbers of the restatements, in order.
        """
        if not any(years for checks in changed.values() for years in checks.values()):
            return []
        with self._transaction() as cursor:
            return replace_outcomes(cursor, changed, _text(now))

    def mark_stale(
        self, keys: Iterable[RunKey], restatement: int, now: dt.datetime, begun_by: dt.datetime | None = None
    ) -> list[int]:
        """Remember that runs have used what a restatement has replaced, and return the ids of their attempts."""
        with self._transaction() as cursor:
            return mark_stale(cursor, keys, restatement, _text(now), _text(begun_by) if begun_by else None)

    def mark_departed(self, keys: Iterable[RunKey], departure: Departure, now: dt.datetime) -> list[int]:
        """Remember that runs have used a date that has left the list, and return the ids of their attempts."""
        with self._transaction() as cursor:
            return mark_departed(cursor, keys, departure, _text(now))

    def forget_departures(self, ids: Iterable[int]) -> None:
        """Forget dates that have left the list, and that nobody wants to know of."""
        with self._transaction() as cursor:
            cursor.executemany("DELETE FROM departures WHERE id = ?", [(id_,) for id_ in ids])

    def marked_departures(self, departure: int) -> None:
        """Remember that runs have been marked by all departures up to one."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('departures_marked', ?)", (str(departure),))

    def marked(self, restatement: int) -> None:
        """Remember that runs have been marked by all restatements up to one."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('restatements_marked', ?)", (str(restatement),))

    def marked_for(self, data_uses: Collection[str]) -> None:
        """Remember the ways to use data whose runs have been marked by all changes so far."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('marked_for', ?)", (json.dumps(sorted(data_uses)),))

    def followed_for(self, run_uses: Collection[str]) -> None:
        """Remember the triggers, as text, that have been asked about all runs that are final so far."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('followed_for', ?)", (json.dumps(sorted(run_uses)),))

    def note_same_results(self, attempt: Attempt, before: int, now: dt.datetime, *, hold: bool) -> None:
        """Remember that an attempt has the same results as the one before, whose id is given, though data changed."""
        with self._transaction() as cursor:
            note_same_results(cursor, attempt.id, before, _text(now), hold=hold)

    def keep(self, runs: Iterable[int], reason: str, now: dt.datetime) -> int:
        """Remember that the reports of stale runs stay as they are, and why; return how many there are."""
        with self._transaction() as cursor:
            return sum(keep(cursor, run, reason, _text(now)) for run in runs)

    def noted_kept(self, attempt_id: int) -> None:
        """Remember that the manifests of an attempt say why its reports are kept, and that ``latest`` has these."""
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM kept_reports WHERE attempt_id = ?", (attempt_id,))
            cursor.execute("UPDATE stale SET held = 0 WHERE attempt_id = ?", (attempt_id,))

    def tell(
        self,
        messages: Iterable[Message],
        channels: Sequence[str],
        now: dt.datetime,
        *,
        known: Iterable[KnownCause] = (),
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

    def record_tick(self, scheduled: dt.datetime, *, unfinished: bool = False) -> None:
        """Remember the newest tick, so that one missed while AutoFlow is down can be told.

        Parameters
        ----------
        unfinished
            Whether there is something left to do, so that the next start takes it up at once.
        """
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('last_tick', ?)", (_text(scheduled),))
            _note_unfinished(cursor, unfinished=unfinished)

    def record_unfinished(self, *, unfinished: bool) -> None:
        """Remember whether there is something left to do, so that the next start takes it up at once."""
        with self._transaction() as cursor:
            _note_unfinished(cursor, unfinished=unfinished)

    def record_silence(self, why: str, now: dt.datetime) -> None:
        """Remember that FlowAPI gave no list of dates, until it does again."""
        before = self.read.silence()
        silence = {"since": _text(before.since if before else now), "last": _text(now), "why": why}
        with self._transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('silence', ?)", (json.dumps(silence),))

    def record_qa_trouble(self, why: str | None) -> None:
        """Remember what keeps FlowAPI's outcomes of QA checks from being there; None: nothing does."""
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM meta WHERE key = 'qa_trouble'")
            if why is not None:
                cursor.execute("INSERT INTO meta VALUES ('qa_trouble', ?)", (why,))

    def set_right(self, now: dt.datetime) -> None:
        """Let nothing that is recorded lie later than now: the clock was ahead, and has been set right."""
        with self._transaction() as cursor:
            set_right(cursor, _text(now))

    def wait_at_most(self, seconds: float) -> None:
        """Say how long a write waits for another process to let go of the file; a loop waits elsewhere."""
        self._connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def _json(self, failure: Failure | None) -> str | None:
        if failure is None:
            return None
        return json.dumps(asdict(replace(failure, notebook=self._places.written(failure.notebook))))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with transaction(self._connection) as cursor:
            yield cursor


def open_for_reading(path: Path, places: Places | None = None, *, missing_is_empty: bool = False) -> RunReader:
    """Open a record for reading only: no lock is taken, and a daemon that holds it goes on.

    That of an older version, or of the predecessor, is read as if it had been taken over already.

    Parameters
    ----------
    places
        Where outputs are; by default beside the record.
    missing_is_empty
        Whether a record that does not exist yet is read as one with nothing in it.

    Raises
    ------
    StoreError
        When there is no record, or not one that can be read.
    """
    places = places or Places.below(path.absolute().parent)
    if missing_is_empty and not path.exists():
        connection = sqlite3.connect(":memory:", isolation_level=None)
        bring_up_to_date(connection, path, places)
    else:
        connection = open_read_only(path)
        try:
            connection = up_to_date_copy(connection, path, places)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be read as AutoFlow's database ({error})") from error
    connection.row_factory = sqlite3.Row
    return RunReader(connection, places)


def _open(path: Path, places: Places) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
        # before anything is changed in it
        check_owner(connection, path)
        # FULL: a run recorded as a success must still be one after a power cut
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        keep_copy(connection, path)
        taken = bring_up_to_date(connection, path, places)
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        passing = may_pass(error) and not path.is_dir()
        raise StoreError(
            f"{path}: cannot be used as AutoFlow's database ({error}); "
            + (
                "check the disk, and other programs that use the file"
                if passing
                else "expected a sqlite file of AutoFlow's, or none: move it away, or set AUTOFLOW_DB_URI to another"
            ),
            passing=passing,
        ) from error
    if taken.new:
        logger.info("%s: %s", path, taken)
    connection.row_factory = sqlite3.Row
    return connection


def _noted(warnings: Sequence[Notice]) -> str | None:
    return json.dumps([asdict(warning) for warning in warnings]) if warnings else None


def _note_unfinished(cursor: sqlite3.Cursor, *, unfinished: bool) -> None:
    cursor.execute("DELETE FROM meta WHERE key = 'unfinished'")
    if unfinished:
        cursor.execute("INSERT INTO meta VALUES ('unfinished', '1')")


_ATTEMPTS = "SELECT attempts.*, workflow, reference_date, parameters_hash FROM attempts CROSS JOIN runs ON number = run"


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        id=row["id"],
        run=row["run"],
        workflow=row["workflow"],
        reference_date=dt.date.fromisoformat(row["reference_date"]) if row["reference_date"] else None,
        parameters_hash=row["parameters_hash"],
        attempt=row["attempt"],
        state=AttemptState(row["state"]),
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


def _has_others(cursor: sqlite3.Cursor, column: str, ids: Sequence[int]) -> bool:
    """Whether other attempts have made such files."""
    found = cursor.execute(
        f"SELECT 1 FROM notebooks WHERE {column} NOT NULL"  # noqa: S608
        " AND attempt_id NOT IN (SELECT value FROM json_each(?)) LIMIT 1",
        (json.dumps(ids),),
    ).fetchone()
    return found is not None


def _is_shared(cursor: sqlite3.Cursor, report: str) -> bool:
    """Whether more than one attempt names a report, as after a repair."""
    (number,) = cursor.execute("SELECT count(*) FROM notebooks WHERE report = ?", (report,)).fetchone()
    return bool(number > 1)
