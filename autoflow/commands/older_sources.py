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

from autoflow.definitions import Definitions
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
    """Compare what is recorded of all good runs with the files as they are; notebooks that are gone are left out."""
    now = _now(definitions, inputs)
    differing: dict[tuple[str, str, int], Changed] = {}
    for each in reader.source_sets():
        today = now.get((each.workflow, each.label))
        if today is not None and (changed := changes(each.files, today)):
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
    labels = {each.label: each for each in definitions.workflows[workflow].notebooks}
    return _merged(
        changes(each.sources, sources_of(inputs, labels[each.label]))
        for each in notebooks
        if each.sources is not None and each.label in labels
    )


def text_of(changed: Changed) -> str:
    """Say which files have changed, in words."""
    words = {"changed": "has changed", "new": "is new", "gone": "is gone"}
    return first_few([f"{name} {words[how]}" for name, how in changed.items()], MOST_FILES)


def _now(definitions: Definitions, inputs: Path) -> dict[tuple[str, str], Sources]:
    """Hash the files of all notebooks, by workflow and label."""
    return {
        (workflow.name, notebook.label): sources_of(inputs, notebook)
        for workflow in definitions.workflows.values()
        for notebook in workflow.notebooks
    }


def _merged(those: Iterable[Changed]) -> dict[str, str]:
    """Put together what has changed for several notebooks; what is new for one has only changed for another."""
    found: dict[str, str] = {}
    for changed in those:
        for name, how in changed.items():
            found[name] = how if found.get(name, how) == how else "changed"
    return dict(sorted(found.items()))
