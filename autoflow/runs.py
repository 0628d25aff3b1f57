# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A run as data: a workflow with one set of parameters, the reference date among them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import md5
from typing import Any

from autoflow.definitions import Trigger, Workflow

RunKey = tuple[str, str]
"""What makes a run the same run: its workflow's name and the hash of its parameters."""


class RunState(StrEnum):
    """States of one attempt at a run; the first three as in the predecessor's record."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Run:
    """A workflow with one set of parameters.

    ``parameters`` are JSON values: the trigger's, ``reference_date`` (ISO date) and ``date_ranges``
    (list of pairs of ISO dates).
    """

    workflow: Workflow
    reference_date: dt.date
    parameters: Mapping[str, Any]
    parameters_hash: str

    @property
    def key(self) -> RunKey:
        return self.workflow.name, self.parameters_hash

    def __str__(self) -> str:
        return f"{self.workflow.name} {self.reference_date} [{self.parameters_hash[:8]}]"


@dataclass(frozen=True)
class Failure:
    """Why an attempt, or one notebook in it, failed, in words for a person."""

    message: str
    label: str | None = None
    cell: int | None = None
    """Position in the notebook as the analyst wrote it, counted from 1."""
    exception: str | None = None
    traceback: str | None = None
    notebook: str | None = None
    """Path of the executed notebook with the error inside."""

    def __str__(self) -> str:
        where = f"notebook {self.label}" if self.label else ""
        if self.cell is not None:
            where += f", cell {self.cell}"
        what = f"{self.exception}: {self.message}" if self.exception else self.message
        kept = f" (executed notebook: {self.notebook})" if self.notebook else ""
        return f"{where}: {what}{kept}" if where else f"{what}{kept}"


def parameters_hash(parameters: Mapping[str, Any]) -> str:
    """Hash of a run's parameters: the one of the predecessor's record, so that its history counts."""
    text = json.dumps(dict(parameters), sort_keys=True, default=str)
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def parameters_hashes(trigger: Trigger, days: Iterable[int]) -> Iterator[str]:
    """Hash the parameters of a trigger's runs for many reference dates, given as ordinals.

    The same as `parameters_hash` of what `build_run` makes, and several times quicker: what does not
    change from date to date is written as JSON once.
    """
    fixed = {name: json.dumps(value, sort_keys=True, default=str) for name, value in trigger.parameters.items()}
    names = sorted({*fixed, "reference_date", "date_ranges"})
    before, between, after = "", "", ""
    # "date_ranges" sorts before "reference_date"
    for name in names:
        if name == "date_ranges":
            before, after = f"{after}{json.dumps(name)}: ", ""
        elif name == "reference_date":
            between, after = f"{after}{json.dumps(name)}: ", ""
        else:
            after += f"{json.dumps(name)}: {fixed[name]}"
        after += "" if name == names[-1] else ", "
    ends = [end.toordinal() if isinstance(end, dt.date) else end for pair in trigger.date_stencil.pairs for end in pair]
    moves = [isinstance(end, int) for pair in trigger.date_stencil.pairs for end in pair]
    for day in days:
        dates = [_iso(day + end if moving else end) for end, moving in zip(ends, moves, strict=True)]
        ranges = ", ".join([f'["{start}", "{end}"]' for start, end in zip(dates[::2], dates[1::2], strict=True)])
        text = f'{{{before}[{ranges}]{between}"{_iso(day)}"{after}}}'
        yield md5(text.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1 << 14)
def _iso(day: int) -> str:
    """Write an ordinal as a date; each is written for every trigger and every end of a stencil."""
    return dt.date.fromordinal(day).isoformat()


def build_run(workflow: Workflow, trigger: Trigger, reference_date: dt.date) -> Run:
    """Give a trigger's workflow its parameters for one reference date."""
    intervals = trigger.date_stencil.intervals(reference_date)
    parameters = {
        **trigger.parameters,
        "reference_date": reference_date.isoformat(),
        "date_ranges": [[start.isoformat(), end.isoformat()] for start, end in intervals],
    }
    return Run(
        workflow=workflow,
        reference_date=reference_date,
        # what a notebook gets: dates that YAML made become strings here as they do in the hash
        parameters=json.loads(json.dumps(parameters, default=str)),
        parameters_hash=parameters_hash(parameters),
    )
