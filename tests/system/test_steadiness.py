# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the machine does to AutoFlow: a log that nobody reads, signals without a meaning, disks that fail."""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoflow.app import _run_once
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.errors import ExitCode, may_pass
from autoflow.parser import read_definitions
from autoflow.signal_guard import STOPPING
from tests.clock import PATIENCE, until
from tests.conftest import ROOT, Deployment, Typed
from tests.living import living
from tests.system.test_daemon_process import processes_of, running_a_cell, states
from tests.system.test_start import mounted

MEANINGLESS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGHUP, signal.SIGPROF)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def with_its_log_in(deployment: Deployment, descriptor: int, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "autoflow", *arguments],
        env={**deployment.environment, "AUTOFLOW_LOG_LEVEL": "DEBUG"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=descriptor,
        text=True,
    )


@pytest.mark.parametrize("gone", [False, True])
def test_a_log_that_nobody_reads_stops_nothing(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Typed, started: list[subprocess.Popen[str]], gone: bool
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("glues")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    # full before the first line
    os.write(writing, b"x" * 4096)
    daemon = with_its_log_in(deployment, writing, "--now")
    started.append(daemon)
    os.close(writing)
    if gone:
        os.close(reading)
    until(lambda: typed("--health").code == 0)
    until(lambda: bool(deployment.made("notebooks/glues*")))
    until(lambda: states(deployment) == [("2016-01-01", "succeeded")])
    assert typed("--health").code == 0
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
    if not gone:
        os.close(reading)


def test_errors_are_told_to_nobody_in_bounded_time(
    deployment: Deployment, started: list[subprocess.Popen[str]]
) -> None:
    deployment.write("workflows: 3\n")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4096)
    process = with_its_log_in(deployment, writing, "--run-once")
    started.append(process)
    assert process.wait(PATIENCE) == 2
    os.close(reading)
    os.close(writing)


def catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    caught = next(line for line in status if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_signals_that_mean_nothing_end_nothing_at_any_time(
    deployment: Deployment, typed: Typed, started: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    deployment.write_simple("sleeps")
    deployment.environment["AUTOFLOW_GRACE"] = "1s"
    with (tmp_path / "log").open("wb") as file:
        daemon = with_its_log_in(deployment, file.fileno(), "--now")
    started.append(daemon)
    until(lambda: catches(daemon.pid, STOPPING[-1]))
    starting = running_a_cell(deployment)
    while not starting():
        for number in MEANINGLESS:
            daemon.send_signal(number)
        assert daemon.poll() is None
        time.sleep(0.02)
    assert typed("--health").code == 0
    daemon.send_signal(signal.SIGQUIT)
    end = time.monotonic() + PATIENCE
    while daemon.poll() is None and time.monotonic() < end:
        for number in MEANINGLESS:
            daemon.send_signal(number)
        time.sleep(0.002)
    log = (tmp_path / "log").read_text()
    assert daemon.wait(PATIENCE) == 0, log
    assert "SIGUSR1: ignored" in log
    assert "SIGQUIT: stopping" in log
    assert processes_of(deployment) == []
    assert {state for _, state in states(deployment)} == {"interrupted"}
    assert deployment.made(".autoflow/*/*") == []
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_asked_to_stop_while_it_starts_it_leaves_nothing(
    deployment: Deployment, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    deployment.write_simple("sleeps")
    run = deployment.start("--run-once", AUTOFLOW_GRACE="1s")
    started.append(run)
    # the last that it catches: until then a signal ends it as any program, and it has nothing to leave
    until(lambda: catches(run.pid, STOPPING[-1]))
    run.send_signal(number)
    log, _ = run.communicate(timeout=PATIENCE)
    # it may come where Python ignores what a handler raises, and is heard when the loop turns
    is_late = "Exception ignored in" in log
    assert run.returncode == (130 if number == signal.SIGINT and not is_late else 1), log
    assert is_late or "Traceback" not in log
    until(lambda: processes_of(deployment) == [])


INTERRUPTED_IN_GENERATED_CODE = """
import os, signal, sys
from autoflow import cli

cli.run_command = lambda *_: exec("os.kill(os.getpid(), signal.SIGINT)\\nfor _ in range(9): pass")
sys.exit(cli.main(["runs"]))
"""
"""As when it comes while a dataclass is made: Python ends itself with the signal then, whatever has caught it."""


def test_the_exit_code_after_ctrl_c_does_not_depend_on_where_it_came(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IN_GENERATED_CODE)
    # as `python -m autoflow` of the unit and of the image: Python does so for modules alone
    command = [sys.executable, "-m", "interrupted"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


needs_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount small file systems: disks NOT tried")


@contextmanager
def failing_disk(directory: Path, image: Path) -> Iterator[Path]:
    """Mount a disk that turns read-only once something is written to the file that is given."""
    with image.open("wb") as file:
        file.truncate(64_000_000)
    making = subprocess.run(["mkfs.ext4", "-q", str(image)], check=False)
    mounting = ["mount", "-o", "loop,errors=remount-ro", str(image), str(directory)]
    if making.returncode != 0 or subprocess.run(mounting, check=False).returncode != 0:
        pytest.skip("no disk can be mounted from a file here: a disk that fails is NOT tried")
    try:
        device = subprocess.check_output(["findmnt", "-no", "SOURCE", str(directory)], text=True).strip()
        yield Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def writable(directory: Path) -> bool:
    try:
        (directory / "probe").write_bytes(b"")
    except OSError:
        return False
    return True


@needs_mounts
def test_a_file_system_that_turns_read_only_is_told_and_sigterm_ends_the_daemon(
    deployment: Deployment, flowapi: FlowapiStandin, started: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("glues")
    deployment.outputs.mkdir(exist_ok=True)
    with failing_disk(deployment.outputs, tmp_path / "disk.img") as trigger:
        daemon = deployment.start("--now")
        started.append(daemon)
        until(lambda: bool(deployment.made("notebooks/glues*")))
        until(lambda: states(deployment) == [("2016-01-01", "succeeded")])
        trigger.write_text("it fails")
        until(lambda: not writable(deployment.outputs))
        daemon.send_signal(signal.SIGTERM)
        log, _ = daemon.communicate(timeout=PATIENCE)
        assert "Traceback" not in log, log
        assert daemon.returncode in (0, 75), log
        again = deployment.run("--run-once")
        assert again.code == 75, again.log
        assert "Read-only file system" in again.log
        assert "Traceback" not in again.log


@needs_mounts
@pytest.mark.parametrize("size", ["400k", "1m"])
def test_a_disk_that_becomes_full_is_told_in_words_and_waited_for(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture, size: str
) -> None:
    """In this process, whose clock is held: what is waited for are seconds."""
    deployment.write_simple("glues", "fills_disk")
    deployment.environment |= {
        "AUTOFLOW_GRACE": "1s",
        "AUTOFLOW_INTERRUPT_GRACE": "1s",
        "FLOWAPI_TOKEN": flowapi.token(dt.timedelta(days=3000)),
    }
    deployment.outputs.mkdir(exist_ok=True)
    with mounted(deployment.outputs, f"size={size}"):
        with living(deployment, caplog) as life:
            definitions = read_definitions(life.context.settings.workflows_file)

            async def once() -> None:
                running = asyncio.create_task(_run_once(life.context, definitions))
                await life.until(lambda: life.count("the record cannot be written") > 0 or running.done())
                if not running.done():
                    os.kill(os.getpid(), signal.SIGTERM)
                (ended,) = await asyncio.gather(running, return_exceptions=True)
                # exit code 1, or 75
                assert ended == ExitCode.RUN_FAILED or (isinstance(ended, Exception) and may_pass(ended)), ended

            life.run(once())
        assert processes_of(deployment) == []
    assert "disk is full" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_ends_of_the_calendar_break_nothing(deployment: Deployment, typed: Typed, flowapi: FlowapiStandin) -> None:
    flowapi.dates = {"calls": ["0001-01-01", "9999-12-31"], "sms": ["0001-01-01"]}
    deployment.write(
        """
workflows: [{name: w, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}]
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows:
    - {workflow_name: w, date_stencil: [[-7, 1]]}
    - {workflow_name: w, date_stencil: [[0, 7]], lag: 3}
    - {workflow_name: w, dates: "* * sun"}
""",
        "glues",
    )
    for arguments in (
        ["--run-once"],
        ["plan"],
        *(["why", "w", date] for date in ("0001-01-01", "9999-12-31")),
        *(["calendar", *more] for more in ([], ["--by", "year"], ["--from", "9999-12-01"])),
        ["calendar", "--csv", "--from", "0001-01-01", "--to", "0001-02-01"],
    ):
        outcome = typed(*arguments)
        assert outcome.code == 0, outcome.log
        assert "out of range" not in outcome.log
    assert deployment.made("reports/index.html")
