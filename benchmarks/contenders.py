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
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autoflow.demo_flowapi import FlowapiStandin
from benchmarks.machine import ROOT, cores
from benchmarks.measure import Cost, run
from benchmarks.workloads import Workload

PREFECT, PLOOMBER, DASK = "prefect==3.8.8", "ploomber==0.23.3", "distributed==2026.8.0"
# the oldest that this Prefect asks for: it does not start with the newest
FASTAPI = "fastapi==0.139.0"


@dataclass(frozen=True)
class Contender:
    """A way to execute a workload.

    ``execute`` takes the workload, an empty directory for outputs, and whether to sample memory.
    """

    name: str
    execute: Callable[[Workload, Path, bool], Cost]
    note: str = ""
    dates: int | None = None
    """How many dates it is measured with at most, where it would take too long with all; what it takes is scaled."""
    repeat: int | None = None
    """How often it is measured at most."""


class ContenderMissingError(Exception):
    """A contender that cannot be had here, and why."""


def autoflow(flowapi: FlowapiStandin, **environment: str) -> Contender:
    """``--run-once`` on a fresh record: poll, decide, execute, record."""

    def execute(workload: Workload, outputs: Path, memory: bool) -> Cost:
        flowapi.set_days(len(workload.dates))
        settings = {**autoflow_environment(workload.inputs, outputs, flowapi), **environment}
        cost = run([sys.executable, "-m", "autoflow", "--run-once"], settings, memory=memory)
        _expect(len(list(outputs.glob("notebooks/*.ipynb"))), workload)
        return cost

    return Contender("AutoFlow", execute, "polls a FlowAPI, keeps a record, isolates each notebook")


def papermill_cli() -> Contender:
    """A loop over papermill's command line, as a shell script would have it."""
    # its time is that of a date times the dates: a new process for each notebook
    return replace(_papermill_cli("papermill CLI loop", 1, "no poll, no record; one after another"), dates=5)


def papermill_cli_parallel() -> Contender:
    """The same loop by somebody who knows ``xargs -P``."""
    return replace(_papermill_cli(f"papermill CLI, {cores()} dates at a time", cores(), "no poll, no record"), dates=4)


def _papermill_cli(name: str, at_a_time: int, note: str) -> Contender:
    script = f"""
import subprocess, sys
from concurrent.futures import ThreadPoolExecutor
inputs, outputs, *dates = sys.argv[1:]
papermill = [sys.executable, "-m", "papermill", "--no-progress-bar"]
def execute(date):
    first, second = f"{{outputs}}/first-{{date}}.ipynb", f"{{outputs}}/second-{{date}}.ipynb"
    subprocess.run([*papermill, f"{{inputs}}/first.ipynb", first, "-p", "reference_date", date], check=True)
    subprocess.run([*papermill, f"{{inputs}}/second.ipynb", second, "-p", "reference_date", date, "-p", "first", first],
                   check=True)
with ThreadPoolExecutor({at_a_time}) as pool:
    list(pool.map(execute, dates))
"""
    return _script(name, sys.executable, script, note)


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
    note = "no poll, no record; one after another, a stuck kernel stops all"
    return replace(_script("papermill in a process", sys.executable, script, note), dates=8)


def prefect(venvs: Path, at_a_time: int | None = None, *packages: str) -> Contender:
    """A flow over all dates, so many notebooks at a time, or as many as cores, with Prefect's own temporary server.

    Parameters
    ----------
    packages
        What notebooks need.
    """
    name = "-".join(["prefect", *packages])
    python = _venv(venvs, name, [PREFECT, FASTAPI, "papermill", "ipykernel", *packages])
    script = (
        f"""
AT_A_TIME = {at_a_time}
"""
        + """
import os, sys, papermill
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
backlog.with_options(task_runner=ThreadPoolTaskRunner(max_workers=AT_A_TIME or len(os.sched_getaffinity(0))))()
"""
    )
    note = (
        f"{at_a_time or 'as many'} at a time{'' if at_a_time else ' as cores'}; its temporary server and SQLite;"
        " papermill in threads, where it promises nothing"
    )
    settings = {
        "PREFECT_HOME": str(venvs / name / "home"),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        # it makes its database when it is started for the first time
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    # with fewer dates the start of its server would weigh more than it does
    return replace(_script("Prefect 3 + papermill", str(python), script, note, **settings), repeat=1)


def dask(venvs: Path, at_a_time: int, *packages: str) -> Contender:
    """A graph of papermill's calls on so many processes of dask's own on this machine."""
    name = "-".join(["dask", *packages])
    python = _venv(venvs, name, [DASK, "papermill", "ipykernel", *packages])
    script = f"""
import sys
from dask.distributed import Client, LocalCluster
inputs, outputs, *dates = sys.argv[1:]
def execute(notebook, output, parameters, after=None):
    import papermill
    papermill.execute_notebook(notebook, output, parameters, progress_bar=False)
if __name__ == "__main__":
    with LocalCluster(n_workers={at_a_time}, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            seconds = []
            for date in dates:
                output = f"{{outputs}}/first-{{date}}.ipynb"
                first = client.submit(execute, f"{{inputs}}/first.ipynb", output, {{"reference_date": date}}, retries=2)
                seconds.append(client.submit(execute, f"{{inputs}}/second.ipynb", f"{{outputs}}/second-{{date}}.ipynb",
                               {{"reference_date": date, "first": output}}, first, retries=2))
            client.gather(seconds)
"""
    # kernels that start at the same time may want the same port: it failed once without retries
    note = f"{at_a_time} processes; no poll, no record"
    return replace(_script("dask + papermill", str(python), script, note), repeat=1)


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
    note = "one after another; a pipeline is built for each date"
    contender = _script("ploomber", str(python), script, note, HOME=str(venvs / "ploomber" / "home"))
    return replace(contender, dates=2, repeat=2)


def prepare(venvs: Path) -> None:
    """Make the virtual environments of those that need one; what cannot be had is said when it is measured."""
    for contender in (prefect, ploomber):
        with suppress(ContenderMissingError):
            contender(venvs)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would lead AutoFlow to somebody's own record or FlowAPI.

    All may keep bytecode, as they do where they are installed.
    """
    foreign = (
        "PYTHONDONTWRITEBYTECODE",
        "AUTOFLOW_",
        "FLOWAPI_",
        "SSL_CERTIFICATE_FILE",
        "CREDENTIALS_DIRECTORY",
        "NOTIFY_SOCKET",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def autoflow_environment(inputs: Path, outputs: Path, flowapi: FlowapiStandin) -> dict[str, str]:
    """Return the settings of an AutoFlow that is measured."""
    return {
        **clean_environment(),
        "PYTHONPATH": str(ROOT),
        "AUTOFLOW_INPUTS_DIR": str(inputs),
        "AUTOFLOW_OUTPUTS_DIR": str(outputs),
        "FLOWAPI_URL": flowapi.url,
        "FLOWAPI_TOKEN": flowapi.token(),
    }


def _script(name: str, python: str, script: str, note: str, **environment: str) -> Contender:
    # no peer reports home while it is measured
    quiet = {"DO_NOT_TRACK": "1", "PLOOMBER_STATS_ENABLED": "false"}

    def execute(workload: Workload, outputs: Path, memory: bool) -> Cost:
        outputs.mkdir()
        command = [python, "-c", script, str(workload.inputs), str(outputs), *workload.dates]
        cost = run(command, {**clean_environment(), **quiet, **environment}, memory=memory)
        _expect(len(list(outputs.glob("*.ipynb"))), workload)
        return cost

    return Contender(name, execute, note)


def _expect(made: int, workload: Workload) -> None:
    if made != 2 * len(workload.dates):
        raise RuntimeError(f"made {made} notebooks of {2 * len(workload.dates)}")


def _venv(venvs: Path, name: str, packages: list[str]) -> Path:
    """Make a virtual environment for a contender, once."""
    python = venvs / name / "bin" / "python"
    done = venvs / name / "wanted.txt"
    wanted = "\n".join(packages)
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(venvs / name, ignore_errors=True)
        try:
            _quietly([sys.executable, "-m", "venv", str(venvs / name)])
            _quietly([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
        except subprocess.CalledProcessError as error:
            said = " ".join(line for line in error.stderr.splitlines() if line.startswith("ERROR"))
            raise ContenderMissingError(f"{packages[0]} cannot be installed: {said[-200:]}") from error
        (venvs / name / "home").mkdir()
        done.write_text(wanted)
    return python


def versions(venvs: Path, name: str) -> str:
    """List what a contender's virtual environment has of what matters; nothing when there is none."""
    python = venvs / name / "bin" / "python"
    if not (venvs / name / "wanted.txt").exists():
        return ""
    freeze = [str(python), "-m", "pip", "freeze", "--disable-pip-version-check"]
    found = dict(line.split("==") for line in _quietly(freeze).splitlines() if line.count("==") == 1)
    kept = (name, "papermill", "nbclient", "jupyter_client", "ipykernel")
    return ", ".join(f"{package} {found[package]}" for package in kept if package in found)


def _quietly(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def fresh(contender: Contender, workload: Workload, *, memory: bool = False) -> Cost:
    """Execute once, with outputs of its own that are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory:
        return contender.execute(workload, Path(directory) / "outputs", memory)
