# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Backups: taken beside a writer, put in place on this machine or another, and refused when they are no good."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from autoflow.definitions import Notebook, Trigger, Workflow
from autoflow.model.migrations import MIGRATIONS
from autoflow.model.store import RunStore, open_for_reading
from autoflow.model.tables import APPLICATION_ID
from autoflow.runs.runs import AttemptState, build_run
from autoflow.settings.places import Places
from tests.answers import answer_of
from tests.conftest import Deployment, Outcome

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
Typed = Callable[..., Outcome]


def record_runs(deployment: Deployment, *days: int) -> None:
    """Record a run that succeeded for each day, with an executed notebook on disk."""
    deployment.outputs.mkdir(exist_ok=True)
    (deployment.outputs / "notebooks").mkdir(exist_ok=True)
    workflow = Workflow("w", (Notebook("a", filename="a.ipynb"),))
    with closing(RunStore(path_of(deployment), Places.below(deployment.outputs))) as store:
        for day in days:
            attempt = store.begin(build_run(workflow, Trigger("w"), dt.date(2016, 1, day)), NOW)
            notebook = deployment.outputs / "notebooks" / f"a_{day}.ipynb"
            notebook.write_text("{}")
            store.begin_notebook(attempt, "a", NOW)
            store.finish_notebook(attempt, "a", AttemptState.SUCCEEDED, NOW, notebook=notebook)
            store.finish(attempt, AttemptState.SUCCEEDED, NOW)


def path_of(deployment: Deployment) -> Path:
    return deployment.outputs / "autoflow.db"


def days_of(path: Path) -> list[int]:
    with closing(open_for_reading(path)) as reader:
        return sorted(each.reference_date.day for each in reader.attempts() if each.reference_date)


@pytest.fixture
def backup(deployment: Deployment, typed: Typed, tmp_path: Path) -> Path:
    """A backup of two runs."""
    deployment.write_simple("glues")
    record_runs(deployment, 1, 2)
    file = tmp_path / "a backup.tar.gz"
    assert typed("backup", str(file)).code == 0
    return file


def test_a_backup_brings_back_the_record_and_keeps_what_was_there(
    deployment: Deployment, typed: Typed, backup: Path
) -> None:
    record_runs(deployment, 3)
    outcome = typed("restore", str(backup), "--yes")
    assert outcome.code == 0, outcome.log
    assert "2 runs, 2 attempts, the newest of 2026-11-23 12:00 UTC" in outcome.log
    assert days_of(path_of(deployment)) == [1, 2]
    (kept,) = deployment.outputs.glob("autoflow.db.before-restore-*Z")
    assert days_of(kept) == [1, 2, 3]
    # and back again, from the record that was kept
    assert typed("restore", str(kept), "--yes").code == 0
    assert days_of(path_of(deployment)) == [1, 2, 3]
    # of what was unpacked and copied nothing is left
    names = {path.name for path in deployment.outputs.iterdir() if "before-restore" not in path.name}
    assert names == {"autoflow.db", "autoflow.db.lock", "notebooks"}


def test_what_a_writer_has_committed_is_in_the_backup_and_it_goes_on(
    deployment: Deployment, typed: Typed, tmp_path: Path
) -> None:
    deployment.write_simple("glues")
    record_runs(deployment, 1)
    with closing(RunStore(path_of(deployment))) as store:
        run = build_run(Workflow("w", ()), Trigger("w"), dt.date(2016, 1, 5))
        attempt = store.begin(run, NOW)
        assert (deployment.outputs / "autoflow.db-wal").stat().st_size
        assert typed("backup", str(tmp_path / "b")).code == 0
        store.finish(attempt, AttemptState.SUCCEEDED, NOW)
    assert typed("restore", str(tmp_path / "b"), "--yes").code == 0
    with closing(open_for_reading(path_of(deployment))) as reader:
        states = {each.reference_date: each.state for each in reader.attempts()}
    assert states[dt.date(2016, 1, 5)] == AttemptState.RUNNING
    # what was running then is interrupted when AutoFlow starts, as after a power cut
    with closing(RunStore(path_of(deployment))) as store:
        assert len(store.recover(NOW)) == 1


def test_a_new_machine_gets_both_and_is_told_of_missing_outputs(
    deployment: Deployment, typed: Typed, backup: Path, tmp_path: Path
) -> None:
    text = (deployment.inputs / "workflows.yml").read_text()
    elsewhere, inputs = tmp_path / "other" / "out", tmp_path / "other" / "in"
    inputs.mkdir(parents=True)
    deployment.environment |= {"AUTOFLOW_OUTPUTS_DIR": str(elsewhere), "AUTOFLOW_INPUTS_DIR": str(inputs)}
    # nothing is replaced: there is nothing to ask
    outcome = typed("restore", str(backup))
    assert outcome.code == 0, outcome.log
    assert f"2 outputs that it names are not in {elsewhere}; copy them there too" in outcome.log
    assert (inputs / "workflows.yml").read_text() == text
    (elsewhere / "notebooks").mkdir()
    for path in (deployment.outputs / "notebooks").iterdir():
        path.rename(elsewhere / "notebooks" / path.name)
    assert "copy them" not in typed("restore", str(backup), "--yes").log
    assert str(elsewhere / "notebooks" / "a_1.ipynb") in typed("show", "1", "--json").log


def test_another_workflows_yml_is_kept_unless_the_record_alone_is_wanted(
    deployment: Deployment, typed: Typed, backup: Path
) -> None:
    file = deployment.inputs / "workflows.yml"
    old = file.read_text()
    file.write_text("# edited\n")
    assert typed("restore", str(backup), "--yes", "--record-only").code == 0
    assert file.read_text() == "# edited\n"
    outcome = typed("restore", str(backup), "--yes")
    assert f"it replaces {file}, which is another" in outcome.log
    assert file.read_text() == old
    (kept,) = deployment.inputs.glob("workflows.yml.before-restore-*")
    assert kept.read_text() == "# edited\n"


def test_nothing_is_replaced_without_a_yes_nor_beside_a_daemon(
    deployment: Deployment, typed: Typed, backup: Path
) -> None:
    record_runs(deployment, 3)
    outcome = typed("restore", str(backup))
    assert (outcome.code, "add --yes" in outcome.log) == (2, True)
    with closing(RunStore(path_of(deployment))):
        outcome = typed("restore", str(backup), "--yes")
        assert (outcome.code, "held by another AutoFlow" in outcome.log) == (75, True)
    assert days_of(path_of(deployment)) == [1, 2, 3]
    assert not list(deployment.outputs.glob("*.before-restore-*"))
    assert not list(deployment.outputs.glob(".*.part"))


def test_a_damaged_record_is_not_backed_up_and_is_kept_when_a_good_one_takes_its_place(
    deployment: Deployment, typed: Typed, backup: Path, tmp_path: Path
) -> None:
    record = path_of(deployment)
    damaged = bytearray(record.read_bytes())
    damaged[4096:] = b"\x55" * (len(damaged) - 4096)
    record.write_bytes(damaged)
    good = backup.read_bytes()
    outcome = typed("backup", str(backup))
    assert outcome.code != 0
    assert "autoflow.db: " in outcome.log
    assert backup.read_bytes() == good
    assert [path.name for path in backup.parent.iterdir() if path.suffix == ".part"] == []
    outcome = typed("restore", str(backup), "--yes")
    assert outcome.code == 0, outcome.log
    assert days_of(record) == [1, 2]
    (kept,) = deployment.outputs.glob("autoflow.db.before-restore-*Z")
    # sqlite has counted in its header that it was opened
    assert kept.read_bytes()[4096:] == damaged[4096:]


def test_a_stale_log_of_another_record_is_not_replayed(deployment: Deployment, typed: Typed, backup: Path) -> None:
    # as a machine leaves it that lost its power
    with closing(RunStore(path_of(deployment))) as store:
        store.begin(build_run(Workflow("w", ()), Trigger("w"), dt.date(2016, 1, 9)), NOW)
        log = (deployment.outputs / "autoflow.db-wal").read_bytes()
        half = path_of(deployment).read_bytes()
    path_of(deployment).write_bytes(half)
    (deployment.outputs / "autoflow.db-wal").write_bytes(log)
    assert typed("restore", str(backup), "--yes").code == 0
    assert days_of(path_of(deployment)) == [1, 2]
    (kept,) = deployment.outputs.glob("autoflow.db.before-restore-*Z")
    assert days_of(kept) == [1, 2, 9]


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {each.name: content.read() for each in tar if (content := tar.extractfile(each))}


def packed(file: Path, **contents: bytes) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[: len(data) // 2], "is not a complete backup of AutoFlow"),
        (lambda data: b"", "is not a complete backup of AutoFlow"),
        (lambda data: b"# Notes\n" * 50, "is not a complete backup of AutoFlow"),
        (lambda data: gzip.compress(b"some text"), "is not a complete backup of AutoFlow"),
        (lambda data: data[:-40] + bytes(40), "is not a complete backup of AutoFlow"),
    ],
)
def test_half_a_backup_and_other_files_are_refused(
    deployment: Deployment, typed: Typed, backup: Path, spoil: Callable[[bytes], bytes], words: str
) -> None:
    backup.write_bytes(spoil(backup.read_bytes()))
    outcome = typed("restore", str(backup), "--yes")
    assert (outcome.code, words in outcome.log, "Traceback" in outcome.log) == (2, True, False), outcome.log
    assert days_of(path_of(deployment)) == [1, 2]


def test_a_backup_whose_content_was_changed_is_refused(
    deployment: Deployment, typed: Typed, backup: Path, tmp_path: Path
) -> None:
    changed = members(backup) | {"workflows.yml": b"workflows: []\n"}
    outcome = typed("restore", str(packed(tmp_path / "changed", **changed)), "--yes")
    assert (outcome.code, "does not have the hashes of its manifest" in outcome.log) == (2, True)


def test_a_backup_of_a_newer_autoflow_or_of_another_program_is_refused(
    deployment: Deployment, typed: Typed, backup: Path, tmp_path: Path
) -> None:
    about = json.loads(members(backup)["autoflow-backup.json"]) | {"format": 99, "autoflow": "9.9"}
    newer = packed(tmp_path / "newer", **members(backup) | {"autoflow-backup.json": json.dumps(about).encode()})
    assert "was made by a newer AutoFlow, 9.9" in typed("restore", str(newer), "--yes").log
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE jobs (id)")
        connection.commit()
    outcome = typed("restore", str(other), "--yes")
    assert (outcome.code, f"{other}: is the database of another program" in outcome.log) == (2, True), outcome.log
    with closing(sqlite3.connect(path_of(deployment))) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        connection.commit()
    outcome = typed("restore", str(path_of(deployment)), "--yes")
    assert "was written by a newer AutoFlow" in outcome.log


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_a_backup_with_links_in_it_is_refused(
    deployment: Deployment, typed: Typed, backup: Path, tmp_path: Path, kind: bytes
) -> None:
    file = tmp_path / "links"
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo("autoflow.db")
        member.type, member.linkname = kind, str(path_of(deployment))
        tar.addfile(member)
    outcome = typed("restore", str(file), "--yes")
    assert (outcome.code, "Traceback" in outcome.log) == (2, False)
    assert days_of(path_of(deployment)) == [1, 2]


def test_only_a_backup_is_replaced_by_a_backup_and_only_its_owner_may_read_it(typed: Typed, backup: Path) -> None:
    notes = backup.with_name("notes.txt")
    notes.write_text("mine")
    outcome = typed("backup", str(notes))
    assert (outcome.code, "is not a backup of AutoFlow" in outcome.log) == (2, True)
    assert notes.read_text() == "mine"
    assert typed("backup", str(backup)).code == 0
    assert backup.stat().st_mode & 0o777 == 0o600
    outcome = typed("backup", str(backup.parent / "no" / "file"))
    assert (outcome.code, "No such file or directory" in outcome.log) == (2, True), outcome.log


def test_in_a_directory_a_backup_is_named_after_the_deployment_and_the_time(
    deployment: Deployment, typed: Typed, backup: Path, tmp_path: Path
) -> None:
    deployment.environment["AUTOFLOW_NAME"] = "Ghana / prod"
    outcome = typed("backup", str(tmp_path / "inputs"), "--json")
    described = answer_of(outcome.answer)
    assert Path(described["file"]).name.startswith("autoflow-Ghana-prod-20")
    assert (described["record"]["runs"], described["name"], described["workflows"]) == (2, "Ghana / prod", True)


def test_a_backup_goes_through_a_pipe(deployment: Deployment, backup: Path) -> None:
    command = [sys.executable, "-m", "autoflow", "backup", "-"]
    piped = subprocess.run(command, env=deployment.environment, capture_output=True, check=True)
    assert piped.stderr == b""
    file = backup.with_name("piped")
    file.write_bytes(piped.stdout)
    assert members(file).keys() == members(backup).keys()


def test_a_record_of_a_version_before_is_backed_up_and_restored_as_it_is(
    deployment: Deployment, typed: Typed, tmp_path: Path
) -> None:
    deployment.write_simple("glues")
    deployment.outputs.mkdir()
    with closing(sqlite3.connect(path_of(deployment), isolation_level=None)) as connection:
        for migration in MIGRATIONS[:4]:
            migration(connection.cursor(), Places.below(deployment.outputs))
        connection.execute("PRAGMA user_version = 4")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    outcome = typed("backup", str(tmp_path / "b"), "--json")
    assert answer_of(outcome.answer)["schema"] == 4
    assert typed("restore", str(tmp_path / "b"), "--yes").code == 0
    with closing(sqlite3.connect(path_of(deployment))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)


def test_whenever_a_restore_is_killed_one_of_the_two_records_is_whole(
    deployment: Deployment, typed: Typed, backup: Path
) -> None:
    record_runs(deployment, 3)
    code = (
        "import os, sys\n"
        "from autoflow import cli\n"
        "left = int(sys.argv[1])\n"
        "def count(event, _):\n"
        "    global left\n"
        "    if event in ('os.rename', 'os.remove', 'os.chmod', 'sqlite3.connect', 'os.truncate'):\n"
        "        left -= 1\n"
        "        if not left: os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(count)\n"
        "sys.exit(cli.main(['restore', sys.argv[2], '--yes']))\n"
    )
    killed = 0
    for step in range(1, 100):
        command = [sys.executable, "-c", code, str(step), str(backup)]
        done = subprocess.run(command, env=deployment.environment, capture_output=True, check=False)
        assert days_of(path_of(deployment)) in ([1, 2, 3], [1, 2])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
    assert killed > 5
    assert days_of(path_of(deployment)) == [1, 2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_user_of_the_service(
    deployment: Deployment, typed: Typed, backup: Path
) -> None:
    (deployment.inputs / "workflows.yml").write_text("# edited\n")
    for path in (path_of(deployment), deployment.inputs / "workflows.yml"):
        os.chown(path, 1234, 1234)
    assert typed("restore", str(backup), "--yes").code == 0
    files = [*deployment.outputs.glob("autoflow.db*"), *deployment.inputs.glob("workflows.yml*")]
    owners = {path.name: path.stat().st_uid for path in files if not path.name.endswith(".lock")}
    assert set(owners.values()) == {1234}
    assert len(owners) == 4
