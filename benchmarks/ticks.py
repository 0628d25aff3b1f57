# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What ticks cost that find nothing due in a large record, and what new dates add.

``python -m benchmarks.ticks settle|tick DIRECTORY``: processes of their own, so that the memory of the
second is that of ticks and of nothing else. FLOWAPI_URL and FLOWAPI_TOKEN name a stand-in for FlowAPI.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from autoflow.app import open_context
from autoflow.context import Context
from autoflow.dates import listed_at
from autoflow.decision.counted import ready_days
from autoflow.decision.due import due_runs
from autoflow.definitions import Definitions
from autoflow.parser import read_definitions
from autoflow.progress import Progress
from autoflow.runs import key_maker
from autoflow.sensor import Executor, tick
from autoflow.settings import Settings, load_settings
from benchmarks.measure import peak_resident_mb
from benchmarks.workloads import FIRST_DATE, write_notebook

STENCIL_DAYS = 31
LATER_TICKS = 5


def main() -> None:
    """Fill a record, or tick on it; print figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("settle", "tick"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--dates", type=int, default=3650)
    parser.add_argument("--triggers", type=int, default=100)
    parser.add_argument("--new", type=int, default=1, help="how many new dates the last decision is about")
    options = parser.parse_args()
    settings = load_settings(
        {
            "AUTOFLOW_INPUTS_DIR": str(options.directory / "inputs"),
            "AUTOFLOW_OUTPUTS_DIR": str(options.directory / "outputs"),
            "FLOWAPI_URL": os.environ["FLOWAPI_URL"],
            "FLOWAPI_TOKEN": os.environ["FLOWAPI_TOKEN"],
        }
    )
    if options.step == "settle":
        settle(settings, options.dates, options.triggers)
    else:
        print(json.dumps(measure(settings, options.dates, options.triggers, options.new)))


def listed(dates: int) -> int:
    """Count the dates that FlowAPI has to list, so that the stencil of so many is complete."""
    return dates + STENCIL_DAYS - 1


def settle(settings: Settings, dates: int, triggers: int) -> None:
    """Define the triggers, and record a success of each for each date, past the code that would execute it."""
    settings.inputs_dir.mkdir(parents=True)
    write_notebook(settings.inputs_dir / "a.ipynb", "n = 0", [])
    content = {
        "workflows": [{"name": "w", "notebooks": {"a": {"filename": "a.ipynb", "parameters": {"n": "n"}}}}],
        "available_dates_sensor": {
            "schedule": "0 0 1 1 *",
            "workflows": [
                {"workflow_name": "w", "parameters": {"n": n}, "date_stencil": [[1 - STENCIL_DAYS, 1]]}
                for n in range(triggers)
            ],
        },
    }
    # JSON is YAML
    settings.workflows_file.write_text(json.dumps(content))
    definitions = read_definitions(settings.workflows_file)
    with open_context(settings, dict(os.environ), Progress()):
        pass
    first = FIRST_DATE.toordinal() + STENCIL_DAYS - 1
    days = range(first, first + dates)
    connection = sqlite3.connect(settings.db_path)
    with connection:
        for trigger in definitions.triggers:
            key_of = key_maker(trigger)
            connection.executemany(
                "INSERT INTO runs (workflow, parameters_hash, reference_date, parameters) VALUES ('w', ?, ?, '{}')",
                [(key_of(date)[1], date.isoformat()) for date in map(dt.date.fromordinal, days)],
            )
        connection.execute(
            "INSERT INTO attempts (run, attempt, state, started, ended) SELECT number, 1, 'succeeded', '', '' FROM runs"
        )
    connection.close()


def measure(settings: Settings, dates: int, triggers: int, new: int) -> dict[str, object]:
    """Tick on a record in which all is settled, then decide the same without FlowAPI and with new dates."""
    began = time.perf_counter()
    definitions = read_definitions(settings.workflows_file)
    read = time.perf_counter() - began
    with open_context(settings, dict(os.environ), Progress()) as context:
        ticks = asyncio.run(_ticks(context, definitions))
        peak_mb = peak_resident_mb()
    # another context knows nothing yet
    with open_context(settings, dict(os.environ), Progress()) as context:
        first = _timed(lambda: decide(context, definitions, listed(dates)), 0)
        later = [_timed(lambda: decide(context, definitions, listed(dates)), 0) for _ in range(LATER_TICKS)]
        with_new = _timed(lambda: decide(context, definitions, listed(dates + new)), new * triggers)
    return {
        "reading_definitions": read,
        "first_tick": ticks[0],
        "later_ticks": ticks[1:],
        "peak_mb": peak_mb,
        "first_decision": first,
        "later_decisions": later,
        "decision_with_new_dates": with_new,
    }


def decide(context: Context, definitions: Definitions, dates: int) -> int:
    """Do what a tick does between poll and execution, and count what is due.

    The one place here that knows what a tick is made of.
    """
    first = FIRST_DATE.toordinal()
    answer = {"calls": [dt.date.fromordinal(day).isoformat() for day in range(first, first + dates)]}
    listed = listed_at(answer, context.now())
    unsettled = asyncio.run(context.ledger.unsettled(definitions, ready_days(definitions, listed, context.now())))
    return len(due_runs(definitions, unsettled, context.store.read.history(), context.now()).due)


async def _ticks(context: Context, definitions: Definitions) -> list[float]:
    seconds, executor = [], Executor(context, asyncio.Event())
    for _ in range(1 + LATER_TICKS):
        began = time.perf_counter()
        decision = await tick(context, definitions, executor)
        seconds.append(time.perf_counter() - began)
        if decision.due:
            raise RuntimeError(f"something was due: {decision}")
    return seconds


def _timed(work: Callable[[], int], expected: int) -> float:
    began = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - began
    if found != expected:
        raise RuntimeError(f"{found} runs are due, expected {expected}")
    return seconds


if __name__ == "__main__":
    main()
