# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is wrong in a workflow of workflows.yml, in its notebooks and in the files that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from autoflow.definitions import (
    AUTOMATIC_PARAMETERS,
    DIRECTORIES,
    FIRST,
    MISSING_DATES,
    PREVIOUS,
    SEPARATOR,
    Workflow,
    is_reserved,
)
from autoflow.errors import Problem
from autoflow.notebooks import NotebookFile, installed_kernels, kernel_is_installed, looks_like_token, read_notebook
from autoflow.parser.kernels import why_not_settable
from autoflow.parser.raw import complaint_of, list_in, mapping_in, parameters_in
from autoflow.parser.sheet import TEXTS, complaint
from autoflow.parser.yaml_reader import Document, KeyPath
from autoflow.schedule import check_dates
from autoflow.sources import static_files
from autoflow.values import file_pattern
from autoflow.wording import closest, did_you_mean, shortened, shown

LOGOS = (".png", ".jpg", ".jpeg", ".svg")
"""How the files of pictures end that every format of a report can hold."""


def workflow_problems(
    document: Document, path: KeyPath, raw: Mapping[Any, Any], outline: Workflow, directory: Path
) -> Iterator[Problem]:
    """Find what is wrong in a workflow and its notebooks."""
    yield from _sheet_problems(document, path, raw, outline, directory)
    for label, notebook in mapping_in(raw.get("notebooks")).items():
        at: KeyPath = (*path, "notebooks", label)
        yield from _notebook_problems(document, at, label, mapping_in(notebook), directory)
        yield from _sheet_problems(document, at, mapping_in(notebook), outline, directory)
        yield from _read_problems(document, (*at, "reads"), mapping_in(notebook).get("reads"), directory)
    yield from _cycle_problems(document, path, outline)


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
    if message := complaint_of(lambda: check_dates(when)):
        hint = f"; or {FIRST!r}, for the first run of a trigger" if len(when.split()) == 1 else ""
        yield document.problem((*path, "when"), f"{message}{hint}")


def _variable_problems(document: Document, path: KeyPath, notebook: Mapping[str, Any]) -> Iterator[Problem]:
    """Find environment variables that a notebook cannot be given."""
    raw = notebook.get("secrets")
    secrets = [name for name in (raw if isinstance(raw, list) else [raw]) if isinstance(name, str)]
    for name in secrets:
        if message := _reserved(name):
            yield document.problem((*path, "secrets"), message, at_key=True)
    for name, value in mapping_in(notebook.get("environment")).items():
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
        at, output = (*path, index) if isinstance(outputs, list) else path, mapping_in(raw)
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
        if complaint_of(partial(file_pattern, pattern)) is not None:
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
    yield from _parameter_problems(document, path, file.name, content, parameters_in(notebook))


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
    content = mapping_in(document.content)
    _, workflow, _, label = path
    raw = mapping_in(list_in(content.get("workflows"))[int(workflow)])
    known: dict[str, list[Any]] = {"date_ranges": [[["2016-01-01", "2016-01-02"]]], MISSING_DATES: [["2016-01-01"]]}
    for trigger in map(mapping_in, list_in(mapping_in(content.get("available_dates_sensor")).get("workflows"))):
        if trigger.get("workflow_name") == raw.get("name"):
            for name, value in parameters_in(trigger).items():
                known.setdefault(str(name), []).append(value)
    notebooks = mapping_in(raw.get("notebooks"))
    for name, notebook in notebooks.items():
        known[str(name)] = [None] if mapping_in(notebook).get("when") else [""]
    for parameter, source in parameters_in(notebooks.get(str(label))).items():
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
