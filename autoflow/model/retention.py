# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What of old outputs goes, by the `keep` of their workflows: a decision, and the removal that follows it."""

from __future__ import annotations

import datetime as dt
import filecmp
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Protocol

from autoflow.definitions import Keep, Workflow
from autoflow.naming import BY_DATE
from autoflow.values import Amount
from autoflow.wording import counted

logger = logging.getLogger(__name__)

LONGEST_WRITE = dt.timedelta(minutes=1)
"""How long after the end of its attempt a file may have been written by AutoFlow."""

IN_USE = "is needed again"


@dataclass(frozen=True)
class NotebookFiles:
    """What one attempt at a run made of one notebook, or took over from an attempt before it."""

    attempt_id: int
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
    in_use: bool = False
    """Whether the attempt is in progress, is to be repaired, or is held and waits for a person: all of it stays."""
    held: bool = False
    """Whether the reports are kept out of ``latest``, which has those of an attempt before."""


@dataclass(frozen=True)
class Removal:
    """What the record lets go: files of a notebook in an attempt, and, for attempts, the record of it."""

    made: NotebookFiles
    notebook: bool = False
    reports: bool = False
    record: bool = False
    files: tuple[Path, ...] = ()
    """Those of the files that no other attempt names, and that go therefore."""


def to_be_removed(made: Iterable[NotebookFiles], keep: Keep, now: dt.datetime) -> list[Removal]:
    """Decide what of a workflow's outputs goes.

    Numbers count the newest of each notebook and set of parameters, by reference date and then by
    attempt; ages count from the end of the attempt. What the newest run that succeeded has made stays, what ``latest``
    leads to, and the record of failures of a run that has not succeeded yet: they say when it is tried again.
    Attempts share what a repair has used again: such a file goes with the last of them.

    Parameters
    ----------
    made
        What the workflow's attempts have made.
    keep
        How much is kept.
    now
        Ages count back from here.
    """
    made = list(made)
    removals = [
        removal
        for _, group in groupby(sorted(made, key=_history), key=_history)
        for removal in _let_go(list(group), keep, now)
    ]
    by_key = {(removal.made.attempt_id, removal.made.label): removal for removal in removals}
    kept: set[Path] = set()
    for each in made:
        removal = by_key.get((each.attempt_id, each.label), Removal(each))
        kept.update(_files(each, notebook=not removal.notebook, reports=not removal.reports))
    return [
        replace(
            removal,
            files=tuple(
                path
                for path in _files(removal.made, notebook=removal.notebook, reports=removal.reports)
                if path not in kept
            ),
        )
        for removal in removals
    ]


def _let_go(history: Sequence[NotebookFiles], keep: Keep, now: dt.datetime) -> Iterator[Removal]:
    """Decide what the attempts of one notebook and set of parameters let go."""
    newest_first = sorted(history, key=lambda each: (each.reference_date, each.attempt_id), reverse=True)
    over = [each for each in newest_first if not each.in_use]
    good = [each for each in newest_first if each.succeeded]
    with_reports = [each for each in good if each.reports]
    # a success after which the report is gone, or that is held, is not the newest good one that a link points at
    safe = {each.attempt_id for those in (good, _leading(good), _leading(with_reports)) for each in those[:1]}
    old_notebooks = _old([each for each in good if each.notebook], keep.notebooks, now) - safe
    old_reports = _old(with_reports, keep.reports, now) - safe
    old_attempts = _beyond([each for each in over if not each.succeeded], keep.attempts, now)
    for each in over:
        failed = each.attempt_id in old_attempts
        removal = Removal(
            each,
            notebook=each.attempt_id in old_notebooks or (failed and each.notebook is not None),
            reports=each.attempt_id in old_reports or (failed and bool(each.reports)),
            record=failed and each.replaced,
        )
        if removal.notebook or removal.reports or removal.record:
            yield removal


def _files(made: NotebookFiles, *, notebook: bool, reports: bool) -> tuple[Path, ...]:
    return (*((made.notebook,) if notebook and made.notebook else ()), *(made.reports if reports else ()))


def _history(made: NotebookFiles) -> tuple[str, str]:
    return made.label, made.parameters


def _leading(good: Sequence[NotebookFiles]) -> list[NotebookFiles]:
    """Leave out what ``latest`` never had, and what stays in any case."""
    return [each for each in good if not (each.held or each.in_use)]


def _old(good: Sequence[NotebookFiles], amount: Amount, now: dt.datetime) -> set[int]:
    """Find the good attempts that are more or older than is kept: those that are held push out none that are not."""
    held = {each.attempt_id for each in good if each.held}
    return _beyond(_leading(good), amount, now) | (_beyond(good, amount, now) & held)


def _beyond(newest_first: Sequence[NotebookFiles], amount: Amount, now: dt.datetime) -> set[int]:
    """Find the attempts that are more or older than is kept."""
    if amount is None:
        return set()
    if isinstance(amount, int):
        return {made.attempt_id for made in newest_first[amount:]}
    return {made.attempt_id for made in newest_first if now - made.ended > amount}


class Record(Protocol):
    """Where it is recorded what was made."""

    def made_by(self, workflow: str) -> list[NotebookFiles]: ...

    def is_in_use(self, attempt_id: int) -> bool: ...


@dataclass(frozen=True)
class Swept:
    """What a sweep did."""

    removed: int
    left: Mapping[Path, str]
    """Files that should have gone, and what they are that they did not."""
    forgotten: tuple[Removal, ...] = ()
    """What the record is to let go now that the files are gone: what a crash leaves is found again."""


@dataclass(frozen=True)
class Sweeper:
    """Removes what is to go, and nothing that AutoFlow has not made; it may do so in a thread, while runs go on."""

    record: Record
    directories: tuple[Path, ...] = field(default=())
    """Outside of these nothing is removed."""
    is_read: Callable[[Path], bool] = lambda _: False
    """Whether a run in progress reads a file."""

    def decide(self, workflows: Mapping[str, Workflow], now: dt.datetime) -> list[Removal]:
        """List what would go now; nothing is removed."""
        return [
            removal
            for workflow in workflows.values()
            if workflow.keep != Keep()
            for removal in to_be_removed(self.record.made_by(workflow.name), workflow.keep, now)
        ]

    def sweep(self, workflows: Mapping[str, Workflow], now: dt.datetime) -> Swept:
        """Remove what is to go; what could not be removed stays in the record, and is tried again."""
        removals = self.decide(workflows, now)
        gone: set[Path] = set()
        left: dict[Path, str] = {}
        count = 0
        for removal in removals:
            if self.record.is_in_use(removal.made.attempt_id):
                # a repair was asked for meanwhile
                left.update(dict.fromkeys(removal.files, IN_USE))
                continue
            for path in removal.files:
                if path in gone or path in left:
                    continue
                if self.is_read(path):
                    left[path] = IN_USE
                    continue
                count += os.path.lexists(path)
                if why := self._remove(path, removal.made):
                    left[path] = why
                    count -= 1
                else:
                    gone.add(path)
        if count:
            logger.info("removed %s (keep in workflows.yml)", counted(count, "old file"))
        told = {path: why for path, why in left.items() if why is not IN_USE}
        return Swept(count, told, tuple(_without(removal, left) for removal in removals))

    def _unfile(self, path: Path, reference_date: str) -> None:
        """Remove what has a name for people and leads to a report that is to go, or is a copy of it."""
        if path.parent not in self.directories or not reference_date:
            return
        for place in (path.parent / BY_DATE).glob(f"*/{reference_date}"):
            with suppress(OSError):
                for entry in place.iterdir():
                    if _leads_to(entry, path):
                        entry.unlink()
                # as far as nothing else is there
                place.rmdir()
                place.parent.rmdir()

    def _remove(self, path: Path, made: NotebookFiles) -> str | None:
        """Remove a file, unless it is another than the one that was made; say why it is there still."""
        try:
            found = path.lstat()
            if path.parent not in self.directories:
                return "is not in the directories of outputs"
            if not stat.S_ISREG(found.st_mode):
                return "is not a file that AutoFlow created"
            if dt.datetime.fromtimestamp(found.st_mtime, dt.UTC) > made.ended + LONGEST_WRITE:
                return "has changed since it was created"
            # before it, so that a crash leaves no name that leads nowhere
            self._unfile(path, made.reference_date)
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            self._unfile(path, made.reference_date)
        except OSError as error:
            return f"cannot be removed ({error.strerror})"
        return None


def _leads_to(entry: Path, path: Path) -> bool:
    if entry.is_symlink():
        return Path(os.path.normpath(entry.parent / entry.readlink())) == Path(os.path.normpath(path))
    return entry.suffix == path.suffix and path.is_file() and filecmp.cmp(entry, path, shallow=False)


def _without(removal: Removal, left: Mapping[Path, str]) -> Removal:
    """Let the record go on naming what is there still."""
    made = removal.made
    notebook = removal.notebook and made.notebook not in left
    reports = removal.reports and not any(path in left for path in made.reports)
    kept = any(left.get(path) is IN_USE for path in removal.files)
    return replace(removal, notebook=notebook, reports=reports, record=removal.record and not kept)
