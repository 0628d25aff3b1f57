# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A notebook whose call of flowclient FlowAPI refuses: what the record says of it, and what to do."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import nbformat
import pytest

from autoflow.demo_flowapi import FlowapiStandin
from tests.conftest import Deployment, Typed
from tests.system.test_daemon_process import until

pytestmark = pytest.mark.usefixtures("forked_warm_parents")

ASKS = """
import pathlib, time, warnings
warnings.simplefilter('ignore')
import flowclient
from get_secret_or_env_var import environ
connection = flowclient.connect(url=flowapi_url, token=environ['FLOWAPI_TOKEN'])
here = pathlib.Path(directory)
(here / 'asking').touch()
while not (here / 'answers').exists():
    time.sleep(0.05)
"""
CALLS = "flowclient.get_geography(connection=connection, aggregation_unit='admin3')"


def recorded_failure(deployment: Deployment) -> Any:
    with closing(sqlite3.connect(deployment.outputs / "autoflow.db")) as connection:
        ((error,),) = connection.execute("SELECT error FROM attempts WHERE state = 'failed'").fetchall()
    return json.loads(error)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("401", "the token has expired: create a new one in FlowAuth"), ("403", "the token lacks a scope")],
)
def test_the_record_says_what_to_do_about_a_call_that_flowapi_refuses(
    deployment: Deployment, typed: Typed, flowapi: FlowapiStandin, fault: str, words: str
) -> None:
    cells = [
        nbformat.v4.new_code_cell("flowapi_url = directory = ''", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(ASKS),
        nbformat.v4.new_code_cell(CALLS),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    (deployment.inputs / "asks.ipynb").write_text(nbformat.writes(notebook))
    deployment.write(f"""
workflows:
  - name: w
    notebooks: {{a: {{filename: asks.ipynb, parameters: {{flowapi_url: flowapi_url, directory: directory}}}}}}
available_dates_sensor:
  schedule: null
  workflows: [{{workflow_name: w, parameters: {{directory: {deployment.inputs}}}}}]
""")
    flowapi.set_days(1)
    if fault == "403":
        # the poll may, the notebook may not
        deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(scopes=["get_available_dates"])
    running = deployment.start()
    until((deployment.inputs / "asking").exists, 90)
    if fault == "401":
        flowapi.set_fault("401")
    (deployment.inputs / "answers").touch()
    log, _ = running.communicate(timeout=90)
    assert running.returncode == 1, log
    failure = recorded_failure(deployment)
    assert (failure["label"], failure["cell"]) == ("a", 3)
    assert failure["exception"].startswith("FlowclientConnectionError")
    assert f"Hint: {words}" in failure["message"]
    assert words in log
    shown = typed("show", "1")
    # lines are broken to the width of a terminal
    assert words in " ".join(shown.log.split())
    assert words in " ".join(typed("why", "w", "2016-01-01").log.split())
    assert deployment.environment["FLOWAPI_TOKEN"] not in f"{log}{failure}{shown.log}"
