# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a tick costs that finds nothing due in a large record: ``python -m benchmarks.ticks``, as JSON.

A process of its own, so that its memory is that of a tick and of nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import resource
import sqlite3
import tempfile
import time
from pathlib import Path

from autoflow.app import open_context
from autoflow.context import Context
from autoflow.definitions import Definitions
from autoflow.parser import read_definitions
from autoflow.progress import Progress
from autoflow.runs import key_maker
from autoflow.sensor import tick
from autoflow.settings import load_settings

STENCIL = [[-30, 1]]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def main() -> None:
    """Fill a record, tick five times on it, then once more with a new date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dates", type=int, default=3650)
    parser.add_argument("--triggers", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory:
        print(json.dumps(measure(Path(directory), options.dates, options.triggers)))


def measure(directory: Path, dates: int, triggers: int) -> dict[str, object]:
    """Give seconds of each tick, of the first and the others, and megabytes."""
    (directory / "inputs").mkdir()
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "",
        "outputs": [],
        "execution_count": None,
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}, "cells": [cell]}
    (directory / "inputs" / "a.ipynb").write_text(json.dumps(notebook))
    content = {
        "workflows": [{"name": "w", "notebooks": {"a": {"filename": "a.ipynb", "parameters": {"n": "n"}}}}],
        "available_dates_sensor": {
            "schedule": "0 0 1 1 *",
            "workflows": [
                {"workflow_name": "w", "parameters": {"n": n}, "date_stencil": STENCIL} for n in range(triggers)
            ],
        },
    }
    (directory / "inputs" / "workflows.yml").write_text(json.dumps(content))
    # the dates before are there for the stencils of the first ones
    standin = _start_flowapi(dates + 30)
    settings = load_settings(
        {
            "AUTOFLOW_INPUTS_DIR": str(directory / "inputs"),
            "AUTOFLOW_OUTPUTS_DIR": str(directory / "outputs"),
            "FLOWAPI_URL": standin["url"],
            "FLOWAPI_TOKEN": standin["token"],
        }
    )
    definitions = read_definitions(settings.workflows_file)
    with open_context(settings, dict(os.environ), Progress()) as context:
        _settle(context, definitions, dates)
        seconds = asyncio.run(_tick(context, definitions))
    return {
        "settled": dates * triggers,
        "first": seconds[0],
        "later": seconds[1:],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


async def _tick(context: Context, definitions: Definitions) -> list[float]:
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        outcome = await tick(context, definitions, asyncio.Event())
        seconds.append(time.perf_counter() - began)
        if outcome.states:
            raise RuntimeError(f"something was due: {outcome}")
    return seconds


def _settle(context: Context, definitions: Definitions, dates: int) -> None:
    """Record a success for each trigger and date, past the code that would execute it."""
    first = dt.date(2016, 1, 31).toordinal()
    days = range(first, first + dates)
    with sqlite3.connect(context.settings.db_path) as connection:
        for trigger in definitions.triggers:
            key_of = key_maker(trigger)
            connection.executemany(
                "INSERT INTO runs"
                " (workflow, parameters_hash, reference_date, parameters, attempt, state, started, ended)"
                " VALUES ('w', ?, ?, '{}', 1, 'success', '', '')",
                [(key_of(date)[1], date.isoformat()) for date in map(dt.date.fromordinal, days)],
            )
    connection.close()


def _start_flowapi(days: int) -> dict[str, str]:
    """Start a stand-in for FlowAPI in a process of its own, which ends with this one's standard input to it."""
    read, write = os.pipe()
    if not os.fork():
        os.close(read)
        from examples.flowapi import FlowapiStandin

        with FlowapiStandin(days=days) as standin:
            answer = json.dumps({"url": standin.url, "token": standin.token()})
            os.write(write, answer.encode())
            os.close(write)
            parent = os.getppid()
            while os.getppid() == parent:
                time.sleep(0.2)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        found: dict[str, str] = json.load(pipe)
    return found


if __name__ == "__main__":
    main()
