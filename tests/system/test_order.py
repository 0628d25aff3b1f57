# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that wait for other runs, and read what these executed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from autoflow.clock import utc_now
from autoflow.model import RunStore
from autoflow.parser import read_definitions
from autoflow.runs import AttemptState, build_run
from autoflow.settings import load_settings
from tests.conftest import Deployment, Typed
from tests.system.test_shared_data import printed, write_notebook

WORKFLOWS = """
workflows:
  - name: aggregate
    notebooks: {make: {filename: makes.ipynb, parameters: {date: reference_date, before: inputs_dir}}}
  - name: report
    notebooks:
      write: {filename: makes.ipynb, parameters: {date: reference_date, before: previous.write}}
      sum: {filename: sums.ipynb, parameters: {paths: aggregate.make}}
available_dates_sensor:
  schedule: null
  order: newest
  workflows:
    - workflow_name: report
      after: previous
      needs: [{workflow: aggregate, dates: [[-1, 1]]}]
    - workflow_name: aggregate
"""

MAKES = """
import os
print("made", date, "after", before)
if date == "2016-01-02" and not os.path.exists("HEALED"):
    raise ValueError("not healed")
"""


def test_runs_go_in_order_and_read_what_those_before_them_executed(deployment: Deployment, typed: Typed) -> None:
    deployment.write(WORKFLOWS)
    healed = deployment.inputs / "healed"
    write_notebook(deployment.inputs / "makes.ipynb", "date = before = ''", MAKES.replace("HEALED", str(healed)))
    write_notebook(deployment.inputs / "sums.ipynb", "paths = []", "print(len(paths), *paths)")

    planned = typed("plan", "--json").json()["runs"]
    assert [run["workflow"] for run in planned] == ["aggregate", "aggregate"]
    # 2016-01-01 of the report needs a date before, which there is none of
    outcome = typed()
    assert outcome.code == 1
    assert deployment.made("notebooks/*__report_*") == []
    why = typed("why", "report", "2016-01-02").log
    assert "it waits for 1 run: aggregate 2016-01-02 (`autoflow why` explains each)" in why
    calendar = typed("calendar", "--json").json()["triggers"]
    states = {row["workflow"]: row["states"]["2016-01-02"] for row in calendar}
    assert states == {"report": "waiting", "aggregate": "failed"}

    healed.touch()
    assert typed().code == 0
    # in the same tick, as soon as what it waits for has succeeded
    (wrote,) = deployment.made("notebooks/makes__report_2016-01-02_*")
    assert "made 2016-01-02 after None" in printed(wrote)
    (summed,) = deployment.made("notebooks/sums__report_2016-01-02_*")
    first, second = (
        deployment.made("notebooks/makes__aggregate_*_*")[:1]
        + deployment.made("notebooks/makes__aggregate_2016-01-02_*")[-1:]
    )
    assert printed(summed) == f"2 {first} {second}\n"

    offered = typed("rerun", "1", "--json").log
    assert "1 run depends on this; --downstream runs what depends on it again, too" in offered
    outcome = typed("rerun", "1", "--downstream", "--yes")
    assert outcome.code == 0
    # run 1 was of the newest date; what reads it is made after it
    again = deployment.made("notebooks/makes__aggregate_2016-01-02_*")[-1]
    assert again != second
    summed = deployment.made("notebooks/sums__report_2016-01-02_*")[-1]
    assert printed(summed) == f"2 {first} {again}\n"


def test_a_run_that_depends_and_was_left_behind_is_said_to_be_that(deployment: Deployment, typed: Typed) -> None:
    deployment.write("""
workflows:
  - {name: w, notebooks: {a: {filename: a.ipynb}}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w, after: previous}]}
""")
    write_notebook(deployment.inputs / "a.ipynb", "", "1")
    definitions, settings = (
        read_definitions(deployment.inputs / "workflows.yml"),
        load_settings(deployment.environment),
    )
    settings.outputs_dir.mkdir(exist_ok=True)
    store, (trigger,) = RunStore(settings.db_path, settings.places), definitions.triggers
    first, second = (build_run(definitions.workflows["w"], trigger, dt.date(2016, 1, day)) for day in (1, 2))
    store.finish(store.begin(first, utc_now()), AttemptState.SUCCEEDED, utc_now())
    store.begin(second, utc_now())
    asked = ("rerun", "1", "--downstream", "--json")
    assert "run 2 is running" in typed(*asked).json()["left_out"][0]
    store.close()
    assert "run 2: AutoFlow is not running: it ended in the middle" in typed(*asked).json()["left_out"][0]


SOME_DATES = """
workflows:
  - name: report
    notebooks:
      baseline: {filename: says.ipynb, when: first, parameters: {date: reference_date}}
      monthly:
        filename: says.ipynb
        when: 1 * *
        newest: true
        parameters: {date: reference_date}
        output: {format: html}
      write:
        filename: writes.ipynb
        parameters: {date: reference_date, baseline: baseline, monthly: monthly}
        output: {format: html}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: report, after: previous}]
"""

WRITES = """
import os
print("read", baseline, monthly)
assert date == "2016-01-01" or os.path.exists("HEALED"), "not healed"
"""


def test_a_notebook_for_some_dates_is_left_out_of_the_others(deployment: Deployment, typed: Typed) -> None:
    deployment.write(SOME_DATES)
    healed = deployment.inputs / "healed"
    write_notebook(deployment.inputs / "says.ipynb", "date = ''", "print('says', date)")
    write_notebook(
        deployment.inputs / "writes.ipynb", "date = baseline = monthly = ''", WRITES.replace("HEALED", str(healed))
    )

    outcome = typed()
    assert outcome.code == 1
    assert "left out, by when: " in outcome.log
    monthly, baseline = deployment.made("notebooks/says__*")
    first, second = deployment.made("notebooks/writes__*")
    assert printed(first) in (f"read {baseline} {monthly}\n", f"read {monthly} {baseline}\n")
    monthly = next(path for path in (monthly, baseline) if printed(second) == f"read None {path}\n")

    healed.touch()
    outcome = typed(
        "try", "report", "2016-01-02", "--notebook", "write", "--json", "--outputs", str(deployment.outputs / "tried")
    )
    tried = outcome.json()
    assert [each["label"] for each in tried["notebooks"]] == ["write"]
    assert printed(Path(tried["notebooks"][0]["notebook"])) == printed(second)
    repaired = typed("repair", "2", "--yes")
    assert repaired.code == 0
    planned = repaired.log[: repaired.log.index("requested 1 run")]
    assert "write" in planned
    assert "baseline" not in planned
    (manifest,) = deployment.made("reports/writes__report_2016-01-02_*.json")
    assert json.loads(manifest.read_text())["other_runs"] == {"baseline": None, "monthly": str(monthly)}
    assert len(deployment.made("reports/says__*.html")) == 1


def test_a_run_does_not_start_without_what_it_reads_and_keep_has_removed(deployment: Deployment, typed: Typed) -> None:
    content = {
        "workflows": [
            {
                "name": "base",
                "keep": {"notebooks": 1},
                "notebooks": {"n": {"filename": "counts.ipynb", "parameters": {"before": "previous.n"}}},
            },
            {"name": "sum", "notebooks": {"n": {"filename": "counts.ipynb", "parameters": {"before": "base.n"}}}},
        ],
        "available_dates_sensor": {
            "schedule": None,
            "workflows": [
                {"workflow_name": "base", "after": "previous"},
                {"workflow_name": "sum", "dates": "2 * *", "needs": [{"workflow": "base", "dates": [[-1, 1]]}]},
            ],
        },
    }
    deployment.write(json.dumps(content))
    write_notebook(deployment.inputs / "counts.ipynb", "before = ''", "print(before)")
    assert typed().code == 0
    before = printed(deployment.made("notebooks/counts__sum_*")[-1])
    gone = "notebook 'n' of base 2016-01-01, which this run reads, has been removed (`keep` in workflows.yml)"
    # made again of what is left, it would be another one, and would take the place of the good one
    runs = {
        (each["workflow"], each["reference_date"]): str(each["run"])
        for each in typed("runs", "--json").json()["attempts"]
    }
    for of in (("sum", "2016-01-02"), ("base", "2016-01-02")):
        again = typed("rerun", runs[of], "--yes")
        assert again.code == 1
        assert gone in again.log
        assert "internal error" not in again.log
    assert printed(deployment.made("notebooks/counts__sum_*")[-1]) == before
    # as it is advised
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace('{"notebooks": 1}', '{"notebooks": 2}'))
    typed("rerun", runs["base", "2016-01-01"], "--yes")
    assert typed("rerun", runs["base", "2016-01-02"], "--yes").code == 0
    assert typed("rerun", runs["sum", "2016-01-02"], "--yes").code == 0


READS_OTHERS = """
workflows:
  - {name: base, notebooks: {make: {filename: says.ipynb, parameters: {date: reference_date}}}}
  - name: report
    notebooks:
      read: {filename: reads.ipynb, parameters: {made: base.make}}
      write: {filename: writes.ipynb, parameters: {read: read}}
available_dates_sensor:
  schedule: null
  workflows:
    - {workflow_name: base, latest_date: 2016-01-01}
    - {workflow_name: report, latest_date: 2016-01-01, needs: [{workflow: base}]}
"""


def test_a_repair_uses_nothing_again_that_read_what_has_been_made_again(deployment: Deployment, typed: Typed) -> None:
    deployment.write(READS_OTHERS)
    healed = deployment.inputs / "healed"
    write_notebook(deployment.inputs / "says.ipynb", "date = ''", "print('says', date)")
    write_notebook(deployment.inputs / "reads.ipynb", "made = ''", "print(made)")
    fails = f"import os; assert os.path.exists({str(healed)!r}), 'not healed'"
    write_notebook(deployment.inputs / "writes.ipynb", "read = ''", fails)
    assert typed().code == 1
    assert "execute 1 of 2 notebooks" in typed("repair", "2", "--json").json()["would"]
    assert typed("rerun", "1", "--yes").code == 0
    refused = typed("repair", "2")
    assert refused.code == 2
    assert "what notebook 'read' reads by 'base.make' has been made again since, or removed; `autoflow rerun 2`" in (
        refused.log
    )
    healed.touch()
    assert typed("rerun", "2", "--yes").code == 0
    newest = deployment.made("notebooks/says__base_*")[-1]
    assert str(newest) in printed(deployment.made("notebooks/reads__report_*")[-1])


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("oldest", ["aggregate 1", "report 1", "aggregate 2", "report 2"]),
        ("newest", ["aggregate 2", "report 2", "aggregate 1", "report 1"]),
    ],
)
def test_a_run_whose_wait_is_over_takes_its_place_in_the_order(
    deployment: Deployment, typed: Typed, order: str, expected: list[str]
) -> None:
    reports = {"name": "report", "notebooks": {"write": {"filename": "plain.ipynb"}}}
    aggregates = {"name": "aggregate", "notebooks": {"make": {"filename": "plain.ipynb"}}}
    sensor = {
        "schedule": None,
        "concurrency": {"runs": 1},
        "order": order,
        "workflows": [
            {"workflow_name": "report", "needs": [{"workflow": "aggregate"}]},
            {"workflow_name": "aggregate"},
        ],
    }
    content = {"workflows": [reports, aggregates], "available_dates_sensor": sensor}
    deployment.write(json.dumps(content))
    write_notebook(deployment.inputs / "plain.ipynb", "", "1")

    assert typed().code == 0
    runs = sorted(typed("runs", "--json").json()["attempts"], key=lambda run: run["started"])
    assert [f"{run['workflow']} {run['reference_date'][-1]}" for run in runs] == expected
