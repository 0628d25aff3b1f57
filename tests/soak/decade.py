# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ten years of dates and fifty triggers: how long the commands take, and how much memory.

``python -m tests.soak.decade [--years 10] [--keep DIRECTORY]``
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from autoflow.dates.date_stencil import AvailableDates
from autoflow.definitions import Definitions
from autoflow.model.store import RunStore
from autoflow.parser.parser import load_definitions
from autoflow.runs.runs import Failure, build_run
from tests.conftest import NOTEBOOKS

FIRST = dt.date(2016, 1, 1)
NOW = dt.datetime(2025, 12, 31, 6, tzinfo=dt.UTC)
COMMANDS = (
    ("calendar",),
    ("calendar", "flows_3"),
    ("calendar", "--from", "2016-01-01", "--to", "2025-12-30"),
    ("calendar", "--csv"),
    ("why", "flows_3", "2025-12-25"),
    ("why", "flows_3", "2019-05-05"),
    ("plan",),
    ("runs", "--last", "20"),
    ("runs", "--state", "failed", "--workflow", "flows_3"),
    ("show", "1000"),
    ("check",),
)

LAUNCHER = """
import os, sys
child = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=sys.stderr)
"""
"""Measures a command: a process begins with the memory of the one that it is forked from, so that has to be small."""


def main() -> int:
    """Make the store, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="make it here, and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.keep or Path(temporary)
        environment = make(directory, options.years * 365)
        for command in COMMANDS:
            measure(command, environment)
    return 0


def make(directory: Path, days: int) -> dict[str, str]:
    """Make inputs and a record, and give the environment that names them."""
    inputs, outputs = directory / "inputs", directory / "outputs"
    inputs.mkdir(parents=True, exist_ok=True)
    outputs.mkdir(parents=True, exist_ok=True)
    (inputs / "glues.ipynb").write_bytes((NOTEBOOKS / "glues.ipynb").read_bytes())
    units = ("admin1", "admin2", "admin3", "sites", "regions")
    task = {"filename": "glues.ipynb", "parameters": {"reference_date": "reference_date", "unit": "aggregation_unit"}}
    content = {
        "workflows": [{"name": f"flows_{number}", "notebooks": {"glues": task}} for number in range(10)],
        "available_dates_sensor": {
            "schedule": "0 0 * * *",
            "cdr_types": ["calls", "sms"],
            "workflows": [
                {
                    "workflow_name": f"flows_{number}",
                    "parameters": {"aggregation_unit": unit},
                    "earliest_date": FIRST + dt.timedelta(days=30),
                    "date_stencil": [[-30, 1]] if unit == "admin3" else [[-7, 0], 0],
                }
                for number in range(10)
                for unit in units
            ],
        },
    }
    (inputs / "workflows.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    database = outputs / "autoflow.db"
    if not database.exists():
        began = time.monotonic()
        runs = fill(database, load_definitions(inputs / "workflows.yml")[0], days)
        size = database.stat().st_size / 1e6
        print(f"{runs} runs in {size:.0f} MB, made in {time.monotonic() - began:.0f} s", flush=True)
    return {
        **os.environ,
        "AUTOFLOW_INPUTS_DIR": str(inputs),
        "AUTOFLOW_OUTPUTS_DIR": str(outputs),
        "FLOWAPI_URL": "http://127.0.0.1:9",
    }


def fill(database: Path, definitions: Definitions, days: int) -> int:
    """Record ten years: nearly all done, a gap of three days, some failures, and a few days that are due."""
    chance = random.Random(1)
    missing = {days - 100, days - 101, days - 102}
    listed = [(FIRST + dt.timedelta(days=day)).isoformat() for day in range(days) if day not in missing]
    store = RunStore(database)
    store.record_poll({"calls": listed[:-2], "sms": listed}, NOW)
    store.record_tick(NOW)
    runs, rows, notebooks = [], [], []
    available = AvailableDates(dt.date.fromisoformat(date) for date in listed)
    for trigger in definitions.triggers:
        for date in listed[30:-2]:
            reference_date = dt.date.fromisoformat(date)
            run = build_run(definitions.workflows[trigger.workflow_name], trigger, reference_date)
            if trigger.date_stencil.missing(reference_date, available):
                continue
            state = "failed" if chance.random() < 0.001 else "succeeded"
            started = dt.datetime.combine(reference_date + dt.timedelta(days=1), dt.time(1), dt.UTC)
            ended = started + dt.timedelta(seconds=chance.uniform(20, 400))
            error = json.dumps(vars(Failure("no such place", "glues", 2, "ValueError"))) if state == "failed" else None
            moments = (started.isoformat(timespec="microseconds"), ended.isoformat(timespec="microseconds"))
            runs.append((len(runs) + 1, *run.key, date, json.dumps(run.parameters)))
            rows.append((len(runs), state, *moments, error))
            notebooks.append((len(rows), "glues", state, *moments, f"/outputs/notebooks/glues-{len(rows)}.ipynb"))
    connection = store._connection
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters) VALUES (?, ?, ?, ?, ?)", runs
    )
    connection.executemany(
        "INSERT INTO attempts (run, attempt, state, started, ended, error) VALUES (?, 1, ?, ?, ?, ?)", rows
    )
    connection.executemany(
        "INSERT INTO notebooks (attempt_id, label, state, started, ended, notebook) VALUES (?, ?, ?, ?, ?, ?)",
        notebooks,
    )
    connection.execute("COMMIT")
    store.close()
    return len(rows)


def measure(command: tuple[str, ...], environment: dict[str, str]) -> None:
    """Run a command, and print how long it took and what it needed."""
    began = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "autoflow", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - began
    code, cpu, kilobytes = process.stderr.splitlines()[-1].split()
    used = f"CPU {float(cpu):5.2f} s  {int(kilobytes) / 1024:6.0f} MB"
    print(f"{' '.join(command):52} {seconds:6.2f} s  {used}  exit {code}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
