# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon as a process: signals, crashes, and a second one of its kind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from autoflow.commands import health
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.settings.settings import load_settings
from autoflow.system import ask
from autoflow.warm_process import MARKER
from tests.clock import PATIENCE, until
from tests.conftest import Deployment, Typed


def processes_of(deployment: Deployment) -> list[psutil.Process]:
    """Find what jobs of a deployment have started and left running."""
    instance = load_settings(deployment.environment).instance
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER, "").startswith(f"{instance}/"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def states(deployment: Deployment) -> list[tuple[str, str]]:
    """Read reference dates and states of all attempts, as somebody else would, from the file."""
    connection = sqlite3.connect(deployment.outputs / "autoflow.db")
    try:
        return connection.execute(
            "SELECT reference_date, attempts.state FROM attempts JOIN runs ON number = run ORDER BY id"
        ).fetchall()
    finally:
        connection.close()


@pytest.fixture
def started(deployment: Deployment) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def running_a_cell(deployment: Deployment) -> Callable[[], bool]:
    """Tell whether a kernel is at its notebook's last cell, as the child's progress has it."""
    return lambda: any(
        '"cell": 3' in path.read_text() for path in deployment.outputs.glob(".autoflow/*/job-*/progress.json")
    )


@pytest.mark.parametrize("name", ["sleeps", "computes", "holds_gil"])
def test_sigterm_ends_everything_and_the_run_is_due_again(
    deployment: Deployment, started: list[subprocess.Popen[str]], name: str
) -> None:
    deployment.write_simple(name)
    daemon = deployment.start("--now", AUTOFLOW_GRACE="1s", AUTOFLOW_INTERRUPT_GRACE="1s")
    started.append(daemon)
    until(running_a_cell(deployment))
    daemon.send_signal(signal.SIGTERM)
    log, _ = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0, log
    assert processes_of(deployment) == []
    assert {state for _, state in states(deployment)} == {"interrupted"}
    assert deployment.made(".autoflow/*/*") == []
    assert "Traceback" not in log


def test_a_notebook_that_ends_within_the_grace_time_is_a_success(
    deployment: Deployment, flowapi: FlowapiStandin, started: list[subprocess.Popen[str]]
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("glues")
    daemon = deployment.start("--now", AUTOFLOW_GRACE="60s")
    started.append(daemon)
    until(lambda: bool(deployment.made(".autoflow/*/job-*/notebook.ipynb")))
    daemon.send_signal(signal.SIGTERM)
    log, _ = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0, log
    assert states(deployment) == [("2016-01-01", "succeeded")]


def test_a_second_interrupt_is_at_once(deployment: Deployment, started: list[subprocess.Popen[str]]) -> None:
    deployment.write_simple("holds_gil")
    daemon = deployment.start("--now", AUTOFLOW_GRACE="10m")
    started.append(daemon)
    until(running_a_cell(deployment))
    daemon.send_signal(signal.SIGINT)
    # it has heard that one, and waits for the notebook
    assert daemon.stdout is not None
    assert any("SIGINT: stopping" in line for line in daemon.stdout)
    assert daemon.poll() is None
    daemon.send_signal(signal.SIGINT)
    # far less than the grace time, and than the notebook takes
    daemon.communicate(timeout=PATIENCE)
    assert processes_of(deployment) == []


def test_sigterm_while_flowapi_hangs_is_quick(
    deployment: Deployment, flowapi: FlowapiStandin, started: list[subprocess.Popen[str]]
) -> None:
    deployment.write_simple("glues")
    flowapi.set_fault("hang")
    daemon = deployment.start("--now", AUTOFLOW_GRACE="1s", AUTOFLOW_POLL_TIMEOUT="10m")
    started.append(daemon)
    until(lambda: bool(flowapi.requests))
    daemon.send_signal(signal.SIGTERM)
    # the poll's own time-out is longer
    daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0


def test_kill_9_in_the_middle_loses_no_date_and_doubles_none(
    deployment: Deployment, flowapi: FlowapiStandin, started: list[subprocess.Popen[str]]
) -> None:
    flowapi.set_days(3)
    deployment.write_simple("glues")
    record = deployment.outputs / "autoflow.db"
    moments: tuple[Callable[[], bool], ...] = (
        record.exists,
        lambda: bool(deployment.made(".autoflow/*/job-*/request.json")),
        lambda: bool(deployment.made(".autoflow/*/job-*/notebook.ipynb")),
        lambda: any(state == "succeeded" for _, state in states(deployment)),
    )
    for moment in moments:
        daemon = deployment.start("--run-once")
        until(lambda now=moment, process=daemon: now() or process.poll() is not None)  # type: ignore[misc]
        daemon.kill()
        daemon.communicate()
        until(lambda: processes_of(deployment) == [])
    outcome = deployment.run("--run-once")
    assert outcome.code == 0, outcome.log
    succeeded = [date for date, state in states(deployment) if state == "succeeded"]
    assert sorted(succeeded) == ["2016-01-01", "2016-01-02", "2016-01-03"]
    assert {state for _, state in states(deployment)} <= {"succeeded", "interrupted"}
    assert deployment.made(".autoflow/*/*") == []


def test_who_looks_after_a_kill_is_told_that_nothing_runs_and_what_comes_next(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Typed, started: list[subprocess.Popen[str]]
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("sleeps")
    daemon = deployment.start("--run-once")
    started.append(daemon)
    until(lambda: bool(deployment.made(".autoflow/*/job-*/request.json")))
    looks = (
        ("why", "w", "2016-01-01"),
        ("runs",),
        ("show", "1"),
        ("plan",),
        ("calendar",),
        ("repair", "1", "--yes"),
        ("rerun", "1", "--yes"),
        ("backfill", "w", "2016-01-01", "2016-01-01", "--yes"),
        ("keep", "1", "--reason", "none", "--yes"),
        # it asks before it does
        ("cancel", "1"),
    )
    hint = "AutoFlow is not running"
    until(lambda: states(deployment) == [("2016-01-01", "running")])
    assert not any(hint in typed(*look).log for look in looks)
    assert [each["left_behind"] for each in typed("runs", "--json").json()["attempts"]] == [False]
    daemon.kill()
    daemon.wait(PATIENCE)
    for look in looks:
        said = " ".join(typed(*look).log.split())
        assert hint in said, look
        assert "its next start" in said
    assert "in progress:" not in typed("why", "w", "2016-01-01").log
    assert [each["left_behind"] for each in typed("runs", "--json").json()["attempts"]] == [True]
    assert typed("show", "1", "--json").json()["left_behind"]
    assert typed("why", "w", "2016-01-01", "--json").json()["triggers"][0]["left_behind"]
    plan = typed("plan", "--json").json()
    assert (plan["under_way"], plan["left_behind"]) == ([], [1])


@pytest.mark.parametrize("arguments", [(), ("--run-once",)])
def test_a_second_autoflow_is_refused_and_told_who_is_there(
    deployment: Deployment, typed: Typed, started: list[subprocess.Popen[str]], arguments: tuple[str, ...]
) -> None:
    deployment.write_simple("glues")
    daemon = deployment.start()
    started.append(daemon)
    until((deployment.outputs / "autoflow.db").exists)
    until(lambda: typed("--health").code == 0)
    second = deployment.run(*arguments)
    # it may be about to end
    assert second.code == 75
    assert f"held by another AutoFlow (pid {daemon.pid}, since " in second.log
    assert daemon.poll() is None


def test_what_run_once_has_started_early_ends_with_it_whatever_it_ends_for(deployment: Deployment) -> None:
    deployment.write_simple("glues")
    file = deployment.inputs / "workflows.yml"
    for text, code in ((file.read_text(), 0), ("workflows: 1\n", 2)):
        file.write_text(text)
        assert deployment.run("--run-once").code == code
        until(lambda: not processes_of(deployment))


def test_a_daemon_answers_how_it_is_and_a_stopped_one_does_not(
    deployment: Deployment, typed: Typed, started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.write_simple("glues")
    daemon = deployment.start()
    started.append(daemon)
    until(lambda: typed("--health").code == 0)
    how = typed("health", "--json").json()
    assert (how["pid"], how["healthy"], how["doing"].startswith("next tick at")) == (daemon.pid, True, True)
    # a tenth of what it holds when it is idle, which only children need
    assert "libcrypto" not in Path(f"/proc/{daemon.pid}/maps").read_text()
    os.kill(daemon.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        # it answers nobody, however long one waits
        patch.setattr(health, "ask", partial(ask, patience=0.2))
        assert typed("--health").code == 1
    os.kill(daemon.pid, signal.SIGCONT)
    daemon.terminate()
    daemon.communicate(timeout=PATIENCE)
    stopped = typed("--health")
    assert stopped.code == 1
    assert "no answer from a daemon" in stopped.log
