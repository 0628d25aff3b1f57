# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""kill -9 at random moments over a backlog: each date ends with one success, and nothing is left over.

``python -m tests.soak.kills [--kills 100] [--dates 30] [--seed 1]``
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from autoflow.demo_flowapi import FlowapiStandin
from autoflow.settings.settings import load_settings
from autoflow.warm_process import MARKER
from tests.conftest import Deployment


def main() -> int:
    """Kill, start again, and look at what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--dates", type=int, default=30)
    parser.add_argument("--longest", type=float, default=15.0, help="seconds that an AutoFlow lives at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    kills = backlogs = attempts = 0
    began = time.monotonic()
    with FlowapiStandin(days=options.dates, poll_seconds=0.0) as flowapi:
        while kills < options.kills:
            with tempfile.TemporaryDirectory(prefix="soak ") as directory:
                deployment = deploy(Path(directory), flowapi)
                finished = False
                while not finished and kills < options.kills:
                    process = deployment.start("--run-once")
                    try:
                        process.communicate(timeout=chance.uniform(0.05, options.longest))
                        finished = True
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.communicate()
                        kills += 1
                outcome = deployment.run("--run-once", patience=1800.0)
                problems = look(deployment, options.dates)
                if outcome.code != 0:
                    problems.append(f"exit code {outcome.code}: {outcome.log[-2000:]}")
                if problems:
                    print("\n".join(problems))
                    return 1
                backlogs += 1
                attempts += attempts_in(deployment)
                print(f"{kills} kills, {backlogs} backlogs of {options.dates} dates done, all in order", flush=True)
    print(f"{kills} kills in {time.monotonic() - began:.0f} s: {backlogs} backlogs, {attempts} attempts, nothing amiss")
    return 0


def deploy(directory: Path, flowapi: FlowapiStandin) -> Deployment:
    """Make an installation whose runs are two notebooks, one of which reads the other."""
    inputs = directory / "inputs"
    inputs.mkdir()
    environment = {
        **os.environ,
        "AUTOFLOW_INPUTS_DIR": str(inputs),
        "AUTOFLOW_OUTPUTS_DIR": str(directory / "outputs"),
        "FLOWAPI_URL": flowapi.url,
        "FLOWAPI_TOKEN": flowapi.token(),
    }
    deployment = Deployment(inputs, directory / "outputs", environment)
    deployment.write(
        """
workflows:
  - name: chain
    notebooks:
      first: {filename: glues.ipynb, parameters: {reference_date: reference_date}}
      second: {filename: reads.ipynb, parameters: {previous: first}}
available_dates_sensor:
  schedule: "0 0 * * *"
  workflows: [{workflow_name: chain}]
""",
        "glues",
        "reads",
    )
    return deployment


def look(deployment: Deployment, dates: int) -> list[str]:
    """Find what should not be."""
    problems = []
    connection = sqlite3.connect(deployment.outputs / "autoflow.db")
    successes = Counter(
        date for (date,) in connection.execute("SELECT reference_date FROM runs WHERE state = 'succeeded'")
    )
    others = {state for (state,) in connection.execute("SELECT DISTINCT state FROM attempts")} - {
        "succeeded",
        "interrupted",
    }
    connection.close()
    if len(successes) != dates or set(successes.values()) != {1}:
        problems.append(f"not one success for each of {dates} dates: {successes}")
    if others:
        problems.append(f"attempts in the states {others}")
    for path in deployment.outputs.glob("notebooks/*"):
        try:
            json.loads(path.read_text())
        except ValueError:
            problems.append(f"half written: {path}")
    problems += [f"left over: {path}" for path in deployment.outputs.glob(".autoflow/*/*")]
    instance = load_settings(deployment.environment).instance
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER, "").startswith(f"{instance}/"):
                problems.append(f"left running: {process}")
        except (psutil.Error, OSError):
            continue
    return problems


def attempts_in(deployment: Deployment) -> int:
    connection = sqlite3.connect(deployment.outputs / "autoflow.db")
    (number,) = connection.execute("SELECT count(*) FROM attempts").fetchone()
    connection.close()
    return int(number)


if __name__ == "__main__":
    sys.exit(main())
