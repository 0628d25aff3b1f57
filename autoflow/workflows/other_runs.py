# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a run takes of others: executed notebooks, by ``previous.<label>``, ``<workflow>.<label>`` and ``newest``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoflow.definitions import FIRST, PREVIOUS, Need
from autoflow.errors import AutoflowError
from autoflow.model import RunReader
from autoflow.runs import Run
from autoflow.schedule import matches
from autoflow.wording import own_parameters, shown, spans


class RemovedError(AutoflowError):
    """What a run reads of other runs has been removed."""


@dataclass(frozen=True)
class Origin:
    """What a run knows of the decision that started it."""

    availability: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """ISO dates of each CDR type that FlowAPI listed, for the manifests of reports."""
    needs: Sequence[Need] = ()
    """Those of its trigger."""
    quality: Mapping[str, Any] = field(default_factory=dict)
    """What QA checks were asked of its data, and what people decided instead, for the manifests of reports."""
    missing: Sequence[dt.date] = ()
    """Dates that it is made without, since it need not wait for them."""
    holds_same_results: bool = False
    """Whether its reports are kept back where they show what they showed before a restatement."""
    data_digest: str | None = None
    """What tells its data from others; None where QA checks do not tell of all of them."""
    cdr_types: Sequence[str] | None = None
    """Those whose data it uses; None for all."""


def left_out(reader: RunReader, run: Run) -> dict[str, str | None]:
    """Find the notebooks that ``when`` leaves out of a run, and what those that read them are given instead.

    Returns
    -------
    dict
        By label the path of the newest one of an earlier date where that is asked for, else None.
    """
    by_date = [each for each in run.workflow.notebooks if each.when not in (None, FIRST)]
    absent = [each for each in by_date if not matches(each.when or "", run.reference_date)]
    for_first = [each for each in run.workflow.notebooks if each.when == FIRST]
    if for_first and not _is_first(reader, run):
        absent += for_first
    return {each.label: _newest(reader, run, each.label) if each.newest else None for each in absent}


def without(run: Run, labels: Collection[str]) -> Run:
    """Leave notebooks out of a run."""
    notebooks = tuple(notebook for notebook in run.workflow.notebooks if notebook.label not in labels)
    return replace(run, workflow=replace(run.workflow, notebooks=notebooks))


def _is_first(reader: RunReader, run: Run) -> bool:
    """Whether no run with the same parameters and an earlier date has succeeded."""
    own = own_parameters(run.parameters)
    before = reader.succeeded_before(run.workflow.name, run.reference_date)
    return all(own_parameters(parameters) != own for parameters in before)


def notebooks_of_others(reader: RunReader, run: Run, needs: Sequence[Need]) -> dict[str, Any]:
    """Find the paths of executed notebooks of other runs that a run's notebooks ask for, by the names they have.

    Returns
    -------
    dict
        For ``previous.<label>`` a path, or None for the first run; for ``<workflow>.<label>`` a list of paths, in order
        of dates.

    Raises
    ------
    RemovedError
        When one of them has been removed: a result without it would be another one, and nothing would tell.
    """
    by_workflow = {need.workflow: need for need in needs}
    found: dict[str, Any] = {}
    for name, (whose, label) in run.workflow.other_runs(run.parameters).items():
        if whose == PREVIOUS:
            before = _before(reader, run, label)
            found[name] = _there(run.workflow.name, label, before[-1:])[0] if before else None
        elif need := by_workflow.get(whose):
            found[name] = _needed(reader, run, need, label)
        else:
            # its trigger has been removed since the run was asked for
            found[name] = []
    return found


def _newest(reader: RunReader, run: Run, label: str) -> str | None:
    """Find the newest notebook of an earlier date that is still there."""
    return next((str(path) for _, path in reversed(_before(reader, run, label)) if path is not None), None)


def _before(reader: RunReader, run: Run, label: str) -> list[tuple[dt.date, Path | None]]:
    own = own_parameters(run.parameters)
    before = reader.executed_notebooks(run.workflow.name, label, dt.date.min, run.reference_date)
    return [(date, path) for date, parameters, path in before if own_parameters(parameters) == own]


def _there(workflow: str, label: str, found: Sequence[tuple[dt.date, Path | None]]) -> list[str]:
    """Give the paths of executed notebooks, all of which have to be there."""
    if gone := [date for date, path in found if path is None]:
        many = len(gone) > 1
        raise RemovedError(
            f"notebook {shown(label)} of {workflow} {spans(gone)}, which this run reads, {'have' if many else 'has'}"
            f" been removed (`keep` in workflows.yml); let `keep: notebooks` of {workflow} keep more, and make"
            f" {'them' if many else 'it'} again by `autoflow rerun` of {'those runs' if many else 'that run'}"
        )
    return [str(path) for _, path in found]


def _needed(reader: RunReader, run: Run, need: Need, label: str) -> list[str]:
    days = {day for start, end in need.dates.intervals(run.reference_date) for day in _days(start, end)}
    executed = reader.executed_notebooks(need.workflow, label, min(days), max(days) + dt.timedelta(days=1))
    wanted = [
        (date, path)
        for date, parameters, path in executed
        if date in days and (need.parameters is None or own_parameters(parameters) == need.parameters)
    ]
    return _there(need.workflow, label, wanted)


def _days(start: dt.date, end: dt.date) -> list[dt.date]:
    return [start + dt.timedelta(days=day) for day in range((end - start).days)]
