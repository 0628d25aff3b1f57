# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that are made again after their data were ingested anew: whether they show what they showed before.

FlowMachine may answer from its cache, which knows nothing of data that were ingested anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from autoflow.context import Context
from autoflow.model import Attempt, RecordedAttempt

COMPARISON_TIMEOUT = 300.0
"""Seconds that it may take to compare two notebooks; only very large ones come near."""

logger = logging.getLogger(__name__)


@dataclass
class Restated:
    """The attempt whose place another one takes, and which of the notebooks have the same results as in it."""

    context: Context
    before: RecordedAttempt
    executed: Mapping[str, Path]
    """What it has executed, by label."""
    same: dict[str, bool | None] = field(default_factory=dict)
    """Whether the results are the same, by label; None where there are none, or they cannot be compared."""

    @classmethod
    def of(cls, context: Context, attempt: Attempt) -> Self | None:
        """Look for what an attempt takes the place of; None where its data were not ingested anew since."""
        before = context.store.read.restated_before(attempt.run, attempt.id)
        if before is None:
            return None
        made = context.store.read.notebooks(before.id)
        return cls(context, before, {each.label: Path(each.notebook) for each in made if each.notebook})

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
        return {"attempt": self.before.attempt, "same_results": self.same.get(label)}

    @property
    def is_same(self) -> bool:
        """Whether there are results, and all of them are the same."""
        found = self.same.values()
        return any(found) and False not in found
