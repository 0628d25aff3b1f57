# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What keeps AutoFlow from starting: exit code 75 where it may pass by itself, 2 where a person must mend it."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from autoflow.demo_flowapi.tokens import Keys, make_token
from autoflow.errors import ExitCode
from autoflow.model import store
from tests.conftest import ROOT, Deployment, Typed

AGAIN, MISTAKE = int(ExitCode.TRY_AGAIN), int(ExitCode.USER_MISTAKE)


@contextmanager
def no_token(deployment: Deployment) -> Iterator[None]:
    del deployment.environment["FLOWAPI_TOKEN"]
    yield


@contextmanager
def an_expired_token(deployment: Deployment) -> Iterator[None]:
    deployment.environment["FLOWAPI_TOKEN"] = make_token(Keys.generate(), lifetime=dt.timedelta(days=-3))
    yield


@contextmanager
def half_a_token(deployment: Deployment) -> Iterator[None]:
    deployment.environment["FLOWAPI_TOKEN"] = deployment.environment["FLOWAPI_TOKEN"][:100]
    yield


@contextmanager
def no_inputs(deployment: Deployment) -> Iterator[None]:
    shutil.rmtree(deployment.inputs)
    yield


@contextmanager
def empty_inputs(deployment: Deployment) -> Iterator[None]:
    shutil.rmtree(deployment.inputs)
    # a new file system has this
    (deployment.inputs / "lost+found").mkdir(parents=True)
    yield


@contextmanager
def other_inputs(deployment: Deployment) -> Iterator[None]:
    (deployment.inputs / "workflows.yml").rename(deployment.inputs / "workflow.yml")
    yield


@contextmanager
def a_mistake_in_workflows(deployment: Deployment) -> Iterator[None]:
    (deployment.inputs / "workflows.yml").write_text("workflows: 3\n")
    yield


@contextmanager
def no_certificate_yet(deployment: Deployment) -> Iterator[None]:
    deployment.environment["SSL_CERTIFICATE_FILE"] = str(deployment.outputs / "not-mounted" / "ca.pem")
    yield


@contextmanager
def a_wrong_certificate(deployment: Deployment) -> Iterator[None]:
    deployment.environment["SSL_CERTIFICATE_FILE"] = str(deployment.inputs / "ca.pem")
    yield


@contextmanager
def a_port_in_use(deployment: Deployment) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        deployment.environment["AUTOFLOW_HTTP"] = str(taken.getsockname()[1])
        yield


@contextmanager
def an_old_lock(deployment: Deployment) -> Iterator[None]:
    deployment.outputs.mkdir(exist_ok=True)
    with (deployment.outputs / "autoflow.db.lock").open("w") as lock:
        lock.write("pid 4711, since 2016-01-01 00:00:00 UTC\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def a_busy_record(deployment: Deployment) -> Iterator[None]:
    deployment.outputs.mkdir(exist_ok=True)
    with closing(sqlite3.connect(deployment.outputs / "autoflow.db", isolation_level=None)) as busy:
        busy.execute("PRAGMA locking_mode = EXCLUSIVE")
        busy.execute("BEGIN EXCLUSIVE")
        busy.execute("CREATE TABLE t (a)")
        with pytest.MonkeyPatch.context() as patch:
            # sqlite waits on a clock of its own
            patch.setattr(store, "PATIENCE", 0.1)
            yield


@contextmanager
def another_record(deployment: Deployment) -> Iterator[None]:
    deployment.outputs.mkdir(exist_ok=True)
    (deployment.outputs / "autoflow.db").write_text("no database at all, but a text of some length\n" * 100)
    yield


@contextmanager
def a_full_disk(deployment: Deployment) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system: a full disk is NOT tried")
    deployment.outputs.mkdir(exist_ok=True)
    with mounted(deployment.outputs, "size=64k"):
        with pytest.raises(OSError, match="No space left"):
            (deployment.outputs / "filler").write_bytes(bytes(1_000_000))
        yield


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    mounting = ["mount", "-t", "tmpfs", "-o", options, "autoflow-test", str(directory)]
    if subprocess.run(mounting, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here: a full disk is NOT tried")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def refused(*_: object) -> None:
    raise OSError


State = Callable[[Deployment], AbstractContextManager[None]]


@pytest.mark.parametrize("arguments", [(), ("--run-once",)])
@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (no_token, AGAIN, "FLOWAPI_TOKEN: not found"),
        (an_expired_token, AGAIN, "FLOWAPI_TOKEN .from the environment.: expired at 2"),
        (half_a_token, MISTAKE, "FLOWAPI_TOKEN .from the environment.: can ?not be decoded"),
        (no_inputs, AGAIN, "workflows.yml: not found; .*/inputs is empty or missing: is it mounted"),
        (empty_inputs, AGAIN, "workflows.yml: not found; .*/inputs is empty or missing: is it mounted"),
        (other_inputs, MISTAKE, "workflows.yml: not found; AUTOFLOW_INPUTS_DIR must hold a file of this name"),
        (a_mistake_in_workflows, MISTAKE, "workflows: found 3, expected a list"),
        (no_certificate_yet, AGAIN, "SSL_CERTIFICATE_FILE: .*/ca.pem not found; .* is it mounted"),
        (a_wrong_certificate, MISTAKE, "SSL_CERTIFICATE_FILE: .*/ca.pem is not a readable file"),
        (an_old_lock, AGAIN, r"held by another AutoFlow \(pid 4711, since 2016-01-01 00:00:00 UTC\)"),
        (a_busy_record, AGAIN, r"autoflow.db: cannot be used as AutoFlow's database \(database is locked\)"),
        (another_record, MISTAKE, r"autoflow.db: cannot be used as AutoFlow's database \(file is not a database\)"),
        (a_full_disk, AGAIN, "No space left on device|disk is full|no space left"),
    ],
)
def test_what_may_pass_by_itself_is_told_from_a_mistake(
    deployment: Deployment,
    typed: Typed,
    monkeypatch: pytest.MonkeyPatch,
    state: State,
    code: int,
    words: str,
    arguments: tuple[str, ...],
) -> None:
    deployment.write_simple("glues")
    # what is started early would end with the process, and can be done without
    monkeypatch.setattr("autoflow.warm_process.start_warm_process", refused)
    # of each code one state is tried with a process of its own
    run = deployment.run if state in (no_inputs, other_inputs) else typed
    with state(deployment):
        outcome = run(*arguments)
    assert outcome.code == code, outcome.log
    assert re.search(words, outcome.log), outcome.log
    assert "Traceback" not in outcome.log


def test_a_port_in_use_may_be_free_later(deployment: Deployment) -> None:
    deployment.write_simple("glues")
    with a_port_in_use(deployment):
        outcome = deployment.run()
    assert outcome.code == AGAIN, outcome.log
    assert "is in use by another program" in outcome.log


def test_what_supervisors_do_goes_by_these_codes() -> None:
    unit = (ROOT / "config" / "autoflow.service").read_text()
    assert f"\nRestartPreventExitStatus={MISTAKE}\n" in unit
    assert "\nRestart=on-failure\n" in unit
    # an expired token may be renewed after days: no failed start is the last one
    assert "\nStartLimitIntervalSec=0\n" in unit
    stack = (ROOT / "docker-stack.yml").read_text()
    assert "condition: any" in stack
    assert "max_attempts" not in stack
