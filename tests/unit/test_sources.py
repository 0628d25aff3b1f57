# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which files results are made of, and which of them have changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoflow.definitions import Notebook, Output, Sheet
from autoflow.sources import changes, modules_of, sources_of


def write_notebook(path: Path, *sources: str, **more: Any) -> None:
    cells = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None, **more}
        for source in sources
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import helper", {"helper.py", "deeper.py"}),
        ("  import os, helper as h  # and more", {"helper.py", "deeper.py"}),
        ("from helper import f; import json", {"helper.py", "deeper.py"}),
        (
            "%matplotlib inline\nfrom package.part import f",
            {"package/__init__.py", "package/part.py", "package/in/x.py"},
        ),
        ("%run -i helper\n%run other.ipynb", {"helper.py", "deeper.py", "other.ipynb"}),
        ("%run ../elsewhere.py", {"../elsewhere.py"}),
        ("%run 'gone.py'\nimport gone\nimport\nimport ,", set()),
        ("# import helper\nimportlib.import_module('helper')\nfrom . import helper\nfrom\nimport", set()),
        ("x = 'import helper'", set()),
    ],
)
def test_modules_beside_a_notebook_are_found_by_what_its_code_imports(
    tmp_path: Path, code: str, found: set[str]
) -> None:
    place = tmp_path / "notebooks"
    write_notebook(place / "n.ipynb", "1 + 1", code)
    write_notebook(place / "other.ipynb", "2")
    for name in ("helper.py", "deeper.py", "unused.py", "package/__init__.py", "package/part.py", "package/in/x.py"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("import deeper" if name == "helper.py" else "")
    (tmp_path / "elsewhere.py").write_text("")
    assert modules_of(place / "n.ipynb") == {(place / name).resolve() for name in found}


def test_modules_that_import_each_other_are_found_once(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", "import a")
    (tmp_path / "a.py").write_text("import b\n")
    (tmp_path / "b.py").write_text("import a\n")
    assert modules_of(tmp_path / "n.ipynb") == {tmp_path / "a.py", tmp_path / "b.py"}


def test_what_results_are_made_of_is_compared_file_by_file(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", "import helper")
    for name in ("helper.py", "t.asciidoc", "theme.yml", "logo.png", "texts/a.md", "texts/b.md", "unused.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    notebook = Notebook(
        "n",
        filename="n.ipynb",
        reads=("texts/*.md", "inputs_dir/texts/a.md", "shared_dir/*", "gone.csv"),
        outputs=(Output("pdf", "t.asciidoc", "theme.yml"), Output("html")),
        sheet=Sheet(logo="logo.png"),
    )
    before = sources_of(tmp_path, notebook)
    assert set(before) == {
        *("n.ipynb", "helper.py", "t.asciidoc", "theme.yml", "logo.png", "texts/a.md", "texts/b.md"),
    }
    (tmp_path / "unused.md").write_text("changed")
    assert changes(before, sources_of(tmp_path, notebook)) == {}
    (tmp_path / "helper.py").write_text("x = 1")
    (tmp_path / "theme.yml").write_text("x: 1")
    (tmp_path / "texts/b.md").unlink()
    (tmp_path / "texts/c.md").write_text("")
    assert changes(before, sources_of(tmp_path, notebook)) == {
        "helper.py": "changed",
        "texts/b.md": "gone",
        "texts/c.md": "new",
        "theme.yml": "changed",
    }


def test_a_notebook_that_was_only_tried_is_the_same(tmp_path: Path) -> None:
    notebook, path = Notebook("n", filename="n.ipynb"), tmp_path / "n.ipynb"
    write_notebook(path, "x = 1\n", "x")
    before = sources_of(tmp_path, notebook)
    output = {"output_type": "stream", "name": "stdout", "text": "1"}
    write_notebook(path, ["x = 1\n"], "x", outputs=[output], execution_count=7, id="abc")  # type: ignore[arg-type]
    assert sources_of(tmp_path, notebook) == before
    write_notebook(path, "x = 1\n", "x", metadata={"tags": ["hide"]})
    assert changes(before, sources_of(tmp_path, notebook)) == {"n.ipynb": "changed"}
    path.write_text("no notebook")
    assert changes(before, sources_of(tmp_path, notebook)) == {"n.ipynb": "changed"}
    path.unlink()
    assert changes(before, sources_of(tmp_path, notebook)) == {"n.ipynb": "gone"}
