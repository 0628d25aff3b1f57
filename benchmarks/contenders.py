# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""AutoFlow, and what a user could take in its place, each as a command that executes a workload."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.measure import Cost, run
from benchmarks.workloads import Workload
from examples.flowapi import FlowapiStandin

ROOT = Path(__file__).parent.parent
PREFECT, PLOOMBER = "prefect==3.9.1", "ploomber==0.23.3"


@dataclass(frozen=True)
class Contender:
    """A way to execute a workload.

    ``execute`` takes the workload, an empty directory for outputs, and whether to sample memory.
    """

    name: str
    execute: Callable[[Workload, Path, bool], Cost]
    note: str = ""
    most: int | None = None
    """How often it is measured at most, where it takes minutes."""


class ContenderMissingError(Exception):
    """A contender that can not be had here, and why."""


def autoflow(flowapi: FlowapiStandin, **environment: str) -> Contender:
    """``--run-once`` on a fresh record: poll, decide, execute, record."""

    def execute(workload: Workload, outputs: Path, memory: bool) -> Cost:
        flowapi.set_days(len(workload.dates))
        settings = {
            "AUTOFLOW_INPUTS_DIR": str(workload.inputs),
            "AUTOFLOW_OUTPUTS_DIR": str(outputs),
            "FLOWAPI_URL": flowapi.url,
            "FLOWAPI_TOKEN": flowapi.token(),
        }
        command = [sys.executable, "-m", "autoflow", "--run-once"]
        cost = run(command, {**_environment(), **settings, **environment}, memory=memory)
        made = len(list(outputs.glob("notebooks/*.ipynb")))
        if made != 2 * len(workload.dates):
            raise RuntimeError(f"AutoFlow made {made} notebooks of {2 * len(workload.dates)}")
        return cost

    return Contender("AutoFlow", execute, "polls a FlowAPI, keeps a record, isolates each notebook")


def papermill_cli() -> Contender:
    """A shell loop over papermill's command line, as its documentation has it."""
    script = """
import subprocess, sys
inputs, outputs, *dates = sys.argv[1:]
papermill = [sys.executable, "-m", "papermill", "--no-progress-bar"]
for date in dates:
    first, second = f"{outputs}/first-{date}.ipynb", f"{outputs}/second-{date}.ipynb"
    subprocess.run([*papermill, f"{inputs}/first.ipynb", first, "-p", "reference_date", date], check=True)
    subprocess.run([*papermill, f"{inputs}/second.ipynb", second, "-p", "reference_date", date, "-p", "first", first],
                   check=True)
"""
    return _script("papermill CLI loop", sys.executable, script, "no record, no poll, one after another")


def papermill_loop() -> Contender:
    """A loop over papermill in one process."""
    script = """
import sys, papermill
inputs, outputs, *dates = sys.argv[1:]
for date in dates:
    first, second = f"{outputs}/first-{date}.ipynb", f"{outputs}/second-{date}.ipynb"
    papermill.execute_notebook(f"{inputs}/first.ipynb", first, {"reference_date": date}, progress_bar=False)
    papermill.execute_notebook(f"{inputs}/second.ipynb", second, {"reference_date": date, "first": first},
                               progress_bar=False)
"""
    return _script("papermill in a process", sys.executable, script, "no record, no poll; one stuck kernel stops all")


def prefect(venvs: Path) -> Contender:
    """A flow for each date, two at a time, with papermill in its tasks and Prefect's own temporary server."""
    python = _venv(venvs, "prefect", [PREFECT, "papermill", "ipykernel"])
    script = """
import sys, papermill
from prefect import flow, task
inputs, outputs, *dates = sys.argv[1:]
@task
def execute(notebook, output, parameters):
    papermill.execute_notebook(notebook, output, parameters, progress_bar=False)
    return output
@flow
def backlog():
    seconds = []
    for date in dates:
        first = execute.submit(f"{inputs}/first.ipynb", f"{outputs}/first-{date}.ipynb", {"reference_date": date})
        seconds.append(execute.submit(f"{inputs}/second.ipynb", f"{outputs}/second-{date}.ipynb",
                       {"reference_date": date, "first": f"{outputs}/first-{date}.ipynb"}, wait_for=[first]))
    for second in seconds: second.result()
from prefect.task_runners import ThreadPoolTaskRunner
backlog.with_options(task_runner=ThreadPoolTaskRunner(max_workers=2))()
"""
    note = "two at a time, its temporary server and SQLite; papermill in threads, which it does not promise to bear"
    return _script("Prefect 3 + papermill", str(python), script, note, most=2)


def ploomber(venvs: Path) -> Contender:
    """A pipeline for each date, built one after another."""
    python = _venv(venvs, "ploomber", [PLOOMBER, "papermill", "ipykernel", "setuptools<81"])
    script = """
import sys
from pathlib import Path
from ploomber import DAG
from ploomber.executors import Serial
from ploomber.products import File
from ploomber.tasks import NotebookRunner
inputs, outputs, *dates = sys.argv[1:]
for date in dates:
    dag = DAG(executor=Serial(build_in_subprocess=False))
    common = {"dag": dag, "kernelspec_name": "python3", "local_execution": False, "static_analysis": "disable"}
    first = NotebookRunner(Path(f"{inputs}/first.ipynb"), File(f"{outputs}/first-{date}.ipynb"), name="first",
                           params={"reference_date": date}, **common)
    second = NotebookRunner(Path(f"{inputs}/second.ipynb"), File(f"{outputs}/second-{date}.ipynb"), name="second",
                            params={"reference_date": date, "first": f"{outputs}/first-{date}.ipynb"}, **common)
    first >> second
    dag.build()
"""
    return _script("ploomber", str(python), script, "one after another; a pipeline is built for each date", most=2)


def _script(name: str, python: str, script: str, note: str, most: int | None = None) -> Contender:
    def execute(workload: Workload, outputs: Path, memory: bool) -> Cost:
        outputs.mkdir()
        command = [python, "-c", script, str(workload.inputs), str(outputs), *workload.dates]
        cost = run(command, _environment(), memory=memory)
        made = len(list(outputs.glob("*.ipynb")))
        if made != 2 * len(workload.dates):
            raise RuntimeError(f"{name} made {made} notebooks of {2 * len(workload.dates)}")
        return cost

    return Contender(name, execute, note, most)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOFLOW_", "FLOWAPI_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "WARNING", "DO_NOT_TRACK": "1"}


def _venv(venvs: Path, name: str, packages: list[str]) -> Path:
    """Make a virtual environment for a contender, once."""
    python = venvs / name / "bin" / "python"
    done = venvs / name / "packages.txt"
    wanted = "\n".join(packages)
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(venvs / name, ignore_errors=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(venvs / name)], check=True, capture_output=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
            subprocess.run(install, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise ContenderMissingError(f"{packages[0]} can not be installed: {str(error.stderr)[-300:]}") from error
        done.write_text(wanted)
    return python


def fresh(contender: Contender, workload: Workload, *, memory: bool = False) -> Cost:
    """Execute once, with outputs of its own that are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory:
        return contender.execute(workload, Path(directory) / "outputs", memory)


def renamed(contender: Contender, name: str) -> Contender:
    """Give a contender another name in a table."""
    return replace(contender, name=name)
