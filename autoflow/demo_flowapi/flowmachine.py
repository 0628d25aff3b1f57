# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What lies behind FlowAPI: the data as they come in, FlowMachine's cache of results, and the states of queries.

FlowMachine keeps results by what was asked for, not by when the data came: after a restatement the same question
gets the old answer. Whoever asks another question on the same table of the cache gets the old rows too.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections import ChainMap
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoflow.demo_flowapi import mobility
from autoflow.demo_flowapi.queries import DEFAULT_TYPES, Query, Reading, SpecError, Window, rows

CDR_TYPES = ("calls", "mds", "sms", "topups")

NO_REPLY = "Could not get reply for message"

ENDINGS = {"stuck": "executing", "errored": "errored", "no-database": "errored"}
"""How queries stay for good that a fault finds running."""

Dates = dict[str, list[str]]


class LostReplyError(Exception):
    """FlowMachine could not answer, for instance since PostgreSQL is not there."""


@dataclass(frozen=True)
class Edition:
    """A day's data as they were ingested once."""

    at: float
    share: float
    """The part of the usual subscribers that is in them."""


@dataclass
class Flowmachine:
    """FlowMachine with its data; its attributes are switches, which may be changed at any time."""

    poll_seconds: float = 0.2
    """How long a query runs."""
    at_a_time: int | None = None
    """How many queries run at a time, the others after them; None: all of them."""
    dates_lag: float = 0.0
    """For how long a list of available dates is served again before it is made anew; 120 in FlowMachine."""
    checks_lag: float = 0.0
    """How long after a date's data its QA outcomes are there."""
    outcomes: dict[tuple[str, str, str], str | None] = field(default_factory=dict)
    """QA outcomes that differ from the usual ones, by CDR type, check and date."""

    def __post_init__(self) -> None:
        self.fault: str | None = None
        self._passed = 0.0
        self._lock = threading.RLock()
        self._data: dict[str, dict[str, list[Edition]]] = {}
        self._listed: tuple[float, Dates] | None = None
        # PostgreSQL keeps what each query read, by the ids of its windows: the rows follow from it
        self._results: dict[str, dict[str, Reading]] = {}
        # Redis keeps which queries there are, when they began, and how those ended that have no result
        self._known: dict[str, Query] = {}
        self._began: dict[str, float] = {}
        self._ended: dict[str, str] = {}

    def now(self) -> float:
        """Seconds that have passed, those of `pass_time` among them."""
        return time.monotonic() + self._passed

    def pass_time(self, seconds: float) -> None:
        """Let time pass at once."""
        self._passed += seconds

    @property
    def dates(self) -> Dates:
        """The dates of which there are data, by CDR type."""
        return {cdr_type: list(days) for cdr_type, days in self._data.items()}

    @dates.setter
    def dates(self, dates: Mapping[str, Collection[str]]) -> None:
        first = [Edition(self.now() if self._data else -math.inf, 1.0)]
        self._data = {
            cdr_type: {day: self._data.get(cdr_type, {}).get(day, first) for day in sorted(days)}
            for cdr_type, days in dates.items()
        }

    def restate(self, day: str, share: float = 0.6, cdr_types: Collection[str] = CDR_TYPES) -> None:
        """Ingest a date anew, with fewer subscribers."""
        for cdr_type, days in self._data.items():
            if cdr_type in cdr_types and day in days:
                days[day] = [*days[day], Edition(self.now(), share)]

    def drop(self, day: str) -> None:
        """Take a date's data away."""
        self._data = {
            cdr_type: {date: editions for date, editions in days.items() if date != day}
            for cdr_type, days in self._data.items()
        }

    def flush_redis(self) -> None:
        """Forget all queries; the tables with their results stay."""
        with self._lock:
            self._known, self._began, self._ended = {}, {}, {}

    def reset_cache(self) -> None:
        """Forget all results too, as an administrator can make FlowMachine do."""
        with self._lock:
            self.flush_redis()
            self._results = {}

    def set_fault(self, fault: str | None) -> None:
        """Begin or end a fault; one that ends queries does so for good."""
        with self._lock:
            self.fault = fault
            for query_id in [each for each in self._known if self.state(each) == "executing"]:
                if fault in ENDINGS:
                    self._ended[query_id] = ENDINGS[fault]
                    self._results.pop(query_id, None)

    def available_dates(self) -> Dates:
        """List the dates, as they were when the list was last made."""
        if self._listed is None or self.now() - self._listed[0] >= self.dates_lag:
            self.need_database()
            self._listed = (self.now(), self.dates)
        return self._listed[1]

    def checked(self, cdr_type: str) -> dict[str, Edition]:
        """Return the dates whose QA outcomes are there, each with the data that they tell of."""
        self.need_database()
        since = self.now() - self.checks_lag
        done = {day: [e for e in editions if e.at <= since] for day, editions in self._data.get(cdr_type, {}).items()}
        return {day: editions[-1] for day, editions in done.items() if editions}

    def run(self, query: Query) -> dict[str, int]:
        """Set a query running unless its result is there, and tell its progress.

        Raises
        ------
        SpecError
            When FlowMachine refuses it.
        LostReplyError
            When it cannot answer.
        """
        self.need_database()
        self._check(query)
        with self._lock:
            new = query.id not in self._known
            self._known[query.id] = query
            if new and query.id not in self._results:
                self._began[query.id] = self._begins()
                if self.fault in ENDINGS:
                    self._ended[query.id] = ENDINGS[self.fault]
                else:
                    tables = ChainMap(*self._results.values())
                    self._results[query.id] = {w.id: tables.get(w.id) or self._read(w) for w in query.windows}
                return self._progress(query, running=True)
            return self._progress_again(query)

    def known(self, query_id: str) -> Query | None:
        """Look a query up in Redis."""
        self.need_database()
        return self._known.get(query_id)

    def state(self, query_id: str) -> str:
        """Tell how a known query is: ``executing``, ``completed`` or ``errored``."""
        if query_id in self._ended:
            return self._ended[query_id]
        began = self._began.get(query_id)
        return "completed" if began is None or self.now() - began >= self.poll_seconds else "executing"

    def progress(self, query_id: str) -> dict[str, int]:
        """Tell how much of a running query is left."""
        return self._progress(self._known[query_id], running=True)

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """Return the result of a completed query."""
        return rows(query, self._results[query.id])

    def need_database(self) -> None:
        """Raise LostReplyError while PostgreSQL is stopped."""
        if self.fault == "no-database":
            raise LostReplyError

    def _begins(self) -> float:
        """Say when a query begins that is asked for now."""
        now = self.now()
        running = sorted(began for began in self._began.values() if now - began < self.poll_seconds)
        if self.at_a_time is None or len(running) < self.at_a_time:
            return now
        return running[-self.at_a_time] + self.poll_seconds

    def _check(self, query: Query) -> None:
        """Raise SpecError where no query can be made of a specification."""
        for window in query.windows:
            for cdr_type in window.types:
                if cdr_type not in self._data and cdr_type not in DEFAULT_TYPES:
                    raise _refused(f"events.{cdr_type} is not a known table.")
            if not self._read(window):
                if query.id in self._results:
                    raise SpecError({"msg": NO_REPLY, "payload": {}, "status": "Error"})
                raise _refused(f"No data for date: {window.start} - {window.end}")
        for hour in sorted(query.hours):
            if hour > 23:
                raise _refused(f"Hour string must have the format 'HH:MM'. Got: '{hour}:00'")

    def _read(self, window: Window) -> Reading:
        return {
            (cdr_type, date): editions[-1].share
            for cdr_type in window.types
            for day, editions in self._data.get(cdr_type, {}).items()
            if window.covers(date := dt.date.fromisoformat(day))
        }

    def _progress_again(self, query: Query) -> dict[str, int]:
        """Tell the progress of a query that was run before."""
        state = self.state(query.id)
        if state == "completed":
            read = self._results[query.id]
            if all(set(self._read(window)) <= set(read[window.id]) for window in query.windows):
                return {"eligible": 0, "queued": 0, "running": 0}
        return self._progress(query, running=state == "executing")

    def _progress(self, query: Query, *, running: bool) -> dict[str, int]:
        tables = {query.id, *(window.id for window in query.windows)}
        return {"eligible": len(tables), "queued": 0, "running": min(len(tables), 3) if running else 0}


def some_days(number: int) -> Dates:
    """Dates of each CDR type: all of them, but top-ups stop a few days before the others."""
    days = [(mobility.FIRST_DAY + dt.timedelta(days=n)).isoformat() for n in range(number)]
    return {cdr_type: days[: max(number - 3, 0)] if cdr_type == "topups" else list(days) for cdr_type in CDR_TYPES}


def _refused(reason: str) -> SpecError:
    return SpecError({"msg": "Unable to create query object.", "payload": {"exception": reason}, "status": "Error"})
