# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a notebook's parameter is given: a name of AutoFlow's, a value, or a reason why neither."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoflow.airflow.dag_file import Result, Task
from autoflow.airflow.values import Length, Moment, Unknown

REFERENCE_DATE = re.compile(
    r"ds|logical_date|execution_date|data_interval_start|dag_run\.logical_date"
    r"|(?:dag_run\.)?(?:logical_date|execution_date|data_interval_start)(?:\s*\|\s*ds|\.date\(\)|\.to_date_string\(\)"
    r"|\.strftime\(\s*['\"]%Y-%m-%d['\"]\s*\)|\.isoformat\(\))"
)
ADDED = re.compile(r"macros\.ds_add\(\s*ds\s*,\s*([+-]?\s*\d+)\s*\)")
WHOLE = re.compile(r"\s*\{\{-?\s*(.*?)\s*-?\}\}\s*", re.DOTALL)
PARAMS = re.compile(r"(?:dag_run\.conf|params)(?:\.(\w+)|\[['\"](\w+)['\"]\])")
VARIABLE = re.compile(r"var\.(?:value|json)\.(\w+)|var\.value\.get\(\s*['\"](\w+)['\"].*")
XCOM = re.compile(r"(?:ti|task_instance)\.xcom_pull\(.*?['\"]([\w.-]+)['\"].*")


@dataclass(frozen=True)
class Given:
    """A name of AutoFlow's, or of another notebook."""

    name: str
    remark: str = ""
    """How it differs from what Airflow gave."""


@dataclass(frozen=True)
class Literal:
    """A value, for the trigger."""

    value: Any


@dataclass(frozen=True)
class Lost:
    """Why a parameter gets no value here."""

    why: str
    offset: int | None = None
    """Days from the reference date of a date that it was."""


def given(value: Any, params: Mapping[str, Any], labels: Mapping[str, str]) -> Given | Literal | Lost:
    """Translate the value of a notebook's parameter.

    Parameters
    ----------
    params
        The DAG's.
    labels
        Labels of notebooks by the names of their tasks.
    """
    if isinstance(value, (Result, Task)):
        task = value.task if isinstance(value, Result) else value
        return _result(task.name, labels)
    if isinstance(value, Unknown):
        return Lost(f"`{value.source}`, which only running the file would tell")
    if isinstance(value, Moment):
        return Literal(value.date.isoformat())
    if isinstance(value, str) and "{" in value:
        return _template(value, params, labels)
    if isinstance(value, Length):
        return Lost("a length of time; JSON has none")
    for part in _parts(value):
        if isinstance(inner := given(part, params, labels), (Given, Lost)):
            return inner if isinstance(inner, Lost) else Lost(f"{value!r}, with a part that depends on the run")
    return Literal(_plain(value))


def _template(text: str, params: Mapping[str, Any], labels: Mapping[str, str]) -> Given | Literal | Lost:
    whole = WHOLE.fullmatch(text)
    if whole is None or "}}" in whole.group(1):
        dated = re.search(r"\{\{|\{%", text)
        return Lost(f"{text!r}, which depends on the run: put it together in the notebook") if dated else Literal(text)
    inner = whole.group(1)
    if REFERENCE_DATE.fullmatch(inner):
        return Given("reference_date")
    if found := ADDED.fullmatch(inner):
        days = int(found.group(1).replace(" ", ""))
        return Lost(
            f"the reference date {'+' if days >= 0 else '-'} {abs(days)} days: compute it in the notebook", days
        )
    if found := PARAMS.fullmatch(inner):
        name = found.group(1) or found.group(2)
        return given(params[name], {}, labels) if name in params else Lost(f"{text!r}: the DAG has no such parameter")
    if found := VARIABLE.fullmatch(inner):
        name = found.group(1) or found.group(2)
        return Lost(f"the Airflow variable {name} (`airflow variables get {name}` tells it)")
    if found := XCOM.fullmatch(inner):
        return _result(found.group(1), labels)
    return Lost(f"{text!r}, which depends on the run: compute it in the notebook")


def _result(task: str, labels: Mapping[str, str]) -> Given | Lost:
    if task in labels:
        return Given(labels[task], f"the path of that executed notebook; was the result of task {task}")
    return Lost(f"the result of task {task}, which is no notebook: let the notebook get it")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _plain(value: Any) -> Any:
    """Write paths as texts, wherever they stand."""
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Moment):
        return value.date.isoformat()
    return value if isinstance(value, (str, int, float, type(None))) else str(value)
