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
from tests.conftest import Deployment, Outcome
from tests.receivers import Hook

WORKFLOWS = """
workflows:
  - name: people
    notebooks:
      count:
        filename: count.ipynb
        parameters: {date: reference_date, url: flowapi_url}
        output: {format: html}
available_dates_sensor:
  schedule: "0 6 * * *"
  cdr_types: [calls]
  restatement: {do: rerun, same_result: hold}
  workflows: [{workflow_name: people, earliest_date: 2016-01-03}]
"""

COUNT = """
import os, flowclient, scrapbook
from datetime import date as day, timedelta
print("asked at", __import__("datetime").datetime.now())
connection = flowclient.connect(url=url, token=os.environ["FLOWAPI_TOKEN"])
query = flowclient.unique_subscriber_counts(
    connection=connection,
    start_date=date,
    end_date=str(day.fromisoformat(date) + timedelta(days=1)),
    aggregation_unit="admin1",
)
rows = query.get_result()
scrapbook.glue("people", int(rows["value"].sum()))
"""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with closing(Hook()) as hook:
        yield hook


def test_a_restatement_is_told_made_again_held_back_while_the_cache_is_stale_and_made_right(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], hook: Hook
) -> None:
    deployment.write(WORKFLOWS, "glues")
    notebook = json.loads((deployment.inputs / "glues.ipynb").read_text())
    notebook["cells"][0]["source"], notebook["cells"][1]["source"] = "date = url = None", COUNT
    (deployment.inputs / "count.ipynb").write_text(json.dumps(notebook))
    deployment.environment["AUTOFLOW_WEBHOOK_URL"] = hook.url
    flowapi.set_days(3)
    flowapi.flowmachine.poll_seconds = 0.0
    latest = deployment.outputs / "reports" / "latest" / "people__count.json"

    def manifest() -> dict[str, object]:
        found: dict[str, object] = json.loads(latest.read_text())
        return found

    assert deployment.run("once").code == 0
    assert (manifest()["attempt"], "restated_before" in manifest()) == (1, False)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    outcome = deployment.run("once")
    assert "requested again: 1 run" in outcome.log
    assert "FlowMachine probably answered from its cache" in outcome.log
    # its report is there, and not among the latest
    assert manifest()["attempt"] == 1
    (held,) = [path for path in deployment.made("reports/*.json") if path != latest.resolve()]
    assert json.loads(held.read_text())["restated_before"] == {"attempt": 1, "same_results": True}
    subjects = [each["subject"] for each in hook.taken]
    assert "1 run shows what it showed before data were ingested anew" in "; ".join(subjects)
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
