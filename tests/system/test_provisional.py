# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A monthly report with dates missing, and again when they are there: processes, kernels, a server, files."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfReader

from autoflow.demo_flowapi import FlowapiStandin
from tests.conftest import Deployment, Outcome

pytestmark = pytest.mark.usefixtures("forked_warm_parents")

MONTHLY = """
workflows:
  - name: monthly
    notebooks:
      report:
        filename: reports.ipynb
        parameters: {reference_date: reference_date, missing_dates: missing_dates}
        output: [{format: pdf}, {format: html}]
available_dates_sensor:
  schedule: "0 6 * * *"
  workflows:
    - workflow_name: monthly
      dates: "L * *"
      date_stencil: [{from: month, to: month+1, at_least: 60%, longest_gap: 6}]
      late: {after: 5d, at_least: 25}
"""

JANUARY = [dt.date(2016, 1, day).isoformat() for day in range(1, 32)]
THERE = [date for date in JANUARY if date not in ("2016-01-03", "2016-01-04", "2016-01-31")]


def test_a_month_with_dates_missing_is_told_so_and_made_again_when_they_arrive(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome]
) -> None:
    deployment.write(MONTHLY, "reports")
    notebook = json.loads((deployment.inputs / "reports.ipynb").read_text())
    notebook["cells"][0]["source"] = "reference_date = None\nmissing_dates = None"
    notebook["cells"][1]["source"] = (
        "from IPython.display import Markdown, display\nimport scrapbook\n"
        "scrapbook.glue('missing', missing_dates)\n"
        "display(Markdown(f'# January\\n\\n{31 - len(missing_dates)} days are counted.'))"
    )
    (deployment.inputs / "reports.ipynb").write_text(json.dumps(notebook))
    flowapi.dates = {"calls": THERE}
    outcome = deployment.run("once")
    assert outcome.code == 0, outcome.log
    assert "made without 2016-01-03 to 2016-01-04, 2016-01-31, which are missing" in outcome.log
    latest = deployment.outputs / "reports" / "latest"
    first = (latest / "monthly__report.pdf").resolve()
    text = "\n".join(page.extract_text() for page in PdfReader(first).pages)
    assert "PROVISIONAL 3 of 31 days missing" in text
    assert "2016-01-03 \N{EN DASH} 2016-01-04, 2016-01-31" in text
    manifest = json.loads(Path(latest / "monthly__report.json").read_text())
    assert manifest["missing_dates"] == ["2016-01-03", "2016-01-04", "2016-01-31"]
    assert len(manifest["dates_used"]) == 28
    (why,) = typed("why", "monthly", "2016-01-31", "--json").json()["triggers"]
    assert (why["state"], why["late"]["missing"], why["late"]["of"]) == ("provisional", 3, 31)
    assert why["missing_dates"] == manifest["missing_dates"]
    assert "made without 2016-01-03 to 2016-01-04, 2016-01-31" in typed("why", "monthly", "2016-01-31").answer
    (row,) = typed("calendar", "--from", "2016-01-31", "--to", "2016-01-31", "--json").json()["triggers"]
    assert row["states"] == {"2016-01-31": "provisional"}
    assert re.search(r" provisional .* without 2016-01-03 to 2016-01-04, 2016-01-31\n", typed("runs").answer)
    assert "attempt 1: provisional\n" in (shown := typed("show", "1").answer)
    assert "\nmade without 2016-01-03 to 2016-01-04, 2016-01-31\n" in shown
    index = (deployment.outputs / "reports" / "index.html").read_text()
    assert index.count("badge provisional") == 1
    plan = typed("plan", "--dates", str(_listed(deployment, JANUARY[:30])), "--json").json()
    assert plan["runs"] == []
    flowapi.dates = {"calls": JANUARY}
    plan = typed("plan", "--dates", str(_listed(deployment, JANUARY)), "--json").json()
    assert [run["reason"] for run in plan["runs"]] == ["run 1 was provisional, and no date is missing now"]
    outcome = deployment.run("once")
    assert outcome.code == 0, outcome.log
    final = (latest / "monthly__report.pdf").resolve()
    assert final != first
    assert "PROVISIONAL" not in "\n".join(page.extract_text() for page in PdfReader(final).pages)
    manifest = json.loads(Path(latest / "monthly__report.json").read_text())
    before, glued = manifest["provisional_before"], ["2016-01-03", "2016-01-04", "2016-01-31"]
    assert (before["attempt"], before["missing_dates"]) == (1, glued)
    assert before["changes"]["values"][0]["old"] == glued[0]
    assert before["changes"]["texts"] == 1
    attempts = typed("show", "1", "--json").json()["attempts"]
    assert [(each["attempt"], each["state"], len(each["missing_dates"])) for each in attempts] == [
        (1, "provisional", 3),
        (2, "succeeded", 0),
    ]
    assert "no runs were due" in deployment.run("once").log


def _listed(deployment: Deployment, dates: list[str]) -> Path:
    path = deployment.inputs / "dates.txt"
    path.write_text("\n".join(dates))
    return path
