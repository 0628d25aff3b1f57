# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where notebooks run: on AutoFlow's machine if they say so, with workers elsewhere."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from autoflow.clock import utc_now
from autoflow.cluster import make_certificates
from autoflow.files import file_hash
from autoflow.sources import LENGTH
from tests.clock import PATIENCE, until
from tests.conftest import Deployment, Typed
from tests.integration.test_cluster import LEASE, WORKS, is_alive, printed, programs_in
from tests.system.test_shared_data import write_notebook

WORKFLOWS = """
workflows:
  - name: w
    notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}, place: here}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}
"""


def test_a_notebook_that_is_to_run_here_needs_no_worker(
    deployment: Deployment, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_certificates(tmp_path / "certificates", utc_now())
    deployment.write(WORKFLOWS, "glues")
    monkeypatch.setenv("AUTOFLOW_WORKERS", "tls://127.0.0.1:9")
    monkeypatch.setenv("AUTOFLOW_WORKERS_CERTIFICATES", str(tmp_path / "certificates"))
    outcome = typed()
    assert outcome.code == 0, outcome.log
    assert "2 runs succeeded" in outcome.log


@pytest.mark.parametrize(("typed", "number"), [(("once",), signal.SIGINT), (("--now",), signal.SIGTERM)])
def test_who_is_to_stop_while_all_notebooks_wait_for_a_worker_ends_at_once(
    deployment: Deployment, tmp_path: Path, typed: tuple[str, ...], number: int
) -> None:
    make_certificates(tmp_path / "certificates", utc_now())
    deployment.write_simple("glues")
    variables = {"AUTOFLOW_WORKERS_CERTIFICATES": str(tmp_path / "certificates"), "AUTOFLOW_GRACE": "10m"}
    process = deployment.start(*typed, AUTOFLOW_WORKERS="tls://127.0.0.1:9", **variables)
    assert process.stdout is not None
    assert any("workers: tls://127.0.0.1:9 cannot be reached" in line for line in process.stdout)
    process.send_signal(number)
    # far less than the grace time
    process.communicate(timeout=PATIENCE)
    with closing(sqlite3.connect(deployment.outputs / "autoflow.db")) as record:
        states = record.execute("SELECT DISTINCT state FROM attempts").fetchall()
    assert states == [("interrupted",)]


WITH_MANIFEST = """
workflows:
  - name: w
    notebooks:
      works:
        filename: works.ipynb
        parameters: {reference_date: reference_date}
        reads: [data.csv]
        output: {format: html}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w, earliest_date: 2016-01-02}]}
"""


def test_what_is_recorded_of_a_notebook_that_moves_is_of_its_last_execution(
    deployment: Deployment, tmp_path: Path
) -> None:
    notebook, data = deployment.inputs / "works.ipynb", deployment.inputs / "data.csv"
    trace, release = tmp_path / "trace", tmp_path / "release"
    trace.touch()

    def write(version: str) -> None:
        says = f"print('notebook {version}', open('data.csv').read())"
        write_notebook(notebook, says, WORKS.format(trace=str(trace), release=str(release)))
        data.write_text(f"data {version}")

    def began() -> list[int]:
        return [int(line.split()[1]) for line in trace.read_text().splitlines() if line.startswith("begin")]

    deployment.write(WITH_MANIFEST)
    write("1")
    with programs_in(tmp_path) as programs:
        programs.all_up()
        deployment.environment |= {
            "AUTOFLOW_WORKERS": programs.address,
            "AUTOFLOW_WORKERS_CERTIFICATES": str(programs.certificates),
            "AUTOFLOW_WORKERS_LEASE": f"{LEASE:.0f}s",
        }
        process = deployment.start("once")
        until(lambda: len(began()) == 1)
        write("2")
        programs.kill(programs.worker_of(began()[0]))
        lost = utc_now().isoformat()
        programs.all_up()
        until(lambda: len(began()) == 2)
        release.touch()
        log, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    (executed,), (manifest,) = deployment.made("notebooks/works__*"), deployment.made("reports/works__*.json")
    assert printed(json.loads(executed.read_text())) == "notebook 2 data 2\n"
    (made_of,) = json.loads(manifest.read_text())["notebooks"]
    assert made_of["sha256"] == file_hash(notebook)
    assert made_of["files_read"] == {"data.csv": file_hash(data)}
    with closing(sqlite3.connect(deployment.outputs / "autoflow.db")) as record:
        what = "SELECT files, started FROM sources JOIN notebooks ON sources.id = sources"
        files, started = record.execute(what).fetchone()
    assert json.loads(files)["data.csv"] == file_hash(data)[:LENGTH]
    # that it waited for another worker is no part of what it took
    assert started > lost


@pytest.mark.parametrize("then", ["without workers", "at place: here"])
def test_what_a_killed_life_has_left_on_a_worker_is_waited_for_by_what_then_runs_here(
    deployment: Deployment, tmp_path: Path, typed: Typed, then: str
) -> None:
    trace, release = tmp_path / "trace", tmp_path / "release"
    trace.touch()
    workflows = WITH_MANIFEST.replace("reads: [data.csv]", "reads: []")
    deployment.write(workflows)
    code = WORKS.format(trace=str(trace), release=str(release))
    write_notebook(deployment.inputs / "works.ipynb", "reference_date = ''", code)

    def began() -> list[int]:
        return [int(line.split()[1]) for line in trace.read_text().splitlines() if line.startswith("begin")]

    with programs_in(tmp_path) as programs:
        programs.all_up()
        variables = {
            "AUTOFLOW_WORKERS": programs.address,
            "AUTOFLOW_WORKERS_CERTIFICATES": str(programs.certificates),
            "AUTOFLOW_WORKERS_LEASE": f"{LEASE:.0f}s" if then == "without workers" else "1h",
        }
        killed = deployment.start("once", **variables)
        until(lambda: len(began()) == 1)
        killed.kill()
        killed.communicate()
        [old] = began()
        said = "what AutoFlow started before may still run on worker"
        if then == "without workers":
            # nobody can ask the worker: it ends by itself
            process = deployment.start("once")
        else:
            deployment.write(workflows.replace("filename: works.ipynb", "filename: works.ipynb\n        place: here"))
            programs.kill(programs.worker_of(old))
            process = deployment.start("once", **variables)
            until(lambda: said in typed("why", "w", "2016-01-02").log)
            assert began() == [old]
            programs.all_up()
        until(lambda: len(began()) == 2)
        assert not is_alive(old)
        release.touch()
        log, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    assert "notebook works waits until " in log
    assert said in log
    assert len(began()) == 2
