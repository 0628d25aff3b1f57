# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Tick every minute for a year, and say what memory is held: ``python -m tests.simulation.minutes [--days 365]``.

A date comes each day and is run for; all else stays as it is. The loop, the sensor, the decision and the record are
AutoFlow's; jobs, FlowAPI and the clock are simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import signal
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import patch

from autoflow import app
from autoflow.context.conditions import Conditions
from autoflow.context.context import Context
from autoflow.daemon import loop
from autoflow.daemon.loop import give_memory_back, serve
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.settings.settings import load_settings
from autoflow.system.notifier import Notifier
from tests.clock import Clock, HeldLoop
from tests.simulation.jobs import Observed, SimulatedJobs
from tests.simulation.life import MACHINE
from tests.simulation.seeds import QUICK
from tests.simulation.world import DAY, HOUR, START, World

WORKFLOWS = {
    "workflows": [{"name": "w", "notebooks": {"a": {"filename": "a.ipynb", "parameters": {"date": "reference_date"}}}}],
    "available_dates_sensor": {
        "schedule": "* * * * *",
        "cdr_types": ["calls"],
        "workflows": [{"workflow_name": "w", "date_stencil": [[-6, 1]]}],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.minutes", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=QUICK if os.access(QUICK, os.W_OK) else None) as root:
        live(plain_world(Path(root), options.days))


def plain_world(root: Path, days: int) -> World:
    """Make a world in which nothing goes wrong."""
    world = World(1, root, days)
    world.write_definitions(WORKFLOWS)
    first, until = START.date() - 30 * DAY, world.end + DAY
    dates = [first + day * DAY for day in range(days + 30)]
    over = {date: dt.datetime.combine(date, dt.time(6), dt.UTC) + DAY for date in dates}
    world.arrivals = {"calls": {date: [(at, until)] for date, at in over.items()}}
    world.outages, world.full_disks, world.events = [], [], []
    world.quiet_from = START
    world.write_token(world.end + 400 * DAY)
    return world


def live(world: World) -> None:
    """Live the whole time, and print each month how many polls there were and what is held."""
    held = HeldLoop()
    clock, observed = Clock(START, held), Observed()
    settings = load_settings(world.environment, docker_secrets=world.secrets)
    jobs = partial(SimulatedJobs, world, clock, observed, settings.work_dir / "jobs")
    opened = app.open_context(settings, world.environment, Progress())
    with ExitStack() as stack:
        # a look at every object that there is would be the greater part of each tick: it is taken once a month
        stack.enter_context(patch.object(loop, "give_memory_back", lambda: None))
        stack.enter_context(patch.object(app, "Jobs", lambda *_, **__: jobs()))
        stack.enter_context(patch.object(app, "Context", partial(_context, clock)))
        context = stack.enter_context(opened)
        held.run_until_complete(_months(context, world, observed))


def _context(clock: Clock, **parts: object) -> Context:
    parts["conditions"] = Conditions(clock)
    parts["store"]._connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
    return Context(**parts, machine=lambda: MACHINE, now=clock, longest_nap=4 * 3600.0)  # type: ignore[arg-type]


async def _months(context: Context, world: World, observed: Observed) -> None:
    definitions = read_definitions(context.settings.workflows_file)
    serving, began = asyncio.create_task(serve(context, definitions, Notifier({}))), time.process_time()
    while context.now() < world.end:
        await asyncio.wait({serving}, timeout=min(30 * DAY, world.end - context.now() + HOUR).total_seconds())
        if serving.done():
            await serving
            return
        give_memory_back()
        day, runs = (context.now() - START).days, sum(context.store.read.counts().values())
        held, seconds = f"{_resident_mb():.1f} MB", f"{time.process_time() - began:.0f} s of CPU"
        print(f"day {day}: {observed.polls} polls, {runs} runs, {held}, {seconds}", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


def _resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1000


if __name__ == "__main__":
    main()
