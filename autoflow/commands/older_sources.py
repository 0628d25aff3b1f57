# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs whose notebooks, or other files that their reports are made of, have changed since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from autoflow.definitions import Definitions, Workflow
from autoflow.model import RecordedNotebook, RunReader
from autoflow.sources import Sources, changes, sources_of
from autoflow.wording import first_few

Changed = Mapping[str, str]
"""``changed``, ``new`` or ``gone``, by the path of a file below the inputs directory."""

MOST_FILES = 5
"""Files that are named of each run."""


@dataclass(frozen=True)
class OlderRun:
    """A run that was made with other files than those of today."""

    run: int
    workflow: str
    reference_date: dt.date
    parameters: Mapping[str, Any]
    made: dt.datetime
    changed: Changed


def older_runs(reader: RunReader, definitions: Definitions, inputs: Path) -> list[OlderRun]:
    """Compare what is recorded of all good runs with the files as they are; workflows that are gone are left out."""
    now = {name: _of_workflow(workflow, inputs) for name, workflow in definitions.workflows.items()}
    differing: dict[tuple[str, str, int], Changed] = {}
    for each in reader.source_sets():
        today = _today(now.get(each.workflow, {}), each.label, each.files)
        if each.workflow in now and (changed := changes(each.files, today)):
            differing[each.workflow, each.label, each.id] = changed
    rows = reader.made_of({id_ for _, _, id_ in differing}) if differing else ()
    found = []
    for _, of_run in groupby(rows, attrgetter("run")):
        notebooks = list(of_run)
        merged = _merged(differing.get((each.workflow, each.label, each.sources), {}) for each in notebooks)
        if merged:
            run = notebooks[0]
            found.append(OlderRun(run.run, run.workflow, run.reference_date, run.parameters, run.made, merged))
    return found


def changed_since(
    notebooks: Iterable[RecordedNotebook], definitions: Definitions, workflow: str, inputs: Path
) -> Changed:
    """Compare what is recorded of an attempt's notebooks with the files as they are."""
    now = _of_workflow(definitions.workflows[workflow], inputs)
    return _merged(
        changes(each.sources, _today(now, each.label, each.sources)) for each in notebooks if each.sources is not None
    )


def text_of(changed: Changed) -> str:
    """Say which files have changed, in words."""
    words = {"changed": "has changed", "new": "is new", "gone": "is gone"}
    return first_few([f"{name} {words[how]}" for name, how in changed.items()], MOST_FILES)


def _of_workflow(workflow: Workflow, inputs: Path) -> dict[str, Sources]:
    """Hash the files of the notebooks of a workflow, by label."""
    return {notebook.label: sources_of(inputs, notebook) for notebook in workflow.notebooks}


def _today(now: Mapping[str, Sources], label: str, files: Sources) -> Sources:
    """Give the files that a notebook is made of now; of one that is gone, those that others of its workflow have."""
    if label in now:
        return now[label]
    of_all = {name: digest for sources in now.values() for name, digest in sources.items()}
    return {name: of_all[name] for name in files if name in of_all}


def _merged(those: Iterable[Changed]) -> dict[str, str]:
    """Put together what has changed for several notebooks; what is new for one has only changed for another."""
    found: dict[str, str] = {}
    for changed in those:
        for name, how in changed.items():
            found[name] = how if found.get(name, how) == how else "changed"
    return dict(sorted(found.items()))
