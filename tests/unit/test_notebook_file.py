# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks' files as far as workflows.yml depends on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autoflow.notebook_file import NotebookFile, kernel_is_installed, read_notebook


def notebook(**changes: Any) -> dict[str, Any]:
    """Make the content of a notebook, some of it changed."""
    cell = nbformat.v4.new_code_cell("reference_date = None\nunit: str = 'admin2'", metadata={"tags": ["parameters"]})
    content = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Flows"), cell],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )
    return {**json.loads(nbformat.writes(content)), **changes}


def with_parameters(source: Any, tags: Any = ("parameters",)) -> dict[str, Any]:
    return notebook(cells=[{"cell_type": "code", "metadata": {"tags": tags}, "source": source}])


def read(directory: Path, content: Any) -> NotebookFile:
    path = directory / "n.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_notebook(path)


def test_kernel_and_parameters_are_found(tmp_path: Path) -> None:
    assert read(tmp_path, notebook()) == NotebookFile(
        kernel="python3", language="python", has_parameters_cell=True, parameters=frozenset({"reference_date", "unit"})
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", set()),
        ("# nothing set", set()),
        (["a = 1\n", "b = a"], {"a", "b"}),
        ("a = b = 1; c, (d, *e) = f()", {"a", "b", "c", "d", "e"}),
        ("a: int\nb: int = 2", {"a", "b"}),
        ("if True:\n    a = 1", {"a"}),
        ("pattern = '\\d'", {"pattern"}),
        ("%matplotlib inline\na = 1", None),
        ("a = ", None),
        ("(" * 500 + ")" * 500, None),
    ],
)
def test_names_that_the_parameters_cell_sets(tmp_path: Path, source: Any, names: set[str] | None) -> None:
    assert read(tmp_path, with_parameters(source)).parameters == (None if names is None else frozenset(names))


def test_a_notebook_without_a_parameters_cell_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, notebook(cells=[]))
    assert (found.has_parameters_cell, found.parameters) == (False, None)


def test_parameters_of_another_language_can_not_be_told(tmp_path: Path) -> None:
    metadata = {"kernelspec": {"name": "ir", "language": "R"}}
    found = read(tmp_path, notebook(metadata=metadata))
    assert (found.kernel, found.language, found.has_parameters_cell, found.parameters) == ("ir", "R", True, None)


def test_the_language_may_be_in_either_place(tmp_path: Path) -> None:
    metadata = {"kernelspec": {"name": "python3"}, "language_info": {"name": "python"}}
    assert read(tmp_path, notebook(metadata=metadata)).language == "python"


@pytest.mark.parametrize(
    "content",
    [
        notebook(metadata={}),
        notebook(metadata=None),
        notebook(metadata={"kernelspec": []}),
        notebook(metadata={"kernelspec": {"name": 3, "language": []}, "language_info": 4}),
        notebook(metadata={"kernelspec": {"name": ""}}),
    ],
)
def test_a_notebook_that_names_no_kernel_has_none(tmp_path: Path, content: Any) -> None:
    found = read(tmp_path, content)
    assert (found.kernel, found.language) == (None, None)


@pytest.mark.parametrize(
    "cells", [[3, None], [{"metadata": 3}], [{"metadata": {"tags": 3}}], [{"metadata": {"tags": "parameters"}}]]
)
def test_odd_cells_are_passed_over(tmp_path: Path, cells: list[Any]) -> None:
    assert not read(tmp_path, notebook(cells=cells)).has_parameters_cell


def test_odd_sources_do_not_matter(tmp_path: Path) -> None:
    for source in ([1, 2], {}, None, 3):
        assert read(tmp_path, with_parameters(source)).has_parameters_cell


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is no notebook: it is not UTF-8 text"),
        (b"", "is no notebook: its JSON breaks at line 1"),
        (b'{"cells": [\n}', "is no notebook: its JSON breaks at line 2"),
        (b"[" * 100_000, "is no notebook: its JSON is nested too deeply"),
        (b"[" + b"1" * 5000 + b"]", "or has too long a number"),
        ([], "is no notebook: it has no nbformat"),
        ({"cells": []}, "is no notebook: it has no nbformat"),
        ({"nbformat": 3, "worksheets": []}, "is a notebook of format 3, expected format 4; save it in a current"),
        ({"nbformat": 4}, "is no notebook: it has no cells"),
    ],
)
def test_a_file_that_is_no_notebook_is_told(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_kernels_are_looked_up_where_jupyter_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "kernels" / "Own_Kernel" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text("{}")
    (tmp_path / "kernels" / "empty").mkdir()
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert kernel_is_installed("own_kernel")
    assert kernel_is_installed("Python3")
    assert not kernel_is_installed("empty")
    assert not kernel_is_installed("../kernels/own_kernel")
