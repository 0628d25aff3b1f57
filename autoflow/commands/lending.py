# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a try takes from the runs in the record: executed notebooks, and copies of the data that they share."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoflow.commands.reading import report_files
from autoflow.context import Context
from autoflow.model import RecordedNotebook, RunReader
from autoflow.naming import run_place, shared_name
from autoflow.runs import AttemptState, Failure, Run, RunKey
from autoflow.settings import Settings
from autoflow.shared_data import SharedData


@dataclass(frozen=True)
class Lent:
    """Executed notebooks of an earlier attempt."""

    name: str
    """The attempt, for people."""
    notebooks: tuple[RecordedNotebook, ...]


def find_lent(reader: RunReader, key: RunKey, labels: Iterable[str]) -> Lent | None:
    """Find the newest attempt that has executed some notebooks, one that succeeded first; None when there is none."""
    wanted = set(labels)
    # sorting is stable: the newest first among those that succeeded, and among the others
    attempts = sorted(reader.attempts(key=key), key=lambda each: each.state is not AttemptState.SUCCEEDED)
    for attempt in attempts:
        found = [each for each in reader.notebooks(attempt.id) if each.label in wanted and each.executed]
        there = {each.label for each in found if each.notebook and Path(each.notebook).is_file()}
        if wanted and there == wanted:
            return Lent(f"attempt {attempt.name}", tuple(found))
    return None


def lend(context: Context, run: Run, lent: Lent) -> int:
    """Record executed notebooks as those of an attempt that is to be repaired, and give its number."""
    store = context.store
    attempt = store.begin(run, context.now())
    for notebook in lent.notebooks:
        path = Path(notebook.notebook or "")
        store.begin_notebook(attempt, notebook.label, context.now())
        store.finish_notebook(attempt, notebook.label, AttemptState.SUCCEEDED, context.now(), notebook=path)
    store.finish(attempt, AttemptState.FAILED, context.now(), Failure(f"taken from {lent.name}"))
    return attempt.attempt


def copy_data(original: Run, run: Run, source: Settings, target: Settings, *, with_run_dir: bool) -> None:
    """Copy what the notebooks of a workflow share, so that a try reads what its run would read, and writes elsewhere.

    Parameters
    ----------
    original, run
        The run as its trigger has it, and with the parameters of the try.
    with_run_dir
        Whether notebooks are taken from a run, with the intermediate files that they have written.
    """
    wanted = run.workflow.directories(run.parameters).values()
    if "shared_dir" in wanted:
        shared = SharedData(source.outputs_dir / "shared").directory(shared_name(original))
        SharedData(target.outputs_dir / "shared").directory(shared_name(run)).take_copy(shared)
    if "run_dir" in wanted and with_run_dir:
        place = target.outputs_dir / run_place(run)
        shutil.rmtree(place, ignore_errors=True)
        with suppress(FileNotFoundError):
            shutil.copytree(source.outputs_dir / run_place(original), place, symlinks=True)


def reports_of(notebooks: Sequence[RecordedNotebook]) -> list[Path]:
    """List the reports of notebooks, in every format."""
    return [path for notebook in notebooks for path in report_files(notebook) if path.is_file()]
