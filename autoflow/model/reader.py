# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Reading the record: what commands and pages ask of it, also while a daemon writes."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from autoflow.dates import EVERY_DAY, Days, ListedDates, Override
from autoflow.errors import StoreError
from autoflow.history import Failures, LastState, Request, RunHistory, Skip, Skips
from autoflow.model.finals import FinalRun, became_final, final_runs, starts
from autoflow.model.messages import Message, Queued
from autoflow.model.predecessor import OldRow, TakenOver, count_rows
from autoflow.model.recorded import (
    FailedRun,
    KnownCause,
    ProvisionalRun,
    RecordedAttempt,
    RecordedNotebook,
    RecordFacts,
    RunReports,
    Silence,
    WantedAttempts,
    state_condition,
)
from autoflow.model.restatements import (
    NOT_KEPT,
    Departure,
    KeptReports,
    Restatement,
    StaleGroup,
    StaleMark,
    StaleRun,
    StaleSummary,
    UsedChange,
    count_stale_marks,
    departures,
    has_data_of_its_results,
    kept_reports,
    restatements_since,
    same_results,
    stale_groups,
    stale_mark,
    stale_marks,
    stale_runs,
    stale_summary,
    used_changes,
)
from autoflow.model.retention import NotebookFiles
from autoflow.model.sources import MadeOf, SourceSet, count_without_sources, made_of, source_sets
from autoflow.naming import OUTPUT_SUFFIXES
from autoflow.notices import Notice
from autoflow.quality import Outcomes
from autoflow.runs import AttemptState, Failure, RunKey
from autoflow.settings import Places
from autoflow.wording import own_parameters

RECENT_SUCCESSES = 20
"""How many of a workflow's successes an expected duration is taken from."""

RECENT_PEAKS = 2000
"""How many notebooks are looked at, of all workflows, to know what memory they take."""


class RunReader:
    """Questions to the record, over a connection that is the writer's own or reads only."""

    def __init__(self, connection: sqlite3.Connection, places: Places) -> None:
        self._connection = connection
        self._places = places
        self._outcomes = ("", Outcomes())

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection itself, for what is no question of its own."""
        return self._connection

    def close(self) -> None:
        self._connection.close()

    def count_rows(self, rows: Iterable[OldRow]) -> TakenOver:
        """Say what would be taken over of rows of the predecessor's."""
        return count_rows(self._connection, rows)

    def history(self) -> RunHistory:
        """Read what decides, beside the dates and what is settled, whether runs are due."""
        requests = self.requests()
        rows = self._connection.execute(
            "SELECT workflow, parameters_hash, number, state FROM runs"
            " WHERE state IN ('failed', 'interrupted', 'cancelled')"
        )
        latest = {
            (workflow, parameters_hash): LastState(number, state) for workflow, parameters_hash, number, state in rows
        }
        for key in requests.keys() - latest.keys():
            row = self._connection.execute(
                "SELECT number, state FROM runs WHERE workflow = ? AND parameters_hash = ? AND state NOT NULL", key
            ).fetchone()
            if row is not None:
                latest[key] = LastState(*row)
        provisional = dict[RunKey, dt.date]()
        rows = self._connection.execute(
            "SELECT workflow, parameters_hash, number, reference_date FROM runs WHERE state = 'provisional'"
        )
        for workflow, parameters_hash, number, date in rows:
            latest[workflow, parameters_hash] = LastState(number, "provisional")
            provisional[workflow, parameters_hash] = dt.date.fromisoformat(date)
        return RunHistory(latest, self._failed("", ()), requests, self.skips(), provisional)

    def settled_keys(self, start: int, end: int) -> Iterator[tuple[int, set[RunKey]]]:
        """Read which runs succeeded or are running for the dates from ``start`` on and before ``end``.

        Yields
        ------
        day : int
            A reference date that has any, as an ordinal; in order.
        keys : set of RunKey
        """
        dates = dt.date.fromordinal(start).isoformat(), dt.date.fromordinal(end - 1).isoformat()
        rows = self._connection.execute(
            "SELECT reference_date, workflow, parameters_hash FROM runs WHERE state IN ('running', 'succeeded')"
            " AND reference_date BETWEEN ? AND ? ORDER BY reference_date",
            dates,
        )
        for date, group in groupby(rows, key=itemgetter(0)):
            yield dt.date.fromisoformat(date).toordinal(), {(workflow, key) for _, workflow, key in group}

    def settled_days(self, start: int, end: int) -> dict[str, Days]:
        """Read for which dates, from ``start`` on and before ``end``, any run of each workflow is settled."""
        dates = dt.date.fromordinal(start).isoformat(), dt.date.fromordinal(end - 1).isoformat()
        rows = self._connection.execute(
            "SELECT DISTINCT workflow, reference_date FROM runs WHERE state IN ('running', 'succeeded')"
            " AND reference_date BETWEEN ? AND ?",
            dates,
        )
        days: dict[str, list[int]] = {}
        for workflow, date in rows:
            days.setdefault(workflow, []).append(dt.date.fromisoformat(date).toordinal())
        return {workflow: Days.of(ordinals) for workflow, ordinals in days.items()}

    def dateless_keys(self) -> set[RunKey]:
        """Read which runs succeeded in the predecessor's record, which has no dates."""
        rows = self._connection.execute(
            "SELECT workflow, parameters_hash FROM runs"
            " WHERE state IN ('running', 'succeeded') AND reference_date IS NULL"
        )
        return {(workflow, key) for workflow, key in rows}

    def run_history(self, first: dt.date | None = None, last: dt.date | None = None) -> RunHistory:
        """Read what decides the state of runs, of all or of a span of reference dates (both ends in it)."""
        values = ((first or dt.date.min).isoformat(), (last or dt.date.max).isoformat())
        counting = (
            "SELECT workflow, reference_date, parameters_hash, number, state FROM runs"
            " WHERE state NOT NULL AND reference_date"
        )
        # all of it is read from an index; what the predecessor recorded has no date
        cursor = self._connection.cursor()
        # plain tuples are quicker, and there may be very many
        cursor.row_factory = None
        rows = cursor.execute(f"{counting} BETWEEN ? AND ? UNION ALL {counting} IS NULL", values)
        latest: dict[RunKey, LastState] = {}
        # one text for each name and state, not one for each row
        texts: dict[str, str] = {}
        dates: dict[str, set[str | None]] = {}
        for workflow, date, parameters_hash, number, state in rows:
            key = texts.setdefault(workflow, workflow), parameters_hash
            latest[key] = LastState(number, texts.setdefault(state, state))
            dates.setdefault(workflow, set()).add(date)
        within = " AND (reference_date BETWEEN ? AND ? OR reference_date IS NULL)"
        failed = self._failed(within, values) if first or last else self._failed("", ())
        provisional = cursor.execute(
            "SELECT workflow, parameters_hash, reference_date FROM runs"
            " WHERE state = 'provisional' AND reference_date BETWEEN ? AND ?",
            values,
        )
        without = {(workflow, key): dt.date.fromisoformat(date) for workflow, key, date in provisional}
        recorded = {
            workflow: EVERY_DAY if None in those else Days.of(map(_ordinal, filter(None, those)))
            for workflow, those in dates.items()
        }
        return RunHistory(latest, failed, self.requests(), self.skips(), without, recorded)

    def unsettled(self) -> list[tuple[RunKey, dt.date]]:
        """Read the runs whose newest attempt that counts has neither succeeded nor is in progress, with their dates."""
        rows = self._connection.execute(
            "SELECT workflow, parameters_hash, reference_date FROM runs"
            " WHERE state IN ('failed', 'interrupted', 'cancelled') AND reference_date NOT NULL"
        )
        return [((workflow, key), dt.date.fromisoformat(date)) for workflow, key, date in rows]

    def failures(self, key: RunKey) -> Failures | None:
        """Read the failed attempts at one run that count; None when there are none, or it has succeeded since."""
        return self._failed(" AND workflow = ? AND parameters_hash = ?", key).get(key)

    def _failed(self, within: str, values: tuple[str, ...]) -> dict[RunKey, Failures]:
        rows = self._connection.execute(
            # years of failures that were made good are of no interest
            "SELECT workflow, parameters_hash, reference_date, count(*), max(ended)"  # noqa: S608
            " FROM runs JOIN attempts ON run = number"
            " WHERE runs.state IN ('failed', 'interrupted', 'cancelled')"
            f" AND attempts.state = 'failed' AND superseded IS NULL{within} GROUP BY number",
            values,
        )
        return {
            (workflow, parameters_hash): Failures(
                attempts, _moment(last), dt.date.fromisoformat(date) if date else None
            )
            for workflow, parameters_hash, date, attempts, last in rows
        }

    def repairs(self, key: RunKey) -> int | None:
        """Read the number of the attempt that the next one at a run is to repair; None when it is to begin anew."""
        row = self._connection.execute(
            "SELECT repairs FROM requests WHERE workflow = ? AND parameters_hash = ?", key
        ).fetchone()
        return row[0] if row else None

    def requests(self) -> dict[RunKey, Request]:
        """Read the requested runs, in the order of the requests."""
        rows = self._connection.execute(
            "SELECT workflow, parameters_hash, reference_date, parameters, asked, repairs, automatic FROM requests"
            " ORDER BY asked, reference_date"
        )
        requests = (
            Request(
                workflow,
                parameters_hash,
                dt.date.fromisoformat(reference_date),
                json.loads(parameters),
                _moment(asked),
                repairs,
                bool(automatic),
            )
            for workflow, parameters_hash, reference_date, parameters, asked, repairs, automatic in rows
        )
        return {request.key: request for request in requests}

    def skips(self) -> Skips:
        """Read what is not to be run."""
        rows = self._connection.execute(
            "SELECT workflow, reference_date, parameters_hash, reason, since FROM skips ORDER BY 1, 2, 3"
        )
        return Skips(
            tuple(
                Skip(workflow, dt.date.fromisoformat(reference_date), parameters_hash, reason, _moment(since))
                for workflow, reference_date, parameters_hash, reason, since in rows
            )
        )

    def failing(self, workflows: Iterable[str], newest: int, also: Iterable[RunKey] = ()) -> list[FailedRun]:
        """Read the runs that have failed and not succeeded since, also those that were requested again.

        Parameters
        ----------
        newest
            How many of each of the workflows at most: there may be very many of them.
        also
            Runs that are read beside these, where they are such runs.
        """
        rows = self._connection.execute(
            "WITH failing AS ("
            " SELECT id, run, workflow, parameters_hash, reference_date, ended, error, row_number() OVER"
            "  (PARTITION BY workflow ORDER BY id DESC) AS place"
            " FROM attempts AS tried JOIN runs ON number = run WHERE tried.state = 'failed' AND NOT EXISTS ("
            "  SELECT 1 FROM attempts AS later WHERE later.run = tried.run AND later.state IN ('failed', 'succeeded')"
            "  AND later.id > tried.id))"
            " SELECT run, workflow, parameters_hash, reference_date, ended,"
            # without the traceback, which may be long
            "  substr(json_extract(error, '$.message'), 1, 2000), json_extract(error, '$.label'),"
            "  json_extract(error, '$.cell'), json_extract(error, '$.exception')"
            " FROM failing WHERE (place <= ? AND workflow IN (SELECT value FROM json_each(?)))"
            "  OR (workflow, parameters_hash) IN"
            "   (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
            " ORDER BY reference_date, id",
            (newest, json.dumps([*workflows]), json.dumps([*also])),
        )
        return [
            FailedRun(
                number,
                workflow,
                parameters_hash,
                dt.date.fromisoformat(reference_date),
                _moment(ended),
                Failure(message or "no reason was recorded", label, cell, exception),
            )
            for number, workflow, parameters_hash, reference_date, ended, message, label, cell, exception in rows
        ]

    def provisional(self, also: Iterable[RunKey] = ()) -> list[ProvisionalRun]:
        """Read the runs that have succeeded with dates missing, in order of dates.

        Parameters
        ----------
        also
            Runs that were such runs, and are read whatever they are now.
        """
        rows = self._connection.execute(
            "SELECT number, workflow, parameters_hash, reference_date, runs.state,"
            " (SELECT max(attempt) FROM attempts WHERE run = number AND state = 'succeeded'"
            "  AND missing_dates NOT NULL) AS made,"
            " (SELECT missing_dates FROM attempts WHERE run = number ORDER BY id DESC LIMIT 1) AS missing,"
            " (SELECT max(attempt) FROM attempts WHERE run = number) AS newest"
            " FROM runs WHERE runs.state = 'provisional' OR (workflow, parameters_hash) IN"
            " (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
            " ORDER BY reference_date, number",
            (json.dumps([*also]),),
        )
        return [
            ProvisionalRun(
                number,
                workflow,
                parameters_hash,
                dt.date.fromisoformat(date),
                made or 0,
                tuple(map(dt.date.fromisoformat, json.loads(missing or "[]"))) if state == "provisional" else (),
                newest if state == AttemptState.SUCCEEDED else None,
            )
            for number, workflow, parameters_hash, date, state, made, missing, newest in rows
        ]

    def finals(self) -> list[FinalRun]:
        """Read the runs that are final now, and whose dependents were not looked at yet."""
        return final_runs(self._connection)

    def became_final(self) -> dict[RunKey, dt.datetime]:
        """Read which runs are final that were provisional before, and since when."""
        return became_final(self._connection)

    def starts(self, runs: Collection[int]) -> dict[int, dt.datetime]:
        """Read when the attempts of some runs started which have succeeded and count, or go on."""
        return starts(self._connection, runs)

    def followed_for(self) -> set[str] | None:
        """Read the triggers, as text, that have been asked about all runs that are final; None where nobody noted."""
        text = self._meta("followed_for")
        return None if text is None else set(json.loads(text))

    def succeeded_since(self, workflow: str, hashes: Iterable[str], moment: dt.datetime) -> list[dt.date]:
        """Read the reference dates of those runs of a workflow that have succeeded since a moment."""
        dates = set()
        for parameters_hash in hashes:
            row = self._connection.execute(
                "SELECT max(reference_date) FROM runs JOIN attempts ON run = number WHERE workflow = ?"
                " AND parameters_hash = ? AND attempts.state = 'succeeded' AND ended >= ?",
                (workflow, parameters_hash, moment.astimezone(dt.UTC).isoformat(timespec="microseconds")),
            ).fetchone()
            if row[0] is not None:
                dates.add(dt.date.fromisoformat(row[0]))
        return sorted(dates)

    def known(self) -> dict[str, KnownCause]:
        """Read what is known to be wrong, by name."""
        rows = self._connection.execute("SELECT name, event, what, since, told, workflow, runs FROM causes")
        return {
            name: KnownCause(
                name, event, what, _moment(since), _moment(told) if told else None, workflow, tuple(json.loads(runs))
            )
            for name, event, what, since, told, workflow, runs in rows
        }

    def outbox(self) -> list[Queued]:
        """Read the messages that are to be sent, the oldest first."""
        rows = self._connection.execute("SELECT id, channel, made, message FROM outbox ORDER BY id")
        return [Queued(id_, channel, _moment(made), Message.of(json.loads(text))) for id_, channel, made, text in rows]

    def listed_dates(self) -> ListedDates:
        """Read the dates that the last good poll found, each with the time when it was first listed."""
        gone, polled, since = self.gone_types(), self._meta("last_poll"), self._meta("first_poll")
        by_type = {name: {} if name in gone else dates for name, dates in self.appearances().items()}
        return ListedDates(
            by_type,
            _moment(polled) if polled else None,
            _moment(since) if since else None,
            self.outcomes(),
            self.overrides(),
        )

    def gone_types(self) -> frozenset[str]:
        """Read which CDR types had dates once, and none at the last good poll."""
        return frozenset(json.loads(self._meta("gone_types") or "[]"))

    def appearances(self) -> dict[str, dict[dt.date, dt.datetime]]:
        """Read when dates were first listed, those too of types that are gone and may come back."""
        by_type: dict[str, dict[dt.date, dt.datetime]] = {}
        rows = self._connection.execute("SELECT cdr_type, first, days, appeared FROM listed_dates ORDER BY 1, 2")
        for cdr_type, first, days, appeared in rows:
            dates, start, moment = by_type.setdefault(cdr_type, {}), dt.date.fromisoformat(first), _moment(appeared)
            for day in range(days):
                dates[start + dt.timedelta(days=day)] = moment
        return by_type

    def known_outcomes(self) -> dict[str, dict[str, dict[str, str]]]:
        """Read the digests of what is known of QA outcomes, by CDR type, check and year."""
        known: dict[str, dict[str, dict[str, str]]] = {}
        rows = self._connection.execute("SELECT cdr_type, name, year, digest FROM qa_outcomes")
        for cdr_type, name, year, text in rows:
            known.setdefault(cdr_type, {}).setdefault(name, {})[year] = text
        return known

    def outcomes(self) -> Outcomes:
        """Read what FlowAPI said last of the outcomes of QA checks; the same object until that is something else."""
        changes = self._meta("qa_changes") or ""
        if self._outcomes[0] != changes:
            blocks: dict[tuple[str, str], dict[str, str]] = {}
            rows = self._connection.execute("SELECT cdr_type, name, year, outcomes FROM qa_outcomes ORDER BY 1, 2, 3")
            for cdr_type, name, year, block in rows:
                blocks.setdefault((cdr_type, name), {})[year] = block
            self._outcomes = changes, self._outcomes[1].followed_by(blocks)
        return self._outcomes[1]

    def stale_marks(self, span: tuple[dt.date, dt.date] | None = None) -> dict[int, StaleMark]:
        """Read which runs are stale, by their numbers: those of a span of reference dates, and maybe others."""
        return stale_marks(self._connection, span)

    def stale(self, workflow: str | None = None, limit: int | None = None, *, also_kept: bool = True) -> list[StaleRun]:
        """Read the runs that have succeeded with data that were ingested anew since, or are there no more."""
        return stale_runs(self._connection, workflow, limit, also_kept=also_kept)

    def stale_summary(self) -> StaleSummary | None:
        """Count the stale runs that nobody keeps as they are; None where there are none."""
        return stale_summary(self._connection)

    def count_stale_marks(self) -> tuple[int, ...]:
        """Count what is recorded of stale runs, in a way that tells one moment from another and takes no time."""
        return count_stale_marks(self._connection)

    def same_results(self, limit: int) -> list[StaleRun]:
        """Read the first of the runs that were run again with the same results, and that nobody keeps."""
        return same_results(self._connection, limit)

    def used_changes(self) -> list[UsedChange]:
        """Read what was ingested anew, or has left the list, of data that attempts had used."""
        return used_changes(self._connection)

    def stale_groups(self, changes: Iterable[UsedChange], again_since: dt.datetime) -> list[StaleGroup]:
        """Read which runs changes of data made stale that nobody keeps, also those requested again since a time."""
        return stale_groups(
            self._connection, changes, again_since.astimezone(dt.UTC).isoformat(timespec="microseconds")
        )

    def departures(self, first: int = 0) -> list[Departure]:
        """Read which dates have left FlowAPI's list, from one on."""
        return departures(self._connection, first)

    def unmarked_departures(self) -> list[Departure]:
        """Read the dates that have left the list and that no runs have been marked by yet."""
        return departures(self._connection, int(self._meta("departures_marked") or 0) + 1)

    def count_stale(self) -> dict[str, int]:
        """Count the stale runs of each workflow that nobody keeps as they are."""
        rows = self._connection.execute(
            "SELECT workflow, count(*) FROM stale CROSS JOIN attempts ON id = attempt_id"  # noqa: S608
            " CROSS JOIN runs ON number = run WHERE attempts.state = 'succeeded' AND superseded IS NULL"
            f" AND reference_date NOT NULL AND {NOT_KEPT} GROUP BY workflow"
        )
        return dict(rows.fetchall())

    def source_sets(self) -> list[SourceSet]:
        """Read of which files good runs have made each notebook of a workflow."""
        return source_sets(self._connection)

    def made_of(self, sets: Collection[int]) -> Iterator[MadeOf]:
        """Read the good runs with a notebook that is made of one of some sets of files, by workflow and date."""
        return made_of(self._connection, sets)

    def count_without_sources(self) -> int:
        """Count the good runs of whose notebooks it was not recorded what they are made of."""
        return count_without_sources(self._connection)

    def success_before(self, run: int, attempt_id: int) -> RecordedAttempt | None:
        """Read the last success of a run before an attempt."""
        found = self._attempts(
            "run = ? AND attempts.state = 'succeeded' AND id < ? ORDER BY id DESC LIMIT 1", run, attempt_id
        )
        return found[0] if found else None

    def stale_mark(self, attempt_id: int) -> StaleMark | None:
        """Read why an attempt is stale, whether it still counts or not; None where it is not."""
        return stale_mark(self._connection, attempt_id)

    def has_data_of_its_results(self, attempt_id: int, before: int) -> bool:
        """Whether an attempt is made of the data that the results of the one before, given too, belong to."""
        return has_data_of_its_results(self._connection, attempt_id, before)

    def restated_since(self, attempt: RecordedAttempt) -> list[Restatement]:
        """Read which of the dates that an attempt used were ingested anew since it began."""
        windows = (attempt.parameters or {}).get("date_ranges", ())
        since = attempt.started.astimezone(dt.UTC)
        return [
            each
            for each in restatements_since(self._connection, 0)
            if each.seen > since and attempt.uses(each.cdr_type)
            if any(start <= each.date.isoformat() < end for start, end in windows)
        ]

    def kept_reports(self) -> list[KeptReports]:
        """Read which reports are kept as they are, though their manifests do not say so yet."""
        return kept_reports(self._connection)

    def unmarked(self) -> list[Restatement]:
        """Read the restatements that no runs have been marked by yet: those since the last time that was done."""
        return restatements_since(self._connection, int(self._meta("restatements_marked") or 0) + 1)

    def marked_for(self) -> set[str] | None:
        """Read the ways to use data whose runs have been marked by all changes so far; None where nobody has noted."""
        text = self._meta("marked_for")
        return None if text is None else set(json.loads(text))

    def restatements(self, first: int = 0) -> list[Restatement]:
        """Read which dates were ingested anew, from one on."""
        return restatements_since(self._connection, first)

    def overrides(self) -> dict[tuple[str, dt.date], Override]:
        """Read what people have decided of dates of data, by workflow and date."""
        rows = self._connection.execute("SELECT workflow, date, accepted, reason, since FROM overrides ORDER BY 1, 2")
        found = (
            Override(workflow, dt.date.fromisoformat(date), bool(accepted), reason, _moment(since))
            for workflow, date, accepted, reason, since in rows
        )
        return {(each.workflow, each.date): each for each in found}

    def last_poll(self) -> dt.datetime | None:
        """Read when FlowAPI last listed its dates; None when it never has."""
        polled = self._meta("last_poll")
        return _moment(polled) if polled else None

    def silence(self) -> Silence | None:
        """Read since when FlowAPI gives no list of dates; None when the last poll was a good one."""
        text = self._meta("silence")
        if text is None:
            return None
        found = json.loads(text)
        return Silence(_moment(found["since"]), _moment(found["last"]), found["why"])

    def qa_trouble(self) -> str | None:
        """Read what kept FlowAPI's outcomes of QA checks from being there at the last poll; None when nothing did."""
        return self._meta("qa_trouble")

    def appeared(self, date: dt.date) -> dt.datetime | None:
        """Read when FlowAPI first listed a date, for whichever CDR type; None when it does not list it."""
        (first,) = self._connection.execute(
            "SELECT min(appeared) FROM listed_dates WHERE first <= ? AND julianday(?) - julianday(first) < days"
            " AND cdr_type NOT IN"
            " (SELECT json_each.value FROM meta, json_each(meta.value) WHERE meta.key = 'gone_types')",
            (date.isoformat(), date.isoformat()),
        ).fetchone()
        return _moment(first) if first else None

    def last_tick(self) -> dt.datetime | None:
        """Read the time for which the newest tick was scheduled; None in a new installation."""
        text = self._meta("last_tick")
        return _moment(text) if text else None

    def unfinished(self) -> bool:
        """Read whether there was something left to do when AutoFlow was last seen."""
        return self._meta("unfinished") is not None

    def attempts(
        self,
        *,
        key: RunKey | None = None,
        workflow: str | None = None,
        states: Sequence[str] = (),
        first: dt.date | None = None,
        last: dt.date | None = None,
        ids: Sequence[int] = (),
        limit: int | None = None,
    ) -> list[RecordedAttempt]:
        """Read attempts, the newest first.

        Seven parameters, each of them a filter of its own.

        Parameters
        ----------
        key, workflow, states, first, last, ids
            What they have to be; ``first`` and ``last`` are reference dates, both in it; one of ``states`` may be
            ``provisional``, which is a success with dates missing.
        limit
            How many at most.
        """
        conditions, values = ["1"], list[Any]()
        if key is not None:
            conditions.append("workflow = ? AND parameters_hash = ?")
            values += key
        if workflow is not None:
            conditions.append("workflow = ?")
            values.append(workflow)
        if states:
            conditions.append(" OR ".join(map(state_condition, states)))
        if first is not None:
            conditions.append("reference_date >= ?")
            values.append(first.isoformat())
        if last is not None:
            conditions.append("reference_date <= ?")
            values.append(last.isoformat())
        if ids:
            conditions.append(f"id IN ({', '.join('?' * len(ids))})")
            values += ids
        return self._attempts(f"({') AND ('.join(conditions)}) ORDER BY id DESC LIMIT ?", *values, limit or -1)

    def running(self) -> dict[RunKey, dt.date]:
        """Return the keys and the reference dates of the runs in progress."""
        attempts = self.attempts(states=[AttemptState.RUNNING])
        return {attempt.key: attempt.reference_date for attempt in attempts if attempt.reference_date is not None}

    def attempt(self, run: int, number: int | None = None) -> RecordedAttempt | None:
        """Read one attempt at a run, the newest where no number is given; None when there is none."""
        if number is None:
            found = self._attempts("run = ? ORDER BY id DESC LIMIT 1", run)
        else:
            found = self._attempts("run = ? AND attempt = ?", run, number)
        return found[0] if found else None

    def attempts_of(self, run: int) -> list[RecordedAttempt]:
        """Read all attempts at a run, the oldest first."""
        return self._attempts("run = ? ORDER BY id", run)

    def _attempts(self, wanted: str, *values: object) -> list[RecordedAttempt]:
        rows = self._connection.execute(
            "SELECT attempts.*, workflow, reference_date, parameters, parameters_hash,"  # noqa: S608
            f" attempt_id NOT NULL AND {NOT_KEPT} AS marked, same_as, CASE WHEN later IS NULL THEN kept END AS kept,"
            " coalesce(held, 0) AS held FROM attempts JOIN runs ON number = run LEFT JOIN stale ON attempt_id = id"
            f" WHERE {wanted}",
            values,
        )
        return [self._recorded_attempt(row) for row in rows]

    def newest_run(self) -> int | None:
        """Read the number of the newest run; None when there is none yet."""
        (number,) = self._connection.execute("SELECT max(number) FROM runs").fetchone()
        return None if number is None else int(number)

    def newest_attempt(self) -> int:
        """Read the id of the newest attempt; 0 when there is none yet."""
        (id_,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()
        return int(id_)

    def renumbered(self, number: int) -> RecordedAttempt | None:
        """Find the attempt that had a number as if it were a run, before runs had numbers of their own."""
        if number > int(self._meta("old_numbers") or 0):
            return None
        found = self.attempts(ids=[number])
        return found[0] if found else None

    def notebooks(self, attempt_id: int) -> list[RecordedNotebook]:
        """Read the notebooks of an attempt, in the order in which they were started."""
        rows = self._connection.execute(
            "SELECT notebooks.*, files FROM notebooks LEFT JOIN sources ON id = sources"
            " WHERE attempt_id = ? ORDER BY started, label",
            (attempt_id,),
        )
        return [
            RecordedNotebook(
                row["label"],
                AttemptState(row["state"]),
                _moment(row["started"]),
                _moment(row["ended"]) if row["ended"] else None,
                _text(self._places.notebook(row["notebook"])),
                _text(self._places.report(row["report"])),
                self._failure(row["error"]),
                row["reused_from"],
                tuple(Notice(**each) for each in json.loads(row["warnings"] or "[]")),
                json.loads(row["files"]) if row["files"] else None,
                row["peak_mb"],
            )
            for row in rows
        ]

    def executed_notebooks(
        self, workflow: str, label: str, start: dt.date, end: dt.date
    ) -> Iterator[tuple[dt.date, Mapping[str, Any], Path | None]]:
        """Read the executed notebooks of runs that have succeeded, with their dates and parameters, in order of dates.

        None stands for one that has been removed since.

        Parameters
        ----------
        start, end
            Reference dates, the end not among them.
        """
        rows = self._connection.execute(
            "SELECT reference_date, parameters, notebook FROM runs JOIN attempts ON run = number"
            " JOIN notebooks ON attempt_id = attempts.id"
            " WHERE workflow = ? AND runs.state IN ('succeeded', 'provisional')"
            " AND attempts.state = 'succeeded' AND superseded IS NULL AND label = ? AND notebooks.state = 'succeeded'"
            " AND reference_date >= ? AND reference_date < ? ORDER BY reference_date",
            (workflow, label, start.isoformat(), end.isoformat()),
        )
        for date, parameters, notebook in rows:
            yield dt.date.fromisoformat(date), json.loads(parameters), self._places.notebook(notebook)

    def succeeded_before(self, workflow: str, end: dt.date) -> Iterator[Mapping[str, Any]]:
        """Read the parameters of runs that have succeeded and have a reference date before another."""
        rows = self._connection.execute(
            "SELECT parameters FROM runs WHERE workflow = ? AND state IN ('succeeded', 'provisional')"
            " AND reference_date < ? AND parameters NOT NULL",
            (workflow, end.isoformat()),
        )
        for (parameters,) in rows:
            yield json.loads(parameters)

    def span(self, workflow: str) -> tuple[dt.date, dt.date] | None:
        """Return the first and the last reference date of a workflow's attempts; None when there are none."""
        first, last = self._connection.execute(
            "SELECT min(reference_date), max(reference_date) FROM runs WHERE workflow = ?", (workflow,)
        ).fetchone()
        return (dt.date.fromisoformat(first), dt.date.fromisoformat(last)) if first else None

    def keys_by_date(
        self, first: dt.date, last: dt.date, *, newest_first: bool
    ) -> Iterator[tuple[dt.date, set[RunKey]]]:
        """Read which runs there are of a span of reference dates, both ends in it, one date after the other."""
        rows = self._connection.execute(
            "SELECT reference_date, workflow, parameters_hash FROM runs WHERE reference_date BETWEEN ? AND ?"  # noqa: S608
            f" ORDER BY reference_date {'DESC' if newest_first else 'ASC'}",
            (first.isoformat(), last.isoformat()),
        )
        for date, group in groupby(rows, key=itemgetter(0)):
            yield dt.date.fromisoformat(date), {(workflow, key) for _, workflow, key in group}

    def made_by(self, workflow: str) -> list[NotebookFiles]:
        """List what the attempts of a workflow have made, and still have on disk."""
        rows = self._connection.execute(
            """
            SELECT notebooks.attempt_id, label, reference_date, parameters, made.state AS state,
                made.state = 'succeeded' AND coalesce(held, 0) AS held,
                coalesce(made.ended, made.started) AS ended, notebook, report, EXISTS (
                    SELECT 1 FROM attempts AS later
                    WHERE later.run = made.run AND later.state = 'succeeded' AND later.id > made.id
                    AND NOT EXISTS (SELECT 1 FROM stale WHERE attempt_id = later.id AND held)
                ) AS replaced, made.state = 'running' OR (
                    made.state = 'succeeded' AND superseded IS NULL AND coalesce(held, 0)
                ) OR EXISTS (
                    SELECT 1 FROM requests WHERE repairs = made.attempt AND requests.workflow = runs.workflow
                    AND requests.parameters_hash = runs.parameters_hash
                ) AS in_use
            FROM notebooks JOIN attempts AS made ON made.id = notebooks.attempt_id JOIN runs ON number = made.run
            LEFT JOIN stale ON stale.attempt_id = made.id
            WHERE workflow = ? AND (notebook NOT NULL OR report NOT NULL OR made.state != 'succeeded')
            """,
            (workflow,),
        )
        return [self._made(row) for row in rows]

    def is_in_use(self, attempt_id: int) -> bool:
        """Whether an attempt is in progress, or is to be repaired."""
        row = self._connection.execute(
            "SELECT 1 FROM attempts JOIN runs ON number = run LEFT JOIN requests USING (workflow, parameters_hash)"
            " WHERE id = ? AND (attempts.state = 'running' OR repairs = attempt)",
            (attempt_id,),
        ).fetchone()
        return row is not None

    def good_among(self, keys: Iterable[RunKey]) -> set[RunKey]:
        """Find those of some runs that have succeeded and count, provisional ones among them."""
        sql = "SELECT 1 FROM runs WHERE workflow = ? AND parameters_hash = ? AND state IN ('succeeded', 'provisional')"
        return {key for key in keys if self._connection.execute(sql, key).fetchone()}

    def has_succeeded(self, attempt_id: int) -> bool:
        """Whether an attempt is recorded as a success."""
        row = self._connection.execute("SELECT state FROM attempts WHERE id = ?", (attempt_id,)).fetchone()
        return row is not None and row[0] == AttemptState.SUCCEEDED

    def reports_of(self, key: RunKey, label: str) -> list[Path]:
        """List the reports of a notebook that attempts at a run have made, the oldest first."""
        rows = self._connection.execute(
            "SELECT report FROM runs JOIN attempts ON run = number JOIN notebooks ON attempt_id = id"
            " WHERE workflow = ? AND parameters_hash = ? AND label = ? AND report NOT NULL ORDER BY id",
            (*key, label),
        )
        return [report for (text,) in rows if (report := self._places.report(text))]

    def facts(self) -> RecordFacts:
        """Say how much there is."""
        counting = "SELECT (SELECT count(*) FROM runs), count(*), max(started) FROM attempts"
        runs, attempts, newest = self._connection.execute(counting).fetchone()
        return RecordFacts(runs, attempts, _moment(newest) if newest else None)

    def outputs(self) -> Iterator[Path]:
        """Read where all executed notebooks and reports that are recorded should be, each once."""
        found = self._connection.execute("SELECT notebook, report FROM notebooks")
        paths = (path for row in found for path in (self._places.notebook(row[0]), self._places.report(row[1])))
        yield from {path: None for path in paths if path is not None}

    def workflows(self) -> list[str]:
        """List the names of the workflows that the record knows."""
        return [name for (name,) in self._connection.execute("SELECT DISTINCT workflow FROM runs ORDER BY 1")]

    def counts(self) -> dict[AttemptState, int]:
        """Count the attempts of each state."""
        return {
            AttemptState(state): number
            for state, number in self._connection.execute("SELECT state, count(*) FROM attempts GROUP BY state")
        }

    def ends_after(self, attempt_id: int) -> Iterator[tuple[int, str, AttemptState, float | None]]:
        """Read of the attempts after one their ids, workflows, states and lengths in seconds, in order."""
        rows = self._connection.execute(
            "SELECT id, workflow, attempts.state, started, ended FROM attempts CROSS JOIN runs ON number = run"
            " WHERE id > ? ORDER BY id",
            (attempt_id,),
        )
        for id_, workflow, state, started, ended in rows:
            length = (_moment(ended) - _moment(started)).total_seconds() if ended else None
            yield id_, workflow, AttemptState(state), length

    def newest_reports(self, number: int) -> list[tuple[RecordedAttempt, str, str]]:
        """List the newest reports: the attempt, the label of the notebook, and the path."""
        rows = self._connection.execute(
            "SELECT attempt_id, label, report FROM notebooks WHERE report NOT NULL"
            " ORDER BY attempt_id DESC, label LIMIT ?",
            (number,),
        ).fetchall()
        attempts = {each.id: each for each in self.attempts(ids=[id_ for id_, _, _ in rows])} if rows else {}
        return [(attempts[id_], label, str(self._places.report(report))) for id_, label, report in rows]

    def reports_between(self, first: dt.date, last: dt.date) -> dict[int, RunReports]:
        """Read the reports of the runs of a span of reference dates, both ends in it, by number of the run."""
        return self._reports("reference_date BETWEEN ? AND ?", first.isoformat(), last.isoformat())

    def reports_of_run(self, run: int) -> RunReports | None:
        """Read the reports of a run; None where there are none."""
        return self._reports("number = ?", run).get(run)

    def _reports(self, wanted: str, *values: object) -> dict[int, RunReports]:
        # those that latest leads to come last, and so in the place of others, however new these are
        rows = self._connection.execute(
            "SELECT number, workflow, reference_date, parameters, label, report, attempts.id, attempt, missing_dates,"  # noqa: S608
            " attempts.state = 'succeeded' AND coalesce(held, 0) AS kept_out,"
            " attempts.state = 'succeeded' AND NOT coalesce(held, 0) AS leads,"
            f" attempts.state = 'succeeded' AND superseded IS NULL AND stale.attempt_id NOT NULL AND {NOT_KEPT}"
            " FROM runs JOIN attempts ON run = number JOIN notebooks ON notebooks.attempt_id = attempts.id"
            f" LEFT JOIN stale ON stale.attempt_id = attempts.id WHERE {wanted} AND report NOT NULL"
            " AND reference_date NOT NULL ORDER BY leads, attempts.id, notebooks.started, label",
            values,
        )
        found, paths = dict[int, RunReports](), dict[int, dict[str, str]]()
        out, led = dict[tuple[int, str], tuple[int, str]](), dict[int, dict[str, int]]()
        for run, workflow, date, parameters, label, report, id_, attempt, missing, is_out, leads, stale in rows:
            path, place = str(self._places.report(report)), (run, label)
            if is_out:
                out[place] = id_, path
            elif leads and place in out and out[place][0] < id_:
                del out[place]
            if run not in found:
                day, own = dt.date.fromisoformat(date), json.loads(parameters or "{}")
                found[run] = RunReports(run, workflow, day, own, attempt, paths.setdefault(run, {}))
            if leads:
                # what a workflow has under another label now is no report of the newer attempt
                before_it = [each for each, made_by in led.setdefault(run, {}).items() if made_by != id_]
                for old in before_it:
                    del paths[run][old], led[run][old]
                led[run][label] = id_
            if not is_out:
                paths[run][label] = path
            before, without = found[run], tuple(map(dt.date.fromisoformat, json.loads(missing or "[]")))
            is_stale = bool(stale) or before.stale
            if (attempt, without, is_stale) != (before.attempt, before.missing_dates, before.stale):
                found[run] = replace(before, attempt=attempt, missing_dates=without, stale=is_stale)
        for (run, label), (_, path) in out.items():
            found[run] = replace(found[run], kept_out={**found[run].kept_out, label: path})
        return found

    def months_of_reports(self) -> dict[str, tuple[int, int, int]]:
        """Read of each month of reference dates, such as 2016-01, the newest attempt with a report, and their number.

        The third number is that of attempts whose reports are kept out of ``latest``. What are other numbers has been
        changed since.
        """
        rows = self._connection.execute(
            "SELECT substr(reference_date, 1, 7), count(*) FROM stale CROSS JOIN attempts ON id = attempt_id"
            " CROSS JOIN runs ON number = run WHERE held AND reference_date NOT NULL GROUP BY 1"
        )
        kept_out = dict(rows.fetchall())
        rows = self._connection.execute(
            "SELECT substr(reference_date, 1, 7), max(attempt_id), count(*) FROM notebooks"
            " JOIN attempts ON attempts.id = attempt_id JOIN runs ON number = run"
            " WHERE report NOT NULL AND reference_date NOT NULL GROUP BY 1"
        )
        return {month: (newest, number, kept_out.get(month, 0)) for month, newest, number in rows}

    def months_of_reports_outside(self, first: dt.date, last: dt.date) -> list[str]:
        """Read which months, such as 2016-01, have reports of runs whose reference dates are outside of a span."""
        rows = self._connection.execute(
            "SELECT DISTINCT substr(reference_date, 1, 7) FROM runs WHERE (reference_date < ? OR reference_date > ?)"
            " AND EXISTS"
            " (SELECT 1 FROM attempts JOIN notebooks ON attempt_id = id WHERE run = number AND report NOT NULL)",
            (first.isoformat(), last.isoformat()),
        )
        return sorted(month for (month,) in rows)

    def page_of_attempts(self, wanted: WantedAttempts, before: int | None, limit: int) -> list[RecordedAttempt]:
        """Read some attempts, the newest first, from those before an id on."""
        conditions, values = wanted.conditions()
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        return self._attempts(f"{' AND '.join(conditions)} ORDER BY id DESC LIMIT ?", *values, limit)

    def lengths(self, workflow: str, limit: int) -> list[tuple[int, dt.datetime, float]]:
        """Read of a workflow's newest successes the run, when it started, and its seconds; the oldest first."""
        rows = self._connection.execute(
            "SELECT run, started, ended FROM attempts CROSS JOIN runs ON number = run WHERE workflow = ?"
            " AND attempts.state = 'succeeded' AND attempt > 0 ORDER BY id DESC LIMIT ?",
            (workflow, limit),
        )
        found = [(run, _moment(started), (_moment(ended) - _moment(started))) for run, started, ended in rows]
        return [(run, started, length.total_seconds()) for run, started, length in reversed(found)]

    def durations(self, workflow: str) -> float | None:
        """Return the median of the seconds that a workflow's last successes took; None when there are none.

        That notebooks waited, for a slot, a pool or a worker, is left out: it says nothing of other times.
        """
        # the daemon never asks for it
        from statistics import median

        rows = self._connection.execute(
            "SELECT id, started, ended FROM attempts CROSS JOIN runs ON number = run WHERE workflow = ?"
            " AND attempts.state = 'succeeded' AND attempt > 0 ORDER BY id DESC LIMIT ?",
            (workflow, RECENT_SUCCESSES),
        ).fetchall()
        executions = self._executions([id_ for id_, _, _ in rows])
        lengths = []
        for id_, started, ended in rows:
            some, end = executions.get(id_, []), _moment(ended)
            # what comes after the last notebook are reports
            rest = end - max((last for _, last in some), default=_moment(started))
            lengths.append(_covered(some) + max(rest.total_seconds(), 0.0))
        return median(lengths) if lengths else None

    def worked(self, attempts: Collection[RecordedAttempt], now: dt.datetime) -> dict[int, float]:
        """Say for how many seconds notebooks of attempts in progress have been executed, by the ids of these."""
        executions = self._executions([each.id for each in attempts], now)
        return {each.id: _covered(executions.get(each.id, [])) for each in attempts}

    def _executions(self, ids: Sequence[int], now: dt.datetime | None = None) -> dict[int, list[_Span]]:
        """Read when notebooks of attempts were executed, the first first; those that wait for a worker were not."""
        rows = self._connection.execute(
            "SELECT attempt_id, started, ended FROM notebooks WHERE attempt_id IN (SELECT value FROM json_each(?))"
            " AND reused_from IS NULL AND (ended NOT NULL OR (sources NOT NULL AND ?)) ORDER BY started",
            (json.dumps(ids), now is not None),
        )
        found: dict[int, list[_Span]] = {}
        for id_, started, ended in rows:
            found.setdefault(id_, []).append((_moment(started), _moment(ended) if ended else now or _moment(started)))
        return found

    def notebook_lengths(self, workflow: str) -> dict[str, float]:
        """Return the median length in seconds of each notebook, by label, over a workflow's last successes."""
        # the daemon never asks for it
        from statistics import median

        rows = self._connection.execute(
            "SELECT label, started, ended FROM notebooks WHERE state = 'succeeded' AND ended NOT NULL"
            " AND reused_from IS NULL AND attempt_id IN (SELECT id FROM attempts CROSS JOIN runs ON number = run"
            " WHERE workflow = ? AND attempts.state = 'succeeded' AND attempt > 0 ORDER BY id DESC LIMIT ?)",
            (workflow, RECENT_SUCCESSES),
        )
        lengths: dict[str, list[float]] = {}
        for label, started, ended in rows:
            lengths.setdefault(label, []).append((_moment(ended) - _moment(started)).total_seconds())
        return {label: median(some) for label, some in lengths.items()}

    def peaks(self) -> Iterator[tuple[str, str, int, bool]]:
        """Yield the MB that the last notebooks have taken at most, the newest first.

        Yields
        ------
        workflow, label : str
        peak : int
        succeeded : bool
        """
        rows = self._connection.execute(
            "SELECT workflow, label, peak_mb, succeeded FROM"
            " (SELECT attempt_id, label, peak_mb, state = 'succeeded' AS succeeded FROM notebooks"
            " WHERE peak_mb NOT NULL ORDER BY attempt_id DESC LIMIT ?)"
            " JOIN attempts ON attempts.id = attempt_id JOIN runs ON number = run ORDER BY attempt_id DESC",
            (RECENT_PEAKS,),
        )
        yield from ((workflow, label, peak, bool(succeeded)) for workflow, label, peak, succeeded in rows)

    def _meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _made(self, row: sqlite3.Row) -> NotebookFiles:
        parameters = json.loads(row["parameters"] or "{}")
        own = own_parameters(parameters)
        report = self._places.report(row["report"])
        return NotebookFiles(
            attempt_id=row["attempt_id"],
            label=row["label"],
            reference_date=row["reference_date"] or "",
            parameters=json.dumps(own, sort_keys=True),
            succeeded=row["state"] == AttemptState.SUCCEEDED,
            replaced=bool(row["replaced"]),
            ended=dt.datetime.fromisoformat(row["ended"]),
            notebook=self._places.notebook(row["notebook"]),
            reports=tuple(report.with_suffix(suffix) for suffix in OUTPUT_SUFFIXES) if report else (),
            in_use=bool(row["in_use"]),
            held=bool(row["held"]),
        )

    def _recorded_attempt(self, row: sqlite3.Row) -> RecordedAttempt:
        return RecordedAttempt(
            id=row["id"],
            run=row["run"],
            workflow=row["workflow"],
            reference_date=dt.date.fromisoformat(row["reference_date"]) if row["reference_date"] else None,
            parameters=json.loads(row["parameters"]) if row["parameters"] else None,
            parameters_hash=row["parameters_hash"],
            attempt=row["attempt"],
            state=AttemptState(row["state"]),
            started=_moment(row["started"]),
            ended=_moment(row["ended"]) if row["ended"] else None,
            failure=self._failure(row["error"]),
            superseded=_moment(row["superseded"]) if row["superseded"] else None,
            missing_dates=tuple(map(dt.date.fromisoformat, json.loads(row["missing_dates"] or "[]"))),
            same_as=row["same_as"],
            held=bool(row["held"]),
            is_marked=bool(row["marked"]),
            kept=row["kept"],
            cdr_types=tuple(json.loads(row["cdr_types"])) if row["cdr_types"] else None,
        )

    def _failure(self, text: str | None) -> Failure | None:
        if not text:
            return None
        failure = Failure(**json.loads(text))
        return replace(failure, notebook=_text(self._places.notebook(failure.notebook)))


_Span = tuple[dt.datetime, dt.datetime]


def _covered(spans: Iterable[_Span]) -> float:
    """Say how many seconds are in some spans, the first first, each of them counted once."""
    seconds, end = 0.0, dt.datetime.min.replace(tzinfo=dt.UTC)
    for first, last in spans:
        seconds += max((last - max(first, end)).total_seconds(), 0.0)
        end = max(end, last)
    return seconds


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a sqlite file for reading only: no lock is taken, and a daemon that holds it goes on.

    Raises
    ------
    StoreError
        When there is none, or it cannot be read.
    """
    if not path.exists():
        raise StoreError(
            f"{path}: there is no record yet: AutoFlow has not run with these settings; start it,"
            " or check AUTOFLOW_OUTPUTS_DIR and AUTOFLOW_DB_URI"
        )
    uri = path.absolute().as_uri()
    try:
        try:
            return _connect(f"{uri}?mode=ro")
        except sqlite3.OperationalError:
            # where nothing can be written, sqlite cannot share memory with a writer: fine, if there is none
            if path.with_name(path.name + "-wal").exists():
                raise
            return _connect(f"{uri}?immutable=1")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read as AutoFlow's database ({error})") from error


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _ordinal(date: str) -> int:
    return dt.date.fromisoformat(date).toordinal()


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _moment(text: str) -> dt.datetime:
    """Read a time; the predecessor's have no zone, and are in UTC."""
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
