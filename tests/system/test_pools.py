# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pools: notebooks of several workflows that share something scarce."""

from __future__ import annotations

from itertools import accumulate

from tests.conftest import Deployment, Typed
from tests.system.test_shared_data import write_notebook

WORKFLOWS = """
workflows:
  - name: flows
    notebooks:
      one: &query {filename: queries.ipynb, pool: flowdb}
      two: *query
  - name: counts
    notebooks: {one: *query}
  - name: free
    priority: -1
    notebooks: {one: {filename: does_nothing.ipynb}}
available_dates_sensor:
  schedule: null
  concurrency: {runs: 3, notebooks: 10}
  pools: {flowdb: 2}
  workflows: [{workflow_name: flows}, {workflow_name: counts}, {workflow_name: free, earliest_date: 2016-01-02}]
"""

QUERIES = """
import os, time
from pathlib import Path
begun = time.monotonic()
spans = Path("SPANS")
(spans / f"begun-{os.getpid()}-{begun}").touch()
# as many as there may be do begin together
while len(list(spans.glob("begun-*"))) < 2:
    time.sleep(0.01)
time.sleep(0.2)
(spans / f"span-{os.getpid()}-{begun}").write_text(f"{begun} {time.monotonic()}")
"""


def test_a_pool_bounds_the_notebooks_of_all_workflows_and_keeps_no_others_waiting(
    deployment: Deployment, typed: Typed
) -> None:
    deployment.write(WORKFLOWS)
    spans = deployment.inputs / "spans"
    spans.mkdir()
    write_notebook(deployment.inputs / "queries.ipynb", "", QUERIES.replace("SPANS", str(spans)))
    write_notebook(deployment.inputs / "does_nothing.ipynb", "", "")

    outcome = typed()
    assert outcome.code == 0, outcome.log
    measured = [tuple(map(float, span.read_text().split())) for span in spans.glob("span-*")]
    assert len(measured) == 6
    steps = sorted([(begun, 1) for begun, _ in measured] + [(ended, -1) for _, ended in measured])
    assert max(accumulate(step for _, step in steps)) == 2
    assert outcome.log.count("waits for the pool flowdb") >= 3
    # of three runs in progress two only waited: in the way of the next that needs the pool, and not of another
    assert outcome.log.index("run 4: free 2016-01-02") < outcome.log.index(" succeeded")
