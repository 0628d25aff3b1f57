# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is wrong in the sensor of workflows.yml and in its triggers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from autoflow.dates import REFERENCE_DATE_ONLY, DateStencil, StencilError, as_date, parse_intervals
from autoflow.definitions import (
    AUTOMATIC_PARAMETERS,
    DATA_VERSION,
    MISSING_DATES,
    Trigger,
    Workflow,
)
from autoflow.errors import Problem
from autoflow.notebooks import looks_like_token
from autoflow.parser.quality import quality_problems
from autoflow.parser.raw import complaint_of, list_in, parameters_in
from autoflow.parser.yaml_reader import Document, KeyPath
from autoflow.schedule import EARLIEST, Schedule, check_dates, check_schedule, check_timezone, overlap
from autoflow.wording import closest, did_you_mean, shortened, shown


def sensor_problems(document: Document, sensor: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the sensor's schedule, and with the types and the quality that it asks for."""
    path: KeyPath = ("available_dates_sensor",)
    expression, zone = sensor.get("schedule"), sensor.get("timezone")
    if isinstance(zone, str) and (message := complaint_of(lambda: check_timezone(zone))):
        yield document.problem((*path, "timezone"), message)
    # whether it can be read, and ever ticks, is the same in all time zones and at all times
    if isinstance(expression, str) and (why := complaint_of(lambda: check_schedule(Schedule(expression), EARLIEST))):
        yield document.problem((*path, "schedule"), why)
    yield from _type_problems(document, path, sensor)
    yield from quality_problems(document, path, sensor, _types_of(sensor))


def _types_of(*raws: Mapping[str, Any]) -> list[str] | None:
    """Return the CDR types that the first of some mappings names which names any."""
    named = next((types for raw in raws if (types := list_in(raw.get("cdr_types")))), None)
    return [each for each in named if isinstance(each, str)] if named else None


def _type_problems(document: Document, path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is doubtful in the CDR types that the sensor or a trigger names."""
    cdr_types = list_in(raw.get("cdr_types"))
    for index, cdr_type in enumerate(cdr_types):
        if cdr_type in cdr_types[:index]:
            message = f"{shown(cdr_type)} is listed twice; it counts once"
            yield document.problem((*path, "cdr_types", index), message, severity="warning")
    if raw.get("require") == "all" and cdr_types and all(cdr_type == cdr_types[0] for cdr_type in cdr_types):
        message = f"with one type, all means the same as any; name more than {shown(cdr_types[0])} under cdr_types"
        yield document.problem((*path, "require"), message, severity="warning")


def data_problems(
    document: Document, path: KeyPath, trigger: Mapping[str, Any], sensor: Mapping[str, Any]
) -> Iterator[Problem]:
    """Find what is wrong with the types that make a date available for a trigger."""
    yield from _type_problems(document, path, trigger)
    yield from quality_problems(document, path, trigger, _types_of(trigger, sensor))
    named = trigger.get("cdr_types") or sensor.get("cdr_types")
    if (trigger.get("require") or sensor.get("require")) == "all" and not named:
        # what FlowAPI lists may lack the very type that is to be waited for
        message = "all of which types? Name them under cdr_types, here or in available_dates_sensor"
        yield document.problem((*path, "require") if trigger.get("require") else path, message)
    elif trigger.get("require") == "all" and not trigger.get("cdr_types"):
        yield from _type_problems(document, path, {"require": "all", "cdr_types": named})


def date_problems(document: Document, path: KeyPath, trigger: Mapping[str, Any]) -> Iterator[Problem]:
    """Find restrictions that leave a trigger no reference date."""
    expression = trigger.get("dates")
    if isinstance(expression, str) and (message := complaint_of(lambda: check_dates(expression))):
        yield document.problem((*path, "dates"), message)
    outline = trigger_outline(trigger)
    if outline is None or overlap(outline, outline):
        return
    earliest, latest = outline.earliest_date, outline.latest_date
    if earliest and latest and earliest > latest:
        message = f"{latest} is before the earliest date, {earliest}: there is no date between them"
        yield document.problem((*path, "latest_date"), message)
    elif not overlap(bare := replace(outline, exclude=()), bare):
        message = f"{shown(expression)} matches no date from {earliest or 'the beginning'} to {latest or 'the end'}"
        yield document.problem((*path, "dates"), f"{message}, the earliest and the latest date")
    else:
        message = "leaves no date for this trigger; exclude fewer dates, or remove the trigger"
        yield document.problem((*path, "exclude"), message)


def late_problems(document: Document, path: KeyPath, trigger: Mapping[str, Any]) -> Iterator[Problem]:
    """Find windows that need not be complete and always have to, and the reverse."""
    elements = list_in(trigger.get("date_stencil"))
    incomplete = [number for number, element in enumerate(elements) if isinstance(element, dict)]
    if "late" in trigger and not incomplete:
        message = "no window of date_stencil may be incomplete: write it as {from: month, to: month+1, at_least: 60%}"
        yield document.problem((*path, "late"), message, at_key=True, severity="warning")
    for number in incomplete if "late" not in trigger else ():
        message = "nothing says when waiting ends, so all of this window is waited for; add late: {after: 5d}"
        yield document.problem((*path, "date_stencil", number), message, severity="warning")


def trigger_outline(raw: Mapping[str, Any]) -> Trigger | None:
    """Return a trigger with its dates only; None when they cannot be read."""
    expression = raw.get("dates")
    if isinstance(expression, str) and complaint_of(lambda: check_dates(expression)):
        return None
    try:
        exclude = parse_intervals(raw.get("exclude", ()))
    except StencilError:
        return None
    return Trigger(
        "",
        earliest_date=as_date(raw.get("earliest_date")),
        latest_date=as_date(raw.get("latest_date")),
        dates=expression if isinstance(expression, str) else None,
        exclude=exclude,
    )


def trigger_problems(
    document: Document, path: KeyPath, trigger: Mapping[str, Any], workflow: Workflow, *, whole: bool
) -> Iterator[Problem]:
    """Compare a trigger's parameters with those that its workflow wants.

    Parameters
    ----------
    whole
        Whether the workflow has the right shape, so that a parameter it does not use is truly not used.
    """
    labels = {notebook.label for notebook in workflow.notebooks}
    wanted, usable, name = workflow.wanted_parameters(), workflow.usable_parameters(), shown(workflow.name)
    given = parameters_in(trigger)
    for parameter in given:
        if parameter in AUTOMATIC_PARAMETERS:
            message = "AutoFlow provides the value of this parameter; remove it"
        elif parameter in labels:
            message = f"{shown(parameter)} is the label of a notebook of {name}; rename one of them"
        elif parameter not in usable and whole:
            hint = provided_name(parameter, wanted) or did_you_mean(parameter, wanted)
            message = f"no notebook of {name} uses this parameter; {hint}"
        else:
            continue
        yield document.problem((*path, "parameters", parameter), message, at_key=True)
    for parameter, value in given.items():
        if looks_like_token(value):
            # the value is not shown
            message = (
                "this looks like a token, and would be in the record, in notebooks and in reports; have notebooks"
                """ read it from their environment, as FlowAPI's by environ["FLOWAPI_TOKEN"]"""
                " (docs/how-to/write-a-notebook.md)"
            )
            yield document.problem((*path, "parameters", parameter), message, at_key=True)
    if not isinstance(trigger.get("parameters", {}), dict | None):
        return
    for parameter in sorted(wanted - given.keys()):
        readers = [notebook.label for notebook in workflow.notebooks if parameter in notebook.parameters.values()]
        provided = {*AUTOMATIC_PARAMETERS, MISSING_DATES, DATA_VERSION, "run_dir", "shared_dir", "inputs_dir"}
        meant = closest(parameter, {*labels, *provided})
        kind = "the notebook " if meant in labels else ""
        hint = f", or did you mean {kind}{shown(meant)}?" if meant else ""
        message = f"the parameter {shown(parameter)}, which {shortened(', '.join(readers))} of {name} reads, is missing"
        yield document.problem(path, f"{message}; add it under parameters{hint}")


def provided_name(name: str, others: Iterable[str] = ()) -> str | None:
    """Say that AutoFlow provides what was probably meant; None where one of the others is closer."""
    meant = closest(name, (*AUTOMATIC_PARAMETERS, *others))
    if meant is None or meant not in AUTOMATIC_PARAMETERS:
        return None
    question = "" if meant == name else f"did you mean {shown(meant)}? "
    return f"{question}AutoFlow provides it, to notebooks that name it among their parameters"


class Twin(NamedTuple):
    """A trigger that another one may ask for the same runs as."""

    line: int
    outline: Trigger
    rule: Mapping[str, Any]
    """What says when its runs may be made, as far as it is written."""


RULE, STENCIL = ("cdr_types", "require", "lag", "quality", "late"), "date_stencil"
"""The keys that say when the data of a run are complete, or complete enough; of a stencil, what windows may lack."""


def twin_problems(
    document: Document, path: KeyPath, trigger: Mapping[str, Any], seen: dict[str, list[Twin]]
) -> Iterator[Problem]:
    """Find triggers that ask for the same runs: equal in all that a run's parameters are made of, for some date.

    Where one of them has `late`, a run could be provisional by one and final by the other, again and again.
    """
    try:
        stencil = DateStencil.parse(trigger["date_stencil"]) if "date_stencil" in trigger else REFERENCE_DATE_ONLY
    except StencilError:
        return
    outline = trigger_outline(trigger)
    if outline is None:
        return
    parts = [trigger["workflow_name"], parameters_in(trigger), stencil.pairs]
    alike = seen.setdefault(json.dumps(parts, sort_keys=True, default=str), [])
    rule = {**{key: trigger[key] for key in RULE if key in trigger}, STENCIL: stencil.tolerances}
    twins = [other for other in alike if overlap(outline, other.outline)]
    at_odds = next(
        (twin for twin in twins if _differing(rule, twin.rule) and (rule.keys() | twin.rule) & {"late"}), None
    )
    if at_odds:
        keys = " and ".join(_differing(rule, at_odds.rule))
        message = (
            f"asks for the same runs as the trigger in line {at_odds.line}, and one of them has late;"
            f" expected the same {keys} in both, or dates that do not overlap"
        )
        yield document.problem(path, message)
    elif twins:
        message = f"asks for the same runs as the trigger in line {twins[0].line}; each is run once"
        yield document.problem(path, message, severity="warning")
    alike.append(Twin(document.values[path][0], outline, rule))


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name the keys by which the runs of two triggers are made at different times."""
    return [key for key in (*RULE, STENCIL) if one.get(key) != other.get(key)]
