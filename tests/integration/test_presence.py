# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Outputs that vanish under AutoFlow: it goes on where nothing is lost, else stops in a way that is tried again."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autoflow.errors import ExitCode, OutputsLostError, SettingsError
from autoflow.system.presence import Presence
from tests.clock import until
from tests.conftest import Deployment


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    outputs = tmp_path / "out"
    for name in ("notebooks", "reports", ".autoflow/me"):
        (outputs / name).mkdir(parents=True)
    (outputs / "autoflow.db").touch()
    return outputs


@pytest.fixture
def presence(outputs: Path) -> Iterator[Presence]:
    presence = Presence(outputs / "autoflow.db", outputs, [outputs / "notebooks", outputs / "reports"])
    presence.watch(outputs / ".autoflow" / "me")
    yield presence
    presence.release()


def anew(outputs: Path) -> None:
    shutil.rmtree(outputs)
    outputs.mkdir()


def replaced(outputs: Path) -> None:
    (outputs / "other").touch()
    (outputs / "other").replace(outputs / "autoflow.db")


@pytest.mark.parametrize(
    "vanish",
    [
        anew,
        replaced,
        shutil.rmtree,
        lambda outputs: outputs.rename(outputs.with_name("elsewhere")),
        lambda outputs: (outputs / "autoflow.db").unlink(),
        lambda outputs: shutil.rmtree(outputs / ".autoflow"),
    ],
)
def test_what_is_lost_is_told(presence: Presence, outputs: Path, vanish: Callable[[Path], object]) -> None:
    presence.check()
    vanish(outputs)
    with pytest.raises(OutputsLostError, match="while AutoFlow ran") as caught:
        presence.check()
    assert caught.value.exit_code is ExitCode.TRY_AGAIN


def test_a_directory_that_was_removed_is_made_again(presence: Presence, outputs: Path) -> None:
    shutil.rmtree(outputs / "reports")
    presence.check()
    assert (outputs / "reports").is_dir()
    shutil.rmtree(outputs / "reports")
    (outputs / "reports").mkdir()
    presence.check()


def test_a_directory_that_is_unmounted_is_not_written_below(tmp_path: Path, outputs: Path) -> None:
    reports = outputs / "reports"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(reports)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root alone")
    presence = Presence(outputs / "autoflow.db", outputs, [reports])
    try:
        presence.check()
        subprocess.run(["umount", "-l", str(reports)], check=True)
        with pytest.raises(OutputsLostError, match="reports was removed or unmounted"):
            presence.check()
    finally:
        subprocess.run(["umount", str(reports)], capture_output=True, check=False)
        presence.release()


def test_two_records_do_not_share_outputs(presence: Presence, outputs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(outputs)
    for shared, apart in ((tmp_path / "link", []), (tmp_path, [outputs / "reports"])):
        with pytest.raises(SettingsError, match="another AutoFlow with another record"):
            Presence(outputs / "autoflow.db", shared, apart)
    presence.release()
    Presence(outputs / "autoflow.db", outputs, []).release()


def test_a_daemon_whose_record_is_removed_stops_and_asks_to_be_started_again(deployment: Deployment) -> None:
    deployment.write_simple("computes")
    process = deployment.start()
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "next tick" in line:
                break
        for left in deployment.outputs.glob("autoflow.db*"):
            left.unlink()
        second = deployment.run("--run-once")
        assert second.code == ExitCode.TRY_AGAIN
        assert "in use by another AutoFlow with another record" in second.log
        for left in deployment.outputs.glob("autoflow.db*"):
            left.unlink()
        process.send_signal(signal.SIGHUP)
        log, _ = process.communicate(timeout=100)
        assert process.returncode == ExitCode.TRY_AGAIN, log
        assert "autoflow.db was removed, replaced or unmounted while AutoFlow ran" in log
    finally:
        process.kill()
        process.wait()


def test_outputs_that_are_made_anew_during_a_run_end_it_with_a_word(deployment: Deployment) -> None:
    workflow = "workflows: [{name: w, notebooks: {sleeps: {filename: sleeps.ipynb, timeout: 5s}}}]\n"
    deployment.write(
        f"{workflow}available_dates_sensor: {{schedule: null, workflows: [{{workflow_name: w}}]}}\n", "sleeps"
    )
    process = deployment.start("--run-once")
    try:
        until(lambda: bool(list(deployment.outputs.glob(".autoflow/*/job-*/*.ipynb"))))
        (deployment.outputs / "autoflow.db").unlink()
        log, _ = process.communicate(timeout=100)
        assert process.returncode == ExitCode.TRY_AGAIN, log
        assert "while AutoFlow ran" in log
        assert not deployment.made("notebooks/*")
    finally:
        process.kill()
        process.wait()
