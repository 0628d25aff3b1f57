# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the record says of runs, as far as it decides what is to become of them: data without a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from autoflow.dates import EVERY_DAY, Days
from autoflow.runs import RunKey


@dataclass(frozen=True)
class Failures:
    """The failed attempts at one run that count."""

    attempts: int
    last: dt.datetime
    reference_date: dt.date | None = None
    """None where it is not known, as of what the predecessor recorded."""


class LastState(NamedTuple):
    """A run with an attempt that counts, and the state of the newest of these; there may be very many."""

    run: int
    state: str


@dataclass(frozen=True)
class Request:
    """A requested run: it is due whatever the triggers say."""

    workflow: str
    parameters_hash: str
    reference_date: dt.date
    parameters: Mapping[str, Any]
    asked: dt.datetime
    repairs: int | None = None
    """The number of the attempt whose executed notebooks the next attempt is to use again."""
    automatic: bool = False
    """Whether nobody has named the run, but AutoFlow has found it: it is made only of data that count."""
    waits: bool = False
    """Whether it is such a run, and its data do not count now."""

    @property
    def key(self) -> RunKey:
        return self.workflow, self.parameters_hash


@dataclass(frozen=True)
class Skip:
    """A date that a workflow is not to be run for."""

    workflow: str
    reference_date: dt.date
    parameters_hash: str
    """The one run that is meant; empty for all of that date."""
    reason: str
    since: dt.datetime


@dataclass(frozen=True)
class Skips:
    """All that is not to be run."""

    skips: tuple[Skip, ...] = ()
    _by_place: Mapping[tuple[str, dt.date, str], Skip] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_place = {(skip.workflow, skip.reference_date, skip.parameters_hash): skip for skip in self.skips}
        object.__setattr__(self, "_by_place", by_place)

    @cached_property
    def days(self) -> Mapping[str, Days]:
        """The days of each workflow that any run is skipped for."""
        return _by_workflow((skip.workflow, skip.reference_date) for skip in self.skips)

    def of(self, key: RunKey, reference_date: dt.date) -> Skip | None:
        """Find what keeps a run from being made; None when nothing does."""
        if not self._by_place:
            return None
        workflow, parameters_hash = key
        return self._by_place.get((workflow, reference_date, "")) or self._by_place.get(
            (workflow, reference_date, parameters_hash)
        )


@dataclass(frozen=True)
class RunHistory:
    """What the record says of runs, as far as it decides what is to become of them."""

    latest: Mapping[RunKey, LastState] = field(default_factory=dict)
    failed: Mapping[RunKey, Failures] = field(default_factory=dict)
    requests: Mapping[RunKey, Request] = field(default_factory=dict)
    skips: Skips = field(default_factory=Skips)
    provisional: Mapping[RunKey, dt.date] = field(default_factory=dict)
    """The runs that have succeeded with some of their dates missing, with their reference dates."""
    recorded: Mapping[str, Days] | None = None
    """The days of each workflow that are those of ``latest``; None where that is not known."""

    def known(self, workflow: str) -> Days:
        """Return the days of a workflow whose runs the record may have something to say of."""
        if self.recorded is None:
            return EVERY_DAY
        return self.recorded.get(workflow, Days()) | self.told.get(workflow, Days())

    @cached_property
    def told(self) -> Mapping[str, Days]:
        """The days of each workflow whose runs may be another thing than dates and successes alone make of them.

        All other days are not looked at one by one: whatever else decides what becomes of a run belongs in here.
        """
        asked = ((request.workflow, request.reference_date) for request in self.requests.values())
        failed = ((key[0], failures.reference_date) for key, failures in self.failed.items())
        skipped = ((skip.workflow, skip.reference_date) for skip in self.skips.skips)
        provisional = ((name, date) for (name, _), date in self.provisional.items())
        return _by_workflow(chain(asked, failed, skipped, provisional))


def _by_workflow(dates: Iterable[tuple[str, dt.date | None]]) -> dict[str, Days]:
    """Collect dates of workflows as days; with one that is not known, they may be any."""
    days: dict[str, list[int]] = {}
    for name, date in dates:
        days.setdefault(name, []).append(date.toordinal() if date else 0)
    return {name: EVERY_DAY if 0 in each else Days.of(each) for name, each in days.items()}
