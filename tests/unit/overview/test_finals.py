# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a final run has changed is read from the manifests of its reports, and never at length."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from autoflow.model import RecordedNotebook
from autoflow.overview import final_changes
from autoflow.runs import AttemptState
from autoflow.wording import CACHE_DOUBT

NOW = dt.datetime(2016, 3, 1, tzinfo=dt.UTC)
NOTHING_ELSE = {"table_cells": 0, "texts": 0, "pictures": 0}


def notebook(directory: Path, content: Any, label: str = "report") -> RecordedNotebook:
    report = directory / f"{label}.pdf"
    report.with_suffix(".json").write_text(content if isinstance(content, str) else json.dumps(content))
    return RecordedNotebook(label, AttemptState.SUCCEEDED, NOW, NOW, None, str(report), None, None)


def manifest(*values: tuple[str, Any, Any], **others: int) -> dict[str, Any]:
    listed = [{"name": name, "old": old, "new": new} for name, old, new in values]
    return {"provisional_before": {"attempt": 1, "changes": {"values": listed, **NOTHING_ELSE, **others}}}


def test_glued_values_stand_as_they_were_and_are(tmp_path: Path) -> None:
    made = notebook(tmp_path, manifest(("subscribers", 4807, 5210), ("share", 0.5, None), ("x", None, "y" * 300)))
    first, second, third = final_changes([made])
    assert (first, second) == ("subscribers: 4,807 -> 5,210", "share: 0.5 -> nothing")
    assert third.startswith("x: nothing -> yyy")
    assert len(third) < 100


def test_very_many_values_and_all_else_are_counted(tmp_path: Path) -> None:
    values = [(f"v{number}", 1, 2) for number in range(12)]
    lines = final_changes([notebook(tmp_path, manifest(*values, table_cells=1, texts=2))])
    assert len(lines) == 11
    assert lines[-1] == "also different: 2 more values, 1 cell of tables, 2 texts"
    assert final_changes([notebook(tmp_path, manifest(pictures=1))]) == ["different: 1 picture"]
    assert final_changes([notebook(tmp_path, manifest())]) == ["no result is different"]


def test_where_only_texts_differ_the_cache_may_have_answered(tmp_path: Path) -> None:
    doubt = f"no glued value, table or figure is different: {CACHE_DOUBT}"
    assert final_changes([notebook(tmp_path, manifest(texts=1))]) == ["different: 1 text", doubt]
    assert doubt not in final_changes([notebook(tmp_path, manifest(texts=1, pictures=1))])
    assert doubt not in final_changes([notebook(tmp_path, manifest(("n", 1, 2), texts=1))])


def test_of_the_same_results_nothing_else_is_said(tmp_path: Path) -> None:
    # older manifests count printed lines among texts
    same = {"provisional_before": {**manifest(texts=1)["provisional_before"], "same_results": True}}
    assert final_changes([notebook(tmp_path, same)]) == [
        "no result is different: glued values, tables and figures are the same"
    ]


def test_several_notebooks_are_told_apart(tmp_path: Path) -> None:
    notebooks = [notebook(tmp_path, manifest(("n", 1, 2)), label) for label in ("a", "b")]
    assert final_changes(notebooks) == ["a: n: 1 -> 2", "b: n: 1 -> 2"]


@pytest.mark.parametrize(
    "content", ["", "no JSON", [], {}, {"provisional_before": None}, {"provisional_before": {"changes": None}}]
)
def test_where_nothing_is_known_nothing_is_said(tmp_path: Path, content: Any) -> None:
    made = notebook(tmp_path, content)
    assert final_changes([made]) == []
    Path(made.report or "").with_suffix(".json").unlink()
    assert final_changes([made]) == []
