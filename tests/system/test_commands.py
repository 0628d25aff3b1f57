# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people type: the commands that look, and those that steer, with a daemon and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from autoflow.demo_flowapi import FlowapiStandin
from autoflow.model.store import RunStore
from tests.clock import PATIENCE, until
from tests.conftest import Deployment, Outcome

CHAIN = """
workflows:
  - name: chain
    notebooks:
      first: {filename: glues.ipynb, parameters: {reference_date: reference_date}, output: {format: html}}
      second: {filename: raises_on_one_date.ipynb, parameters: {reference_date: reference_date}}
      third: {filename: glues.ipynb, parameters: {reference_date: reference_date, previous: second}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows: [{workflow_name: chain}]
"""


@pytest.fixture
def daemon(deployment: Deployment, forked_warm_parents: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        processes.append(deployment.start(*arguments, AUTOFLOW_GRACE="1s", AUTOFLOW_INTERRUPT_GRACE="1s"))
        until(lambda: deployment.made(".autoflow/*.sock") != [])
        return processes[-1]

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def runs(typed: Callable[..., Outcome]) -> list[tuple[str, str]]:
    """Give reference dates and states, the newest first."""
    return [(run["reference_date"], run["state"]) for run in as_json(typed("runs", "--json"))["attempts"]]


def as_json(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.log
    return outcome.json()


def wait_for_record(typed: Callable[..., Outcome]) -> None:
    until(lambda: typed("runs").code == 0)


def test_a_failed_run_is_explained_repaired_and_run_again_without_a_daemon(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome]
) -> None:
    """The life of a failure: seen, understood, mended, and only what failed is executed."""
    deployment.write(CHAIN, "glues", "raises_on_one_date")
    # this is the date that the second notebook does not like
    flowapi.dates = {"calls": ["2016-01-02"]}
    assert typed("--run-once").code == 1
    assert runs(typed) == [("2016-01-02", "failed")]
    why = typed("why", "chain", "2016-01-02").log
    assert "chain 2016-01-02: failed" in why
    assert "notebook second, cell 2: ValueError: no such place" in why
    assert "`autoflow repair 1`" in why
    shown = typed("show", "1", "--log").log
    assert "Traceback" in shown
    assert "what second printed" in shown
    row = typed("calendar", "--to", "2016-01-04").log.splitlines()[2].split()
    assert row == ["chain", "F.."]
    assert "chain,,2016-01-02,failed,1" in typed("calendar", "--csv").log

    refused = typed("repair", "1")
    assert refused.code == 2
    assert "add --yes" in refused.log
    plan = [line.split() for line in refused.log.splitlines()[1:4]]
    assert [(line[0], line[-1]) for line in plan] == [("first", "again"), ("second", "executed"), ("third", "executed")]

    # workflows.yml has changed since: what is recorded has no place in it, and what to do is said
    file = deployment.inputs / "workflows.yml"
    given = "{filename: glues.ipynb, parameters: {reference_date: reference_date}, output: {format: html}}"
    for changed, words in (
        (CHAIN.replace("first:", "start:"), "no longer has a notebook 'first'"),
        (CHAIN.replace(given, given.replace("date}", "date, more: reference_date}")), "'first' takes 'more' now"),
        (CHAIN.replace("reference_date}", "area}").replace(": chain}", ": chain, parameters: {area: x}}"), "takes the"),
        (CHAIN.replace("name: chain", "name: other").replace("_name: chain", "_name: other"), "no longer in"),
    ):
        file.write_text(changed)
        refused = typed("repair", "1", "--yes")
        assert (refused.code, words in refused.log) == (2, True), refused.log
    file.write_text(CHAIN)

    source = deployment.inputs / "raises_on_one_date.ipynb"
    source.write_text(source.read_text().replace("2016-01-02", "1999-01-01"))
    assert deployment.made("reports/latest/*") == []
    repaired = typed("repair", "1", "--yes")
    assert repaired.code == 0, repaired.log
    # what was used again is the newest good report, too
    assert [path.name for path in deployment.made("reports/latest/*")] == ["chain__first.html", "chain__first.json"]
    assert [path.name for path in deployment.made("reports/by-date/*/2016-01-02/*")] == ["first.html", "first.json"]
    details = as_json(typed("show", "1", "--json"))
    assert [(each["label"], each["state"], each["reused_from"]) for each in details["notebooks"]] == [
        ("first", "succeeded", 1),
        ("second", "succeeded", None),
        ("third", "succeeded", None),
    ]
    assert (details["run"], details["attempt"], as_json(typed("show", "1.1", "--json"))["state"]) == (1, 2, "failed")
    assert "executed by attempt 1" in typed("show", "1.2").log
    assert "there is no attempt 1.3; the newest at run 1 is 1.2" in typed("show", "1.3").log
    # of the first and of the third: the repair did not execute the first again
    assert len(deployment.made("notebooks/glues*")) == 2
    assert as_json(typed("why", "chain", "2016-01-02", "--json"))["triggers"][0]["state"] == "succeeded"
    assert "needs no repair" in typed("repair", "1").log
    assert "found '1.2', an attempt, expected the number of its run: 1" in typed("repair", "1.2").log


def test_a_running_daemon_backfills_and_reruns_within_seconds(
    deployment: Deployment,
    flowapi: FlowapiStandin,
    typed: Callable[..., Outcome],
    daemon: Callable[..., subprocess.Popen[str]],
) -> None:
    """It is asleep until January; what was requested is run at once, also before the earliest date."""
    flowapi.set_days(3)
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("workflow_name: w", "workflow_name: w, earliest_date: 2016-01-03"))
    process = daemon("--now")
    wait_for_record(typed)
    until(lambda: runs(typed) == [("2016-01-03", "succeeded")])
    assert "before the earliest date, 2016-01-03" in typed("why", "w", "2016-01-02").log
    asked = typed("backfill", "w", "2016-01-02", "2016-01-09", "--yes")
    assert asked.code == 0, asked.log
    assert f"the running AutoFlow (pid {process.pid}) runs 1 run next" in asked.log
    assert "2016-01-03: succeeded: run 1" in asked.log
    assert "2016-01-04: not available" in asked.log
    until(lambda: runs(typed)[0] == ("2016-01-02", "succeeded"))
    # without dates: all that is recorded, also what is before the earliest date
    whole = typed("rerun", "--workflow", "w", "--state", "succeeded")
    assert "2016-01-02" in whole.log
    assert "2016-01-03" in whole.log
    assert typed("rerun", "2", "--yes").code == 0
    done = [("2016-01-02", "succeeded"), ("2016-01-02", "succeeded"), ("2016-01-03", "succeeded")]
    until(lambda: runs(typed) == done)
    attempts = as_json(typed("show", "2", "--json"))["attempts"]
    assert [(each["run"], each["attempt"], each["superseded"] is None) for each in attempts] == [
        (2, 1, False),
        (2, 2, True),
    ]
    assert typed("rerun", "--workflow", "w").log.strip() == "nothing to do"
    assert process.poll() is None


def test_a_run_is_cancelled_down_to_its_kernel_and_not_tried_again_until_asked_for(
    deployment: Deployment,
    flowapi: FlowapiStandin,
    typed: Callable[..., Outcome],
    daemon: Callable[..., subprocess.Popen[str]],
) -> None:
    """All of it in the middle of a tick: the kernel is gone when the command returns, the other dates go on."""
    from tests.system.test_daemon_process import processes_of, running_a_cell

    flowapi.set_days(3)
    deployment.write_simple("sleeps", concurrency=1)
    process = daemon("--now")
    wait_for_record(typed)
    until(running_a_cell(deployment))
    skipped = typed("skip", "w", "2016-01-02", "--reason", "no flights that day", "--yes")
    assert skipped.code == 0, skipped.log
    cancelled = typed("cancel", "1", "--reason", "wrong input", "--yes")
    assert cancelled.code == 0, cancelled.log
    assert ("2016-01-01", "cancelled") in runs(typed)
    # the one that is skipped has lost its turn
    until(lambda: runs(typed)[0] == ("2016-01-03", "running"))
    states = {date: as_json(typed("why", "w", date, "--json"))["triggers"][0] for date in ("2016-01-01", "2016-01-02")}
    assert states["2016-01-01"]["reason"].endswith("run 1 was cancelled: wrong input")
    assert states["2016-01-02"]["reason"].endswith("no flights that day")
    assert {each["state"] for each in states.values()} == {"skipped"}
    assert typed("cancel", "1", "--yes").log.strip() == "autoflow: run 1 is not running: cancelled"
    assert typed("rerun", "1", "--yes").code == 0
    assert typed("cancel", "2", "--yes").code == 0
    until(lambda: runs(typed)[0] == ("2016-01-01", "running"))
    assert typed("cancel", "1", "--yes").code == 0
    until(lambda: processes_of(deployment) == [])
    assert process.poll() is None


def test_a_report_that_could_not_be_made_is_repaired_without_the_notebook(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome]
) -> None:
    flowapi.set_days(1)
    deployment.write(
        """
workflows:
  - name: w
    notebooks:
      a:
        filename: glues.ipynb
        parameters: {reference_date: reference_date}
        output: {format: pdf, template: mine.tpl}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}
""",
        "glues",
    )
    template = deployment.inputs / "mine.tpl"
    template.write_text("{% extends 'asciidoc_extended.tpl' %}{{ no")
    assert typed("--run-once").code == 1
    template.write_text("{% extends 'asciidoc_extended.tpl' %}")
    repaired = typed("repair", "1", "--yes")
    assert repaired.code == 0, repaired.log
    assert "a         failed  used again" in repaired.log
    assert len(deployment.made("notebooks/*")) == 1
    assert len(deployment.made("reports/*.pdf")) == 1
    assert [each["reused_from"] for each in as_json(typed("show", "1", "--json"))["notebooks"]] == [1]


def test_a_plan_takes_as_long_as_its_pool_lets_it(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome]
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("glues", sensor="  pools: {one: 1}\n  concurrency: {runs: 4}\n")
    assert typed("--run-once").code == 0
    dates = deployment.inputs / "dates"
    dates.write_text("".join(f"2016-02-{day:02}\n" for day in range(1, 21)))
    free = as_json(typed("plan", "--dates", str(dates), "--json"))
    run_length = free["runs"][0]["expected_seconds"]
    assert free["expected_seconds"] == pytest.approx(max(20 * run_length / 4, 1))
    file = deployment.inputs / "workflows.yml"
    file.write_text(file.read_text().replace("filename: glues.ipynb", "filename: glues.ipynb\n      pool: one"))
    bound = as_json(typed("plan", "--dates", str(dates), "--json"))
    (notebook,) = as_json(typed("show", "1", "--json"))["notebooks"]
    assert bound["expected_seconds"] == pytest.approx(20 * notebook["seconds"])
    assert bound["expected_seconds"] > free["expected_seconds"]
    assert "(by what runs took before, pools, and the memory that is free now)" in " ".join(
        typed("plan", "--dates", str(dates)).log.split()
    )


def test_a_plan_can_be_rehearsed_with_no_flowapi_and_no_record(
    deployment: Deployment, typed: Callable[..., Outcome]
) -> None:
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("workflow_name: w", "workflow_name: w, date_stencil: [[-1, 1]]"))
    del deployment.environment["FLOWAPI_URL"], deployment.environment["FLOWAPI_TOKEN"]
    dates = deployment.inputs / "dates.txt"
    dates.write_text("2016-01-01\n2016-01-02  # late\n\n2016-01-03\n")
    plan = as_json(typed("plan", "--dates", str(dates), "--json"))
    assert [run["reference_date"] for run in plan["runs"]] == ["2016-01-02", "2016-01-03"]
    plan = as_json(typed("plan", "--dates", str(dates), "--at", "2016-01-02", "--json"))
    assert [run["reference_date"] for run in plan["runs"]] == ["2016-01-02"]
    # the last day there is has no tick after it
    plan = as_json(typed("plan", "--dates", str(dates), "--at", "9999-12-31", "--json"))
    assert (len(plan["runs"]), plan["next_tick"]) == (2, None)
    dates.write_text('{"available_dates": {"calls": ["2016-01-01"], "sms": ["2016-01-02"]}}')
    assert "1 run" in typed("plan", "--dates", str(dates)).log
    dates.write_text("2016-01-01\n2016-13-01\n")
    wrong = typed("plan", "--dates", str(dates))
    assert wrong.code == 2
    assert f"{dates}:2: found '2016-13-01', expected a date such as 2016-01-01" in wrong.log
    assert not deployment.outputs.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("why", "gluse", "2016-01-01"), "unknown workflow 'gluse'; did you mean 'glues'?"),
        (("calendar", "nothing like it"), "unknown workflow 'nothing like it'; expected 'glues'"),
        (("why", "glues", "2016-02-30"), "found '2016-02-30', expected a date such as 2016-01-31"),
        (("show", "99"), "there is no run 99; there are none yet"),
        (("show", "latest"), "found 'latest', expected a run number"),
        (("show", "1.2.3"), "found '1.2.3', expected a run number such as 12, or 12.3 for its third attempt"),
        (("runs", "--state", "success"), "'success' is 'succeeded' now"),
        (("rerun", "--workflow", "glues", "--state", "done"), "'done' is 'succeeded' now"),
        (("cancel", "99"), "there is no run 99"),
        (("runs", "--last", "0"), "expected a whole number greater than 0"),
        (("rerun",), "expected run numbers, or --workflow"),
        (("backfill", "glues", "2016-02-01", "2016-01-01"), "FROM must not be later than TO"),
        (("rerun", "--workflow", "glues", "--from", "2016-02-01", "--to", "2016-01-01"), "--from must not be later"),
        (("runs", "--from", "2016-02-01", "--to", "2016-01-01"), "--from must not be later than --to"),
        (("calendar", "--from", "2016-02-01", "--to", "2016-01-01"), "--from must not be later than --to"),
        (
            ("calendar", "--from", "0001-01-01", "--to", "9999-12-31"),
            "0001-01-01 to 9999-12-31 are 3,652,059 dates, more than the 36,525 (a hundred years)",
        ),
        (("calendar", "--csv", "--from", "2016-01-01", "--to", "9999-12-31"), "(a hundred years)"),
        (("rerun", "--workflow", "glues", "--from", "0001-01-01", "--to", "2016-01-01"), "(a hundred years)"),
        (("backfill", "glues", "2016-01-01", "9999-12-31"), "(a hundred years)"),
        (("skip", "glues", "0001-01-01", "2016-01-01", "--reason", "no"), "(a hundred years)"),
        (("calander",), "unknown command 'calander'; did you mean 'calendar'?"),
        (("plan", "--run-once"), "unrecognized arguments: --run-once"),
        (("--run-once", "plan"), "plan cannot be combined with --run-once"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_words(
    deployment: Deployment, typed: Callable[..., Outcome], arguments: tuple[str, ...], words: str
) -> None:
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("name: w", "name: glues"))
    deployment.outputs.mkdir()
    RunStore(deployment.outputs / "autoflow.db").close()
    outcome = typed(*arguments)
    assert outcome.code == 2
    assert words in outcome.log
    assert "Traceback" not in outcome.log


@pytest.mark.parametrize("command", [("calendar",), ("runs",), ("why", "w", "2016-01-01"), ("show", "1")])
def test_a_record_that_is_not_there_is_told_and_not_made(
    deployment: Deployment, typed: Callable[..., Outcome], command: tuple[str, ...]
) -> None:
    deployment.write_simple("glues")
    outcome = typed(*command)
    assert outcome.code == 2
    assert "there is no record yet" in outcome.log
    assert not deployment.outputs.exists()


def test_a_new_deployment_is_planned_and_one_date_run_alone_before_there_is_a_record(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome]
) -> None:
    """Years of dates are there: nothing of them starts with the one that is wanted first."""
    flowapi.set_days(700)
    deployment.write_simple("glues")
    planned = as_json(typed("plan", "--json"))
    assert (len(planned["runs"]), planned["runs"][0]["reason"]) == (700, "new, and its stencil is complete")
    assert as_json(typed("rerun", "--workflow", "w", "--state", "all", "--json"))["rows"] == []
    refused = typed("backfill", "w", "2016-01-09", "2016-01-09")
    assert (refused.code, "add --yes" in refused.log) == (2, True)
    assert not deployment.outputs.exists()

    done = typed("backfill", "w", "2016-01-09", "2016-01-09", "--yes")
    assert done.code == 0, done.log
    assert [date for date, _ in runs(typed)] == ["2016-01-09"]
    assert [path.name.split("_")[3] for path in deployment.made("notebooks/*")] == ["2016-01-09"]
    # FlowAPI's list is recorded from now on
    flowapi.set_days(2)
    assert len(as_json(typed("plan", "--json"))["runs"]) == 699


def test_a_plan_without_a_record_says_that_flowapi_does_not_answer(
    deployment: Deployment, typed: Callable[..., Outcome]
) -> None:
    deployment.write_simple("glues")
    deployment.environment["FLOWAPI_URL"] = "http://127.0.0.1:1"
    outcome = typed("plan")
    assert (outcome.code, "cannot be reached" in outcome.log) == (3, True), outcome.log
    outcome = typed("once", "--json")
    (error,) = outcome.json()["errors"]
    assert (outcome.code, "cannot be reached" in error["message"]) == (3, True)


def test_a_plan_tells_which_old_files_go_and_removes_none(
    deployment: Deployment, typed: Callable[..., Outcome]
) -> None:
    deployment.write_simple("glues")
    assert typed("--run-once").code == 0
    first, second = deployment.made("notebooks/*.ipynb")
    deployment.write_simple("glues", keep={"notebooks": 1})
    assert "then 1 old file will be removed (keep in workflows.yml)" in typed("plan").log
    assert as_json(typed("plan", "--json"))["removals"] == [str(first)]
    assert deployment.made("notebooks/*.ipynb") == [first, second]
    assert typed("--run-once").code == 0
    assert deployment.made("notebooks/*.ipynb") == [second]


def test_skips_need_no_daemon_and_no_tick(deployment: Deployment, typed: Callable[..., Outcome]) -> None:
    deployment.write_simple("glues")
    assert typed("skip", "w", "2016-01-01", "2016-01-03", "--reason", "no data", "--yes").code == 0
    assert as_json(typed("why", "w", "2016-01-02", "--json"))["triggers"][0]["state"] == "skipped"
    assert "already skipped for this reason" in typed("skip", "w", "2016-01-02", "--reason", "no data", "--yes").log
    # the newest reason is the one that is shown
    assert typed("skip", "w", "2016-01-02", "--reason", "a strike", "--yes").code == 0
    assert "a strike" in typed("why", "w", "2016-01-02").answer
    assert typed("unskip", "w", "2016-01-02", "--yes").code == 0
    assert as_json(typed("why", "w", "2016-01-02", "--json"))["triggers"][0]["state"] == "not available"
    assert as_json(typed("why", "w", "2016-01-03", "--json"))["triggers"][0]["state"] == "skipped"


def test_check_tries_templates_and_tells_what_is_doubtful(
    deployment: Deployment, typed: Callable[..., Outcome]
) -> None:
    output = "output: {format: pdf, template: mine.tpl}"
    deployment.write(
        f"""
workflows:
  - name: w
    notebooks: {{a: {{filename: glues.ipynb, parameters: {{no_such: reference_date}}, {output}}}}}
available_dates_sensor: {{schedule: null, workflows: [{{workflow_name: w}}]}}
""",
        "glues",
    )
    template = deployment.inputs / "mine.tpl"
    template.write_text("{% extends 'asciidoc/index.asciidoc.j2' %}\n{% block markdowncell %}{{ cell.source | no }}")
    found = as_json(typed("check", "--json"))
    assert found["valid"] is True
    messages = [problem["message"] for problem in found["problems"]]
    assert any("does not define 'no_such'" in message for message in messages)
    assert any("does not render" in message and "line 2" in message for message in messages)
    template.write_text("{% extends 'asciidoc_extended.tpl' %}")
    assert len(as_json(typed("check", "--json"))["problems"]) == 1
    # a mistake is an exit code of its own, also for scripts
    (deployment.inputs / "glues.ipynb").unlink()
    broken = typed("check", "--json")
    assert broken.code == 2
    assert broken.json()["valid"] is False


def test_init_makes_what_runs_and_overwrites_nothing(deployment: Deployment, typed: Callable[..., Outcome]) -> None:
    assert typed("init", str(deployment.inputs)).code == 0
    assert "valid: 1 workflow, 1 trigger" in typed("check").log
    outcome = typed("once", "--json")
    made = outcome.json()
    assert (made["counts"], [each["run"] for each in made["attempts"]]) == ({"succeeded": 1}, [1])
    assert "Hello: this run is for 2016-01-02." in typed("show", "1", "--log").log
    written = (deployment.inputs / "workflows.yml").read_text()
    (deployment.inputs / "first_look.ipynb").unlink()
    again = typed("init", str(deployment.inputs))
    assert again.code == 2
    assert "has workflows.yml, workflows.schema.json already; nothing was written" in again.log
    assert (deployment.inputs / "workflows.yml").read_text() == written
    assert not (deployment.inputs / "first_look.ipynb").exists()


def test_schema_is_the_json_schema_and_needs_no_settings(deployment: Deployment, typed: Callable[..., Outcome]) -> None:
    deployment.environment["AUTOFLOW_INPUTS_DIR"] = ""
    schema = json.loads(typed("schema").answer)
    assert {"workflows", "available_dates_sensor"} <= schema["properties"].keys()


CADENCE = """
workflows:
  - name: weekly
    notebooks:
      glues: {filename: glues.ipynb, parameters: {reference_date: reference_date}, output: {format: html}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows:
    - workflow_name: weekly
      dates: "* * sun"
      exclude: [2016-01-10]
      date_stencil: [[-1, 1]]
      cdr_types: [calls, sms]
      require: all
      lag: 2d
"""


def test_a_weekly_trigger_runs_its_dates_and_backfill_others_that_have_the_data(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome]
) -> None:
    """2016-01-03, 10, 17 are Sundays: one is complete, one excluded, one lacks a day of SMS."""
    deployment.write(CADENCE, "glues")
    days = [f"2016-01-{day:02}" for day in range(1, 19)]
    flowapi.dates = {"calls": days, "mds": days, "sms": [day for day in days if day != "2016-01-16"]}
    assert typed("--run-once").code == 0
    assert runs(typed) == [("2016-01-03", "succeeded")]
    assert typed("calendar").log.splitlines()[2].split() == ["weekly", "--#-------------w-"]
    waiting = as_json(typed("why", "weekly", "2016-01-17", "--json"))["triggers"][0]
    assert (waiting["require"], waiting["lacking"]) == ("all", {"2016-01-16": ["sms"]})
    (manifest,) = deployment.made("reports/*.json")
    assert list(json.loads(manifest.read_text())["availability_seen"]) == ["calls", "sms"]

    left = typed("backfill", "weekly", "2016-01-09", "2016-01-17").log
    assert "excluded  excluded in workflows.yml: 2016-01-10" in left
    assert "2016-01-16: FlowAPI lists data of calls for this date, and none of sms yet" in left
    assert typed("backfill", "weekly", "2016-01-10", "2016-01-10", "--yes").code == 0
    assert runs(typed)[0] == ("2016-01-10", "succeeded")

    # what is listed from now on waits for the lag
    flowapi.dates = {"calls": days, "sms": days}
    assert "no runs were due" in typed("--run-once").log
    why = typed("why", "weekly", "2016-01-17").log
    assert "FlowAPI lists 2016-01-16, which counts from" in why
    assert "waiting for the lag of a trigger" in typed("plan").log
    assert as_json(typed("plan", "--json"))["next_to_count"] is not None


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("skip w 2016-01-01 --reason none <&-", 2, "there is no terminal to ask on"),
        ("skip w 2016-01-01 --reason none --yes >&-", 0, ""),
        ("why nobody 2016-01-01 >&- 2>&-", 2, ""),
    ],
)
def test_closed_streams_are_no_matter(deployment: Deployment, command: str, code: int, words: str) -> None:
    deployment.write_simple("glues")
    deployment.outputs.mkdir()
    RunStore(deployment.outputs / "autoflow.db").close()
    process = subprocess.run(
        ["sh", "-c", f'exec "$0" -m autoflow {command}', sys.executable],
        env=deployment.environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert process.returncode == code, process.stderr
    assert words in process.stderr
    assert "Traceback" not in process.stderr


def test_each_year_of_a_calendar_of_years_has_its_column(deployment: Deployment, typed: Callable[..., Outcome]) -> None:
    deployment.write_simple("glues")
    deployment.outputs.mkdir()
    RunStore(deployment.outputs / "autoflow.db").close()
    lines = typed("calendar", "--from", "2016-01-01", "--to", "2025-12-31", "--by", "year").log.splitlines()
    assert lines[:2] == ["   2016 2021", "w  .........."]
