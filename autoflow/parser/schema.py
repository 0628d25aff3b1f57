# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The shape of workflows.yml: pydantic models that validate it, and that editors read as JSON Schema."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from autoflow.dates import (
    LONGEST_DAYS,
    REFERENCE_DATE_ONLY,
    DateStencil,
    Interval,
    as_date,
    parse_duration,
    parse_intervals,
)
from autoflow.definitions import EVENTS, PRELOAD, Event, Language, Notebook, Retries, Workflow
from autoflow.wording import shown

CdrType = Literal["calls", "sms", "mds", "topups"]

NO_LIMIT = "none"

LONGEST_LAG = dt.timedelta(days=LONGEST_DAYS)

MOST_AT_A_TIME, MOST_ATTEMPTS, MOST_KEPT = 1_000, 1_000_000, 1_000_000
EMAIL_ADDRESS = r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$"
WEB_ADDRESS = r"^https?://[^\s/]\S*$"


def _duration(raw: Any) -> float:
    if not isinstance(raw, str):
        hint = f"; did you mean '{raw}s'?" if isinstance(raw, (int, float)) and not isinstance(raw, bool) else ""
        raise ValueError(f"found {shown(raw)}, expected a duration with units, such as 90s, 30m, 2h or 1d{hint}")
    return parse_duration(raw)


def _limit(raw: Any) -> float | None:
    return None if raw == NO_LIMIT else _duration(raw)


def _date(raw: Any) -> dt.date:
    if (date := as_date(raw)) is None:
        raise ValueError(f"found {shown(raw)}, expected a date such as 2016-01-01")
    return date


def _parameters(raw: Any) -> Any:
    # an empty `parameters:` is null in YAML, and was no mistake in the predecessor
    return {} if raw is None else raw


def _listed(raw: Any) -> list[Any]:
    if raw is None:
        return []
    return raw if isinstance(raw, list) else [raw]


def _matching(pattern: str, expected: str) -> BeforeValidator:
    def check(raw: Any) -> Any:
        if isinstance(raw, str) and not re.fullmatch(pattern, raw):
            raise ValueError(f"found {shown(raw)}, expected {expected}")
        return raw

    return BeforeValidator(check)


def _amount(raw: Any) -> int | dt.timedelta:
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= MOST_KEPT:
        return raw
    if isinstance(raw, str):
        with suppress(ValueError, OverflowError):
            return dt.timedelta(seconds=parse_duration(raw))
    raise ValueError(
        f"found {shown(raw)}, expected a number such as 30 (the newest 30), or an age such as 90d,"
        f" and no more than {MOST_KEPT} or {LONGEST_DAYS}d"
    )


def _lag(raw: Any) -> dt.timedelta:
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= LONGEST_LAG.days:
        return dt.timedelta(days=raw)
    if isinstance(raw, str):
        with suppress(ValueError, OverflowError):
            lag = dt.timedelta(seconds=parse_duration(raw))
            if lag <= LONGEST_LAG:
                return lag
    raise ValueError(
        f"found {shown(raw)}, expected a whole number of days or a duration such as 2d or 36h,"
        f" and no more than {LONGEST_LAG.days} days"
    )


def _one_or_several(schema: dict[str, Any]) -> None:
    """Describe to editors that a list of one may be written without being one."""
    several = {"type": "array", "items": schema.pop("items")}
    schema.pop("type")
    schema["anyOf"] = [several["items"], several, {"type": "null"}]


DURATION_SCHEMA = {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*[smhd]\s*)+$", "examples": ["90s", "30m", "2h", "1d"]}
DATE_SCHEMA = {"type": "string", "format": "date"}
STENCIL_END = {"anyOf": [{"type": "integer"}, DATE_SCHEMA]}

Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema(DURATION_SCHEMA)]
Limit = Annotated[
    float | None,
    BeforeValidator(_limit),
    WithJsonSchema({"anyOf": [DURATION_SCHEMA, {"const": NO_LIMIT}]}),
]
Amount = Annotated[
    int | dt.timedelta | None,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "integer", "exclusiveMinimum": 0, "maximum": MOST_KEPT}, DURATION_SCHEMA]}),
]
Date = Annotated[dt.date, BeforeValidator(_date), WithJsonSchema(DATE_SCHEMA)]
Stencil = Annotated[
    DateStencil,
    BeforeValidator(DateStencil.parse),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [STENCIL_END, {"type": "array", "items": STENCIL_END, "minItems": 2, "maxItems": 2}]},
        }
    ),
]

Exclude = Annotated[
    tuple[Interval, ...],
    BeforeValidator(parse_intervals),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"anyOf": [DATE_SCHEMA, {"type": "array", "items": DATE_SCHEMA, "minItems": 2, "maxItems": 2}]},
        }
    ),
]
Lag = Annotated[
    dt.timedelta,
    BeforeValidator(_lag),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0, "maximum": LONGEST_LAG.days}, DURATION_SCHEMA]}),
]


class Model(BaseModel):
    """Knows all its keys, and changes no value's type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True, defer_build=True)


class OutputModel(Model):
    """A report to be made of a notebook."""

    format: Literal["pdf", "html"] = Field(description="What the notebook is converted to.")
    template: str | None = Field(None, description="Asciidoc template, beside workflows.yml.", min_length=1)
    theme: str | None = Field(None, description="asciidoctor-pdf's theme, beside workflows.yml.", min_length=1)
    code: bool = Field(False, description="Show the code of cells, where their tags do not say otherwise.")


SheetText = Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]


class SheetModel(Model):
    """What reports say of themselves; a notebook's own goes before its workflow's."""

    title: SheetText | None = Field(
        None, description="Title of reports; '{reference_date}', '{month}', '{year}' and '{a parameter}' are filled in."
    )
    subtitle: SheetText | None = Field(None, description="Stands below the title.")
    organisation: SheetText | None = Field(None, description="Who publishes reports.")
    contact: SheetText | None = Field(None, description="Whom readers can ask.")
    language: Language | None = Field(None, description="Language of dates and of what AutoFlow adds to a report.")
    logo: str | None = Field(None, description="Picture (png, jpg or svg), beside workflows.yml.", min_length=1)


class NotebookModel(SheetModel):
    """One notebook of a workflow."""

    filename: str = Field(description="The notebook, beside workflows.yml.", min_length=1)
    parameters: Annotated[dict[str, str], BeforeValidator(_parameters)] = Field(
        default_factory=dict,
        description="The notebook's parameters, each with the name of what it is given: a parameter of the workflow,"
        " another notebook's label, or reference_date, date_ranges or flowapi_url.",
        json_schema_extra={"type": ["object", "null"]},
    )
    output: Annotated[list[OutputModel], BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="Make a report of the executed notebook, or a list of them.",
        json_schema_extra=_one_or_several,
    )
    timeout: Limit = Field(
        Notebook.timeout,
        description="How long one execution may take; 'none' for no limit.",
        json_schema_extra={"default": "12h"},
    )
    warm: bool = Field(
        True, description="Whether its kernel may be forked from a process that has imported its libraries already."
    )


class RetriesModel(Model):
    """When a failed run is tried again."""

    attempts: Annotated[int, Field(gt=0, le=MOST_ATTEMPTS)] | None = Field(
        None, description="Give up after so many attempts."
    )
    pause: Duration = Field(
        Retries.pause,
        description="Pause after the first failure; each one is twice the one before.",
        json_schema_extra={"default": "10m"},
    )
    max_pause: Duration = Field(Retries.max_pause, description="Longest pause.", json_schema_extra={"default": "1d"})


class KeepModel(Model):
    """How much is kept: the newest so many of each set of parameters, or what is no older."""

    notebooks: Amount = Field(None, description="Executed notebooks of runs that succeeded.")
    reports: Amount = Field(None, description="Reports, with their manifests.")
    attempts: Amount = Field(None, description="Attempts that failed or were interrupted.")


class WorkflowModel(SheetModel):
    """A named set of notebooks."""

    name: str = Field(description="Unique name of the workflow.", min_length=1)
    notebooks: dict[Annotated[str, Field(min_length=1)], NotebookModel] = Field(
        description="Notebooks by label.", min_length=1
    )
    timeout: Limit = Field(
        Workflow.timeout,
        description="How long one attempt at a run may take; 'none' for no limit.",
        json_schema_extra={"default": "1d"},
    )
    retries: RetriesModel = Field(
        default_factory=RetriesModel.model_construct,
        description="When a failed run is tried again.",
        json_schema_extra={"default": {}},
    )
    concurrency: Annotated[int, Field(gt=0, le=MOST_AT_A_TIME)] | None = Field(
        None, description="How many runs of this workflow may go on at a time."
    )
    keep: KeepModel = Field(
        default_factory=KeepModel.model_construct,
        description="How much is kept; by default everything.",
        json_schema_extra={"default": {}},
    )


class TriggerModel(Model):
    """A workflow, its parameters, and the dates for which it runs."""

    workflow_name: str = Field(description="Name of a workflow above.")
    parameters: Annotated[dict[str, Any], BeforeValidator(_parameters)] = Field(
        default_factory=dict,
        description="Values of the workflow's parameters.",
        json_schema_extra={"type": ["object", "null"]},
    )
    earliest_date: Date | None = Field(None, description="First reference date.")
    latest_date: Date | None = Field(None, description="Last reference date.")
    dates: str | None = Field(
        None,
        description="Only these reference dates: the cron fields day of month, month and day of week.",
        examples=["* * sun", "L * *", "1 1,4,7,10 *"],
    )
    exclude: Exclude = Field(
        (),
        description="Reference dates that are not run: dates, and pairs [start, end) of dates.",
        json_schema_extra={"default": []},
    )
    date_stencil: Stencil = Field(
        REFERENCE_DATE_ONLY,
        json_schema_extra={"default": [0]},
        description="Dates that must have data: dates, offsets in days from the reference date, and pairs [start, end)"
        " of either.",
    )
    cdr_types: list[CdrType] | None = Field(
        None, description="Types that make a date available, instead of the sensor's.", min_length=1
    )
    require: Literal["any", "all"] | None = Field(
        None, description="Whether any of the types is enough, or all must have a date, instead of the sensor's."
    )
    lag: Lag = Field(
        dt.timedelta(),
        description="How long after it appeared a date begins to count: days, or a duration.",
        json_schema_extra={"default": 0},
    )


class ConcurrencyModel(Model):
    """How much goes on at a time."""

    runs: Annotated[int, Field(gt=0, le=MOST_AT_A_TIME)] | None = Field(None, description="Runs at a time.")
    notebooks: Annotated[int, Field(gt=0, le=MOST_AT_A_TIME)] | None = Field(
        None, description="Notebooks at a time, over all runs."
    )


class SensorModel(Model):
    """When to look for new dates, and what to run for them."""

    schedule: str | None = Field(description="Cron expression of five fields, or null to look once.")
    timezone: str = Field("UTC", description="IANA time zone that the schedule is read in.")
    cdr_types: list[CdrType] | None = Field(
        None, description="A date is available when any of these types has data for it.", min_length=1
    )
    require: Literal["any", "all"] = Field(
        "any", description="Whether any of the types is enough, or all must have a date."
    )
    order: Literal["oldest", "newest"] = Field("oldest", description="Which of the due runs come first.")
    concurrency: ConcurrencyModel = Field(
        default_factory=ConcurrencyModel.model_construct,
        description="How much goes on at a time.",
        json_schema_extra={"default": {}},
    )
    warm: bool = Field(True, description="Whether kernels are forked from a process that has imported libraries.")
    preload: list[Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*$")]] = Field(
        list(PRELOAD), description="Modules that it imports, where a notebook imports them."
    )
    workflows: list[TriggerModel] = Field(description="What to run.")


EmailAddress = Annotated[
    str, _matching(EMAIL_ADDRESS, "an e-mail address such as me@example.org"), WithJsonSchema({"type": "string"})
]
WebAddress = Annotated[
    str, _matching(WEB_ADDRESS, "an address such as https://autoflow.example.org"), WithJsonSchema({"type": "string"})
]


class NotifyModel(Model):
    """What people are told, and whom by e-mail."""

    email: Annotated[list[EmailAddress], BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="Addresses to write to, over the server of AUTOFLOW_SMTP_URL.",
        json_schema_extra=_one_or_several,
    )
    events: list[Event] = Field(list(EVENTS), description="What to tell of; by default everything.")
    no_new_date: Duration | None = Field(None, description="Tell when no new date has appeared for so long.")
    not_done_after: Duration | None = Field(
        None, description="Tell of dates that are not done so long after they could have been run."
    )
    page: WebAddress | None = Field(None, description="An address that messages end with.")


class FileModel(Model):
    """The whole of workflows.yml."""

    workflows: list[WorkflowModel] = Field(description="The workflows.")
    available_dates_sensor: SensorModel = Field(description="When they run.")
    notify: NotifyModel = Field(
        default_factory=NotifyModel.model_construct,
        description="What people are told.",
        json_schema_extra={"default": {}},
    )


def json_schema() -> dict[str, Any]:
    """Describe workflows.yml for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **FileModel.model_json_schema()}
