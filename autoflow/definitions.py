# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The content of workflows.yml as frozen data: workflows, their notebooks, and their triggers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from autoflow.dates import REFERENCE_DATE_ONLY, DataRule, DateStencil, Interval, Require

AUTOMATIC_PARAMETERS = frozenset({"reference_date", "date_ranges", "flowapi_url"})
"""Names that AutoFlow gives a value to; no label and no workflow parameter may have them."""

DIRECTORIES: Mapping[str, Literal["run_dir", "shared_dir", "inputs_dir"]] = {
    "run_dir": "run_dir",
    "shared_dir": "shared_dir",
    "inputs_dir": "inputs_dir",
    "dagrun_data_dir": "run_dir",
    "shared_data_dir": "shared_dir",
    "notebook_dir": "inputs_dir",
    "static_dir": "inputs_dir",
}
"""Names that stand for directories, those of flowpyter-task among them, unless a parameter or a label has the name."""

PRELOAD = ("flowclient", "geopandas", "matplotlib.pyplot", "numpy", "pandas", "scrapbook")
"""Modules that are imported ahead for notebooks that import them, where nothing else is asked for."""


Language = Literal["ar", "en", "es", "fr", "pt"]
"""What a report may be written in, as far as AutoFlow writes it."""


@dataclass(frozen=True)
class Sheet:
    """What a report says of itself as a publication; None is left out, or AutoFlow's own.

    Texts may hold ``{name}``: a parameter of the workflow, or `autoflow.parser.sheet.DATES`.
    """

    title: str | None = None
    subtitle: str | None = None
    organisation: str | None = None
    contact: str | None = None
    language: Language | None = None
    logo: str | None = None
    """Picture, relative to the inputs directory."""


@dataclass(frozen=True)
class Output:
    """A report to be made of a notebook."""

    format: Literal["pdf", "html"] = "pdf"
    template: str | None = None
    """Template file, relative to the inputs directory; None is AutoFlow's own."""
    theme: str | None = None
    """Theme file of a PDF, relative to the inputs directory; None is AutoFlow's own."""
    code: bool = False
    """Whether the code of cells is shown, where their tags do not say so."""


@dataclass(frozen=True)
class Notebook:
    """One notebook in a workflow.

    ``parameters`` maps the notebook's own parameter names to the names that give their values: of a
    workflow parameter, of another notebook's label, or an automatic one.
    """

    label: str
    filename: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    timeout: float | None = 12 * 3600.0
    """Seconds that one execution may take; None is no limit."""
    warm: bool = True
    """Whether its kernel may be forked from one that has imported its libraries already."""
    sheet: Sheet = Sheet()
    """What its reports say of themselves; what the workflow says for all of them is in it."""


@dataclass(frozen=True)
class Retries:
    """When a failed run is tried again: pauses double from ``pause`` up to ``max_pause`` (seconds)."""

    attempts: int | None = None
    """How many attempts there are in all; None never gives up."""
    pause: float = 600.0
    max_pause: float = 24 * 3600.0


Amount = int | dt.timedelta | None
"""How much is kept: the newest so many, what is no older, or everything."""


@dataclass(frozen=True)
class Keep:
    """How much of what a workflow made is kept; the newest that succeeded is, whatever is said here."""

    notebooks: Amount = None
    """Executed notebooks of runs that succeeded."""
    reports: Amount = None
    """Reports, with their manifests."""
    attempts: Amount = None
    """Attempts that failed or were interrupted, with their executed notebooks."""


@dataclass(frozen=True)
class Workflow:
    """A named set of notebooks."""

    name: str
    notebooks: tuple[Notebook, ...]
    timeout: float | None = 24 * 3600.0
    """Seconds that one attempt at a run may take; None is no limit."""
    retries: Retries = Retries()
    concurrency: int | None = None
    """How many runs of this workflow may go on at a time; None sets no limit of its own."""
    keep: Keep = Keep()

    def dependencies(self) -> dict[str, set[str]]:
        """Labels that each label reads, as `graphlib.TopologicalSorter` takes them."""
        labels = {notebook.label for notebook in self.notebooks}
        return {notebook.label: labels.intersection(notebook.parameters.values()) for notebook in self.notebooks}

    def wanted_parameters(self) -> set[str]:
        """Names that a trigger of this workflow has to give values to."""
        return self.usable_parameters() - DIRECTORIES.keys()

    def usable_parameters(self) -> set[str]:
        """Names that a trigger of this workflow may give values to."""
        labels = {notebook.label for notebook in self.notebooks}
        used = {name for notebook in self.notebooks for name in notebook.parameters.values()}
        return used - labels - AUTOMATIC_PARAMETERS

    def directories(self, given: Collection[str]) -> dict[str, str]:
        """Directories that notebooks ask for, and the names by which they do.

        Parameters
        ----------
        given
            Names that have a value already.
        """
        names = (self.usable_parameters() & DIRECTORIES.keys()) - set(given)
        return {name: DIRECTORIES[name] for name in sorted(names)}


@dataclass(frozen=True)
class Trigger:
    """A workflow, its parameters, and the dates for which it runs.

    Values in ``parameters`` are as YAML gave them; a date among them is a `datetime.date`.
    """

    workflow_name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    earliest_date: dt.date | None = None
    date_stencil: DateStencil = REFERENCE_DATE_ONLY
    latest_date: dt.date | None = None
    dates: str | None = None
    """Cron fields that a reference date has to match: day of month, month, day of week."""
    exclude: tuple[Interval, ...] = ()
    """Reference dates that are not run."""
    cdr_types: tuple[str, ...] | None = None
    """None is those of the sensor."""
    require: Require | None = None
    """None is that of the sensor."""
    lag: dt.timedelta = dt.timedelta()


@dataclass(frozen=True)
class Concurrency:
    """How many runs, and how many notebooks of all runs together, may go on at a time."""

    runs: int
    notebooks: int


Event = Literal["failed", "recovered", "given_up", "late", "token", "trouble"]
"""What people are told of."""

EVENTS: tuple[Event, ...] = get_args(Event)


@dataclass(frozen=True)
class Notify:
    """What people are told, and whom by e-mail; durations in seconds."""

    email: tuple[str, ...] = ()
    events: tuple[Event, ...] = EVENTS
    no_new_date: float | None = None
    """Tell when no new date has appeared for so long."""
    not_done_after: float | None = None
    """Tell of a date that is not done so long after it could have been run."""
    page: str | None = None
    """An address that messages end with."""


@dataclass(frozen=True)
class Definitions:
    """One valid workflows.yml.

    ``schedule`` is a cron expression read in ``timezone`` (an IANA name), or None to tick once.
    ``cdr_types`` (None means every type that FlowAPI lists) and ``require`` are for triggers that do not
    say. Triggers keep the order of the file.
    """

    workflows: Mapping[str, Workflow]
    triggers: tuple[Trigger, ...]
    schedule: str | None
    timezone: str = "UTC"
    cdr_types: tuple[str, ...] | None = None
    concurrency: Concurrency | None = None
    """None: as many runs and notebooks as there are cores, at most 4."""
    order: Literal["oldest", "newest"] = "oldest"
    warm: bool = True
    """Whether jobs may be forked from a process that has imported what they need."""
    preload: tuple[str, ...] = PRELOAD
    require: Require = "any"
    notify: Notify = Notify()

    def data_rule(self, trigger: Trigger) -> DataRule:
        """Give the rule by which dates count for a trigger: its own, or as far as it has none the sensor's."""
        return DataRule(trigger.cdr_types or self.cdr_types, trigger.require or self.require, trigger.lag)
