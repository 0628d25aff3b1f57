# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people get wrong with ``autoflow demo-flowapi``; that it serves is what the tutorial's test shows."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from autoflow.cli import main
from autoflow.commands.arguments import DEMO_FAULTS
from autoflow.demo_flowapi import FAULTS
from tests.clock import PATIENCE


def test_the_faults_that_help_names_are_those_that_there_are() -> None:
    assert set(DEMO_FAULTS) == set(FAULTS)


def test_a_scope_that_there_is_not_leads_to_one_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo-flowapi", "--without-scope", "get_qa_check"]) == 2
    assert "--without-scope get_qa_check: no such scope; did you mean 'get_qa_checks'?" in capsys.readouterr().err


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["demo-flowapi", "--port", str(port)]) == 2
    assert f"--port {port}: cannot listen there (Address already in use)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["--port -1", "--port 70000", "--days 9999999", "--days nan", "--token-days 1e9", "--poll-seconds nan",
     "--dates-lag inf"],
)  # fmt: skip
def test_a_number_out_of_bounds_is_told(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo-flowapi", *words.split()])
    assert ended.value.code == 2
    assert f"argument {words.split()[0]}: found '{words.split()[1]}', expected a" in capsys.readouterr().err


def test_what_is_missing_without_the_extra_is_told() -> None:
    code = (
        "import sys; sys.modules['flowkit_jwt_generator'] = None; from autoflow.cli import main;"
        " sys.exit(main(['demo-flowapi', '--port', '0']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    assert "needs flowkit_jwt_generator" in ended.stderr
    assert "pip install 'flowkit-autoflow[demo]'" in ended.stderr


def test_a_token_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "missing" / "token"
    assert main(["demo-flowapi", "--port", "0", "--token-file", str(path)]) == 2
    assert f"--token-file {path}: cannot be written (No such file or directory)" in capsys.readouterr().err
