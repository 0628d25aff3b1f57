# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A run as data: a workflow with one set of parameters, the reference date among them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import md5
from itertools import chain, repeat
from typing import Any

from autoflow.dates import EmptyIntervalError, Moving, holds_always
from autoflow.definitions import Trigger, Workflow
from autoflow.wording import parameters_text

RunKey = tuple[str, str]
"""What makes a run the same run: its workflow's name and the hash of its parameters."""


class RunState(StrEnum):
    """What becomes of a run, a trigger's workflow for a reference date."""

    SUCCEEDED = "succeeded"
    PROVISIONAL = "provisional"
    """It has succeeded with some of its dates missing."""
    FAILED = "failed"
    """And tried again, by the workflow's ``retries``."""
    RUNNING = "running"
    WAITING = "waiting"
    """Its stencil is not complete."""
    HELD = "held"
    """QA checks, or people, keep data from counting that it needs; nothing else does."""
    DUE = "due"
    NOT_AVAILABLE = "not available"
    EXCLUDED = "excluded"
    """Its date is not one of the trigger's reference dates."""
    SKIPPED = "skipped"
    """Somebody asked for it to be left out."""
    GIVEN_UP = "given up"


class AttemptState(StrEnum):
    """What becomes of one attempt at a run, and of a notebook in it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """AutoFlow or its machine stopped: it is tried again."""
    CANCELLED = "cancelled"
    """Somebody stopped it: it is not tried again until that is asked for."""


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
        parameters = parameters_text(self.parameters)
        return f"{self.workflow.name} {self.reference_date}{f' ({parameters})' if parameters else ''}"


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
    of_report: bool = False
    """Whether the notebook itself was executed, and only its report could not be made."""

    def __str__(self) -> str:
        where = f"notebook {self.label}" if self.label else ""
        if self.cell is not None:
            where += f", cell {self.cell}"
        what = f"{self.exception}: {self.message}" if self.exception else self.message
        kept = f" (executed notebook: {self.notebook})" if self.notebook else ""
        return f"{where}: {what}{kept}" if where else f"{what}{kept}"


def parameters_hash(parameters: Mapping[str, Any]) -> str:
    """Hash of a run's parameters: the one of the predecessor's record, so that its history counts."""
    return _md5(json.dumps(dict(parameters), sort_keys=True, default=str))


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


def recorded_run(workflow: Workflow, parameters: Mapping[str, Any], parameters_hash: str) -> Run:
    """Build a run again from its parameters and their hash as they were recorded.

    The hash is that of the values that YAML gave; keys that were numbers have another order as JSON's text.
    """
    return Run(
        workflow=workflow,
        reference_date=dt.date.fromisoformat(parameters["reference_date"]),
        parameters=dict(parameters),
        parameters_hash=parameters_hash,
    )


def key_maker(trigger: Trigger) -> Callable[[dt.date], RunKey]:
    """Make the function that gives a trigger's run key for a reference date: the key of `build_run`, but quick.

    All but the dates in the text that is hashed is the same for every date, and is written once.

    Raises
    ------
    EmptyIntervalError
        From the function that is returned, as `build_run` does.
    """
    template, ends = _template(trigger), _ends(trigger)

    def key_of(reference_date: dt.date) -> RunKey:
        day = reference_date.toordinal()
        values: list[str] = []
        try:
            for (fixed_start, start), (fixed_end, end) in ends:
                first = start if fixed_start else day + start
                last = end if fixed_end else day + end
                if first >= last:
                    raise EmptyIntervalError
                values += _iso(first), _iso(last)
        except (ValueError, OverflowError):
            # the error's words are made where stencils are
            trigger.date_stencil.intervals(reference_date)
            raise
        return trigger.workflow_name, _md5(template % (*values, _iso(day)))

    return key_of


def keys_of_days(trigger: Trigger, days: range) -> Iterator[RunKey | None]:
    """Yield a trigger's run keys for a span of days, as ordinals: quicker still than one by one.

    Yields
    ------
    RunKey or None
        None where the stencil holds no day, or one beyond the calendar.
    """
    template, name, ends = _template(trigger), trigger.workflow_name, _ends(trigger)
    columns = [repeat(_iso(end)) if fixed else _texts(days, end) for fixed, end in chain.from_iterable(ends)]
    if all(columns) and all(map(holds_always, trigger.date_stencil.pairs)):
        for values in zip(*columns, _texts(days, 0), strict=False):
            yield name, _md5(template % values)
        return
    # a pair of two kinds of ends may hold no day
    key_of = key_maker(trigger)
    for day in days:
        try:
            yield key_of(dt.date.fromordinal(day))
        except EmptyIntervalError:
            yield None


def _texts(days: range, offset: Moving) -> Sequence[str]:
    """Write the dates that are so far from some days; nothing when they are not all in the calendar."""
    if not days or days[0] + offset < 1 or days[-1] + offset > dt.date.max.toordinal():
        return ()
    return [_iso(day + offset) for day in days]


@lru_cache(maxsize=8192)
def _iso(ordinal: int) -> str:
    return dt.date.fromordinal(ordinal).isoformat()


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def _template(trigger: Trigger) -> str:
    """Write the text that is hashed, with a place for each end of the stencil's pairs and for the reference date."""
    # as in `json.dumps(..., sort_keys=True, default=str)`: the two names that AutoFlow adds fall among the trigger's
    before = after = between = ""
    for name in sorted(trigger.parameters):
        value = json.dumps(trigger.parameters[name], sort_keys=True, default=str)
        item = f"{json.dumps(name)}: {value}, ".replace("%", "%%")
        if name < "date_ranges":
            before += item
        elif name < "reference_date":
            between += item
        else:
            after += ", " + item.removesuffix(", ")
    ranges = ", ".join(['["%s", "%s"]'] * len(trigger.date_stencil.pairs))
    return f'{{{before}"date_ranges": [{ranges}], {between}"reference_date": "%s"{after}}}'


def _ends(trigger: Trigger) -> list[tuple[tuple[bool, Any], ...]]:
    """Return both ends of each of the stencil's pairs: whether it is a date, which does not move, and its number.

    That of an end which moves is added to the number of the reference date.
    """
    return [
        tuple((True, end.toordinal()) if isinstance(end, dt.date) else (False, end) for end in pair)
        for pair in trigger.date_stencil.pairs
    ]
