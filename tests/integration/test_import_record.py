# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow import-record``: from a CSV file, and from a real PostgreSQL server where the machine has one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from autoflow.cli import main
from autoflow.model.store import open_for_reading
from tests.answers import content_of

HEAD = "id,workflow_name,parameters_hash,state,timestamp\n"
ROWS = """\
1,w,1,running,2021-05-01 00:00:00
2,w,1,success,2021-05-01 00:01:00.25+02
3,"w, too",2,success,2021-05-01 00:00:00
4,w,3,failed,2021-05-01 00:00:00
5,w,4,running,2021-05-01 00:00:00
6,w,,success,2021-05-01 00:00:00
"""
PASSWORD = "s3cret/p@ss"  # of a server that lives for one test


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in").mkdir()
    # a log to the stream of one test would outlive it
    monkeypatch.setattr("autoflow.cli.set_up_logging", lambda *_: None)
    monkeypatch.setenv("AUTOFLOW_INPUTS_DIR", str(tmp_path / "in"))
    monkeypatch.setenv("AUTOFLOW_OUTPUTS_DIR", str(tmp_path / "out"))
    for name in ("PGPASSWORD", "PGHOST", "AUTOFLOW_DB_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "out"


def counts(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return content_of(capsys.readouterr().out)


def test_a_csv_file_is_previewed_taken_over_and_not_twice(
    tmp_path: Path, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("\ufeff" + HEAD + ROWS)
    expected = {"new": 2, "known": 0, "failed": 1, "running": 1, "incomplete": 1, "unknown_workflows": []}
    assert main(["import-record", str(file), "--json"]) == 2
    assert counts(capsys) == {**expected, "done": False}
    assert not outputs.exists()
    assert main(["import-record", str(file), "--json", "--yes"]) == 0
    assert counts(capsys) == {**expected, "done": True}
    for _ in range(2):
        assert main(["import-record", str(file), "--yes", "--json"]) == 0
        assert counts(capsys) == {**expected, "new": 0, "known": 2, "done": False}
    reader = open_for_reading(outputs / "autoflow.db")
    taken = sorted((run.workflow, run.parameters_hash, f"{run.started}") for run in reader.attempts())
    reader.close()
    assert taken == [("w", "1", "2021-04-30 22:01:00.250000+00:00"), ("w, too", "2", "2021-05-01 00:00:00+00:00")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,w,1,success,2021\n", "line 1: found no column parameters_hash, state, timestamp, workflow_name"),
        ("", "line 1: found no column"),
        (HEAD + "1,w,1,success,yesterday\n", "line 2: timestamp: found 'yesterday', expected one such as"),
        ("\udcff", "cannot be read as a CSV file"),
    ],
)
def test_a_file_of_another_kind_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(content, errors="surrogateescape")
    assert main(["import-record", str(file)]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_and_an_address_that_is_none_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-record", "nowhere.csv"]) == 2
    assert "nowhere.csv: cannot be read as a CSV file (No such file or directory)" in capsys.readouterr().err
    for source in (f"mysql://me:{PASSWORD}@host/x", f"postgresql://me:{PASSWORD}@127.0.0.1:port/x", "postgresql://[x"):
        assert main(["import-record", source]) != 0
        assert PASSWORD not in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed: flowkit-autoflow[postgresql]")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}/x"
        assert main(["import-record", f"postgresql+psycopg2://me:{quote(PASSWORD, safe='')}@{place}"]) == 75
    said = capsys.readouterr().err
    assert "127.0.0.1/x: cannot be read" in said
    assert not any(secret in said for secret in (PASSWORD, "s3cret"))


@pytest.fixture
def server() -> Iterator[str]:
    """A PostgreSQL server of its own, for somebody who is not root, in a directory that is removed."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed: flowkit-autoflow[postgresql]")
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), Path(shutil.which("initdb") or "/nowhere/x").parent]
    programs = next((place for place in reversed(places) if (place / "initdb").exists()), None)
    if programs is None:
        pytest.skip("this machine has no PostgreSQL server")
    who = next((name for name in ("postgres", "nobody") if _is_user(name)), None) if os.getuid() == 0 else None
    if os.getuid() == 0 and who is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="autoflow-pg-") as directory:
        data, secret = Path(directory, "data"), Path(directory, "password")
        secret.write_text(PASSWORD)
        if who:
            for path in (directory, secret):
                shutil.chown(path, who)
        as_user = {"user": who, "group": pwd.getpwnam(who).pw_gid, "extra_groups": []} if who else {}
        _call(as_user, programs / "initdb", "-D", data, "-U", "me", "--pwfile", secret, "-A", "scram-sha-256", "-N")
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", directory, "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            **as_user,  # type: ignore[call-overload]
        )
        try:
            yield f"postgresql://me:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(60)


def _is_user(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


def _call(as_user: dict[str, object], *command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd="/", **as_user)  # type: ignore[call-overload]


def test_a_postgresql_server_is_read_and_nothing_is_changed_there(
    server: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import psycopg

    end = time.monotonic() + 100
    while True:
        try:
            connection = psycopg.connect(server, autocommit=True)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < end
            time.sleep(0.1)
    with connection:
        assert main(["import-record", server]) == 2
        assert 'relation "workflow_runs" does not exist' in capsys.readouterr().err
        connection.execute("CREATE TYPE runstate AS ENUM ('running', 'success', 'failed')")
        connection.execute(
            "CREATE TABLE workflow_runs (id serial PRIMARY KEY, workflow_name varchar, parameters_hash varchar,"
            " state runstate, timestamp timestamp)"
        )
        connection.execute(
            "INSERT INTO workflow_runs (workflow_name, parameters_hash, state, timestamp) VALUES"
            " ('w', '1', 'running', '2021-05-01'), ('w', '1', 'success', '2021-05-02 01:02:03.4'),"
            " ('w', '2', 'failed', '2021-05-01'), ('w', NULL, 'success', '2021-05-01')"
        )
        for new, known in ((1, 0), (0, 1)):
            assert main(["import-record", server, "--json", "--yes"]) == 0
            found = counts(capsys)
            assert [found[name] for name in ("new", "known", "failed", "incomplete")] == [new, known, 1, 1]
        left = connection.execute("SELECT count(*) FROM workflow_runs").fetchone()
    assert left == (4,)
    reader = open_for_reading(outputs / "autoflow.db")
    assert [f"{run.started}" for run in reader.attempts()] == ["2021-05-02 01:02:03.400000+00:00"]
    reader.close()
    wrong = server.replace("s3cret", "wr0ng")
    assert main(["import-record", wrong]) != 0
    said = capsys.readouterr().err
    assert "password authentication failed" in said
    assert "wr0ng" not in said
