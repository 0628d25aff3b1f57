# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What workflows.yml may hold, and what it means, as frozen data.

Each key of the file is a field of one class here: its annotation is what the file may hold, and its docstring is what
editors and the docs say of it. Names that end with Keys are of keys alone; those that end with Entry are of mappings
as the file has them, where the definition made of them has another shape.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from autoflow.dates import REFERENCE_DATE_ONLY, DataRule, Require
from autoflow.quality import Check
from autoflow.values import (
    AUTO_OR_MAPPING,
    MAY_BE_EMPTY,
    ONE_OR_SEVERAL,
    RULE_OR_WORD,
    Amount,
    AtATime,
    AtLeast,
    Attempts,
    CdrTypes,
    Date,
    Dates,
    Duration,
    EmailAddresses,
    FilePattern,
    Flag,
    Lag,
    Limit,
    Limits,
    Line,
    ModuleName,
    Name,
    Percent,
    PlainStencil,
    Stencil,
    VariableName,
    WebAddress,
    WhenMissing,
    Within,
)

AUTOMATIC_PARAMETERS = frozenset({"reference_date", "date_ranges", "flowapi_url"})
"""Names that AutoFlow gives a value to; no label and no workflow parameter may have them."""

MISSING_DATES = "missing_dates"
"""The name of the dates that a run is made without, unless a parameter or a label has it."""

DATA_VERSION = "data_version"
"""The name of a short text that is another one when the data of a run are, unless a parameter or a label has it."""

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

FIRST = "first"
"""The value of ``when`` of notebooks that are for the first run of a trigger."""

SEPARATOR, PREVIOUS = ".", "previous"
"""In names of executed notebooks of other runs: ``previous.<label>`` and ``<workflow>.<label>``."""

PRELOAD = ("flowclient", "geopandas", "matplotlib.pyplot", "numpy", "pandas", "scrapbook")
"""Modules that are imported ahead for notebooks that import them, where nothing else is asked for."""


RESERVED_VARIABLES = frozenset({"HOME", "PATH", "TMPDIR", "SSL_CERTIFICATE_FILE", "FLOWAPI_SSL_CERT"})
RESERVED_PREFIXES = ("AUTOFLOW_", "FLOWAPI_", "IPYTHON", "JPY_", "JUPYTER", "LD_", "PYTHON")
"""Environment variables that are not for notebooks to be given, and how others begin."""


def is_reserved(variable: str) -> bool:
    """Whether an environment variable is one that notebooks cannot be given."""
    return variable in RESERVED_VARIABLES or variable.startswith(RESERVED_PREFIXES)


Language = Literal["ar", "en", "es", "fr", "pt"]
"""What a report may be written in, as far as AutoFlow writes it."""


@dataclass(frozen=True)
class Sheet:
    """Metadata of reports; a notebook's own goes before its workflow's.

    Texts may hold ``{name}``: a parameter of the workflow, or `autoflow.parser.sheet.DATES`.
    """

    title: Line | None = None
    """The title; by default the first heading, or the workflow's name. A first heading that says something else stays
    below it."""
    subtitle: Line | None = None
    """Stands below the title."""
    organisation: Line | None = None
    """Stands above the title; the author of the PDF."""
    contact: Line | None = None
    """Stands at the foot of each page."""
    language: Language | None = None
    """Of dates, of "Contents", "Figure", "Table" and the like, and of the file; by default `en`. A PDF cannot show `ar`
    well; HTML can."""
    logo: Name | None = None
    """A picture (`.png`, `.jpg`, `.svg`) beside `workflows.yml`."""


@dataclass(frozen=True)
class Output:
    """A report of the executed notebook."""

    format: Literal["pdf", "html"]
    """What the notebook is converted to."""
    template: Name | None = None
    """An asciidoc or HTML template of your own, beside `workflows.yml`."""
    theme: Name | None = None
    """A theme of your own for asciidoctor-pdf, beside `workflows.yml`."""
    code: Flag = False
    """Show the code of cells whose tags do not say otherwise."""


@dataclass(frozen=True, kw_only=True)
class NotebookKeys:
    """What the file and a definition say of a notebook in the same way."""

    filename: Name
    """The notebook: a file in the directory of `workflows.yml` or below it."""
    parameters: Annotated[Mapping[str, str], MAY_BE_EMPTY] = field(default_factory=dict)
    """What the notebook's parameters are given, by name: a parameter of the workflow (its value is the trigger's),
    another notebook's label (the path of that executed notebook, so this one runs after it), or `reference_date` (ISO
    date), `date_ranges` (list of pairs of ISO dates, from the stencil), `missing_dates` (list of ISO dates, see "Late
    data"), `data_version` (text, see "Restatement"), `flowapi_url`, or a directory: `run_dir`, `shared_dir` or
    `inputs_dir`; see "Files between notebooks and between runs"."""
    reads: Annotated[tuple[FilePattern, ...], ONE_OR_SEVERAL] = ()
    """Files that the notebook reads, as patterns such as `key_obs/*.md` below the directory of `workflows.yml`, or
    below `shared_dir/` or `run_dir/`: the manifests of reports list them with their hashes."""
    timeout: Limit = 12 * 3600.0
    """How long one execution may take. `none`: no limit."""
    warm: Flag = True
    """`false`: start its kernel in a new process; see "Warm kernels"."""
    when: Name | None = None
    """`first`: only in the first run of a trigger; or three cron fields as in `dates`, such as `1 * *`: only for these
    reference dates. By default always. Where it is left out, notebooks that read it get null."""
    kernel: Name | None = None
    """The Jupyter kernel that executes it, instead of the one that it names: that of another virtual environment, for
    instance. `jupyter kernelspec list` shows which there are."""
    secrets: Annotated[tuple[VariableName, ...], ONE_OR_SEVERAL] = ()
    """Names of secrets, which this notebook's kernel alone finds in its environment; see "Secrets of notebooks"."""
    environment: Annotated[Mapping[VariableName, str], MAY_BE_EMPTY] = field(default_factory=dict)
    """Environment variables of this notebook's kernel, for what is no secret. Its kernel starts in a new process."""
    newest: Flag = False
    """Where `when` leaves the notebook out, notebooks that read it get the newest one that an earlier date executed, if
    there is one."""
    pool: Name | None = None
    """One of the sensor's `pools`: the notebook is executed when there is room in it."""
    place: Literal["here", "anywhere"] = "anywhere"
    """`here`: on AutoFlow's machine, also where others run on workers; see "Workers"."""
    resources: Annotated[Mapping[Name, AtATime], MAY_BE_EMPTY] = field(default_factory=dict)
    """What a worker must have of its own for the notebook, such as `{gpu: 1}`; see "Workers"."""


@dataclass(frozen=True)
class Notebook(NotebookKeys):
    """One notebook in a workflow."""

    label: str
    _: KW_ONLY
    outputs: tuple[Output, ...] = ()
    sheet: Sheet = Sheet()
    """What its reports say of themselves; what the workflow says for all of them is in it."""


@dataclass(frozen=True, kw_only=True)
class NotebookEntry(Sheet, NotebookKeys):
    """One notebook of a workflow."""

    output: Annotated[tuple[Output, ...], ONE_OR_SEVERAL] = ()
    """A report, or a list of them, one of each format."""


@dataclass(frozen=True)
class Retries:
    """When a failed run is retried."""

    attempts: Attempts | None = None
    """Give up after this many attempts; by default never."""
    pause: Duration = 600.0
    """Pause after the first failure; each further one is twice as long."""
    max_pause: Duration = 24 * 3600.0
    """The longest pause."""


@dataclass(frozen=True)
class Keep:
    """How much of what a workflow made is kept; by default everything.

    An amount is an age such as `90d`, or a number such as `30`: the newest 30 of each notebook and set of parameters.
    The outputs of the newest successful run are always kept, and AutoFlow removes only files that it created.
    """

    notebooks: Amount = None
    """Executed notebooks of runs that succeeded."""
    reports: Amount = None
    """Reports, with their manifests."""
    attempts: Amount = None
    """Attempts that failed or were interrupted, with their executed notebooks."""
    run_dirs: Amount = None
    """What runs left in `run_dir`; a number counts reference dates of the workflow."""
    shared: Amount = None
    """Files in `shared_dir`, by the run that wrote them last; a number counts the reference dates of those runs."""


@dataclass(frozen=True)
class WorkflowKeys:
    """What the file and a definition say of a workflow in the same way."""

    name: Name
    """A unique name."""
    _: KW_ONLY
    timeout: Limit = 24 * 3600.0
    """How long one attempt at a run may take. `none`: no limit."""
    retries: Retries = Retries()
    concurrency: AtATime | None = None
    """How many runs of this workflow may be in progress at a time; by default as many as of all workflows."""
    priority: int = 0
    """Due runs of workflows with a higher number start first; those with the same number start in order of dates."""
    keep: Keep = Keep()


@dataclass(frozen=True)
class Workflow(WorkflowKeys):
    """A named set of notebooks."""

    notebooks: tuple[Notebook, ...]

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets of all notebooks, in order."""
        return sorted({name for notebook in self.notebooks for name in notebook.secrets})

    def dependencies(self) -> dict[str, set[str]]:
        """Labels that each label reads, as `graphlib.TopologicalSorter` takes them."""
        labels = {notebook.label for notebook in self.notebooks}
        return {notebook.label: labels.intersection(notebook.parameters.values()) for notebook in self.notebooks}

    def pools(self, *, at_start: bool = False) -> set[str]:
        """Pools of its notebooks, or of those alone that read no other notebook."""
        reads = self.dependencies() if at_start else {}
        return {each.pool for each in self.notebooks if each.pool is not None and not reads.get(each.label)}

    def asked_of_workers(self, *, at_start: bool = False) -> list[Mapping[str, int]]:
        """List what its notebooks ask of workers, or those alone that read no other notebook."""
        reads = self.dependencies() if at_start else {}
        remote = (each for each in self.notebooks if each.resources and each.place != "here")
        return [each.resources for each in remote if not reads.get(each.label)]

    def wanted_parameters(self) -> set[str]:
        """Names that a trigger of this workflow has to give values to."""
        provided = {MISSING_DATES, DATA_VERSION, *DIRECTORIES}
        return {name for name in self.usable_parameters() - provided if SEPARATOR not in name}

    def usable_parameters(self) -> set[str]:
        """Names that a trigger of this workflow may give values to."""
        labels = {notebook.label for notebook in self.notebooks}
        used = {name for notebook in self.notebooks for name in notebook.parameters.values()}
        return used - labels - AUTOMATIC_PARAMETERS

    def other_runs(self, given: Collection[str]) -> dict[str, tuple[str, str]]:
        """Executed notebooks of other runs that notebooks ask for: the workflow, or `PREVIOUS`, and the label.

        Parameters
        ----------
        given
            Names that have a value already.
        """
        names = (name for name in sorted(self.usable_parameters() - set(given)) if SEPARATOR in name)
        return {name: (whose, label) for name in names for whose, _, label in [name.rpartition(SEPARATOR)]}

    def directories(self, given: Collection[str]) -> dict[str, str]:
        """Directories that notebooks ask for, and the names by which they do.

        Parameters
        ----------
        given
            Names that have a value already.
        """
        names = (self.usable_parameters() & DIRECTORIES.keys()) - set(given)
        return {name: DIRECTORIES[name] for name in sorted(names)}


@dataclass(frozen=True, kw_only=True)
class WorkflowEntry(Sheet, WorkflowKeys):
    """A named set of notebooks."""

    notebooks: Annotated[Mapping[Name, NotebookEntry], Within({"min_length": 1})]
    """Notebooks by label."""


Restating = Literal["tell", "rerun", "ignore"]
"""What becomes of runs whose data are ingested anew."""


@dataclass(frozen=True)
class RestatementRule:
    """What becomes of runs whose data are ingested anew; `restatement: rerun` is short for `{do: rerun}`."""

    do: Restating = "tell"
    """`tell` people, `rerun` the runs too, or `ignore` it."""
    same_result: Literal["tell", "hold"] = "tell"
    """What becomes of the reports of a run that is made again then, or when dates have arrived that were missing, and
    has the same results, as it has when FlowMachine answers from its cache: `hold` keeps them out of `latest` and
    `by-date` until somebody says that they are right (`autoflow keep`)."""


RestatementKey = Annotated[RestatementRule | None, RULE_OR_WORD]


@dataclass(frozen=True)
class QualityCheck(Check):
    """What outcomes of one of FlowAPI's QA checks have to be like, for a date to be available."""

    check: Name
    """The name of the check, as `autoflow quality` lists it, such as `count_duplicated` or `latest_timestamp`. One with
    a dot, such as `median_duration.calls`, is for the CDR type after the dot alone."""
    at_most: Limits | None = None
    """The largest good outcome: a number, a percentage of the date's `count_added_rows` such as `0.1%`, or a time of
    the day in quotes such as `"06:00"`."""
    at_least: Limits | None = None
    """The smallest good outcome, written in the same ways: `latest_timestamp` of at least `"18:00"` is that of a day
    that is not truncated."""
    within: Percent | None = None
    """How far an outcome may be from the median of the same weekday in the last 8 weeks, such as `30%`. Where fewer
    than 3 of these have an outcome, any is good."""
    on_missing: WhenMissing = "wait"
    """What becomes of a date while it has no outcome: `wait` for it, `wait 2d` and then go on without it, `pass` at
    once, or `hold` the date, which tells people of it at once."""


@dataclass(frozen=True)
class Need:
    """Runs of another workflow that must have succeeded."""

    workflow: Name
    """The name of the workflow, which another trigger runs."""
    dates: PlainStencil = REFERENCE_DATE_ONLY
    """Its reference dates, as a stencil around the reference date of the run that needs them."""
    parameters: Mapping[str, Any] | None = None
    """Those of its trigger, where it has several."""


@dataclass(frozen=True)
class Late:
    """When a run waits no more for windows of its stencil that need not be complete."""

    after: Lag
    """How long after the last of the days, and the reference date, is over: days (`5`), or a duration (`36h`)."""
    at_least: AtLeast | None = None
    """How many of the days of the whole stencil must be there by then, or which percentage of them (`60%`)."""
    finalise: Flag = True
    """`false`: what was run with missing dates is not run again when they have arrived."""


@dataclass(frozen=True)
class Trigger:
    """A workflow, its parameters, and the dates for which it runs."""

    workflow_name: str
    """The name of a workflow."""
    parameters: Annotated[Mapping[str, Any], MAY_BE_EMPTY] = field(default_factory=dict)
    """Values for the workflow's parameters: all of them, and no others. Anything that JSON can hold, dates (text for
    the notebook), `.inf`, `.nan`, and numbers, truth values or null as keys within a value (text for the notebook)."""
    earliest_date: Date | None = None
    """The first reference date."""
    date_stencil: Stencil = REFERENCE_DATE_ONLY
    """Dates that must have data for a run: dates, offsets in days from the reference date, first days around it
    (`week`, `month`, `quarter`, `year`, `month-1`), and pairs `[start, end)` of these. A pair that need not be complete
    is a mapping, `{from: month, to: month+1, at_least: 60%, longest_gap: 6, require_last: true}`; see "Late data"."""
    latest_date: Date | None = None
    """The last reference date."""
    dates: str | None = None
    """Which reference dates are run, as three cron fields (day of month, month, day of week) such as `* * sun` or
    `L * *`; by default every day."""
    exclude: Dates = ()
    """Reference dates that are not run: dates, and pairs `[start, end)` of them. Their data still counts for other
    dates."""
    cdr_types: CdrTypes | None = None
    """Types that make a date available for this trigger, instead of the sensor's."""
    require: Require | None = None
    """Whether any of the types is enough, or all must have a date, instead of what the sensor says."""
    lag: Lag = dt.timedelta()
    """How long after it appeared a date becomes available: days (`2`), or a duration (`36h`)."""
    quality: Annotated[tuple[QualityCheck, ...], ONE_OR_SEVERAL] | None = None
    """What FlowAPI's QA checks have to say of a date for it to be available, instead of what the sensor says; `[]`:
    nothing. See "Quality of data"."""
    restatement: RestatementKey = None
    """What becomes of its runs whose data are ingested anew, instead of what the sensor says."""
    late: Late | None = None
    """When a run waits no more for windows that need not be complete; by default never. See "Late data"."""
    after: Literal["previous"] | None = None
    """`previous`: the runs go in order of their dates, each when the one before has succeeded. Dates that `exclude`,
    `dates` or `skip` leave out are passed over."""
    needs: tuple[Need, ...] = ()
    """Runs of other workflows that must have succeeded first."""


@dataclass(frozen=True)
class Concurrency:
    """How many runs, and how many notebooks of all runs together, may be in progress at a time."""

    runs: int
    notebooks: int


@dataclass(frozen=True)
class Automatic:
    """As many at a time as the machine bears, or as workers have slots."""

    most: int | None = None
    """How many at most; None: `MOST_HERE` on this machine, and no limit on workers."""


MOST_HERE = 16
"""Notebooks that go on at a time at most, on a machine that would bear more."""

FLOWAPI_POOL, FLOWAPI_PLACES = "flowapi", 4
"""The pool that spares FlowAPI, and how many places it has where workflows.yml does not say."""


@dataclass(frozen=True, kw_only=True)
class ConcurrencyEntry:
    """How much may be in progress at a time, over all workflows.

    By default, or with `auto`, as many notebooks as the machine bears. `runs` and `notebooks` are fixed numbers, of
    which one follows the other.
    """

    most: AtATime | None = None
    """With `auto`, how many at most: by default 16, or as many as workers have slots."""
    runs: AtATime | None = None
    """Runs at a time, a fixed number."""
    notebooks: AtATime | None = None
    """Notebooks at a time, a fixed number."""


Event = Literal["failed", "recovered", "given_up", "provisional", "late", "held", "restated", "token", "trouble"]
"""What people are told of."""

EVENTS: tuple[Event, ...] = get_args(Event)


@dataclass(frozen=True)
class Notify:
    """What people are told, and whom by e-mail."""

    email: EmailAddresses = ()
    """An address, or a list of them, to write to over the server of `AUTOFLOW_SMTP_URL`."""
    events: tuple[Event, ...] = EVENTS
    """A list of: `failed` (runs that fail in the same cell with the same exception are one cause), `recovered` (all of
    them have succeeded since, or are skipped), `given_up` (a run is out of retries), `provisional` (a run was made with
    dates missing, and later, it is final), `late` (the two below), `held` (a QA check holds dates of data), `restated`
    (data of runs that have succeeded were ingested anew, or are no longer listed, or a run that was made again of other
    data has the same results), `token` (it expires soon, by `AUTOFLOW_TOKEN_WARNING_DAYS`, or is invalid), `trouble`
    (for ten minutes, FlowAPI has not responded, `workflows.yml` has been invalid, the record not writable or the
    like)."""
    no_new_date: Duration | None = None
    """Notify when no new date has appeared for this long."""
    not_done_after: Duration | None = None
    """Notify of dates that are not done this long after they could have been run."""
    page: WebAddress | None = None
    """A link to put at the end of notifications."""


@dataclass(frozen=True, kw_only=True)
class SensorKeys:
    """What the file and the definitions say of the sensor in the same way."""

    schedule: str | None
    """A cron expression of five fields, or an alias such as `@daily`. `null`: tick once, then exit."""
    timezone: str = "UTC"
    """IANA name of the time zone that the schedule is read in."""
    cdr_types: CdrTypes | None = None
    """A date is available when **any** of these types has data for it; by default, any type that FlowAPI lists.
    AutoFlow warns of a type for which FlowAPI lists nothing."""
    require: Require = "any"
    """`any` of the types is enough, or `all`: a date is available only when every one of `cdr_types` has data for it.
    `all` is recommended, with the types that your queries read (`event_types: null` reads calls and SMS): with `any`, a
    date with SMS alone gives an incomplete report, and FlowMachine keeps that result after the calls arrive."""
    quality: Annotated[tuple[QualityCheck, ...], ONE_OR_SEVERAL] = ()
    """What FlowAPI's QA checks have to say of a date for it to be available: a list of checks, each with `at_most`,
    `at_least` or `within`. A date that fails is held. See "Quality of data"."""
    restatement: RestatementKey = None
    """What becomes of runs that have succeeded when data that they used are ingested anew, which QA checks tell, or
    leave FlowAPI's list: `tell` people, `rerun` them too, or `ignore` it; or a mapping. By default `tell` where there
    is `quality`, else QA checks are not asked for. See "Restatement"."""
    order: Literal["oldest", "newest"] = "oldest"
    """Which due runs come first."""
    warm: Flag = True
    """`false`: start every kernel in a new process."""
    preload: tuple[ModuleName, ...] = PRELOAD
    """Modules that are imported once for all notebooks that import them."""
    pools: Annotated[Mapping[Name, AtATime], MAY_BE_EMPTY] = field(default_factory=dict)
    """How many notebooks with each `pool` may be executed at a time, over all workflows, by name: `{flowdb: 2}`; see
    "Pools". With `concurrency: auto`, notebooks that import flowclient and have no `pool` are in `flowapi`, which has 4
    places by default."""


@dataclass(frozen=True, kw_only=True)
class SensorEntry(SensorKeys):
    """When to look for new dates, and what to run for them."""

    concurrency: Annotated[ConcurrencyEntry, AUTO_OR_MAPPING] = ConcurrencyEntry()
    """How much may be in progress at a time, over all workflows: `auto`, the default, as many as the machine bears, or
    a mapping; see "Concurrency"."""
    workflows: tuple[Trigger, ...]
    """The triggers."""


@dataclass(frozen=True, kw_only=True)
class File:
    """The whole of workflows.yml."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    workflows: tuple[WorkflowEntry, ...]
    """The workflows."""
    available_dates_sensor: SensorEntry
    notify: Notify = Notify()


@dataclass(frozen=True)
class Definitions(SensorKeys):
    """One valid workflows.yml; triggers keep the order of the file.

    ``cdr_types`` (None means every type that FlowAPI lists) and ``require`` are for triggers that do not say.
    """

    workflows: Mapping[str, Workflow]
    triggers: tuple[Trigger, ...]
    _: KW_ONLY
    concurrency: Concurrency | Automatic = Automatic()
    notify: Notify = Notify()

    @property
    def has_order(self) -> bool:
        """Whether any run waits for another."""
        return any(trigger.after or trigger.needs for trigger in self.triggers)

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets of all workflows, in order."""
        return sorted({name for workflow in self.workflows.values() for name in workflow.secrets})

    def restatement_of(self, trigger: Trigger) -> Restating | None:
        """Say what becomes of a trigger's runs whose data are ingested anew; None: that is not looked for."""
        asked = self.quality if trigger.quality is None else trigger.quality
        rule = trigger.restatement or self.restatement
        return rule.do if rule else "tell" if asked else None

    def holds_same_results(self, trigger: Trigger | None) -> bool:
        """Whether reports that show what they showed when their data were others are kept back."""
        rule = (trigger.restatement if trigger else None) or self.restatement
        return rule is not None and rule.same_result == "hold"

    def data_rule(self, trigger: Trigger) -> DataRule:
        """Return the rule by which dates count for a trigger: its own, or as far as it has none the sensor's."""
        return DataRule(
            trigger.cdr_types or self.cdr_types,
            trigger.require or self.require,
            trigger.lag,
            self.quality if trigger.quality is None else trigger.quality,
            trigger.workflow_name,
        )
