# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What `autoflow doctor` says of a deployment that is well, and of what may be wrong with one."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoflow.commands import findings
from autoflow.commands.findings import Finding
from autoflow.demo_flowapi import ALL_SCOPES, FlowapiStandin
from autoflow.errors import FlowapiError
from autoflow.model.store import RunStore
from autoflow.parser.parser import read_definitions
from autoflow.sensor import FlowapiAnswer, QaAnswer, QaExamination
from autoflow.settings import Settings, Token, load_settings
from tests.answers import answer_of
from tests.conftest import Deployment, Outcome

NOW = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
Typed = Callable[..., Outcome]


@pytest.fixture
def settings(deployment: Deployment) -> Settings:
    deployment.write_simple("glues")
    deployment.outputs.mkdir()
    return load_settings(deployment.environment, docker_secrets=deployment.inputs / "no secrets")


def verdicts(found: Any) -> dict[str, str]:
    return {each.name: each.verdict for each in found}


def only(found: Any) -> Finding:
    (finding,) = found
    assert isinstance(finding, Finding)
    return finding


def test_a_deployment_that_is_well_has_no_fault(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("glues")
    deployment.environment |= {"AUTOFLOW_NAME": "Ghana", "AUTOFLOW_WEBHOOK_URL": "https://hooks.example.org/geheim123"}
    outcome = typed("doctor", "--json")
    assert outcome.code == 0, outcome.log
    found = {each["name"]: each for each in answer_of(outcome.answer, code=outcome.code)["findings"]}
    assert {name: each["verdict"] for name, each in found.items() if each["verdict"] != "ok"} == {
        **dict.fromkeys(("disk", "record", "daemon"), "note"),
        **({"fonts": "note"} if "fonts" in found else {}),
    }
    assert "papermill 2" in found["packages"]["text"]
    assert found["settings"]["text"].startswith("Ghana: ")
    assert "calls 2 to 2016-01-02" in found["FlowAPI"]["text"]
    assert "FlowAPI's agrees" in found["clock"]["text"]
    assert found["reports"]["text"].startswith("Asciidoctor PDF 2")
    # nothing was made, and nothing told that is nobody's business
    assert not deployment.outputs.exists()
    assert deployment.environment["FLOWAPI_TOKEN"] not in outcome.log
    assert "geheim" not in outcome.log


def test_what_is_wrong_is_said_all_at_once(deployment: Deployment, typed: Typed) -> None:
    deployment.write("workflows: 3\n")
    deployment.outputs.mkdir()
    (deployment.outputs / "autoflow.db").write_text("no database at all" * 100)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        deployment.environment["FLOWAPI_URL"] = f"http://127.0.0.1:{free.getsockname()[1]}"
        outcome = typed("doctor")
    assert outcome.code == 1
    faults = [line[6:].split()[0] for line in outcome.answer.splitlines() if line.startswith("FAIL")]
    assert faults == ["workflows", "record", "FlowAPI"]
    assert "workflows.yml:1:" in outcome.answer
    assert "`autoflow check` shows all 2 mistakes" in outcome.answer
    assert "file is not a database" in outcome.answer
    assert "Connection refused" in outcome.answer


def test_settings_that_are_wrong_keep_nothing_else_from_being_told(deployment: Deployment, typed: Typed) -> None:
    deployment.environment |= {"AUTOFLOW_LOG_LEVEL": "LOUD", "FLOWAPI_URL": "geheim:geheim"}
    outcome = typed("doctor")
    assert outcome.code == 1
    assert [line[:4] for line in outcome.answer.splitlines()] == ["ok  ", "ok  ", "FAIL", "FAIL"]
    assert "LOUD" in outcome.answer
    assert "geheim" not in outcome.answer


def test_a_token_without_which_flowapi_is_not_asked_is_a_fault(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("glues")
    deployment.environment["FLOWAPI_TOKEN"] = "no token"
    outcome = typed("doctor")
    assert outcome.code == 1
    assert "FAIL  token      FLOWAPI_TOKEN (from the environment): cannot be decoded" in outcome.answer
    assert "FlowAPI  " not in outcome.answer


def test_a_token_that_ends_soon_is_a_warning_with_the_way_to_renew_it() -> None:
    soon = only(findings.of_token(Token("value", "the environment", NOW + dt.timedelta(days=3)), NOW))
    assert (soon.verdict, "3 days from now; press Renew in FlowAuth" in soon.text) == ("warning", True)
    assert only(findings.of_token(Token("value", "a file", NOW + dt.timedelta(days=90)), NOW)).verdict == "ok"
    assert only(findings.of_token(Token("value", "a file", None), NOW)).text == "from a file, without an end"


@pytest.mark.parametrize(
    ("apart", "verdict", "words"),
    [(0, "ok", "agrees"), (59, "ok", "agrees"), (125, "warning", "ahead of"), (-7200, "warning", "behind")],
)
def test_clocks_that_differ_are_a_warning(settings: Settings, apart: float, verdict: str, words: str) -> None:
    answer = FlowapiAnswer({"calls": ["2016-01-01"]}, 0.1, NOW + dt.timedelta(seconds=apart), "HTTP_PROXY (http://p:1)")
    found = list(findings.of_flowapi(settings, answer, NOW))
    assert "answered in 100 ms, through HTTP_PROXY (http://p:1)" in found[0].text
    assert (found[1].verdict, words in found[1].text) == (verdict, True)


def test_a_flowapi_without_dates_is_a_warning(settings: Settings) -> None:
    assert verdicts(findings.of_flowapi(settings, FlowapiAnswer({}, 0.1, None, None), NOW)) == {"FlowAPI": "warning"}


@pytest.mark.parametrize(
    ("free", "verdict"), [(50_000_000_000, "ok"), (1_000_000_000, "warning"), (100_000_000, "fault")]
)
def test_a_disk_that_fills_is_told_before_it_is_full(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str
) -> None:
    # no test fills a disk of this size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free, total=100_000_000_000))
    found = only(findings.of_disks(settings))
    assert (found.verdict, f"{free / 1e9:.1f} of 100.0 GB free" in found.text) == (verdict, True)


def test_a_damaged_record_is_a_fault_and_a_whole_one_is_counted(settings: Settings) -> None:
    with closing(RunStore(settings.db_path)) as store:
        found = only(findings.of_record(settings))
        assert (found.verdict, "0 runs, 0 attempts" in found.text) == ("ok", True)
        assert store.read.newest_run() is None
    content = bytearray(settings.db_path.read_bytes())
    content[4096 * 3 :] = bytes(len(content) - 4096 * 3)
    settings.db_path.write_bytes(content)
    assert only(findings.of_record(settings)).verdict == "fault"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"doing": "next tick at 12:00", "healthy": True}, ["ok"]),
        ({"doing": "next tick at 12:00", "healthy": True, "problems": ["the token ends"]}, ["ok", "warning"]),
        (
            {"doing": "next tick", "healthy": False, "reasons": ["no FlowAPI"], "problems": ["no FlowAPI"]},
            ["fault"] * 2,
        ),
    ],
)
def test_a_daemon_says_itself_how_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], expected: list[str]
) -> None:
    # what a daemon answers is tried where daemons run
    monkeypatch.setattr(findings, "ask", lambda _: answer)
    assert [each.verdict for each in findings.of_daemon(settings)] == expected


def test_a_daemon_that_does_not_answer_is_a_fault(settings: Settings) -> None:
    assert only(findings.of_daemon(settings)).verdict == "note"
    settings.work_dir.mkdir()
    here = os.open(settings.work_dir, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"/proc/self/fd/{here}/{settings.control_socket.name}")
        os.close(here)
        # nobody listens there: left by a daemon that was killed
        assert only(findings.of_daemon(settings)).verdict == "note"


def test_fonts_are_named_with_their_package() -> None:
    found = list(
        findings.of_reports({"programs": {"a": "A 1"}, "fonts": {"Thai": "fonts-x", "Khmer": "fonts-x"}}, None)
    )
    assert found[1].text == "none for Thai, Khmer in PDF reports; apt-get install fonts-x"


def test_no_kernel_is_a_fault() -> None:
    assert only(findings.of_kernels({"kernels": {}})).verdict == "fault"


def test_a_package_that_is_missing_is_a_fault() -> None:
    found = list(findings.of_program({"packages": {"papermill": "2.6", "flowclient": None}}))
    assert [each.verdict for each in found] == ["ok", "ok", "fault"]


def test_outputs_that_are_no_directory_are_a_fault(settings: Settings) -> None:
    settings.outputs_dir.rmdir()
    Path(settings.outputs_dir).write_text("a file")
    assert only(findings.of_record(settings)).verdict == "note"
    found = only(findings.of_disks(settings))
    assert (found.verdict, "is not a directory" in found.text) == ("fault", True)


LIMIT = "  cdr_types: [calls, sms]\n  quality: {check: latest_timestamp, at_least: '18:00'%s}\n"
LACKS = "the token lacks the scope get_qa_checks (role analyst): ask FlowAuth's administrator to give it to the role"


@pytest.mark.parametrize(
    ("sensor", "costs"),
    [
        (LIMIT % "", "dates whose outcomes are not known wait and data that are ingested anew are not noticed"),
        (LIMIT % ", on_missing: pass" + "  restatement: ignore\n", "no date is checked"),
        ("  restatement: tell\n", "data that are ingested anew are not noticed"),
    ],
)
def test_a_token_that_is_not_given_outcomes_of_qa_checks_is_a_fault_where_they_are_asked_for(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Typed, sensor: str, costs: str
) -> None:
    scopes = [scope for scope in ALL_SCOPES if scope != "get_qa_checks"]
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(scopes=scopes)
    deployment.write_simple("glues", sensor=sensor)
    found = quality_in(typed("doctor", "--json"), code=1)
    assert found["verdict"] == "fault"
    assert LACKS in found["text"]
    assert found["text"].endswith(f"; until then {costs}")


@pytest.mark.parametrize(
    ("sensor", "verdict", "words"),
    [
        (LIMIT % "", "ok", "outcomes of QA checks: count_added_rows, latest_timestamp"),
        (
            "  quality: {check: count_msisdn, at_least: 1}\n",
            "fault",
            "did you mean count_msisdns?); dates wait for them",
        ),
        (
            "  quality: {check: count_msisdn, at_least: 1, on_missing: wait 2d}\n",
            "warning",
            "(did you mean count_msisdns?); dates count without",
        ),
        # FlowAPI has it of another type
        (LIMIT.replace("latest_timestamp", "median_duration.sms") % "", "fault", "median_duration.sms of sms"),
    ],
)
def test_checks_that_flowapi_has_no_outcomes_of_are_named(
    deployment: Deployment, typed: Typed, sensor: str, verdict: str, words: str
) -> None:
    deployment.write_simple("glues", sensor=sensor)
    found = quality_in(typed("doctor", "--json"), code=int(verdict == "fault"))
    assert (found["verdict"], words in found["text"]) == (verdict, True), found["text"]


def test_where_nothing_is_asked_of_qa_checks_doctor_asks_nothing(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    deployment.write_simple("glues")
    assert "quality" not in typed("doctor").answer
    assert not [request for request in flowapi.requests if "/qa/" in request]


def test_types_that_are_refused_and_those_that_nothing_tells_of_are_said(deployment: Deployment) -> None:
    deployment.write_simple("glues", sensor=LIMIT % "")
    definitions = read_definitions(deployment.inputs / "workflows.yml")
    refused = FlowapiError("FlowAPI returned no QA outcomes: asked for sms latest_timestamp, it responded with 403")
    assert only(findings.of_quality(definitions, refused)) == Finding("quality", "fault", str(refused))
    checks = {"calls": ["count_added_rows"], "sms": ["count_added_rows"]}
    answer = QaAnswer({"calls": ["count_added_rows"]}, {}, None)
    found = only(findings.of_quality(definitions, QaExamination({}, checks, answer)))
    assert (found.verdict, "that restatement compares, of sms: data" in found.text) == ("warning", True)


def quality_in(outcome: Outcome, code: int) -> dict[str, Any]:
    found = [each for each in answer_of(outcome.answer, code=code)["findings"] if each["name"] == "quality"]
    (finding,) = found
    assert isinstance(finding, dict)
    return finding
