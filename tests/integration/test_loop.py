# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's loop turns whatever there is to do: no callback takes long."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import http.client
import json
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import nbformat
import yaml

from autoflow.app import open_context
from autoflow.context.context import Context
from autoflow.daemon.loop import serve
from autoflow.definitions import Definitions
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.model.store import RunStore
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.settings.settings import Settings, load_settings
from autoflow.system.control import ask
from autoflow.system.notifier import Notifier
from tests.conftest import Deployment
from tests.integration.test_web import free_port
from tests.loop_watch import Watched, watched

LONGEST = 0.2
"""Seconds that one callback may take, where a `yardstick` takes a fortieth of it or less."""

ATTEMPTS = 20_000
"""Attempts in the record."""

TRIGGERS = 10
"""Triggers that they were of: pages of months, which cost the loop little, take long with one and as many dates."""

START = dt.datetime(2027, 3, 1, 12, 30, tzinfo=dt.UTC)


def definitions(workflows: int) -> str:
    """Write a workflows.yml as large as one that somebody has generated."""
    task = {"filename": "large.ipynb", "parameters": {"reference_date": "reference_date"}}
    small = {"filename": "glues.ipynb", "parameters": {"reference_date": "reference_date"}}
    content = {
        "notify": {"not_done_after": "1h"},
        "workflows": [
            {"name": "w", "keep": {"notebooks": 3, "reports": 3, "attempts": 3}, "notebooks": {"large": task}},
            *(
                {"name": f"other-{number}", "retries": {"attempts": 3}, "notebooks": {"a": small, "b": small}}
                for number in range(workflows)
            ),
        ],
        "available_dates_sensor": {
            "schedule": "0 0 1 1 *",
            "workflows": [
                {"workflow_name": "w", "earliest_date": "2016-01-01"},
                *(
                    {"workflow_name": f"other-{number}", "earliest_date": "2030-01-01"}
                    for number in range(0, workflows, 20)
                ),
            ],
        },
    }
    return yaml.dump(content, Dumper=yaml.CSafeDumper)


def write_large_notebook(path: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell("reference_date = ''", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('x' * 1_000_000)"),
        nbformat.v4.new_code_cell(
            "from IPython.display import display_html\ndisplay_html('<p>' + 'y' * 20_000_000 + '</p>', raw=True)"
        ),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)))


def fill(settings: Settings) -> None:
    """Write a record of many years: attempts that failed and were made good, with files that are long gone."""
    store = RunStore(settings.db_path, settings.places)
    connection = store.read.connection
    first = dt.date(1950, 1, 1)
    rows = range(1, ATTEMPTS + 1)
    with connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters) VALUES (?, 'w', ?, ?, ?)",
            [
                (
                    number,
                    f"hash-{number}",
                    (date := (first + dt.timedelta(days=number // TRIGGERS)).isoformat()),
                    json.dumps({"area": number % TRIGGERS, "reference_date": date, "date_ranges": [[date, date]]}),
                )
                for number in range(ATTEMPTS // 2 + 1)
            ],
        )
        connection.executemany(
            "INSERT INTO attempts (id, run, attempt, state, started, ended)"
            " VALUES (?, ?, ?, ?, '2026-01-01T00:00:00+00:00', '2026-01-01T01:00:00+00:00')",
            [(number, number // 2, 1 + number % 2, "succeeded" if number % 2 else "failed") for number in rows],
        )
        connection.executemany(
            "INSERT INTO notebooks (attempt_id, label, state, started, ended, notebook, report) VALUES (?, 'large', ?,"
            " '2026-01-01T00:00:00+00:00', '2026-01-01T01:00:00+00:00', ?, ?)",
            [
                (number, "succeeded" if number % 2 else "failed", f"notebooks/{number}.ipynb", f"reports/{number}.pdf")
                for number in rows
            ],
        )
    store.close()


async def live(context: Context, taken: Definitions, port: int) -> None:
    """Let a daemon tick with all that there is, while pages are asked for, orders given and definitions changed."""
    settings = context.settings
    path = settings.workflows_file
    serving = asyncio.create_task(serve(context, taken, Notifier({}), now=True))

    def page(address: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
            connection.request("GET", address)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    while True:
        assert not serving.done(), await serving
        runs = context.store.read.attempts(workflow="w", first=dt.date(2016, 1, 1), limit=5)
        if runs and all(run.state == "succeeded" for run in runs) and context.store.read.last_tick() is not None:
            break
        await asyncio.sleep(0.2)
    for address in ("/", "/health", "/metrics", "/why?workflow=w&date=2016-01-01"):
        assert await asyncio.to_thread(page, address) == 200
    path.write_text(path.read_text() + "# changed\n")
    order = {"do": "skip", "workflow": "w", "dates": ["2016-01-05"], "reason": "no"}
    assert await asyncio.to_thread(ask, settings.control_socket, order, 60.0) == {"done": 1}
    # the second time, nothing has changed
    assert await asyncio.to_thread(ask, settings.control_socket, {**order, "do": "unskip"}, 60.0) == {"done": 1}
    # what is not kept goes as soon as no run is in progress, and that may be after all of this
    count = "SELECT count(*) FROM notebooks WHERE notebook NOT NULL"
    while context.store.read.connection.execute(count).fetchone()[0] >= 10 * TRIGGERS:
        assert not serving.done(), await serving
        await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await serving == 0


def test_no_callback_of_the_loop_takes_long(deployment: Deployment, flowapi: FlowapiStandin) -> None:
    port = free_port()
    deployment.environment |= {
        "AUTOFLOW_HTTP": f"127.0.0.1:{port}",
        "FLOWAPI_TOKEN": flowapi.token(dt.timedelta(days=3000)),
        "AUTOFLOW_WEBHOOK_URL": "http://127.0.0.1:9/",
    }
    deployment.write(definitions(400), "glues")
    write_large_notebook(deployment.inputs / "large.ipynb")
    flowapi.set_days(1)
    deployment.outputs.mkdir()
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs / "none")
    fill(settings)
    taken = read_definitions(settings.workflows_file)
    # what the tests before have made is nothing that the daemon has to look through
    gc.collect()
    gc.freeze()
    with open_context(settings, deployment.environment, Progress()) as context, watched() as found:
        asyncio.run(live(context, taken, port))
    assert_quick(found)
    # it was done: three of each are kept
    with closing(RunStore(settings.db_path, settings.places)) as store:
        assert len(store.made_by("w")) < 10 * TRIGGERS


def yardstick() -> float:
    """Measure how long this machine takes for a piece of work that is always the same."""

    def once(_: int) -> float:
        began = time.thread_time()
        sum(number % 7 for number in range(200_000))
        return time.thread_time() - began

    return min(map(once, range(5)))


def assert_quick(found: Watched) -> None:
    longest = max(LONGEST, 40 * yardstick())
    slow = [f"{seconds:.2f} s: {name}" for seconds, name in found.longest if seconds > longest]
    assert slow == []
