# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml to definitions; all that is wrong with it in one go, each with its line."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from autoflow.definitions import (
    AUTOMATIC_PARAMETERS,
    Concurrency,
    Definitions,
    Notebook,
    Output,
    Retries,
    Trigger,
    Workflow,
)
from autoflow.errors import DefinitionError, Problem
from autoflow.notebook_file import kernel_is_installed, read_notebook
from autoflow.schedule import Schedule, check_schedule, check_timezone
from autoflow.schema import ConcurrencyModel, FileModel, NotebookModel, TriggerModel, WorkflowModel
from autoflow.yaml_reader import Document, KeyPath, read_yaml

M = TypeVar("M", bound=BaseModel)

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than": "a number greater than 0",
    "too_short": "at least one entry",
    "string_too_short": "text that is not empty",
}


def load_definitions(path: Path) -> tuple[Definitions, tuple[Problem, ...]]:
    """Read and validate a workflows.yml.

    Parameters
    ----------
    path
        The file; notebooks and templates are looked up beside it.

    Returns
    -------
    definitions : Definitions
    warnings : tuple of Problem
        What is allowed, but hardly meant.

    Raises
    ------
    DefinitionError
        With every problem found, in the order of the file.
    """
    document, problems = read_yaml(path)
    model: FileModel | None = None
    try:
        model = FileModel.model_validate(document.content)
    except ValidationError as error:
        known = {problem.key for problem in problems}
        shape = [_shape_problem(document, details) for details in error.errors(include_url=False)]
        problems += [problem for problem in shape if problem.key not in known]
    problems += _meaning_problems(document, path.parent)
    errors = sorted(problem for problem in problems if problem.severity == "error")
    if errors or model is None:
        raise DefinitionError(tuple(dict.fromkeys(errors)))
    return _definitions(model), tuple(sorted(problems))


def _shape_problem(document: Document, details: ErrorDetails) -> Problem:
    """Say in our words what pydantic found."""
    path, kind, found = details["loc"], details["type"], details["input"]
    if kind == "extra_forbidden":
        known = _keys_of(path[:-1])
        return document.problem(path, f"unknown key; {_did_you_mean(str(path[-1]), known)}", at_key=True)
    if kind == "missing":
        return document.problem(path, "missing; this key is needed")
    if path and path[-1] == "[key]":
        return document.problem(path[:-1], f"found the key {found!r}, expected text; put it in quotes", at_key=True)
    if kind == "value_error":
        return document.problem(path, str(details["ctx"]["error"]))
    if kind == "literal_error":
        choices = [
            str(choice).strip("' ") for choice in str(details["ctx"]["expected"]).replace(" or ", ",").split(",")
        ]
        return document.problem(path, f"found {_shown(found)}; {_did_you_mean(str(found), choices)}")
    return document.problem(path, f"found {_shown(found)}, expected {EXPECTED.get(kind, details['msg'])}")


def _keys_of(path: KeyPath) -> list[str]:
    """List the keys that a mapping in workflows.yml may have."""
    model: type[BaseModel] = FileModel
    steps: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
        (FileModel, "workflows"): WorkflowModel,
        (WorkflowModel, "notebooks"): NotebookModel,
    }
    for part in path:
        if not isinstance(part, str):
            continue
        if (model, part) in steps:
            model = steps[model, part]
        elif part in model.model_fields:
            annotation: Any = model.model_fields[part].annotation
            inner = [annotation, *getattr(annotation, "__args__", ())]
            models = [
                candidate for candidate in inner if isinstance(candidate, type) and issubclass(candidate, BaseModel)
            ]
            model = models[0] if models else model
    return list(model.model_fields)


def _meaning_problems(document: Document, directory: Path) -> Iterator[Problem]:
    """Find what can not be meant, in all parts that have the right shape, whatever is wrong elsewhere."""
    content = _mapping(document.content)
    workflows = [(index, _mapping(raw)) for index, raw in enumerate(_list(content.get("workflows")))]
    sensor = _mapping(content.get("available_dates_sensor"))
    yield from _name_problems(document, workflows, sensor)
    valid: dict[str, WorkflowModel] = {}
    for index, raw in workflows:
        path: KeyPath = ("workflows", index)
        notebooks = {
            label: notebook
            for label, raw_notebook in _mapping(raw.get("notebooks")).items()
            if isinstance(label, str) and (notebook := _valid(NotebookModel, raw_notebook))
        }
        for label, notebook in notebooks.items():
            yield from _notebook_problems(document, (*path, "notebooks", label), label, notebook, directory)
        workflow = _valid(WorkflowModel, raw)
        if workflow:
            valid[workflow.name] = workflow
            yield from _cycle_problems(document, path, workflow)
    yield from _sensor_problems(document, sensor)
    names = [str(raw.get("name")) for _, raw in workflows]
    yield from _triggers_problems(document, _list(sensor.get("workflows")), valid, names)


def _valid(model: type[M], raw: Any) -> M | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def _name_problems(
    document: Document, workflows: list[tuple[int, Mapping[str, Any]]], sensor: Mapping[str, Any]
) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    used = {_mapping(trigger).get("workflow_name") for trigger in _list(sensor.get("workflows"))}
    for index, workflow in workflows:
        name, path = workflow.get("name"), ("workflows", index, "name")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield document.problem(
                path, f"a workflow named {name!r} is in line {seen[name]} already; rename one of them"
            )
        elif name not in used:
            message = f"no trigger under available_dates_sensor.workflows runs {name!r}"
            yield document.problem(path, message, severity="warning")
        seen.setdefault(name, document.values[path][0])


def _cycle_problems(document: Document, path: KeyPath, workflow: WorkflowModel) -> Iterator[Problem]:
    try:
        TopologicalSorter(_built_workflow(workflow).dependencies()).prepare()
    except CycleError as error:
        # graphlib lists each notebook before the one that reads it
        cycle = " -> ".join(reversed(error.args[1]))
        yield document.problem(
            (*path, "notebooks"), f"notebooks wait for each other in a circle: {cycle} (each reads the next)"
        )


def _notebook_problems(
    document: Document, path: KeyPath, label: str, notebook: NotebookModel, directory: Path
) -> Iterator[Problem]:
    if label in AUTOMATIC_PARAMETERS:
        message = f"{label!r} is a name that AutoFlow gives a value to; choose another label"
        yield document.problem(path, message, at_key=True)
    template = notebook.output.template if notebook.output else None
    if template and (complaint := _file_problem(directory, template)):
        yield document.problem((*path, "output", "template"), complaint)
    if complaint := _file_problem(directory, notebook.filename):
        yield document.problem((*path, "filename"), complaint)
        return
    try:
        content = read_notebook(directory / notebook.filename)
    except ValueError as error:
        yield document.problem((*path, "filename"), f"{notebook.filename} {error}")
        return
    if content.kernel is None:
        yield document.problem(
            (*path, "filename"),
            f"{notebook.filename} names no kernel; open it in Jupyter, choose a kernel and save it",
        )
    elif not kernel_is_installed(content.kernel):
        yield document.problem(
            (*path, "filename"),
            f"{notebook.filename} asks for the kernel {content.kernel!r}, which is not installed; install it,"
            " or choose another kernel in Jupyter and save the notebook",
        )
    if notebook.parameters and not content.has_parameters_cell:
        yield document.problem(
            (*path, "parameters"),
            f"{notebook.filename} has no cell tagged 'parameters'; the values will be set before its first cell",
            severity="warning",
        )
    elif content.parameters is not None:
        for name in notebook.parameters:
            if name not in content.parameters:
                yield document.problem(
                    (*path, "parameters", name),
                    f"the parameters cell of {notebook.filename} does not define {name!r};"
                    f" {_did_you_mean(name, content.parameters)}",
                    at_key=True,
                    severity="warning",
                )


def _file_problem(directory: Path, name: str) -> str | None:
    """Say what is wrong with a file that should be beside workflows.yml; None when nothing is."""
    try:
        root, target = directory.resolve(), (directory / name).resolve()
        if Path(name).is_absolute() or not target.is_relative_to(root):
            return f"{name} is outside the directory of workflows.yml; files must be in it"
        if not target.exists():
            names = [str(path.relative_to(root)) for path in root.glob("*") if path.is_file()]
            close = get_close_matches(name, names, n=1)
            return f"{name} not found in {directory}" + (f"; did you mean '{close[0]}'?" if close else "")
        if not target.is_file():
            return f"{name} is not a file"
        target.open("rb").close()
    except OSError as error:
        return f"{name} can not be read ({error.strerror})"
    except (ValueError, RuntimeError) as error:
        return f"{name!r} is no usable file name ({error})"
    return None


def _sensor_problems(document: Document, sensor: Mapping[str, Any]) -> Iterator[Problem]:
    path: KeyPath = ("available_dates_sensor",)
    expression, zone = sensor.get("schedule"), sensor.get("timezone", "UTC")
    if isinstance(zone, str) and (message := _complaint(lambda: check_timezone(zone))):
        yield document.problem((*path, "timezone"), message)
    elif isinstance(zone, str) and isinstance(expression, str):
        schedule = Schedule(expression, zone)
        if message := _complaint(lambda: check_schedule(schedule, dt.datetime.now(dt.UTC))):
            yield document.problem((*path, "schedule"), message)
    cdr_types = _list(sensor.get("cdr_types"))
    for index, cdr_type in enumerate(cdr_types):
        if cdr_type in cdr_types[:index]:
            yield document.problem(
                (*path, "cdr_types", index), f"{cdr_type!r} is there twice; it counts once", severity="warning"
            )


def _triggers_problems(
    document: Document, triggers: list[Any], workflows: Mapping[str, WorkflowModel], names: list[str]
) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, raw in enumerate(triggers):
        path: KeyPath = ("available_dates_sensor", "workflows", index)
        name = _mapping(raw).get("workflow_name")
        if isinstance(name, str) and name not in names:
            message = f"there is no workflow {name!r}; {_did_you_mean(name, names)}"
            yield document.problem((*path, "workflow_name"), message)
        trigger = _valid(TriggerModel, raw)
        if trigger is None or name not in workflows:
            continue
        yield from _trigger_problems(document, path, trigger, workflows[trigger.workflow_name])
        same = repr((name, sorted(trigger.parameters.items()), trigger.date_stencil))
        if same in seen:
            yield document.problem(
                path, f"asks for the same runs as the trigger in line {seen[same]}; they run once", severity="warning"
            )
        seen.setdefault(same, document.values[path][0])


def _trigger_problems(
    document: Document, path: KeyPath, trigger: TriggerModel, workflow: WorkflowModel
) -> Iterator[Problem]:
    wanted = _built_workflow(workflow).wanted_parameters()
    for name, value in trigger.parameters.items():
        here = (*path, "parameters", name)
        if name in AUTOMATIC_PARAMETERS:
            yield document.problem(here, "AutoFlow gives this parameter its value; remove it", at_key=True)
        elif name in workflow.notebooks:
            yield document.problem(
                here, f"{name!r} is the label of a notebook of {workflow.name!r}; rename one of them", at_key=True
            )
        elif name not in wanted:
            yield document.problem(
                here,
                f"no notebook of {workflow.name!r} uses this parameter; {_did_you_mean(name, wanted)}",
                at_key=True,
            )
        elif message := _value_problem(value):
            yield document.problem(here, message)
    for name in sorted(wanted - trigger.parameters.keys()):
        readers = [label for label, notebook in workflow.notebooks.items() if name in notebook.parameters.values()]
        yield document.problem(
            path,
            f"parameter {name!r} is missing; notebook {', '.join(readers)} of {workflow.name!r} wants it."
            f" Add it under parameters, or, if a label is meant: {_did_you_mean(name, workflow.notebooks)}",
        )


def _value_problem(value: Any) -> str | None:
    """Say why a parameter's value can not be handed to a notebook; None when it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"found {value}, expected a number that JSON knows"
    if isinstance(value, (bytes, set)):
        kind = "set" if isinstance(value, set) else "binary value"
        return f"found a {kind}, expected text, a number, a list or the like"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return "found a key that is no text in a mapping; put it in quotes"
        return next(filter(None, map(_value_problem, value.values())), None)
    if isinstance(value, list):
        return next(filter(None, map(_value_problem, value)), None)
    try:
        json.dumps(value, default=str).encode()
    except (TypeError, ValueError) as error:
        return f"found a value that can not be handed over ({error})"
    return None


def _mapping(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _complaint(check: Callable[[], None]) -> str | None:
    try:
        check()
    except ValueError as error:
        return str(error)
    return None


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"expected one of {', '.join(names)}" if names else "none is expected here"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = str(value) if isinstance(value, (int, float, dt.date)) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _built_workflow(model: WorkflowModel) -> Workflow:
    return Workflow(
        name=model.name,
        notebooks=tuple(
            Notebook(
                label=label,
                filename=notebook.filename,
                parameters=notebook.parameters,
                output=Output(notebook.output.format, notebook.output.template) if notebook.output else None,
                timeout=notebook.timeout,
            )
            for label, notebook in model.notebooks.items()
        ),
        timeout=model.timeout,
        retries=Retries(model.retries.attempts, model.retries.pause, model.retries.max_pause),
        concurrency=model.concurrency,
    )


def _definitions(model: FileModel) -> Definitions:
    sensor = model.available_dates_sensor
    workflows: Mapping[str, Workflow] = {workflow.name: _built_workflow(workflow) for workflow in model.workflows}
    return Definitions(
        workflows=workflows,
        triggers=tuple(
            Trigger(trigger.workflow_name, trigger.parameters, trigger.earliest_date, trigger.date_stencil)
            for trigger in sensor.workflows
        ),
        schedule=sensor.schedule,
        timezone=sensor.timezone,
        cdr_types=tuple(dict.fromkeys(sensor.cdr_types)) if sensor.cdr_types else None,
        concurrency=_concurrency(sensor.concurrency),
        order=sensor.order,
    )


def _concurrency(model: ConcurrencyModel) -> Concurrency | None:
    """Where one of the two is not said, it follows the other."""
    runs, notebooks = model.runs or model.notebooks, model.notebooks or model.runs
    return Concurrency(runs, notebooks) if runs and notebooks else None
