# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow try``: an analyst runs one date, beside whatever else goes on, and compares what came of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from autoflow.comparison import read_executed
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.notebooks import printed
from tests.clock import PATIENCE, until
from tests.conftest import ROOT, Deployment, Outcome
from tests.system.test_shared_data import WRITES, write_notebook

pytestmark = pytest.mark.usefixtures("forked_warm_parents")

WORDS = """
workflows:
  - name: words
    notebooks:
      first: {filename: glues.ipynb, parameters: {reference_date: word}}
      second: {filename: raises_on_one_date.ipynb, parameters: {reference_date: reference_date, previous: first}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows:
    - {workflow_name: words, parameters: {word: hello}}
    - {workflow_name: words, parameters: {word: bye}, earliest_date: 2020-01-01}
"""


def tried(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.log
    return outcome.json()


def glued(path: str) -> Any:
    return read_executed(Path(path)).values["reference_date"]


def test_tries_beside_a_daemon_leave_no_trace_and_are_compared(
    deployment: Deployment, typed: Callable[..., Outcome], tmp_path: Path
) -> None:
    """The daemon holds the record, and sleeps until January; two tries of a date differ in a value."""
    deployment.write(WORDS, "glues", "raises_on_one_date")
    daemon = deployment.start()
    try:
        until(lambda: deployment.made(".autoflow/*.sock") != [])
        plain = tried(deployment.run("try", "words", "2016-01-05", "--json", TMPDIR=str(tmp_path)))
        assert Path(plain["outputs"]).parent == tmp_path
        place = tmp_path / "changed"
        # the second trigger has this value already, and another one for the rest
        command = ("try", "words", "2016-01-05", "--set", "word=bye", "--outputs", str(place), "--json")
        changed = tried(typed(*command))
        assert daemon.poll() is None
    finally:
        daemon.terminate()
        log, _ = daemon.communicate(timeout=PATIENCE)
    assert (plain["state"], changed["outputs"]) == ("succeeded", str(place))
    assert [glued(each["notebooks"][0]["notebook"]) for each in (plain, changed)] == ["hello", "bye"]
    # the record and the outputs know nothing of it
    assert deployment.made("notebooks/*") == []
    assert typed("runs", "--json").json()["attempts"] == []
    assert "2016-01-05" not in log
    token = deployment.environment["FLOWAPI_TOKEN"].encode()
    assert not any(token in path.read_bytes() for path in place.rglob("*") if path.is_file())

    differing = typed("diff", plain["outputs"], str(place))
    assert differing.code == 1
    assert [line.split() for line in differing.log.splitlines() if line.startswith("reference_date")][1:2] == [
        ["reference_date", "hello", "bye"]
    ]
    assert "different: 1 glued value\n" in differing.log
    same = typed("diff", changed["notebooks"][0]["notebook"], str(place))
    assert (same.code, "no differences" in same.log) == (0, True), same.log
    # what it has made itself may be used again, and what anybody else has made is left alone
    refused = typed("try", "words", "2016-01-05", "--outputs", str(deployment.inputs))
    assert (refused.code, "holds other files" in refused.log) == (2, True), refused.log


def test_one_notebook_is_tried_with_what_a_recorded_run_has_made(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], tmp_path: Path
) -> None:
    """A failure is mended: the notebook alone is executed, and the record stays as it was."""
    deployment.write(WORDS, "glues", "raises_on_one_date")
    flowapi.dates = {"calls": ["2016-01-02"]}
    assert typed("--run-once").code == 1
    (first,) = deployment.made("notebooks/glues*")
    command = ("try", "words", "2016-01-02", "--notebook", "second", "--json", "--outputs", str(tmp_path / "try"))
    source = deployment.inputs / "raises_on_one_date.ipynb"
    source.write_text(source.read_text().replace("2016-01-02", "1999-01-01"))
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    done = tried(deployment.run(*command, "--open", BROWSER=f"{browser} %s"))
    assert [line.rpartition("/")[2][:5] for line in (tmp_path / "opened").read_text().split()] == ["glues", "raise"]
    assert (done["notebooks"][0]["notebook"], done["notebooks"][0]["reused_from"]) == (str(first), 1)
    assert [(each["label"], each["reused_from"]) for each in done["notebooks"]] == [("first", 1), ("second", None)]
    # with another word the first one has to be executed, too
    changed = tried(typed(*command, "--set", "word=ahoy"))
    assert glued(changed["notebooks"][0]["notebook"]) == "ahoy"
    assert [run["state"] for run in typed("runs", "--json").json()["attempts"]] == ["failed"]


def test_a_try_reads_what_runs_share_and_adds_nothing_to_it(
    deployment: Deployment, flowapi: FlowapiStandin, typed: Callable[..., Outcome], tmp_path: Path
) -> None:
    text = "workflows: [{name: w, notebooks: {writes: {filename: writes.ipynb, parameters: {"
    parameters = "date: reference_date, run_dir: run_dir, shared_dir: shared_dir}}}}]\n"
    deployment.write(
        f"{text}{parameters}available_dates_sensor: {{schedule: null, workflows: [{{workflow_name: w}}]}}\n"
    )
    write_notebook(deployment.inputs / "writes.ipynb", "date = run_dir = shared_dir = None", WRITES)
    flowapi.dates = {"calls": ["2016-01-01"]}
    assert typed("--run-once").code == 0
    made = tried(deployment.run("try", "w", "2016-01-03", "--json", TMPDIR=str(tmp_path)))
    (said,) = [text for _, text in printed(Path(made["notebooks"][0]["notebook"])) if "shared:" in text]
    assert said.startswith("shared: ['2016-01-01', 'log'] run: []\n")
    assert [path.name for path in deployment.made("shared/w/*")] == ["2016-01-01", "log"]
    assert (deployment.outputs / "shared/w/log").read_text() == "2016-01-01\n"


def test_jupyter_connects_to_the_kernels_of_failed_cells_until_enter_is_pressed(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.write_simple("raises", "raises_on_one_date", sensor="  concurrency: {notebooks: 2}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "autoflow", "try", "w", "2016-01-02", "--keep-kernel"],
        env={**deployment.environment, "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stderr
    try:
        # the one that is told of last: both wait
        *_, line = islice((line for line in process.stderr if "--existing" in line), 2)
        client = BlockingKernelClient(connection_file=line.split("--existing")[1].strip())
        client.load_connection_file()
        client.start_channels()
        answer = client.execute_interactive(
            "", user_expressions={"date": "reference_date"}, timeout=PATIENCE, store_history=False
        )
        client.stop_channels()
        assert answer["content"]["user_expressions"]["date"]["data"]["text/plain"] == "'2016-01-02'"
        assert process.poll() is None
        _, log = process.communicate("\n", timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "notebook raises, cell 3: ValueError" in log
    assert "notebook raises_on_one_date, cell 2: ValueError" in log
    # these would be of the runs of the record, which knows nothing of this one
    assert "autoflow show" not in log
    assert "autoflow repair" not in log


def test_what_cannot_be_tried_is_told(deployment: Deployment, typed: Callable[..., Outcome]) -> None:
    deployment.write(WORDS, "glues", "raises_on_one_date")
    for arguments, said in (
        (("word", "2016-01-01"), "did you mean 'words'?"),
        (("words", "2016-01-01", "--set", "wort=x"), "no such parameter; did you mean 'word'?"),
        (("words", "2016-01-01", "--set", f"word={deployment.environment['FLOWAPI_TOKEN']}"), "looks like a token"),
        (("words", "2016-01-01", "--notebook", "fist"), "did you mean 'first'?"),
        (("words", "2016-01-01", "--set", "word"), "expected NAME=VALUE"),
    ):
        outcome = typed("try", *arguments)
        assert (outcome.code, said in outcome.log) == (2, True), outcome.log
        assert "Traceback" not in outcome.log
    assert not deployment.outputs.exists()
