# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks' files as far as workflows.yml depends on them."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoflow.notebooks.notebook_file import NotebookFile, kernel_is_installed, read_content, read_notebook


def notebook(**changes: Any) -> dict[str, Any]:
    """Make the content of a notebook, some of it changed."""
    cell = nbformat.v4.new_code_cell("reference_date = None\nunit: str = 'admin2'", metadata={"tags": ["parameters"]})
    content = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Flows"), cell],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )
    return {**json.loads(nbformat.writes(content)), **changes}


def with_parameters(source: Any, tags: Any = ("parameters",)) -> dict[str, Any]:
    return notebook(cells=[{"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source}])


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


CODE = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [], "execution_count": None}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (3, "has no cell where cell 2 should be: found 3"),
        (None, "has no cell where cell 2 should be: found nothing"),
        ({**CODE, "cell_type": "sql"}, "has a cell 2 of the type 'sql', expected code, markdown or raw"),
        ({"source": "", "metadata": {}}, "has a cell 2 of the type nothing"),
        ({**CODE, "source": 5}, "has a cell 2 whose source is 5, expected text or its lines"),
        ({**CODE, "source": ["a", 1]}, "has a cell 2 whose source is"),
        ({**CODE, "source": {}}, "has a cell 2 whose source is"),
        ({**CODE, "metadata": 3}, "has a cell 2 whose metadata are 3"),
        ({**CODE, "metadata": {"tags": 3}}, "has a cell 2 whose tags are 3, expected a list of texts"),
        ({**CODE, "metadata": {"tags": ["a", None]}}, "has a cell 2 whose tags are"),
        ({"cell_type": "raw", "source": "", "attachments": 3}, "has a cell 2 whose attachments are 3"),
        (
            {"cell_type": "markdown", "source": "", "attachments": {"a.png": {"image/png": None}}},
            "has a cell 2 whose attachment 'a.png' has nothing as 'image/png', expected text",
        ),
        ({**CODE, "source": "\ud800"}, "it contains half of a surrogate pair"),
    ],
)
def test_a_cell_of_which_it_is_unclear_what_is_meant_is_refused(tmp_path: Path, cell: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path, notebook(cells=[CODE, cell]))


MENDED = {
    "tags that are null": notebook(cells=[{**CODE, "metadata": {"tags": None}}]),
    "one tag that is no list": notebook(cells=[{**CODE, "metadata": {"tags": "parameters"}}]),
    "tags that are there twice": notebook(cells=[{**CODE, "metadata": {"tags": ["a", "a"]}}]),
    "attachments of data that are no text": notebook(
        cells=[{"cell_type": "markdown", "source": "", "attachments": {"a": {"application/x+json": {"x": None}}}}]
    ),
    "attachments that are null": notebook(cells=[{"cell_type": "markdown", "source": "", "attachments": None}]),
    "no metadata of a cell": notebook(cells=[{"cell_type": "code", "source": "x = 1"}]),
    "metadata that are null": notebook(cells=[{**CODE, "metadata": None}]),
    "a source that is null": notebook(cells=[{**CODE, "source": None}]),
    "no source": notebook(cells=[{"cell_type": "code"}]),
    "a source of lines": notebook(cells=[{**CODE, "source": ["x = 1\r\n", "y = 2"]}]),
    "no minor number of the format": {k: v for k, v in notebook().items() if k != "nbformat_minor"},
    "an odd minor number": notebook(nbformat_minor="5"),
    "a minor number of the future": notebook(nbformat_minor=9),
    "ids that are there twice": notebook(cells=[{**CODE, "id": "a"}, {**CODE, "id": "a"}]),
    "ids that are none": notebook(cells=[{**CODE, "id": "a b"}, {**CODE, "id": 3}, {**CODE, "id": ""}, CODE]),
    "ids where there are none yet": notebook(cells=[{**CODE, "id": "a"}], nbformat_minor=4),
    "odd outputs": notebook(
        cells=[{**CODE, "outputs": [3, {"output_type": "x", "data": None}], "execution_count": "1"}]
    ),
    "outputs that are null": notebook(cells=[{**CODE, "outputs": None}]),
    "an earlier execution's odd words": notebook(
        cells=[{**CODE, "metadata": {"papermill": 3, "execution": None}}],
        metadata={**notebook()["metadata"], "papermill": None, "widgets": 3},
    ),
    "metadata of other types": notebook(cells=[{**CODE, "metadata": {"name": 3, "jupyter": None, "collapsed": "yes"}}]),
    "NaN": notebook(cells=[{**CODE, "metadata": {"odd": float("nan")}}]),
    "format 3": {
        "nbformat": 3,
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["Flows"]},
                    {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "outputs": [], "prompt_number": 1},
                    {"cell_type": "html", "source": "<b>bold</b>"},
                ]
            }
        ],
    },
}


def execute_nothing(directory: Path, path: Path) -> None:
    """Do with a notebook all that an execution does before there is a kernel."""
    (directory / "mended.ipynb").write_text(json.dumps(read_content(path)), encoding="utf-8")
    with warnings.catch_warnings():
        # libraries that papermill brings
        warnings.simplefilter("ignore", DeprecationWarning)
        papermill.execute_notebook(
            str(directory / "mended.ipynb"),
            str(directory / "out.ipynb"),
            parameters={"x": 1},
            kernel_name="python3",
            language="python",
            prepare_only=True,
        )
    nbformat.validate(nbformat.read(directory / "out.ipynb", as_version=4))


@pytest.mark.parametrize("content", MENDED.values(), ids=MENDED)
def test_what_does_not_matter_is_mended(tmp_path: Path, content: Any) -> None:
    read(tmp_path, content)
    execute_nothing(tmp_path, tmp_path / "n.ipynb")


def test_a_mark_at_the_start_and_odd_ends_of_lines_do_not_matter(tmp_path: Path) -> None:
    text = json.dumps(notebook(), indent=1).replace("\n", "\r\n")
    assert read(tmp_path, b"\xef\xbb\xbf" + text.encode()).kernel == "python3"
    execute_nothing(tmp_path, tmp_path / "n.ipynb")


def test_what_looks_like_a_token_in_a_cell_is_found(tmp_path: Path) -> None:
    source = "token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmFseXN0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM'"
    assert read(tmp_path, notebook(cells=[CODE, {**CODE, "source": source}])).token_cell == 2
    assert read(tmp_path, notebook()).token_cell is None


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | st.text(max_size=3)
    | st.sampled_from(["code", "markdown", "parameters", "x = 1"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["tags", "name", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)  # fmt: skip
KEYS = ["cell_type", "metadata", "source", "outputs", "execution_count", "id", "attachments"]
CELL = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw"]), "source": st.text(max_size=9), "metadata": st.just({})}
)
ODD_CELL = st.builds(lambda cell, odd: {**cell, **odd}, CELL, st.dictionaries(st.sampled_from(KEYS), ODD, max_size=2))


@given(
    st.lists(ODD_CELL | ODD, max_size=3),
    st.dictionaries(st.sampled_from(["nbformat_minor", "metadata", "worksheets", "x"]), ODD, max_size=2),
    st.dictionaries(st.sampled_from(["papermill", "widgets", "title", "authors", "x"]), ODD, max_size=2),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_check_accepts_an_execution_accepts(
    tmp_path: Path, cells: list[Any], changes: dict[str, Any], metadata: dict[str, Any]
) -> None:
    content = notebook(cells=cells)
    content["metadata"] |= metadata
    (tmp_path / "n.ipynb").write_text(json.dumps({**content, **changes}))
    try:
        read_notebook(tmp_path / "n.ipynb")
    except ValueError:
        return
    execute_nothing(tmp_path, tmp_path / "n.ipynb")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not a notebook: it is not UTF-8 text"),
        (b"", "is not a notebook: its JSON breaks at line 1"),
        (b'{"cells": [\n}', "is not a notebook: its JSON breaks at line 2"),
        (b"[" * 100_000, "is not a notebook: its JSON is nested too deeply"),
        (b"[" + b"1" * 5000 + b"]", "or has too long a number"),
        ([], "is not a notebook: it has no nbformat"),
        ({"cells": []}, "is not a notebook: it has no nbformat"),
        ({"nbformat": 1, "cells": []}, "is a notebook of format 1, expected format 4; save it in a current"),
        ({"nbformat": 5, "cells": []}, "is a notebook of format 5, expected format 4"),
        ({"nbformat": True, "cells": []}, "is not a notebook: it has no nbformat"),
        ({"nbformat": 4}, "is not a notebook: it has no cells"),
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


@pytest.mark.parametrize(
    ("cell", "asks"),
    [
        ("import flowclient", True),
        ("import os, flowclient as fc", True),
        ("if True:\n    from flowclient.aggregates import location_event_counts", True),
        ("import flowclients\nfrom os import path", False),
        ("# import flowclient", False),
    ],
)
def test_a_notebook_that_imports_flowclient_is_known(tmp_path: Path, cell: str, asks: bool) -> None:
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    for cell_type in ("markdown", "code") if asks else ("code",):
        content["cells"].append({"cell_type": cell_type, "metadata": {}, "source": cell, "outputs": []})  # type: ignore[attr-defined]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(content))
    assert read_notebook(path).imports_flowclient is asks
