# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml to definitions; all that is wrong with it in one go, each with its line."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from autoflow.dates import StencilError
from autoflow.definitions import (
    FIRST,
    FLOWAPI_PLACES,
    FLOWAPI_POOL,
    Automatic,
    Concurrency,
    ConcurrencyEntry,
    Definitions,
    File,
    Notebook,
    NotebookEntry,
    NotebookKeys,
    SensorKeys,
    Sheet,
    Trigger,
    Workflow,
    WorkflowEntry,
    WorkflowKeys,
)
from autoflow.errors import DefinitionError, Problem
from autoflow.notebooks import read_notebook
from autoflow.parser.order import order_problems
from autoflow.parser.raw import complaint_of, list_in, mapping_in, parameters_in
from autoflow.parser.schema import entry_in, validator
from autoflow.parser.sheet import merged
from autoflow.parser.trigger_problems import (
    Twin,
    data_problems,
    date_problems,
    late_problems,
    provided_name,
    sensor_problems,
    trigger_outline,
    trigger_problems,
    twin_problems,
)
from autoflow.parser.workflow_problems import workflow_problems
from autoflow.parser.yaml_reader import Document, KeyPath, read_yaml
from autoflow.schedule import check_dates, overlap
from autoflow.wording import closest, did_you_mean, shortened, shown

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
    "greater_than": "a number greater than 0",
    "too_short": "at least one entry",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "text that is not blank",
    "string_too_long": "text of no more than 300 characters",
}
"""What pydantic's kinds of mistakes ask for, in words for a person."""


UNKNOWN_KEY = "unexpected_keyword_argument"

logger = logging.getLogger(__name__)


def read_definitions(file: Path) -> Definitions:
    """Read workflows.yml, and log what is doubtful in it.

    Raises
    ------
    DefinitionError
        With all that is wrong in it.
    """
    definitions, warnings = load_definitions(file)
    for warning in warnings:
        logger.warning("%s", warning)
    return definitions


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
    document, unreadable = read_yaml(path, _is_parameter)
    content: File | None = None
    mistakes: list[ErrorDetails] = []
    try:
        content = validator().validate_python(document.content)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    problems = [
        *unreadable,
        *_shape_problems(document, mistakes, {problem.key for problem in unreadable}),
        *_meaning_problems(document, path.parent, faulty={details["loc"][:2] for details in mistakes}),
    ]
    errors = sorted(problem for problem in problems if problem.severity == "error")
    if errors or content is None:
        raise DefinitionError(tuple(errors))
    return _with_flowapi_pool(_definitions(content), path.parent), tuple(sorted(problems))


def _is_parameter(path: KeyPath) -> bool:
    """Return whether a path leads to or into a trigger's parameter, whose values the predecessor did not look at."""
    return len(path) > 4 and path[:2] == ("available_dates_sensor", "workflows") and path[3] == "parameters"


def _shape_problems(document: Document, mistakes: list[ErrorDetails], unreadable: Collection[str]) -> Iterator[Problem]:
    """Say in our words what pydantic found, and nothing of values that could not even be read."""
    misspelt: set[KeyPath] = set()
    mistakes = [{**details, "loc": _as_written(document, details["loc"])} for details in mistakes]
    for details in mistakes:
        if details["type"] == UNKNOWN_KEY:
            parent, key = details["loc"][:-1], str(details["loc"][-1])
            if meant := closest(key, _keys_of(parent)):
                misspelt.add((*parent, meant))
    for details in mistakes:
        if details["type"] == "missing" and details["loc"] in misspelt:
            continue
        yield from (problem for problem in _shape_problem(document, details) if problem.key not in unreadable)


def _as_written(document: Document, path: KeyPath) -> KeyPath:
    """Leave out the place in a list or mapping that only one entry, written without it, was put into."""
    for end, part in enumerate(path):
        if part == "restatement" and path[end + 1 :] == ("do",) and path not in document.values:
            return path[: end + 1]
        if (
            part in ("output", "email", "quality", "reads", "secrets")
            and path[end + 1 : end + 2] == (0,)
            and (*path[: end + 1], 0) not in document.values
        ):
            return (*path[: end + 1], *path[end + 2 :])
    return path


def _shape_problem(document: Document, details: ErrorDetails) -> Iterator[Problem]:
    path, kind, found = details["loc"], details["type"], details["input"]
    if kind == UNKNOWN_KEY:
        key, known = str(path[-1]), _keys_of(path[:-1])
        hint = provided_name(key, known) or did_you_mean(key, known)
        yield document.problem(path, f"unknown key; {hint}", at_key=True)
    elif kind == "missing":
        yield document.problem(path, "missing; this key is needed")
    elif kind == "value_error" and isinstance(error := details["ctx"]["error"], StencilError):
        for position, message in error.complaints:
            yield document.problem((*path, *position), message)
    elif kind == "value_error":
        yield document.problem(path, str(details["ctx"]["error"]))
    elif kind == "literal_error":
        choices = [choice.strip("' ") for choice in str(details["ctx"]["expected"]).replace(" or ", ",").split(",")]
        hint = did_you_mean(found, choices) if isinstance(found, str) else f"expected {', '.join(choices)}"
        others = "; other workflows go into `needs`" if path[-1] == "after" else ""
        yield document.problem(path, f"found {shown(found)}; {hint}{others}")
    elif kind == "less_than_equal":
        yield document.problem(path, f"found {shown(found)}, expected a number of no more than {details['ctx']['le']}")
    elif path and path[-1] == "[key]":
        expected = EXPECTED.get(kind, details["msg"])
        yield document.problem(path[:-1], f"found the key {shown(found)}, expected {expected}", at_key=True)
    else:
        # YAML 1.1 takes yes, 1.0 and 2016-01-01 for anything but text
        hint = "; put it in quotes" if kind == "string_type" and isinstance(found, (bool, int, float, dt.date)) else ""
        yield document.problem(path, f"found {shown(found)}, expected {EXPECTED.get(kind, details['msg'])}{hint}")


def _keys_of(path: KeyPath) -> list[str]:
    """List the keys that the mapping at a path may have."""
    entry: type[Any] = File
    # what follows these is a name that people choose, and no key of ours
    named = False
    for part in path:
        if isinstance(part, int) or named:
            named = False
            continue
        named = (entry, part) == (WorkflowEntry, "notebooks")
        entry = entry_in(get_type_hints(entry)[part])
    return [key.name for key in fields(entry)]


def _meaning_problems(document: Document, directory: Path, faulty: Collection[KeyPath]) -> Iterator[Problem]:
    """Find what cannot be meant, wherever the shape lets it be told, whatever is wrong elsewhere.

    Parameters
    ----------
    faulty
        Beginnings, two steps long, of the paths of values with the wrong shape.
    """
    content = mapping_in(document.content)
    sensor = mapping_in(content.get("available_dates_sensor"))
    triggers = list_in(sensor.get("workflows"))
    yield from _empty_problems(document)
    used = [mapping_in(trigger).get("workflow_name") for trigger in triggers]
    by_name: dict[str, list[int]] = {}
    outlines: list[Workflow] = []
    for index, raw in enumerate(list_in(content.get("workflows"))):
        path: KeyPath = ("workflows", index)
        outline, name = _outline(mapping_in(raw)), mapping_in(raw).get("name")
        outlines.append(outline)
        if isinstance(name, str):
            first = by_name.setdefault(name, [])
            yield from _name_problems(document, path, name, first, used)
            first.append(index)
        yield from workflow_problems(document, path, mapping_in(raw), outline, directory)
    yield from sensor_problems(document, sensor)
    yield from _pool_problems(document, content)
    yield from _concurrency_problems(document, sensor)
    seen: dict[str, list[Twin]] = {}
    for index, trigger in enumerate(triggers):
        path = ("available_dates_sensor", "workflows", index)
        yield from data_problems(document, path, mapping_in(trigger), sensor)
        yield from date_problems(document, path, mapping_in(trigger))
        yield from late_problems(document, path, mapping_in(trigger))
        name = mapping_in(trigger).get("workflow_name")
        if not isinstance(name, str) or (not by_name and content.get("workflows") != []):
            continue
        if name not in by_name:
            hint = did_you_mean(name, by_name)
            yield document.problem((*path, "workflow_name"), f"unknown workflow {shown(name)}; {hint}")
        elif len(by_name[name]) == 1:
            first_one = by_name[name][0]
            whole = ("workflows", first_one) not in faulty
            yield from trigger_problems(document, path, trigger, outlines[first_one], whole=whole)
        yield from twin_problems(document, path, trigger, seen)
    yield from _never_problems(document, outlines, [mapping_in(trigger) for trigger in triggers])
    yield from order_problems(document, triggers, {outline.name: outline for outline in outlines})


def _never_problems(
    document: Document, workflows: Sequence[Workflow], triggers: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """Find notebooks that no date of any trigger is for."""
    for index, workflow in enumerate(workflows):
        dates = [trigger_outline(each) for each in triggers if each.get("workflow_name") == workflow.name]
        for label, when in ((each.label, each.when) for each in workflow.notebooks):
            if when in (None, "", FIRST) or complaint_of(partial(check_dates, str(when))) or not dates:
                continue
            if all(each is not None and not overlap(each, Trigger("", dates=when)) for each in dates):
                message = f"{shown(when)} matches no reference date of a trigger of {shown(workflow.name)}"
                path: KeyPath = ("workflows", index, "notebooks", label, "when")
                yield document.problem(path, f"{message}; the notebook is never executed", severity="warning")


def _empty_problems(document: Document) -> Iterator[Problem]:
    """Find lists that may be empty, as in the predecessor, and leave nothing to do."""
    content = mapping_in(document.content)
    if content.get("workflows") == []:
        yield document.problem(("workflows",), "an empty list: there are no workflows to run", severity="warning")
    if mapping_in(content.get("available_dates_sensor")).get("workflows") == []:
        message = "an empty list: no runs are ever due"
        yield document.problem(("available_dates_sensor", "workflows"), message, severity="warning")


def _outline(raw: Mapping[str, Any]) -> Workflow:
    """Return what is known of a workflow with errors: its name, its labels, what they read."""
    name = raw.get("name")
    notebooks = [(label, mapping_in(notebook)) for label, notebook in mapping_in(raw.get("notebooks")).items()]
    return Workflow(
        name if isinstance(name, str) else "",
        tuple(
            Notebook(
                label,
                filename="",
                parameters={key: read for key, read in parameters_in(notebook).items() if isinstance(read, str)},
                when=notebook["when"] if isinstance(notebook.get("when"), str) else None,
            )
            for label, notebook in notebooks
        ),
    )


def _name_problems(
    document: Document, path: KeyPath, name: str, first: list[int], used: list[Any]
) -> Iterator[Problem]:
    if first:
        line = document.values["workflows", first[0], "name"][0]
        message = f"a workflow named {shown(name)} is in line {line} already; rename one of them"
        yield document.problem((*path, "name"), message)
    elif name not in used:
        message = f"no trigger under available_dates_sensor.workflows runs {shown(name)}"
        yield document.problem((*path, "name"), message, severity="warning")


def _concurrency_problems(document: Document, sensor: Mapping[Any, Any]) -> Iterator[Problem]:
    """See that numbers are said, and that `most`, which is for `auto`, is not beside fixed ones."""
    raw = mapping_in(sensor.get("concurrency"))
    for name in ("most", "runs", "notebooks"):
        if name in raw and raw[name] is None:
            message = "found null, expected a whole number; leave it out, or write `concurrency: auto`"
            yield document.problem(("available_dates_sensor", "concurrency", name), message)
    fixed = next((name for name in ("runs", "notebooks") if raw.get(name) is not None), None)
    if fixed and raw.get("most") is not None:
        path: KeyPath = ("available_dates_sensor", "concurrency", "most")
        message = f"`most` is for `auto`, and {fixed} is a fixed number; leave out one of them"
        yield document.problem(path, message, at_key=True)


def _pool_problems(document: Document, content: Mapping[str, Any]) -> Iterator[Problem]:
    """Compare the pools that notebooks name with those that there are."""
    raw = mapping_in(content.get("available_dates_sensor")).get("pools")
    pools, used = mapping_in(raw), set[str]()
    for index, workflow in enumerate(list_in(content.get("workflows"))):
        for label, notebook in mapping_in(mapping_in(workflow).get("notebooks")).items():
            pool = mapping_in(notebook).get("pool")
            if not isinstance(pool, str) or not pool:
                continue
            used.add(pool)
            if pool not in (*pools, FLOWAPI_POOL) and isinstance(raw, dict | None):
                hint = did_you_mean(pool, pools) if pools else "available_dates_sensor.pools has none; add it there"
                path: KeyPath = ("workflows", index, "notebooks", label, "pool")
                yield document.problem(path, f"unknown pool {shown(pool)}; {hint}")
    for name in pools.keys() - used - {FLOWAPI_POOL}:
        at: KeyPath = ("available_dates_sensor", "pools", name)
        yield document.problem(at, f"no notebook has `pool: {shortened(name)}`", at_key=True, severity="warning")


def _definitions(file: File) -> Definitions:
    sensor = file.available_dates_sensor
    return Definitions(
        {workflow.name: _workflow(workflow) for workflow in file.workflows},
        sensor.workflows,
        concurrency=_concurrency(sensor.concurrency),
        notify=file.notify,
        **_values_of(SensorKeys, sensor),
    )


def _workflow(entry: WorkflowEntry) -> Workflow:
    notebooks = tuple(_notebook(label, notebook, entry) for label, notebook in entry.notebooks.items())
    return Workflow(notebooks=notebooks, **_values_of(WorkflowKeys, entry))


def _notebook(label: str, entry: NotebookEntry, workflow: Sheet) -> Notebook:
    sheet = merged(Sheet(**_values_of(Sheet, workflow)), Sheet(**_values_of(Sheet, entry)))
    return Notebook(label, outputs=entry.output, sheet=sheet, **_values_of(NotebookKeys, entry))


def _values_of(keys: type[Any], entry: Any) -> dict[str, Any]:
    """Return the values of the keys that an entry and a definition have in common."""
    return {key.name: getattr(entry, key.name) for key in fields(keys)}


def _concurrency(entry: ConcurrencyEntry) -> Concurrency | Automatic:
    """Where one of the two numbers is not said, it follows the other."""
    runs, notebooks = entry.runs or entry.notebooks, entry.notebooks or entry.runs
    return Concurrency(runs, notebooks) if runs and notebooks else Automatic(entry.most)


def _with_flowapi_pool(definitions: Definitions, directory: Path) -> Definitions:
    """Put notebooks that ask FlowAPI into its pool, where no fixed number bounds them, and they are in no other."""
    workflows = definitions.workflows
    if isinstance(definitions.concurrency, Automatic):
        workflows = {name: _in_flowapi_pool(workflow, directory) for name, workflow in workflows.items()}
    pools = definitions.pools
    if any(FLOWAPI_POOL in workflow.pools() for workflow in workflows.values()):
        pools = {FLOWAPI_POOL: FLOWAPI_PLACES, **pools}
    return replace(definitions, workflows=workflows, pools=pools)


def _in_flowapi_pool(workflow: Workflow, directory: Path) -> Workflow:
    def asks(notebook: Notebook) -> bool:
        try:
            return read_notebook(directory / notebook.filename).imports_flowclient
        except (OSError, ValueError):
            # it was there when it was checked: its execution tells
            return False

    notebooks = (
        replace(each, pool=FLOWAPI_POOL) if each.pool is None and asks(each) else each for each in workflow.notebooks
    )
    return replace(workflow, notebooks=tuple(notebooks))
