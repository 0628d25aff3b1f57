# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml to definitions; all that is wrong with it in one go, each with its line."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from autoflow.dates import REFERENCE_DATE_ONLY, DateStencil, StencilError, as_date, parse_intervals
from autoflow.definitions import (
    AUTOMATIC_PARAMETERS,
    DATA_VERSION,
    DIRECTORIES,
    FIRST,
    FLOWAPI_PLACES,
    FLOWAPI_POOL,
    MISSING_DATES,
    PREVIOUS,
    SEPARATOR,
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
    is_reserved,
)
from autoflow.errors import DefinitionError, Problem
from autoflow.notebooks import NotebookFile, installed_kernels, kernel_is_installed, looks_like_token, read_notebook
from autoflow.parser.kernels import why_not_settable
from autoflow.parser.order import order_problems
from autoflow.parser.quality import quality_problems
from autoflow.parser.schema import entry_in, validator
from autoflow.parser.sheet import TEXTS, complaint, merged
from autoflow.parser.yaml_reader import Document, KeyPath, read_yaml
from autoflow.schedule import EARLIEST, Schedule, check_dates, check_schedule, check_timezone, overlap
from autoflow.sources import static_files
from autoflow.values import file_pattern
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

LOGOS = (".png", ".jpg", ".jpeg", ".svg")
"""How the files of pictures end that every format of a report can hold."""

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
        hint = _provided(key, known) or did_you_mean(key, known)
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
        yield document.problem(path, f"found {shown(found)}; {hint}")
    elif kind == "less_than_equal":
        yield document.problem(path, f"found {shown(found)}, expected a number of no more than {details['ctx']['le']}")
    elif path and path[-1] == "[key]":
        expected = EXPECTED.get(kind, details["msg"])
        yield document.problem(path[:-1], f"found the key {shown(found)}, expected {expected}", at_key=True)
    else:
        # YAML 1.1 takes yes, 1.0 and 2016-01-01 for anything but text
        hint = "; put it in quotes" if kind == "string_type" and isinstance(found, (bool, int, float, dt.date)) else ""
        yield document.problem(path, f"found {shown(found)}, expected {EXPECTED.get(kind, details['msg'])}{hint}")


def _provided(name: str, others: Iterable[str] = ()) -> str | None:
    """Say that AutoFlow provides what was probably meant; None where one of the others is closer."""
    meant = closest(name, (*AUTOMATIC_PARAMETERS, *others))
    if meant is None or meant not in AUTOMATIC_PARAMETERS:
        return None
    question = "" if meant == name else f"did you mean {shown(meant)}? "
    return f"{question}AutoFlow provides it, to notebooks that name it among their parameters"


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
    content = _mapping(document.content)
    sensor = _mapping(content.get("available_dates_sensor"))
    triggers = _list(sensor.get("workflows"))
    yield from _empty_problems(document)
    used = [_mapping(trigger).get("workflow_name") for trigger in triggers]
    by_name: dict[str, list[int]] = {}
    outlines: list[Workflow] = []
    for index, raw in enumerate(_list(content.get("workflows"))):
        path: KeyPath = ("workflows", index)
        outline, name = _outline(_mapping(raw)), _mapping(raw).get("name")
        outlines.append(outline)
        if isinstance(name, str):
            first = by_name.setdefault(name, [])
            yield from _name_problems(document, path, name, first, used)
            first.append(index)
        yield from _workflow_problems(document, path, _mapping(raw), outline, directory)
    yield from _sensor_problems(document, sensor)
    yield from _pool_problems(document, content)
    yield from _concurrency_problems(document, sensor)
    seen: dict[str, list[tuple[int, Trigger]]] = {}
    for index, trigger in enumerate(triggers):
        path = ("available_dates_sensor", "workflows", index)
        yield from _data_problems(document, path, _mapping(trigger), sensor)
        yield from _date_problems(document, path, _mapping(trigger))
        yield from _late_problems(document, path, _mapping(trigger))
        name = _mapping(trigger).get("workflow_name")
        if not isinstance(name, str) or (not by_name and content.get("workflows") != []):
            continue
        if name not in by_name:
            hint = did_you_mean(name, by_name)
            yield document.problem((*path, "workflow_name"), f"unknown workflow {shown(name)}; {hint}")
        elif len(by_name[name]) == 1:
            first_one = by_name[name][0]
            whole = ("workflows", first_one) not in faulty
            yield from _trigger_problems(document, path, trigger, outlines[first_one], whole=whole)
        yield from _twin_problems(document, path, trigger, seen)
    yield from _never_problems(document, outlines, [_mapping(trigger) for trigger in triggers])
    yield from order_problems(document, triggers, {outline.name: outline for outline in outlines})


def _workflow_problems(
    document: Document, path: KeyPath, raw: Mapping[Any, Any], outline: Workflow, directory: Path
) -> Iterator[Problem]:
    """Find what is wrong in a workflow and its notebooks."""
    yield from _sheet_problems(document, path, raw, outline, directory)
    for label, notebook in _mapping(raw.get("notebooks")).items():
        at: KeyPath = (*path, "notebooks", label)
        yield from _notebook_problems(document, at, label, _mapping(notebook), directory)
        yield from _sheet_problems(document, at, _mapping(notebook), outline, directory)
        yield from _read_problems(document, (*at, "reads"), _mapping(notebook).get("reads"), directory)
    yield from _cycle_problems(document, path, outline)


def _never_problems(
    document: Document, workflows: Sequence[Workflow], triggers: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """Find notebooks that no date of any trigger is for."""
    for index, workflow in enumerate(workflows):
        dates = [_trigger_outline(each) for each in triggers if each.get("workflow_name") == workflow.name]
        for label, when in ((each.label, each.when) for each in workflow.notebooks):
            if when in (None, "", FIRST) or _complaint(partial(check_dates, str(when))) or not dates:
                continue
            if all(each is not None and not overlap(each, Trigger("", dates=when)) for each in dates):
                message = f"{shown(when)} matches no reference date of a trigger of {shown(workflow.name)}"
                path: KeyPath = ("workflows", index, "notebooks", label, "when")
                yield document.problem(path, f"{message}; the notebook is never executed", severity="warning")


def _empty_problems(document: Document) -> Iterator[Problem]:
    """Find lists that may be empty, as in the predecessor, and leave nothing to do."""
    content = _mapping(document.content)
    if content.get("workflows") == []:
        yield document.problem(("workflows",), "an empty list: there are no workflows to run", severity="warning")
    if _mapping(content.get("available_dates_sensor")).get("workflows") == []:
        message = "an empty list: no runs are ever due"
        yield document.problem(("available_dates_sensor", "workflows"), message, severity="warning")


def _outline(raw: Mapping[str, Any]) -> Workflow:
    """Return what is known of a workflow with errors: its name, its labels, what they read."""
    name = raw.get("name")
    notebooks = [(label, _mapping(notebook)) for label, notebook in _mapping(raw.get("notebooks")).items()]
    return Workflow(
        name if isinstance(name, str) else "",
        tuple(
            Notebook(
                label,
                filename="",
                parameters={key: read for key, read in _parameters(notebook).items() if isinstance(read, str)},
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


def _cycle_problems(document: Document, path: KeyPath, workflow: Workflow) -> Iterator[Problem]:
    try:
        TopologicalSorter(workflow.dependencies()).prepare()
    except CycleError as error:
        # graphlib lists each notebook before the one that reads it
        cycle = list(reversed(error.args[1]))
        if len(set(cycle)) == 1:
            message = f"notebook {shown(cycle[0])} reads itself"
        else:
            message = (
                f"notebooks depend on each other in a cycle: {' -> '.join(map(shortened, cycle))} (each reads the next)"
            )
        reader = next(notebook for notebook in workflow.notebooks if notebook.label == cycle[0])
        parameter = next(key for key, read in reader.parameters.items() if read == cycle[1])
        yield document.problem((*path, "notebooks", reader.label, "parameters", parameter), message)


def _notebook_problems(
    document: Document, path: KeyPath, label: str, notebook: Mapping[str, Any], directory: Path
) -> Iterator[Problem]:
    if label in AUTOMATIC_PARAMETERS:
        message = f"{label!r} is a name that AutoFlow provides a value for; choose another label"
        yield document.problem(path, message, at_key=True)
    yield from _output_problems(document, (*path, "output"), notebook.get("output"), directory)
    yield from _when_problems(document, path, notebook)
    yield from _variable_problems(document, path, notebook)
    filename = notebook.get("filename")
    if filename and isinstance(filename, str):
        if complaint := _file_complaint(directory, filename):
            yield document.problem((*path, "filename"), complaint)
        else:
            yield from _content_problems(document, path, directory / filename, notebook)


def _when_problems(document: Document, path: KeyPath, notebook: Mapping[str, Any]) -> Iterator[Problem]:
    when = notebook.get("when")
    if notebook.get("newest") is True and when is None:
        advice = "without `when`, the notebook is executed in every run; remove this, or add `when`"
        yield document.problem((*path, "newest"), advice, at_key=True)
    if not isinstance(when, str) or when in ("", FIRST):
        return
    if message := _complaint(lambda: check_dates(when)):
        hint = f"; or {FIRST!r}, for the first run of a trigger" if len(when.split()) == 1 else ""
        yield document.problem((*path, "when"), f"{message}{hint}")


def _variable_problems(document: Document, path: KeyPath, notebook: Mapping[str, Any]) -> Iterator[Problem]:
    """Find environment variables that a notebook cannot be given."""
    raw = notebook.get("secrets")
    secrets = [name for name in (raw if isinstance(raw, list) else [raw]) if isinstance(name, str)]
    for name in secrets:
        if message := _reserved(name):
            yield document.problem((*path, "secrets"), message, at_key=True)
    for name, value in _mapping(notebook.get("environment")).items():
        at: KeyPath = (*path, "environment", name)
        if message := _reserved(str(name)):
            yield document.problem(at, message, at_key=True)
        elif name in secrets:
            yield document.problem(at, f"{shown(name)} is among the secrets too; remove it here", at_key=True)
        elif looks_like_token(value):
            message = f"{shown(name)} looks like a token; name it under secrets, and put its value where AutoFlow"
            yield document.problem(at, f"{message} finds FLOWAPI_TOKEN", at_key=True)


def _reserved(name: str) -> str | None:
    """Say why a variable is not for notebooks to be given; None when it is."""
    if name == "FLOWAPI_TOKEN":
        return "every notebook has FLOWAPI_TOKEN; remove it here"
    if is_reserved(name):
        return f"{shown(name)} is a variable that Python, Jupyter or AutoFlow depend on; choose another name"
    return None


def _output_problems(document: Document, path: KeyPath, outputs: Any, directory: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, raw in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        at, output = (*path, index) if isinstance(outputs, list) else path, _mapping(raw)
        kind = output.get("format")
        for key in ("template", "theme"):
            file = output.get(key)
            if file and isinstance(file, str) and (complaint := _file_complaint(directory, file)):
                yield document.problem((*at, key), complaint)
        if "theme" in output and kind == "html":
            yield document.problem((*at, "theme"), "a theme is for pdf; remove it", at_key=True)
        if isinstance(kind, str) and kind in seen:
            yield document.problem((*at, "format"), f"{shown(kind)} is listed twice; a notebook has one report of each")
        seen.add(str(kind))


def _sheet_problems(
    document: Document, path: KeyPath, raw: Mapping[str, Any], workflow: Workflow, directory: Path
) -> Iterator[Problem]:
    """Find what is wrong with what a workflow or a notebook says of its reports."""
    for key in TEXTS:
        text = raw.get(key)
        if isinstance(text, str) and (message := complaint(text, workflow.wanted_parameters())):
            yield document.problem((*path, key), message)
    logo = raw.get("logo")
    if not logo or not isinstance(logo, str):
        return
    if message := _file_complaint(directory, logo):
        yield document.problem((*path, "logo"), message)
    elif Path(logo).suffix.lower() not in LOGOS:
        yield document.problem((*path, "logo"), f"{shortened(logo)} is not a picture that ends with {', '.join(LOGOS)}")


def _read_problems(document: Document, path: KeyPath, raw: Any, directory: Path) -> Iterator[Problem]:
    """Find patterns that match no static file; what is in directories of runs is not known before they run."""
    for number, pattern in enumerate(raw if isinstance(raw, list) else [raw]):
        if _complaint(partial(file_pattern, pattern)) is not None:
            # that is told already
            continue
        of_runs = DIRECTORIES.get(pattern.partition("/")[0], "inputs_dir") != "inputs_dir"
        if not of_runs and next(static_files(directory, [pattern]), None) is None:
            at = (*path, number) if isinstance(raw, list) else path
            message = f"no file in {directory} matches {shown(pattern)}: reports would not say that they rest on it"
            yield document.problem(at, message, severity="warning")


def _content_problems(document: Document, path: KeyPath, file: Path, notebook: Mapping[str, Any]) -> Iterator[Problem]:
    """Compare a notebook's file with what workflows.yml says of it."""
    try:
        content = read_notebook(file)
    except ValueError as error:
        yield document.problem((*path, "filename"), f"{file.name} {error}")
        return
    except OSError as error:
        yield document.problem((*path, "filename"), f"{file.name} cannot be read ({error.strerror})")
        return
    if content.token_cell:
        message = (
            f"cell {content.token_cell} of {file.name} has what looks like a token; executed notebooks will show it"
        )
        hint = """read FlowAPI's by environ["FLOWAPI_TOKEN"]"""
        yield document.problem((*path, "filename"), f"{message}; {hint}", severity="warning")
    if isinstance(kernel := notebook.get("kernel"), str):
        kernels = installed_kernels()
        if kernel in kernels:
            content = replace(content, kernel=kernel, language=kernels[kernel])
        else:
            message = f"the kernel {shown(kernel)} is not installed; {did_you_mean(kernel, kernels)}"
            yield document.problem((*path, "kernel"), message)
    elif content.kernel is None or content.language is None:
        message = f"{file.name} names no {'language' if content.kernel else 'kernel'}"
        yield document.problem((*path, "filename"), f"{message}; open it in Jupyter, choose a kernel and save it")
    elif not kernel_is_installed(content.kernel):
        message = f"{file.name} asks for the kernel {shown(content.kernel)}, which is not installed"
        hint = "install it, or choose another kernel in Jupyter and save the notebook"
        yield document.problem((*path, "filename"), f"{message}; {hint}")
    if content.kernel and content.language and content.language != "python":
        yield from _value_problems(document, path, content.kernel, content.language)
    yield from _parameter_problems(document, path, file.name, content, _parameters(notebook))


def _parameter_problems(
    document: Document, path: KeyPath, name_of_file: str, content: NotebookFile, parameters: Mapping[str, Any]
) -> Iterator[Problem]:
    """Compare the parameters that a notebook is given with those that it has."""
    if parameters and not content.has_parameters_cell:
        message = f"{name_of_file} has no cell tagged 'parameters'; the values will be set before its first cell"
        yield document.problem((*path, "parameters"), message, severity="warning")
    elif content.parameters is not None:
        for name in parameters:
            if name not in content.parameters:
                message = f"the parameters cell of {name_of_file} does not define {shown(name)}"
                hint = did_you_mean(name, content.parameters) if content.parameters else "it defines nothing"
                yield document.problem(
                    (*path, "parameters", name), f"{message}; {hint}", at_key=True, severity="warning"
                )


def _value_problems(document: Document, path: KeyPath, kernel: str, language: str) -> Iterator[Problem]:
    """Find values that papermill cannot set in a notebook of another language than Python."""
    content = _mapping(document.content)
    _, workflow, _, label = path
    raw = _mapping(_list(content.get("workflows"))[int(workflow)])
    known: dict[str, list[Any]] = {"date_ranges": [[["2016-01-01", "2016-01-02"]]], MISSING_DATES: [["2016-01-01"]]}
    for trigger in map(_mapping, _list(_mapping(content.get("available_dates_sensor")).get("workflows"))):
        if trigger.get("workflow_name") == raw.get("name"):
            for name, value in _parameters(trigger).items():
                known.setdefault(str(name), []).append(value)
    notebooks = _mapping(raw.get("notebooks"))
    for name, notebook in notebooks.items():
        known[str(name)] = [None] if _mapping(notebook).get("when") else [""]
    for parameter, source in _parameters(notebooks.get(str(label))).items():
        # anything else is text, or null for the first run
        values = known.get(str(source), [None if str(source).startswith(f"{PREVIOUS}{SEPARATOR}") else ""])
        if why := next(filter(None, (why_not_settable(kernel, language, value) for value in values)), None):
            message = f"papermill cannot give {shown(source)} to a notebook of the kernel {shown(kernel)}: {why}"
            yield document.problem((*path, "parameters", parameter), message)


def _file_complaint(directory: Path, name: str) -> str | None:
    """Say what is wrong with a file that should be beside workflows.yml; None when nothing is."""
    try:
        if Path(name).is_absolute():
            return f"{shortened(name)} is an absolute path, expected one from the directory of workflows.yml"
        root, target = directory.resolve(), (directory / name).resolve()
        if not target.is_relative_to(root):
            return f"{shortened(name)} is outside of the directory of workflows.yml; files must be in it"
        if not target.exists():
            return f"{shortened(name)} not found in {directory}{_file_hint(root, name)}"
        if not target.is_file():
            return f"{shortened(name)} is not a file"
        target.open("rb").close()
    except OSError as error:
        return f"{shortened(name)} cannot be read ({error.strerror})"
    except (ValueError, RuntimeError) as error:
        return f"{shown(name)} is not a usable file name ({error})"
    return None


def _file_hint(root: Path, name: str) -> str:
    """Suggest a file of the same kind in the same place."""
    wanted = Path(name)
    stems = [path.stem for path in (root / wanted.parent).glob(f"*{wanted.suffix}") if path.is_file()]
    meant = closest(wanted.stem, stems)
    return f"; did you mean {str(wanted.with_name(meant + wanted.suffix))!r}?" if meant else ""


def _sensor_problems(document: Document, sensor: Mapping[str, Any]) -> Iterator[Problem]:
    path: KeyPath = ("available_dates_sensor",)
    expression, zone = sensor.get("schedule"), sensor.get("timezone")
    if isinstance(zone, str) and (message := _complaint(lambda: check_timezone(zone))):
        yield document.problem((*path, "timezone"), message)
    # whether it can be read, and ever ticks, is the same in all time zones and at all times
    if isinstance(expression, str) and (message := _complaint(lambda: check_schedule(Schedule(expression), EARLIEST))):
        yield document.problem((*path, "schedule"), message)
    yield from _type_problems(document, path, sensor)
    yield from quality_problems(document, path, sensor, _types_of(sensor))


def _types_of(*raws: Mapping[str, Any]) -> list[str] | None:
    """Return the CDR types that the first of some mappings names which names any."""
    named = next((types for raw in raws if (types := _list(raw.get("cdr_types")))), None)
    return [each for each in named if isinstance(each, str)] if named else None


def _concurrency_problems(document: Document, sensor: Mapping[Any, Any]) -> Iterator[Problem]:
    """See that numbers are said, and that `most`, which is for `auto`, is not beside fixed ones."""
    raw = _mapping(sensor.get("concurrency"))
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
    raw = _mapping(content.get("available_dates_sensor")).get("pools")
    pools, used = _mapping(raw), set[str]()
    for index, workflow in enumerate(_list(content.get("workflows"))):
        for label, notebook in _mapping(_mapping(workflow).get("notebooks")).items():
            pool = _mapping(notebook).get("pool")
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


def _type_problems(document: Document, path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is doubtful in the CDR types that the sensor or a trigger names."""
    cdr_types = _list(raw.get("cdr_types"))
    for index, cdr_type in enumerate(cdr_types):
        if cdr_type in cdr_types[:index]:
            message = f"{shown(cdr_type)} is listed twice; it counts once"
            yield document.problem((*path, "cdr_types", index), message, severity="warning")
    if raw.get("require") == "all" and cdr_types and all(cdr_type == cdr_types[0] for cdr_type in cdr_types):
        message = f"with one type, all means the same as any; name more than {shown(cdr_types[0])} under cdr_types"
        yield document.problem((*path, "require"), message, severity="warning")


def _data_problems(
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


def _date_problems(document: Document, path: KeyPath, trigger: Mapping[str, Any]) -> Iterator[Problem]:
    """Find restrictions that leave a trigger no reference date."""
    expression = trigger.get("dates")
    if isinstance(expression, str) and (message := _complaint(lambda: check_dates(expression))):
        yield document.problem((*path, "dates"), message)
    outline = _trigger_outline(trigger)
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


def _late_problems(document: Document, path: KeyPath, trigger: Mapping[str, Any]) -> Iterator[Problem]:
    """Find windows that need not be complete and always have to, and the reverse."""
    elements = _list(trigger.get("date_stencil"))
    incomplete = [number for number, element in enumerate(elements) if isinstance(element, dict)]
    if "late" in trigger and not incomplete:
        message = "no window of date_stencil may be incomplete: write it as {from: month, to: month+1, at_least: 60%}"
        yield document.problem((*path, "late"), message, at_key=True, severity="warning")
    for number in incomplete if "late" not in trigger else ():
        message = "nothing says when waiting ends, so all of this window is waited for; add late: {after: 5d}"
        yield document.problem((*path, "date_stencil", number), message, severity="warning")


def _trigger_outline(raw: Mapping[str, Any]) -> Trigger | None:
    """Return a trigger with its dates only; None when they cannot be read."""
    expression = raw.get("dates")
    if isinstance(expression, str) and _complaint(lambda: check_dates(expression)):
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


def _trigger_problems(
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
    given = _parameters(trigger)
    for parameter in given:
        if parameter in AUTOMATIC_PARAMETERS:
            message = "AutoFlow provides the value of this parameter; remove it"
        elif parameter in labels:
            message = f"{shown(parameter)} is the label of a notebook of {name}; rename one of them"
        elif parameter not in usable and whole:
            hint = _provided(parameter, wanted) or did_you_mean(parameter, wanted)
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


def _twin_problems(
    document: Document, path: KeyPath, trigger: Mapping[str, Any], seen: dict[str, list[tuple[int, Trigger]]]
) -> Iterator[Problem]:
    """Find triggers that ask for the same runs: equal in all that a run's parameters are made of, for some date."""
    try:
        stencil = DateStencil.parse(trigger["date_stencil"]) if "date_stencil" in trigger else REFERENCE_DATE_ONLY
    except StencilError:
        return
    outline = _trigger_outline(trigger)
    if outline is None:
        return
    parts = [trigger["workflow_name"], _parameters(trigger), stencil.pairs]
    alike = seen.setdefault(json.dumps(parts, sort_keys=True, default=str), [])
    twin = next((line for line, other in alike if overlap(outline, other)), None)
    if twin is not None:
        message = f"asks for the same runs as the trigger in line {twin}; each is run once"
        yield document.problem(path, message, severity="warning")
    alike.append((document.values[path][0], outline))


def _parameters(raw: Any) -> Mapping[str, Any]:
    return _mapping(_mapping(raw).get("parameters"))


def _mapping(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _complaint(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ValueError as error:
        return str(error)
    return None


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
