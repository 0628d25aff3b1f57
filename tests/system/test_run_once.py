# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""`autoflow --run-once` as a person runs it: real kernels, a real HTTP server, real files.

As a process of its own where that can make a difference.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from autoflow.app import _run_once
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.errors import ExitCode
from autoflow.parser import read_definitions
from autoflow.runs.runs import parameters_hash
from tests.conftest import Deployment, Typed
from tests.living import change_code, living

CHAIN = """
workflows:
  - name: chain
    notebooks:
      second: {filename: reads.ipynb, parameters: {previous: first}}
      first: {filename: glues.ipynb, parameters: {reference_date: reference_date}}
available_dates_sensor:
  schedule: "0 0 * * *"
  workflows:
    - workflow_name: chain
      earliest_date: 2016-01-02
"""

OVER_TIME = """
workflows:
  - name: late_notebook
    notebooks:
      n: &notebook {filename: swallows_interrupts.ipynb, timeout: 12s, output: {format: pdf},
                    parameters: {reference_date: reference_date}}
  - name: late_run
    timeout: 12s
    notebooks:
      n: {<<: *notebook, timeout: none}
available_dates_sensor:
  schedule: "0 0 * * *"
  concurrency: {runs: 2, notebooks: 2}
  workflows:
    - {workflow_name: late_notebook, earliest_date: 2016-01-02}
    - {workflow_name: late_run, earliest_date: 2016-01-02}
"""


def text_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text())["cells"]
    return "".join("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", ()))


def test_notebooks_run_in_order_and_pass_values_on_and_a_second_run_does_nothing(deployment: Deployment) -> None:
    deployment.write(CHAIN, "glues", "reads")
    first = deployment.run("--run-once")
    assert first.code == 0, first.log
    (glued,) = deployment.made("notebooks/glues__chain_2016-01-02_*.ipynb")
    (read,) = deployment.made("notebooks/reads__chain_2016-01-02_*.ipynb")
    assert text_of(read) == "read 2016-01-02\n"
    parameters = {"reference_date": "2016-01-02", "date_ranges": [["2016-01-02", "2016-01-03"]]}
    assert f"_{parameters_hash(parameters)}__" in glued.name
    assert json.loads(glued.read_text())["metadata"]["papermill"]["output_path"] == str(glued)

    again = deployment.run("--run-once")
    assert again.code == 0
    assert "no runs were due" in again.log
    assert len(deployment.made("notebooks/*")) == 2


def test_a_failure_is_told_and_kept_and_stops_only_what_depends_on_it(deployment: Deployment, typed: Typed) -> None:
    deployment.write(
        """
workflows:
  - name: w
    notebooks:
      fails: {filename: raises_on_one_date.ipynb, parameters: {reference_date: reference_date}}
      depends: {filename: reads.ipynb, parameters: {previous: fails}}
      independent: {filename: glues.ipynb, parameters: {reference_date: reference_date}}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w}]
""",
        "raises_on_one_date",
        "reads",
        "glues",
    )
    # the notebook that depends reads what the other does not glue, and so fails where it is started
    outcome = typed()
    assert outcome.code == 1
    (kept,) = deployment.made("notebooks/raises_on_one_date__w_2016-01-02_*.ipynb")
    assert "notebook fails, cell 2: ValueError: no such place" in outcome.log
    # where it is counts from the outputs, which are named once
    assert f"(executed notebook: notebooks/{kept.name})" in outcome.log
    assert outcome.log.count(str(deployment.outputs)) == 1
    *_, failed, commands, place = outcome.log.splitlines()
    assert "failed: run 2, w 2016-01-02: notebook fails, cell 2: ValueError: no such place" in failed
    assert "`autoflow show 1` has the traceback, and `autoflow repair 1` runs only what failed" in commands
    assert f"outputs are in {deployment.outputs}; reports/index.html there leads to the reports" in place
    errors = [out for cell in json.loads(kept.read_text())["cells"] for out in cell.get("outputs", ())]
    assert any(out.get("ename") == "ValueError" for out in errors)
    assert len(deployment.made("notebooks/glues__w_2016-01-02_*")) == 1
    assert len(deployment.made("notebooks/reads__w_2016-01-02_*")) == 0
    assert len(deployment.made("notebooks/reads__w_2016-01-01_*")) == 1
    assert "Traceback" not in outcome.log


def test_a_report_is_made_under_its_notebooks_name(deployment: Deployment, typed: Typed) -> None:
    deployment.write(
        """
workflows:
  - name: w
    notebooks:
      r: {filename: reports.ipynb, parameters: {reference_date: reference_date}, output: {format: pdf}}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w, earliest_date: 2016-01-02}]
""",
        "reports",
    )
    outcome = typed()
    assert outcome.code == 0, outcome.log
    (report,) = deployment.made("reports/*.pdf")
    (notebook,) = deployment.made("notebooks/*")
    assert report.stem == notebook.stem
    assert report.suffix == ".pdf"
    text = subprocess.run(["pdftotext", "-layout", report, "-"], capture_output=True, text=True, check=True).stdout
    assert "A report of 2016-01-02" in text
    assert "1200" in text
    images = subprocess.run(["pdfimages", "-list", report], capture_output=True, text=True, check=True).stdout
    assert len(images.splitlines()) > 2


def test_a_notebook_reaches_flowapi_with_the_token_of_its_environment(deployment: Deployment, typed: Typed) -> None:
    deployment.write(
        """
workflows:
  - name: w
    notebooks: {a: {filename: asks_flowapi.ipynb, parameters: {flowapi_url: flowapi_url}}}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w, earliest_date: 2016-01-02}]
""",
        "asks_flowapi",
    )
    outcome = typed()
    assert outcome.code == 0, outcome.log
    assert text_of(deployment.made("notebooks/*")[0]) == "['calls', 'mds', 'sms', 'topups']\n"


def test_the_token_reaches_no_file_and_no_log(deployment: Deployment) -> None:
    deployment.write_simple("prints_token")
    outcome = deployment.run("--run-once", AUTOFLOW_LOG_LEVEL="DEBUG")
    assert outcome.code == 1
    token = deployment.environment["FLOWAPI_TOKEN"]
    assert token not in outcome.log
    assert "ValueError: [redacted]" in outcome.log
    files = [path for path in deployment.outputs.rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        assert token.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("fault", ["401", "403", "500", "truncated", "nonsense"])
def test_a_flowapi_that_answers_badly_is_exit_code_3(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin, fault: str
) -> None:
    deployment.write(CHAIN, "glues", "reads")
    flowapi.set_fault(fault)
    outcome = typed("--run-once")
    assert outcome.code == 3, outcome.log
    assert f"FlowAPI at {flowapi.url} returned no available dates" in outcome.log
    assert "Traceback" not in outcome.log
    assert deployment.environment["FLOWAPI_TOKEN"] not in outcome.log


def test_a_flowapi_that_hangs_is_left_alone_in_time(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin, tmp_path: Path
) -> None:
    deployment.write(CHAIN, "glues", "reads")
    config = tmp_path / "config.toml"
    config.write_text('flowapi_url = "$FLOWAPI_URL"\n[daemon]\npoll_timeout = "1s"\n')
    flowapi.set_fault("hang")
    outcome = typed("--run-once", AUTOFLOW_CONFIG=str(config))
    assert outcome.code == 3
    assert "did not answer within 1 s" in outcome.log


def test_a_flowapi_that_is_not_there_is_exit_code_3(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin
) -> None:
    deployment.write(CHAIN, "glues", "reads")
    flowapi.stop()
    outcome = typed("--run-once")
    assert outcome.code == 3
    assert "Connection refused" in outcome.log


def test_what_the_predecessor_did_is_not_done_again(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("glues")
    done = parameters_hash(
        {"reference_date": dt.date(2016, 1, 1), "date_ranges": [(dt.date(2016, 1, 1), dt.date(2016, 1, 2))]}
    )
    deployment.outputs.mkdir()
    connection = sqlite3.connect(deployment.outputs / "autoflow.db")
    connection.execute(
        "CREATE TABLE workflow_runs (id INTEGER PRIMARY KEY, workflow_name VARCHAR, parameters_hash VARCHAR,"
        " state VARCHAR(7), timestamp DATETIME)"
    )
    connection.execute("INSERT INTO workflow_runs VALUES (1, 'w', ?, 'success', '2021-05-01 00:00:00.000000')", [done])
    connection.commit()
    connection.close()
    outcome = typed("--run-once")
    assert outcome.code == 0, outcome.log
    assert [path.name.split("_")[3] for path in deployment.made("notebooks/*")] == ["2016-01-02"]


def test_values_that_only_pythons_json_can_write_reach_the_notebook_and_a_rerun(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("glues")
    file = deployment.inputs / "workflows.yml"
    text = file.read_text().replace("reference_date: reference_date", "reference_date: unit")
    file.write_text(
        text.replace("workflow_name: w", "workflow_name: w, parameters: {unit: {10: .inf, 2: [.nan, yes]}}")
    )
    assert typed("--run-once").code == 0
    again = typed("rerun", "1", "--yes")
    assert "w 2016-01-01 (unit=a mapping) started, attempt 2" in again.log
    # the predecessor's hash, for which the keys are in the order of numbers
    (first, second) = deployment.made("notebooks/*104aabb53a9470b8d7cd749346bd2b47*")
    for path in (first, second):
        assert """{\\"10\\": float('inf'), \\"2\\": [float('nan'), True]}""" in path.read_text()


def test_a_wanted_type_without_dates_is_warned_about(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin
) -> None:
    flowapi.dates = {"calls": [], "sms": ["2016-01-01"]}
    deployment.write_simple("glues", sensor="  cdr_types: [calls, sms, mds]\n")
    outcome = typed("--run-once")
    assert outcome.code == 0
    assert "WARNING FlowAPI lists no dates for CDR type calls" in outcome.log
    assert "WARNING FlowAPI lists no dates for CDR type mds" in outcome.log
    assert len(deployment.made("notebooks/*")) == 1


def test_a_type_that_only_a_trigger_names_is_warned_about(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin
) -> None:
    flowapi.dates = {"calls": ["2016-01-01"], "sms": []}
    deployment.write_simple("glues", sensor="  cdr_types: [calls]\n")
    file = deployment.inputs / "workflows.yml"
    text = file.read_text()
    assert "[{workflow_name: w}]" in text
    file.write_text(text.replace("w}]", "w}, {workflow_name: w, cdr_types: [mds, sms], date_stencil: [-1]}]"))
    outcome = typed("--run-once")
    assert outcome.code == 0
    assert "WARNING FlowAPI lists no dates for CDR type mds" in outcome.log
    assert "WARNING FlowAPI lists no dates for CDR type sms" in outcome.log
    assert "calls" not in outcome.log


def test_identical_triggers_run_once(deployment: Deployment, typed: Typed) -> None:
    deployment.write(CHAIN + "    - workflow_name: chain\n      earliest_date: 2016-01-02\n", "glues", "reads")
    outcome = typed("--run-once")
    assert outcome.code == 0
    assert "asks for the same runs as the trigger in line 10" in outcome.log
    assert len(deployment.made("notebooks/glues*")) == 1


def test_notebooks_of_the_same_name_do_not_overwrite_each_other(deployment: Deployment, typed: Typed) -> None:
    task = "{filename: glues.ipynb, parameters: {reference_date: reference_date}}"
    deployment.write(
        f"""
workflows: [{{name: w, notebooks: {{a: {task}, b: {task}, c: {task}}}}}]
available_dates_sensor: {{schedule: null, workflows: [{{workflow_name: w, earliest_date: 2016-01-02}}]}}
""",
        "glues",
    )
    assert typed().code == 0
    assert len(deployment.made("notebooks/*.ipynb")) == 3


def test_the_daemon_imports_nothing_heavy() -> None:
    """The long-lived process holds no pandas: flowclient, papermill and nbconvert live in children."""
    code = (
        "import sys, autoflow.app, autoflow.cli;"
        "print(sorted({'pandas', 'numpy', 'flowclient', 'papermill', 'nbconvert', 'scrapbook', 'jupyter_client',"
        " 'psutil', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


ONE_REPORT = """
workflows:
  - name: w
    notebooks:
      r:
        filename: reports.ipynb
        parameters: {reference_date: reference_date}
        output: [{format: pdf}, {format: html}]
    keep: {reports: 1}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w}]
"""


def test_reports_have_a_manifest_and_the_newest_is_always_found_and_kept(deployment: Deployment, typed: Typed) -> None:
    deployment.write(ONE_REPORT, "reports")
    outcome = typed()
    assert outcome.code == 0, outcome.log
    # of two dates, as `keep` asks
    (pdf,) = deployment.made("reports/*.pdf")
    (html,) = deployment.made("reports/*__*.html")
    assert "2016-01-02" in pdf.name
    latest = deployment.outputs / "reports" / "latest"
    assert (latest / "w__r.pdf").resolve() == pdf
    assert (latest / "w__r.html").resolve() == html
    manifest = json.loads((latest / "w__r.json").read_text())
    named = deployment.outputs / "reports" / "by-date" / "w"
    # the names of what is gone are gone too
    assert [path.name for path in named.iterdir()] == ["2016-01-02"]
    assert {path.name for path in (named / "2016-01-02").iterdir()} == {"r.pdf", "r.html", "r.json"}
    assert (named / "2016-01-02" / "r.pdf").resolve() == pdf
    (notebook,) = manifest["notebooks"]
    (executed,) = deployment.made("notebooks/*2016-01-02*.ipynb")
    assert notebook["executed"] == executed.name
    assert notebook["executed_sha256"] == hashlib.sha256(executed.read_bytes()).hexdigest()
    assert notebook["sha256"] == hashlib.sha256((deployment.inputs / "reports.ipynb").read_bytes()).hexdigest()
    assert [each["sha256"] for each in manifest["reports"]] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (pdf, html)
    ]
    assert manifest["dates_used"] == ["2016-01-02"]
    assert manifest["availability_seen"]["calls"]["of_those_used"] == ["2016-01-02"]
    assert manifest["flowapi_url"] == deployment.environment["FLOWAPI_URL"]
    assert manifest["packages"]["papermill"]
    assert (manifest["run"], manifest["attempt"], manifest["replaces"]) == (2, 1, [])

    # the same run once more: the report of before is named, and with nothing to sweep it is still there
    with closing(sqlite3.connect(deployment.outputs / "autoflow.db")) as connection, connection:
        connection.execute("UPDATE attempts SET state = 'failed' WHERE run = 2")
    deployment.write(ONE_REPORT.replace("    keep: {reports: 1}\n", ""), "reports")
    assert typed().code == 0
    assert pdf.exists()
    again = json.loads((latest / "w__r.json").read_text())
    assert again["replaces"] == [pdf.name]
    assert (latest / "w__r.pdf").resolve() == (named / "2016-01-02" / "r.pdf").resolve() != pdf


def test_a_notebook_that_shows_the_token_in_disguise_is_not_kept(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("encodes_token")
    outcome = typed("--run-once")
    assert outcome.code == 1
    assert "notebook encodes_token, cell 2: TokenFound: FlowAPI's token is in what cell 2 shows" in outcome.log
    assert deployment.made("notebooks/*") == []


def test_who_is_over_a_time_out_has_failed_and_gets_no_report(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(dt.timedelta(days=3000))
    deployment.write(OVER_TIME, "swallows_interrupts")
    says = f"import os, time\nopen({str(deployment.inputs)!r} + f'/hangs-{{os.getpid()}}', 'w').close()"
    change_code(deployment, "swallows_interrupts", "import time", says)
    with living(deployment, caplog) as life:
        definitions = read_definitions(life.context.settings.workflows_file)

        async def once() -> None:
            running = asyncio.create_task(_run_once(life.context, definitions))
            await life.until(lambda: len(list(deployment.inputs.glob("hangs-*"))) == 2)
            with life.overtaking("notebook", 2):
                await asyncio.sleep(12)
            # what follows, an interrupt that is swallowed, takes its time
            assert await running == ExitCode.RUN_FAILED

        life.run(once())
        assert life.count("notebook n, cell 2: Timeout: took longer than the notebook's timeout of 12 s") > 0
        assert life.count("took longer than the run's timeout of 12 s") > 0
    assert deployment.made("reports/*.pdf") == []
    # what was executed until then is kept to look at, where the notebook was late and not the whole run
    (kept,) = deployment.made("notebooks/*")
    assert "__late_notebook_" in kept.name
    assert text_of(kept) == ""
