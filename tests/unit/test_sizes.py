# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Functions are short and take few arguments; those that are not say why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import autoflow

ROOT = Path(autoflow.__file__).parent
LINES, PARAMETERS = 40, 5
"""The most of a function, its docstring left out, and of its parameters, ``self`` left out."""

REASON = re.compile(r"although it is long: |long, since |(six|seven) parameters\W", re.IGNORECASE)
"""How a docstring gives the reason."""

EXCEPTIONS = {
    "app.py": {"try_out"},
    "child/notebook/notebook.py": {"execute_managed_notebook"},
    "child/warm_parent.py": {"_take"},
    "cli.py": {"live"},
    "cluster/door.py": {"call"},
    "jobs/jobs.py": {"call", "_call"},
    "model/reader.py": {"attempts"},
    "model/store.py": {"finish_notebook"},
    "model/migrations.py": {"_add_steering"},
    "settings/settings.py": {"load_settings"},
    "workflows/run.py": {"execute"},
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def too_large() -> Iterator[tuple[str, Function]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function) and (lines_of(node) > LINES or len(parameters_of(node)) > PARAMETERS):
                yield str(path.relative_to(ROOT)), node


def lines_of(function: Function) -> int:
    first = function.body[0]
    docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def parameters_of(function: Function) -> list[str]:
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_functions_are_short_and_take_few_arguments_or_say_why_not() -> None:
    found: dict[str, set[str]] = {}
    for place, function in too_large():
        found.setdefault(place, set()).add(function.name)
        assert REASON.search(ast.get_docstring(function) or ""), f"{place}: {function.name} gives no reason"
    assert found == EXCEPTIONS
