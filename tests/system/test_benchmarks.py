# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""`python -m benchmarks` works, so that it is there when somebody wants figures; no figure is tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_a_quick_benchmark_leaves_table_figures_and_picture(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "cold", "--results", str(tmp_path)]
    own_record = tmp_path.parent / f"{tmp_path.name}.db"
    environment = {**os.environ, "AUTOFLOW_DB_URI": f"sqlite:///{own_record}"}
    done = subprocess.run([*command, "--machine", "test"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not own_record.exists()
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".png"}
    (figures,) = tmp_path.glob("*-test-quick-cold.json")
    measured = json.loads(figures.read_text())
    assert [row["who"] for row in measured["rows"]] == ["AutoFlow", "papermill CLI loop"]
    assert all(row["values"] for row in measured["rows"])
    # what is quick says nothing of goals that are set for the whole size
    assert all(row["goal"] is None for row in measured["rows"])
    (table,) = tmp_path.glob("*.md")
    assert "1 date x 2, trivial, cold" in table.read_text()
