# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Directories that notebooks write data to: one of the run, and one that the runs of a workflow share."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import nbformat

from autoflow.demo_flowapi import FlowapiStandin
from tests.conftest import Deployment, Typed

WORKFLOWS = """
workflows:
  - name: aggregates
    notebooks:
      writes:
        filename: writes.ipynb
        parameters: {date: reference_date, run_dir: run_dir, shared_dir: shared_dir}
      reads:
        filename: reads.ipynb
        # as notebooks for flowpyter-task name them
        parameters: {before: writes, dagrun_data_dir: dagrun_data_dir, notebook_dir: notebook_dir}
        reads: [texts/*.md, run_dir/*]
        output: {format: html}
available_dates_sensor:
  schedule: null
  concurrency: {runs: 1}
  workflows: [{workflow_name: aggregates}]
"""

WRITES = """
from pathlib import Path
shared, run = Path(shared_dir), Path(run_dir)
print("shared:", sorted(path.name for path in shared.iterdir()), "run:", [path.name for path in run.iterdir()])
with (shared / "log").open("a") as log:
    log.write(f"{date}\\n")
(shared / date).mkdir()
(shared / date / "flows.csv").write_text(f"of {date}")
(run / "part").write_text(f"part of {date}")
"""

READS = """
from pathlib import Path
text = (Path(dagrun_data_dir) / "part").read_text()
print(text)
assert text != "part of 2016-01-02" or (Path(notebook_dir) / "healed").exists(), "not healed"
"""


def write_notebook(path: Path, parameters: str, code: str) -> None:
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(code)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


def printed(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    return "".join("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", ()))


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def content(directory: Path) -> dict[str, str]:
    found = (Path(place, name) for place, _, names in os.walk(directory, followlinks=True) for name in names)
    return {str(path.relative_to(directory)): path.read_text() for path in found}


def test_runs_share_what_succeeded_and_a_run_keeps_its_own(deployment: Deployment, typed: Typed) -> None:
    deployment.write(WORKFLOWS)
    write_notebook(deployment.inputs / "writes.ipynb", "date = run_dir = shared_dir = ''", WRITES)
    write_notebook(deployment.inputs / "reads.ipynb", "before = dagrun_data_dir = notebook_dir = ''", READS)
    (deployment.inputs / "texts").mkdir()
    (deployment.inputs / "texts" / "2016-01-01.md").write_text("A holiday.")
    shared = deployment.outputs / "shared" / "aggregates"

    assert typed().code == 1
    first, second = deployment.made("notebooks/writes__*")
    assert "shared: [] run: []" in printed(first)
    # the second date sees what the first wrote, and what it wrote itself is seen by nobody as it has failed
    assert "shared: ['2016-01-01', 'log'] run: []" in printed(second)
    of_first = {"log": "2016-01-01\n", "2016-01-01/flows.csv": "of 2016-01-01"}
    assert content(shared) == of_first
    (manifest,) = deployment.made("reports/reads__*.json")
    made_of = json.loads(manifest.read_text())
    (read,) = (each["files_read"] for each in made_of["notebooks"] if each["label"] == "reads")
    assert read == {"texts/2016-01-01.md": hashed("A holiday."), "run_dir/part": hashed("part of 2016-01-01")}
    written = made_of["files_written"]
    assert written["run_dir"] == {"part": hashed("part of 2016-01-01")}
    assert written["shared_dir"] == {name: hashed(text) for name, text in sorted(of_first.items())}
    parts = [path.read_text() for path in deployment.made("runs/aggregates/*/part")]
    assert parts == ["part of 2016-01-01", "part of 2016-01-02"]

    (deployment.inputs / "healed").touch()
    assert typed("repair", "2", "--yes").code == 0
    # the notebook that wrote was not executed again
    assert len(deployment.made("notebooks/writes__*")) == 2
    of_both = {**of_first, "log": "2016-01-01\n2016-01-02\n", "2016-01-02/flows.csv": "of 2016-01-02"}
    assert content(shared) == of_both

    assert typed("rerun", "1", "--yes").code == 0
    *_, again = deployment.made("notebooks/writes__*_2016-01-01_*")
    assert "shared: ['2016-01-02', 'log'] run: []" in printed(again)
    after = {**of_both, "log": "2016-01-01\n2016-01-02\n2016-01-01\n"}
    assert content(shared) == after

    deployment.write(WORKFLOWS.replace("    notebooks:", "    keep: {run_dirs: 1, shared: 1}\n    notebooks:", 1))
    assert typed().code == 0
    # the first date wrote the log last
    assert content(shared) == {"2016-01-02/flows.csv": after["2016-01-02/flows.csv"]}
    (kept,) = deployment.made("runs/aggregates/*")
    assert kept.name.startswith("2016-01-02_")

    # what a repaired run used again is known too
    assert typed("stale", "--code").answer.startswith("no run was made with older notebooks")
    (deployment.inputs / "texts" / "2016-01-01.md").write_text("No holiday.")
    changed = {"texts/2016-01-01.md": "changed"}
    older = typed("stale", "--code", "--json").json()
    assert [(each["run"], each["changed_files"]) for each in older["runs"]] == [(1, changed), (2, changed)]
    write_notebook(deployment.inputs / "writes.ipynb", "date = run_dir = shared_dir = ''", f"{WRITES}1 + 1")
    assert "made with older notebooks: texts/2016-01-01.md has changed, writes.ipynb has changed" in (
        typed("why", "aggregates", "2016-01-02").answer
    )


LEAKS = """
import os
from pathlib import Path
place = Path(globals()[{place!r}])
(place / "kept").write_text("x")
(place / "client.txt").write_text(repr({{"Authorization": "Bearer " + os.environ["FLOWAPI_TOKEN"]}}))
assert "{end}" != "fails"
"""


def test_a_file_with_the_token_is_removed_and_the_run_fails(deployment: Deployment, typed: Typed) -> None:
    deployment.write("""
workflows:
  - name: into run_dir
    notebooks: {leaks: {filename: run_dir.ipynb, parameters: {run_dir: run_dir}}}
  - name: into shared_dir
    notebooks: {leaks: {filename: shared_dir.ipynb, parameters: {shared_dir: shared_dir}}}
  - name: before it fails
    notebooks: {leaks: {filename: fails.ipynb, parameters: {run_dir: run_dir}}}
available_dates_sensor:
  schedule: null
  workflows:
    - {workflow_name: into run_dir, latest_date: 2016-01-01}
    - {workflow_name: into shared_dir, latest_date: 2016-01-01}
    - {workflow_name: before it fails, latest_date: 2016-01-01}
""")
    for name in ("run_dir", "shared_dir"):
        code = LEAKS.format(place=name, end="succeeds")
        write_notebook(deployment.inputs / f"{name}.ipynb", f"{name} = ''", code)
    write_notebook(deployment.inputs / "fails.ipynb", "run_dir = ''", LEAKS.format(place="run_dir", end="fails"))
    outcome = typed("once")
    assert outcome.code == 1
    for name in ("run_dir", "shared_dir"):
        assert f"FlowAPI's token is in client.txt in {name}; the file has been removed" in outcome.log
    token = deployment.environment["FLOWAPI_TOKEN"].encode()
    files = [path for path in deployment.outputs.rglob("*") if path.is_file()]
    assert any(path.name == "kept" for path in files)
    assert not any(token in path.read_bytes() for path in files)


def test_files_whose_names_are_not_utf8_are_kept_and_named_in_the_manifest(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    """As on disks that were written in latin-1 once."""
    notebook = "{filename: w.ipynb, parameters: {run_dir: run_dir, shared_dir: shared_dir}, output: {format: html}}"
    sensor = "available_dates_sensor: {schedule: '0 0 1 1 *', workflows: [{workflow_name: w}]}"
    deployment.write(f"workflows: [{{name: w, notebooks: {{w: {notebook}}}}}]\n{sensor}\n")
    writes = "import os\nfor place in run_dir, shared_dir:\n    open(os.fsencode(place) + b'/caf\\xe9', 'w').close()"
    write_notebook(deployment.inputs / "w.ipynb", "run_dir = shared_dir = ''", writes)
    flowapi.dates = {"calls": ["2016-01-01"]}
    outcome = typed("once")
    assert outcome.code == 0, outcome.log
    (manifest,) = deployment.made("reports/w__*.json")
    written = json.loads(manifest.read_text())["files_written"]
    assert [os.fsencode(name) for each in written.values() for name in each] == [b"caf\xe9"] * 2
