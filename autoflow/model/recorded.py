# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is read of the record: frozen data, for commands, pages and messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autoflow.notices import Notice
from autoflow.runs import AttemptState, Failure, RunKey, RunState


@dataclass(frozen=True)
class FailedRun:
    """A run that has failed and not succeeded since."""

    run: int
    workflow: str
    parameters_hash: str
    reference_date: dt.date
    ended: dt.datetime
    """When the newest of its failed attempts ended."""
    failure: Failure

    @property
    def key(self) -> RunKey:
        return self.workflow, self.parameters_hash


@dataclass(frozen=True)
class ProvisionalRun:
    """A run that was made with dates missing, and what has become of it."""

    run: int
    workflow: str
    parameters_hash: str
    reference_date: dt.date
    attempt: int = 0
    """The number of the attempt, within the run, that was made so last; 0 when it is gone."""
    missing: tuple[dt.date, ...] = ()
    """Without which dates; none when it is not provisional any more."""
    final_attempt: int | None = None
    """The number of the attempt that was made with all dates."""

    @property
    def is_final(self) -> bool:
        return self.final_attempt is not None


@dataclass(frozen=True)
class KnownCause:
    """Something wrong that was noticed, and that people were told of or are to be told of."""

    name: str
    """What it is, the same as long as it lasts."""
    event: str
    what: str
    """In words, for the message that says that it is over."""
    since: dt.datetime
    told: dt.datetime | None = None
    workflow: str | None = None
    runs: tuple[str, ...] = ()
    """Hashes of the parameters of the runs that people were told of."""


@dataclass(frozen=True)
class Silence:
    """Polls that FlowAPI did not answer with a list of dates, one after the other."""

    since: dt.datetime
    last: dt.datetime
    why: str
    """What the last of them came to."""


@dataclass(frozen=True)
class RecordedNotebook:
    """One notebook of an attempt."""

    label: str
    state: AttemptState
    started: dt.datetime
    ended: dt.datetime | None
    notebook: str | None
    report: str | None
    failure: Failure | None
    reused_from: int | None
    """The number of the attempt at this run that executed it, when a repair used it again."""
    warnings: tuple[Notice, ...] = ()
    """What is to be known of its report."""
    sources: Mapping[str, str] | None = None
    """Hashes of the files that it is made of, where they were recorded."""
    peak_mb: int | None = None
    """The most memory that it took, where that was seen."""

    @property
    def executed(self) -> bool:
        """Whether it ran to its end, whatever became of its report."""
        return self.state is AttemptState.SUCCEEDED or (self.failure is not None and self.failure.of_report)


@dataclass(frozen=True)
class RecordedAttempt:
    """One attempt at a run. A run that was taken over from the predecessor has no reference date and no parameters."""

    id: int
    """Later attempts, also those at other runs, have higher ones."""
    run: int
    workflow: str
    reference_date: dt.date | None
    parameters: Mapping[str, Any] | None
    parameters_hash: str
    attempt: int
    """Its number within the run; 0 for what was taken over from the predecessor."""
    state: AttemptState
    started: dt.datetime
    ended: dt.datetime | None
    failure: Failure | None
    superseded: dt.datetime | None
    """When a rerun was asked for, or all dates were there, since when this attempt counts no more."""
    missing_dates: tuple[dt.date, ...] = ()
    """Dates that it was made without."""
    same_as: int | None = None
    """The number of the first attempt with the same results, though that was made of other data."""
    held: bool = False
    """Whether its reports are kept out of ``latest`` for that."""
    is_marked: bool = False
    """Whether its data have changed since, or did not change its results, and nobody keeps it as it is."""
    kept: str | None = None
    """Why it stays as it is though its data have changed; None when nobody has said so since they did."""
    cdr_types: tuple[str, ...] | None = None
    """Those whose data it used; None where it used all, or nobody has noted."""

    def uses(self, cdr_type: str) -> bool:
        """Whether it used data of a CDR type."""
        return self.cdr_types is None or cdr_type in self.cdr_types

    @property
    def key(self) -> RunKey:
        return self.workflow, self.parameters_hash

    @property
    def provisional(self) -> bool:
        """Whether it has succeeded with dates missing."""
        return self.state is AttemptState.SUCCEEDED and bool(self.missing_dates)

    @property
    def stale(self) -> bool:
        """Whether it has succeeded and counts, but is marked."""
        return self.is_marked and self.counts

    @property
    def counts(self) -> bool:
        """Whether it has succeeded and nothing has taken its place."""
        return self.state is AttemptState.SUCCEEDED and self.superseded is None

    @property
    def name(self) -> str:
        """What people call it: the number of its run, and its own within that."""
        return f"{self.run}.{self.attempt}"


@dataclass(frozen=True)
class RunReports:
    """The reports of a run that ``latest`` and ``by-date`` lead to; where there are none, those of what failed."""

    run: int
    workflow: str
    reference_date: dt.date
    parameters: Mapping[str, Any]
    attempt: int
    """The number of the attempt that made the newest of them."""
    paths: Mapping[str, str]
    """By the labels of the notebooks; none where all that there are is kept out of ``latest``."""
    missing_dates: tuple[dt.date, ...] = ()
    """Dates that the newest of them were made without."""
    stale: bool = False
    """Whether the run is stale, and nobody keeps it as it is."""
    kept_out: Mapping[str, str] = field(default_factory=dict)
    """Newer ones that are kept out of ``latest``, by the labels of the notebooks."""

    @property
    def provisional(self) -> bool:
        """Whether the newest of them were made with dates missing."""
        return bool(self.missing_dates)

    @property
    def attempt_name(self) -> str:
        """What people call the attempt that made the newest of them."""
        return f"{self.run}.{self.attempt}"


@dataclass(frozen=True)
class WantedAttempts:
    """Which attempts are of interest."""

    workflow: str | None = None
    state: str | None = None
    """One of `AttemptState`, or ``provisional``, which is one that has succeeded with dates missing."""
    first: dt.date | None = None
    last: dt.date | None = None
    """Reference dates, both in it."""

    def conditions(self) -> tuple[list[str], list[Any]]:
        """Write it in SQL, with the values."""
        values = {
            "workflow = ?": self.workflow,
            "reference_date >= ?": self.first.isoformat() if self.first else None,
            "reference_date <= ?": self.last.isoformat() if self.last else None,
        }
        given = {condition: value for condition, value in values.items() if value is not None}
        return ["1", *([state_condition(self.state)] if self.state else []), *given], list(given.values())


def state_condition(state: str) -> str:
    """Write in SQL which attempts are in a state, or ``provisional``."""
    if state == RunState.PROVISIONAL:
        return "(attempts.state = 'succeeded' AND missing_dates NOT NULL)"
    # as it stands, so that those in progress are found by their index
    return f"attempts.state = '{AttemptState(state)}'"


@dataclass(frozen=True)
class RecordFacts:
    """What is in a record."""

    runs: int
    attempts: int
    newest: dt.datetime | None
    """When its newest attempt started."""
