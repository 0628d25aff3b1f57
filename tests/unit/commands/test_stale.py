# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that were made with older notebooks, as rows of a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from autoflow.commands.older_sources import OlderRun, changed_since
from autoflow.commands.stale import older_rows
from autoflow.definitions import Definitions, Notebook, Workflow
from autoflow.model import RecordedNotebook
from autoflow.runs import AttemptState
from autoflow.sources import sources_of

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def older(day: int, changed: Mapping[str, str], workflow: str = "flows") -> OlderRun:
    return OlderRun(day, workflow, dt.date(2016, 1, day), {"unit": "admin3"}, NOON, changed)


def test_dates_of_a_row_are_none_of_another_row() -> None:
    of_notebook, of_both = {"run.ipynb": "changed"}, {"run.ipynb": "changed", "a.csv": "new"}
    found = [older(day, of_both if day in (4, 5, 9) else of_notebook) for day in range(1, 11)]
    rows = older_rows([*reversed(found), older(1, of_notebook, "others")])
    assert [(row["workflow"], row["runs"], row["dates"]) for row in rows] == [
        ("flows", 7, "2016-01-01 to 2016-01-03, 2016-01-06 to 2016-01-08, 2016-01-10"),
        ("flows", 3, "2016-01-04 to 2016-01-05, 2016-01-09"),
        ("others", 1, "2016-01-01"),
    ]


def test_runs_that_are_not_of_every_day_are_one_stretch() -> None:
    (row,) = older_rows([older(day, {"run.ipynb": "gone"}) for day in (3, 10, 17, 24, 31)])
    assert row["dates"] == "2016-01-03 to 2016-01-31"


def test_many_stretches_are_counted() -> None:
    rows = older_rows([older(day, {f"{day % 2}.ipynb": "changed"}) for day in range(1, 12)])
    assert rows[1]["dates"] == "2016-01-02, 2016-01-04, 2016-01-06 and 2 more"


def test_of_a_notebook_that_is_gone_what_others_still_have_is_compared(tmp_path: Path) -> None:
    for name, content in {"n.ipynb": "old", "shared.py": "a = 1"}.items():
        (tmp_path / name).write_text(content)
    old = Notebook("old", filename="n.ipynb", reads=["shared.py"])
    recorded = RecordedNotebook(
        "old", AttemptState.SUCCEEDED, NOON, NOON, None, None, None, None, sources=sources_of(tmp_path, old)
    )
    new = Notebook("new", filename="other.ipynb", reads=["shared.py"])
    (tmp_path / "n.ipynb").rename(tmp_path / "other.ipynb")
    definitions = Definitions({"flows": Workflow("flows", (new,))}, (), schedule=None)
    assert changed_since([recorded], definitions, "flows", tmp_path) == {"n.ipynb": "gone"}
    (tmp_path / "shared.py").write_text("a = 2")
    assert changed_since([recorded], definitions, "flows", tmp_path) == {"n.ipynb": "gone", "shared.py": "changed"}
