# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the last tick found and has not begun yet, for those who count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from autoflow.dates import Days
from autoflow.runs import RunKey, Runs

MOST_AHEAD = 1000
"""Runs up to which those before another are counted."""


@dataclass
class Backlog:
    """The work that is left."""

    due: Runs = field(default_factory=Runs)
    """Runs to be executed now, in order."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """How many dates of triggers are there, and lack others that their stencils want, by workflow."""
    held: Mapping[str, int] = field(default_factory=dict)
    """How many dates of triggers nothing but held data keeps from running, by workflow."""
    given_up: Runs = field(default_factory=Runs)
    """Runs that are out of retries, and nobody has asked for since."""

    def queued(self, date: dt.date) -> list[tuple[str, str, int | None]]:
        """List the runs of a date that are due: workflow, parameters hash, and how many go before; None: very many."""
        day = Days.of([date.toordinal()])
        found: dict[RunKey, int | None] = dict.fromkeys(run.key for run in self.due.only(lambda each: each.days & day))
        if found:
            first = islice(self.due, MOST_AHEAD)
            found |= {run.key: ahead for ahead, run in enumerate(first) if run.key in found}
        return [(*key, ahead) for key, ahead in found.items()]
