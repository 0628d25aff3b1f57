# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Values that papermill cannot set in a notebook."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from papermill.translators import papermill_translators

from autoflow.errors import DefinitionError
from autoflow.parser import load_definitions
from autoflow.parser.kernels import SETTABLE, why_not_settable

VALUES = [
    "text",
    "",
    None,
    True,
    3,
    2.5,
    ["a", "b"],
    [["a"], ["b"]],
    {"a": 1},
    {"a": [1]},
    [{"a": 1}],
    math.inf,
    [math.nan],
]


def test_all_languages_of_papermill_are_known() -> None:
    assert set(papermill_translators._translators) == SETTABLE


@pytest.mark.parametrize("name", sorted(SETTABLE))
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_what_papermill_refuses_is_refused(name: str, value: Any) -> None:
    try:
        papermill_translators.find_translator("", name).translate(value)
    except NotImplementedError:
        assert why_not_settable("", name, value)


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_what_bash_is_given_it_can_read(value: Any) -> None:
    text = papermill_translators.find_translator("", "bash").codify({"name": value}) if _translates(value) else None
    read = text is not None and subprocess.run(["bash", "-nc", text], capture_output=True, check=False).returncode == 0
    assert read is (why_not_settable("bash", "bash", value) is None)


def _translates(value: Any) -> bool:
    try:
        papermill_translators.find_translator("", "bash").translate(value)
    except NotImplementedError:
        return False
    return True


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("bash", "papermill cannot give 'date_ranges' to a notebook of the kernel 'bash': bash has no lists of lists"),
        (
            "ocaml",
            "papermill cannot give 'reference_date' to a notebook of the kernel 'ocaml': no parameters can be set",
        ),
    ],
)
def test_what_a_notebook_cannot_be_given_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str, expected: str
) -> None:
    specification = tmp_path / "kernels" / kernel / "kernel.json"
    specification.parent.mkdir(parents=True)
    specification.write_text(json.dumps({"argv": ["true"], "display_name": kernel, "language": kernel}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [], "execution_count": None, "id": "a"}
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": kernel}}
    content = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "counts.ipynb").write_text(json.dumps(content))
    (tmp_path / "workflows.yml").write_text("""
workflows:
  - name: counts
    notebooks:
      count: {filename: counts.ipynb, parameters: {date: reference_date, ranges: date_ranges}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: counts}]}
""")
    with pytest.raises(DefinitionError) as raised:
        load_definitions(tmp_path / "workflows.yml")
    assert any(expected in str(problem) and ":5:" in str(problem) for problem in raised.value.problems)
