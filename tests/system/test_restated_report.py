# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A restatement from FlowAPI to the report: told, made again, answered from the cache, held back, and made right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autoflow.demo_flowapi import FlowapiStandin
from autoflow.model import RunStore
from tests.conftest import Deployment, Outcome
from tests.receivers import Hook

pytestmark = pytest.mark.usefixtures("forked_warm_parents")

WORKFLOWS = """
workflows:
  - name: people
    notebooks:
      count:
        filename: count.ipynb
        parameters: {dates: date_ranges, url: flowapi_url}
        output: {format: html}
available_dates_sensor:
  schedule: "0 6 * * *"
  cdr_types: [calls]
  restatement: {do: rerun, same_result: hold}
  workflows: [{workflow_name: people, earliest_date: 2016-01-03}]
"""

COUNT = """
import os, flowclient, scrapbook
print("asked at", __import__("datetime").datetime.now())
connection = flowclient.connect(url=url, token=os.environ["FLOWAPI_TOKEN"])
query = flowclient.unique_subscriber_counts(
    connection=connection,
    start_date=dates[0][0],
    end_date=dates[0][1],
    aggregation_unit="admin1",
)
rows = query.get_result()
scrapbook.glue("people", int(rows["value"].sum()))
"""


PROVISIONAL = WORKFLOWS.replace(
    "[{workflow_name: people, earliest_date: 2016-01-03}]",
    """
    - workflow_name: people
      dates: "5 * *"
      date_stencil: [{from: -2, to: 1}]
      late: {after: 2d}
""",
)


def write(deployment: Deployment, workflows: str, hook: Hook) -> None:
    deployment.write(workflows, "glues")
    notebook = json.loads((deployment.inputs / "glues.ipynb").read_text())
    notebook["cells"][0]["source"], notebook["cells"][1]["source"] = "dates = url = None", COUNT
    (deployment.inputs / "count.ipynb").write_text(json.dumps(notebook))
    deployment.environment["AUTOFLOW_WEBHOOK_URL"] = hook.url


@pytest.fixture
def hook() -> Iterator[Hook]:
    with closing(Hook()) as hook:
        yield hook


def test_a_restatement_is_told_made_again_held_back_while_the_cache_is_stale_and_made_right(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], hook: Hook
) -> None:
    write(deployment, WORKFLOWS, hook)
    flowapi.set_days(3)
    flowapi.flowmachine.poll_seconds = 0.0
    latest = deployment.outputs / "reports" / "latest" / "people__count.json"

    def manifest() -> dict[str, object]:
        found: dict[str, object] = json.loads(latest.read_text())
        return found

    assert deployment.run("once").code == 0
    assert (manifest()["attempt"], "restated_before" in manifest()) == (1, False)
    with closing(RunStore(deployment.outputs / "autoflow.db")) as store:
        (attempt,) = store.read.attempts_of(1)
    assert attempt.cdr_types == ("calls",)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    outcome = deployment.run("once")
    assert "requested again: 1 run" in outcome.log
    assert "FlowMachine may have answered from its cache" in outcome.log
    # its report is there, and not among the latest
    assert manifest()["attempt"] == 1
    (held,) = [path for path in deployment.made("reports/*.json") if path != latest.resolve()]
    assert json.loads(held.read_text())["restated_before"] == {"attempt": 1, "same_results": True}
    assert json.loads(held.read_text())["replaces"] == []
    # what leads to reports leads to the first one
    first = latest.resolve().with_suffix(".html")
    (why,) = typed("why", "people", "2016-01-03", "--json").json()["triggers"]
    assert (why["reports"], why["reports_kept_out"]) == ([str(first)], [str(held.with_suffix(".html"))])
    said = typed("why", "people", "2016-01-03").answer
    assert f"  report of attempt 1.1: {first}\n  newer, kept out of latest: {held.with_suffix('.html')}" in said
    shown = typed("show", "1").answer
    assert f"\nin latest\nreport of attempt 1.1: {first}\n" in shown
    assert f"count: report: {held.with_suffix('.html')}" in shown
    page = (deployment.outputs / "reports" / "index.html").read_text()
    assert f'href="{first.name}" aria-label="2016-01-03: succeeded, stale, report; a newer one is kept' in page
    assert f'newer, kept out of latest: <a href="../{held.stem}.html">' in month_page(deployment)
    subjects = [each["subject"] for each in hook.taken]
    assert "1 run has the same results as before, although the data changed" in "; ".join(subjects)
    (stale,) = typed("stale", "--json").json()["runs"]
    assert (stale["same_as"], stale["held"], stale["kept"]) == (1, True, None)
    assert "reset_cache" in typed("why", "people", "2016-01-03").answer
    assert "same results as attempt 1" in typed("runs").answer
    flowapi.flowmachine.reset_cache()
    outcome = deployment.run("rerun", "--stale", "--yes")
    assert outcome.code == 0, outcome.log
    assert (manifest()["attempt"], manifest()["restated_before"]) == (3, {"attempt": 2, "same_results": False})
    assert typed("stale").answer.strip() == "no run is stale"
    assert Path(held).exists()


def test_nothing_is_doubted_when_the_data_that_the_results_belong_to_are_back(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], hook: Hook
) -> None:
    write(deployment, WORKFLOWS, hook)
    flowapi.set_days(3)
    flowapi.flowmachine.poll_seconds = 0.0
    assert deployment.run("once").code == 0
    flowapi.flowmachine.restate("2016-01-03", share=0.6)
    assert "its results are the same as those of attempt 1" in deployment.run("once").log
    # other data again, and what these results belong to
    flowapi.flowmachine.restate("2016-01-03", share=0.8)
    assert "its results are the same as those of attempt 1" in deployment.run("once").log
    told = len(hook.taken)
    flowapi.flowmachine.restate("2016-01-03", share=1.0)
    outcome = deployment.run("once")
    assert "results are the same" not in outcome.log
    latest = json.loads((deployment.outputs / "reports" / "latest" / "people__count.json").read_text())
    assert (latest["attempt"], "restated_before" in latest) == (4, False)
    assert typed("stale").answer.strip() == "no run is stale"
    # an attempt that took 1.4 s is not attempt 1.4
    (line,) = [line for line in typed("runs").answer.splitlines() if line.split()[0] == "1.4"]
    assert "same results" not in line
    assert not [each for each in hook.taken[told:] if "same results" in each["subject"]]


def test_a_final_run_of_the_data_of_an_earlier_final_one_is_not_doubted(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], hook: Hook
) -> None:
    write(deployment, PROVISIONAL, hook)
    flowapi.set_days(5)
    flowapi.flowmachine.poll_seconds = 0.0
    assert deployment.run("once").code == 0
    flowapi.dates = {"calls": ["2016-01-03", "2016-01-05"]}
    assert deployment.run("once").code == 0
    outcome = deployment.run("rerun", "1", "--yes")
    assert "although this one was made without 2016-01-04" in outcome.log
    told = len(hook.taken)
    flowapi.set_days(5)
    outcome = deployment.run("once")
    assert outcome.code == 0, outcome.log
    assert "results are the same" not in outcome.log
    latest = json.loads((deployment.outputs / "reports" / "latest" / "people__count.json").read_text())
    assert (latest["attempt"], latest["missing_dates"], "provisional_before" in latest) == (3, [], False)
    assert typed("stale").answer.strip() == "no run is stale"
    assert not [each for each in hook.taken[told:] if "same results" in each["subject"]]


def month_page(deployment: Deployment) -> str:
    return (deployment.outputs / "reports" / "months" / "2016-01.html").read_text()


def test_a_final_run_that_the_cache_answers_is_told_so_and_held_back_until_somebody_keeps_it(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], hook: Hook
) -> None:
    write(deployment, PROVISIONAL, hook)
    flowapi.dates = {"calls": ["2016-01-03", "2016-01-05"]}
    flowapi.flowmachine.poll_seconds = 0.0
    latest = deployment.outputs / "reports" / "latest" / "people__count.json"
    assert deployment.run("once").code == 0
    assert json.loads(latest.read_text())["missing_dates"] == ["2016-01-04"]
    flowapi.set_days(5)
    outcome = deployment.run("once")
    assert outcome.code == 0, outcome.log
    assert (
        "its results are the same as those of attempt 1, although that attempt was made without 2016-01-04: FlowMachine"
        " may have answered from its cache" in outcome.log
    )
    # the provisional report is still the latest
    provisional = latest.resolve()
    assert json.loads(latest.read_text())["missing_dates"] == ["2016-01-04"]
    (message,) = [each for each in hook.taken if "final" in each["subject"]]
    assert "people: final: 2016-01-05, with the same results as before" in message["subject"]
    assert "If the results are right: autoflow keep 1 --reason TEXT" in message["text"]
    assert "results as before, although" not in "; ".join(each["subject"] for each in hook.taken)
    (stale,) = typed("stale", "--json").json()["runs"]
    assert (stale["same_as"], stale["arrived"], stale["held"]) == (1, ["2016-01-04"], True)
    why = typed("why", "people", "2016-01-05").answer
    assert "as those of attempt 1, although that attempt was made without 2016-01-04: FlowMachine may" in why
    assert "if its results are right, `autoflow keep 1 --reason TEXT` puts its reports into latest" in why
    of = f"report of attempt 1.1, provisional: made without 2016-01-04: {provisional.with_suffix('.html')}"
    assert f"  {of}\n" in why
    assert f"\nin latest\n{of}\n" in typed("show", "1").answer
    for told in (
        typed("show", "1", "--json").json(),
        *typed("why", "people", "2016-01-05", "--json").json()["triggers"],
    ):
        assert (told["reports_attempt"], told["reports_missing_dates"]) == (1, ["2016-01-04"])
        assert (told["attempt"], told["missing_dates"]) == (2, [])
    assert [row["note"] for row in typed("rerun", "--stale", "--json").json()["rows"]] == [
        typed("keep", "1", "--reason", "so", "--json").json()["rows"][0]["note"]
    ]
    assert deployment.run("keep", "1", "--reason", "nobody called that day", "--yes").code == 0
    kept = json.loads(latest.read_text())
    assert (kept["attempt"], kept["kept"]["reason"]) == (2, "nobody called that day")
    assert kept["replaces"] == [provisional.with_suffix(".html").name]
    (why,) = typed("why", "people", "2016-01-05", "--json").json()["triggers"]
    assert (why["reports"], why["reports_kept_out"]) == ([str(latest.resolve().with_suffix(".html"))], [])
    before = kept["provisional_before"]
    assert (before["attempt"], before["same_results"], before["changes"]["texts"]) == (1, True, 0)
