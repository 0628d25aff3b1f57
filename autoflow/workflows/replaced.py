# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that are made again of other data: whether they show what they showed before.

FlowMachine may answer from its cache, which knows nothing of data that were ingested anew, or have arrived since.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from autoflow.context import Context
from autoflow.model import Attempt, RecordedAttempt
from autoflow.wording import other_data_text

COMPARISON_TIMEOUT = 300.0
"""Seconds that it may take to compare two notebooks; only very large ones come near."""

logger = logging.getLogger(__name__)


@dataclass
class Replaced:
    """The attempt whose place another one takes, and which of the notebooks have the same results as in it."""

    context: Context
    before: RecordedAttempt
    executed: Mapping[str, Path]
    """What it has executed, by label."""
    restated: bool
    """Whether data that it used were ingested anew since."""
    missing: Sequence[dt.date]
    """Dates that the other one is made without."""
    same: dict[str, bool | None] = field(default_factory=dict)
    """Whether the results are the same, by label; None where there are none, or they cannot be compared."""

    @classmethod
    def of(cls, context: Context, attempt: Attempt, missing: Sequence[dt.date]) -> Self | None:
        """Look for what an attempt takes the place of; None where that was made of the same data.

        Where an earlier attempt had the results of other data, and nobody has said that they are right, its data do not
        count as the same, but those that the results belong to do: they are back then.
        """
        read = context.store.read
        before = read.success_before(attempt.run, attempt.id)
        if before is None:
            return None
        mark = read.stale_mark(before.id)
        restated = mark is not None and mark.restatement is not None
        doubted = mark is not None and mark.is_doubted
        is_right = mark is not None and mark.same_as is not None and mark.kept is not None
        if set(before.missing_dates) == set(missing) and (is_right or not (restated or doubted)):
            return None
        if (restated or doubted) and read.has_data_of_its_results(attempt.id, before.id):
            return None
        made = {each.label: Path(each.notebook) for each in read.notebooks(before.id) if each.notebook}
        return cls(context, before, made, restated, missing)

    async def compare(self, label: str, executed: Path) -> None:
        """Compare a notebook that was executed with what it was before; whatever goes wrong is no failure of a run."""
        old = self.executed.get(label)
        if label in self.same or old is None:
            return
        self.same[label] = None
        request, jobs = {"old": str(old), "new": str(executed)}, self.context.jobs
        try:
            with jobs.workspace() as workspace:
                reply = await jobs.call("same_results", request, workspace, timeout=COMPARISON_TIMEOUT)
        except OSError as error:
            why = str(error)
        else:
            if reply.cause == "done":
                self.same[label] = reply.value["same"]
                return
            why = str(reply.error.get("message") or reply.how)
        logger.warning("run %d: notebook %s cannot be compared with %s: %s", self.before.run, label, old, why)

    def said(self, label: str) -> dict[str, Any]:
        """Say for a manifest what the results of a notebook are compared with."""
        known = {"attempt": self.before.attempt, "same_results": self.same.get(label)}
        said: dict[str, Any] = {"restated_before": known} if self.restated else {}
        if self.arrived and label in self.executed:
            missing, executed = [*map(str, self.before.missing_dates)], str(self.executed[label])
            said["provisional_before"] = {**known, "missing_dates": missing, "executed": executed}
        return said

    @property
    def arrived(self) -> list[dt.date]:
        """The dates that the attempt before was made without, and the other one was not."""
        return [date for date in self.before.missing_dates if date not in self.missing]

    @property
    def is_same(self) -> bool:
        """Whether there are results, and all of them are the same."""
        found = self.same.values()
        return any(found) and False not in found

    @property
    def other_data(self) -> str:
        """Say in what the data are others."""
        left = [date for date in self.missing if date not in self.before.missing_dates]
        return other_data_text(restated=self.restated, came=self.arrived, left=left)
