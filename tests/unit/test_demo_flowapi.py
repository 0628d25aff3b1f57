# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people get wrong with ``autoflow demo-flowapi``; that it serves is what the tutorial's test shows."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from autoflow.cli import main
from autoflow.commands.arguments import DEMO_CHANGES, DEMO_FAULTS
from autoflow.demo_flowapi import CHANGES, FAULTS, FlowapiStandin, qa
from tests.clock import PATIENCE


def test_the_faults_that_help_names_are_those_that_there_are() -> None:
    assert set(DEMO_FAULTS) == set(FAULTS)


def test_the_changes_that_help_names_are_those_that_there_are() -> None:
    assert set(DEMO_CHANGES) == set(CHANGES)


def changed(port: int, *words: str) -> int:
    return main(["demo-flowapi", *words, "--port", str(port)])


def test_data_are_changed_while_it_runs(flowapi: FlowapiStandin, capsys: pytest.CaptureFixture[str]) -> None:
    flowapi.set_days(3)
    port = int(flowapi.url.rpartition(":")[2])
    flowmachine = flowapi.flowmachine
    usual = qa.outcomes(flowmachine, "calls", "count_msisdns")
    assert changed(port, "drop", "2016-01-02") == 0
    assert flowapi.dates["calls"] == ["2016-01-01", "2016-01-03"]
    assert changed(port, "add", "2016-01-02", "2016-01-05") == 0
    assert flowapi.dates["sms"] == [f"2016-01-0{day}" for day in range(1, 6)]
    # a fault does not keep it from being changed
    flowapi.set_fault("500")
    assert changed(port, "restate", "2016-01-01", "2016-01-02", "--share", "0.5") == 0
    assert changed(port, "outcome", "2016-01-03", "count_msisdns", "-7") == 0
    assert changed(port, "reset-cache") == 0
    assert capsys.readouterr().out.splitlines() == [
        "2016-01-02: data are gone",
        "2016-01-02 to 2016-01-05: data are there",
        "2016-01-01 to 2016-01-02: ingested anew, with 50% of the subscribers",
        "2016-01-03: count_msisdns is -7",
        "FlowMachine has forgotten all results",
    ]
    now = qa.outcomes(flowmachine, "calls", "count_msisdns")
    assert (now["2016-01-01"], now["2016-01-03"]) == (str(round(int(usual["2016-01-01"] or 0) / 2)), "-7")
    assert changed(port, "outcome", "2016-01-03", "count_msisdns") == 0
    assert qa.outcomes(flowmachine, "calls", "count_msisdns")["2016-01-03"] == usual["2016-01-03"]
    assert flowapi.requests == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("drop", "drop: found nothing more, expected DATE [TO]"),
        ("drop yesterday", "found yesterday, expected dates such as 2016-01-31"),
        ("add 2016-01-02 2016-01-01", "found 2016-01-02 to 2016-01-01, expected at most 36,500 dates in order"),
        ("restate 2016-05-01", "there are no data of 2016-05-01"),
        ("outcome 2016-01-01 count_msisdn 3", "found count_msisdn, expected one of count_added_rows, "),
        ("reset-cache now", "reset-cache: found now, expected nothing more"),
    ],
)
def test_a_change_that_cannot_be_made_is_told(
    words: str, said: str, flowapi: FlowapiStandin, capsys: pytest.CaptureFixture[str]
) -> None:
    before = flowapi.dates
    assert changed(int(flowapi.url.rpartition(":")[2]), *words.split()) == 2
    assert said in capsys.readouterr().err
    assert flowapi.dates == before


def test_a_browser_cannot_change_it(flowapi: FlowapiStandin) -> None:
    before = flowapi.dates
    answer = httpx.post(f"{flowapi.url}/stand-in", content=b'{"do": "drop", "values": ["2016-01-01"]}')
    assert (answer.status_code, flowapi.dates) == (400, before)


def test_no_stand_in_to_change_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert changed(port, "reset-cache") == 2
    assert "start `autoflow demo-flowapi` first" in capsys.readouterr().err


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
