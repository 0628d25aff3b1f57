# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What of old outputs goes, by the `keep` of their workflows: a decision, and the removal that follows it."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Protocol

from autoflow.definitions import Amount, Keep, Workflow

logger = logging.getLogger(__name__)

LONGEST_WRITE = dt.timedelta(minutes=1)
"""How long after the end of its attempt a file may have been written by AutoFlow."""


@dataclass(frozen=True)
class Made:
    """What one attempt at a run made of one notebook."""

    run_id: int
    label: str
    reference_date: str
    """ISO date; empty for what the predecessor recorded."""
    parameters: str
    """Those of the trigger, the dates left out, as text: each set of them has a history of its own."""
    succeeded: bool
    replaced: bool
    """Whether the run has succeeded in a later attempt."""
    ended: dt.datetime
    notebook: Path | None
    reports: tuple[Path, ...] = ()
    """Reports and their manifest."""


@dataclass(frozen=True)
class Removal:
    """What goes: files of a notebook in an attempt, and, for attempts, the record of it."""

    made: Made
    notebook: bool = False
    reports: bool = False
    record: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        notebook = (self.made.notebook,) if self.notebook and self.made.notebook else ()
        return (*notebook, *(self.made.reports if self.reports else ()))


def to_be_removed(made: Iterable[Made], keep: Keep, now: dt.datetime) -> list[Removal]:
    """Decide what of a workflow's outputs goes.

    Numbers count the newest of each notebook and set of parameters, by reference date and then by
    attempt; ages count from the end of the attempt. What the newest run that succeeded has made stays,
    and so does the record of failures of a run that has not succeeded yet: they say when it is tried again.

    Parameters
    ----------
    made
        What the workflow's attempts that are over have made.
    keep
        How much is kept.
    now
        Ages count back from here.
    """
    removals = []
    for _, group in groupby(sorted(made, key=_history), key=_history):
        newest_first = sorted(group, key=lambda each: (each.reference_date, each.run_id), reverse=True)
        good = [each for each in newest_first if each.succeeded]
        bad = [each for each in newest_first if not each.succeeded]
        with_reports = [each for each in good if each.reports]
        # a success after which the report is gone is not the newest good one that a link points at
        safe = {each.run_id for each in (*good[:1], *with_reports[:1])}
        old_notebooks = _beyond([each for each in good if each.notebook], keep.notebooks, now)
        old_reports = _beyond(with_reports, keep.reports, now)
        old_attempts = _beyond(bad, keep.attempts, now)
        for each in newest_first:
            removal = Removal(
                each,
                notebook=(each in old_notebooks and each.run_id not in safe)
                or (each in old_attempts and each.notebook is not None),
                reports=(each in old_reports and each.run_id not in safe)
                or (each in old_attempts and bool(each.reports)),
                record=each in old_attempts and each.replaced,
            )
            if removal.notebook or removal.reports or removal.record:
                removals.append(removal)
    return removals


def _history(made: Made) -> tuple[str, str]:
    return made.label, made.parameters


def _beyond(newest_first: Sequence[Made], amount: Amount, now: dt.datetime) -> list[Made]:
    if amount is None:
        return []
    if isinstance(amount, int):
        return list(newest_first[amount:])
    return [made for made in newest_first if now - made.ended > amount]


class Record(Protocol):
    """Where it is recorded what was made."""

    def made_by(self, workflow: str) -> list[Made]: ...

    def forget(self, removals: Sequence[Removal]) -> None: ...


@dataclass(frozen=True)
class Sweeper:
    """Removes what is to go, and nothing that AutoFlow has not made."""

    record: Record
    directories: tuple[Path, ...] = field(default=())
    """Outside of these nothing is removed."""

    def decide(self, workflows: Mapping[str, Workflow], now: dt.datetime) -> list[Removal]:
        """List what would go now; nothing is removed."""
        return [
            removal
            for workflow in workflows.values()
            if workflow.keep != Keep()
            for removal in to_be_removed(self.record.made_by(workflow.name), workflow.keep, now)
        ]

    def sweep(self, workflows: Mapping[str, Workflow], now: dt.datetime) -> int:
        """Remove what is to go, and count the files."""
        removals = self.decide(workflows, now)
        count = sum(self._remove(path, removal.made.ended) for removal in removals for path in removal.files)
        if removals:
            # after the files: what a crash leaves is found again
            self.record.forget(removals)
        if count:
            logger.info("removed %d old files, as workflows.yml says under keep", count)
        return count

    def _remove(self, path: Path, ended: dt.datetime) -> bool:
        """Remove a file, unless it is another than the one that was made."""
        try:
            if path.parent not in self.directories or path.is_symlink() or not path.is_file():
                return False
            written = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
            if written > ended + LONGEST_WRITE:
                logger.warning("%s has been changed since it was made; it is not removed", path)
                return False
            path.unlink()
        except OSError as error:
            logger.warning("%s can not be removed (%s)", path, error.strerror)
            return False
        return True
