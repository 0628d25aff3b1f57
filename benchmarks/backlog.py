# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a backlog costs of which every run is due: ticks, and the commands that look at all of it.

``python -m benchmarks.backlog [--dates 3650] [--triggers 500] [--before DIRECTORY]``: each measurement in a process
of its own, so that its peak is its own; with another tree of AutoFlow beside it, in turns, as a ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoflow import cli
from autoflow.app import open_context
from autoflow.parser import read_definitions
from autoflow.progress import Progress
from autoflow.sensor import Executor, tick
from autoflow.sensor import sensor as ticking
from autoflow.settings import load_settings
from benchmarks.measure import peak_resident_mb
from benchmarks.workloads import FIRST_DATE, write_notebook

ROOT = Path(__file__).parents[1]

LATER_TICKS = 5

COMMANDS = {
    "calendar --by year": ["calendar", "--by", "year"],
    "calendar": ["calendar"],
    "plan": ["plan"],
    "plan --json": ["plan", "--json"],
}
"""What people look at a backlog with."""

# a token without an end, of nobody
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmFseXN0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM"


def main() -> None:
    """Measure ticks and commands; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dates", type=int, default=3650)
    parser.add_argument("--triggers", type=int, default=500)
    parser.add_argument("--before", type=Path, help="another tree of AutoFlow, measured in turns with this one")
    parser.add_argument("--in", dest="inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", default=["tick", *COMMANDS], help="some of tick, %(default)s")
    options = parser.parse_args()
    if options.inside:
        what, inside = options.only[0], options.inside
        print(json.dumps(write(inside, options.dates, options.triggers) if what == "write" else measure(inside, what)))
        return
    trees = {"now": ROOT, **({"before": options.before.absolute()} if options.before else {})}
    with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory:
        size = ["--dates", str(options.dates), "--triggers", str(options.triggers)]
        for what in ["write", *options.only]:
            found = {name: in_process(Path(directory) / name, what, tree, size) for name, tree in trees.items()}
            for figure, now in found["now"].items():
                then = found.get("before", {}).get(figure)
                beside = f"  before {then:10.3f}  ratio {then / now:8.1f}" if then is not None else ""
                print(f"{what:20} {figure:12} {now:10.3f}{beside}", flush=True)


def write(directory: Path, dates: int, triggers: int) -> dict[str, float]:
    """Define triggers, and have FlowAPI's dates recorded as listed; no run was ever begun."""
    settings = load_settings(environment(directory))
    settings.inputs_dir.mkdir(parents=True)
    write_notebook(settings.inputs_dir / "a.ipynb", "n = 0", [])
    content = {
        "workflows": [{"name": "w", "notebooks": {"a": {"filename": "a.ipynb", "parameters": {"n": "n"}}}}],
        "available_dates_sensor": {
            "schedule": "0 0 1 1 *",
            "workflows": [{"workflow_name": "w", "parameters": {"n": n}} for n in range(triggers)],
        },
    }
    # JSON is YAML
    settings.workflows_file.write_text(json.dumps(content))
    listed = {"calls": [f"{FIRST_DATE + dt.timedelta(days=day)}" for day in range(dates)]}
    (directory / "listed.json").write_text(json.dumps(listed))
    with open_context(settings, dict(os.environ), Progress()) as context:
        context.store.record_poll(listed, context.now())
    return {}


def environment(directory: Path) -> dict[str, str]:
    """Return the settings of the AutoFlow that is measured."""
    return {
        "AUTOFLOW_INPUTS_DIR": str(directory / "inputs"),
        "AUTOFLOW_OUTPUTS_DIR": str(directory / "outputs"),
        "FLOWAPI_URL": "http://127.0.0.1:9",
        "FLOWAPI_TOKEN": TOKEN,
    }


def in_process(directory: Path, what: str, tree: Path, size: Sequence[str] = ()) -> dict[str, float]:
    """Measure one thing with the AutoFlow of a tree."""
    command = [sys.executable, "-P", __file__, "--in", str(directory), *size, "--only", what]
    paths = os.pathsep.join([str(tree), str(ROOT)])
    found = subprocess.run(
        command,
        env={**os.environ, **environment(directory), "PYTHONPATH": paths},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    figures: dict[str, float] = json.loads(found)
    return figures


def measure(directory: Path, what: str) -> dict[str, Any]:
    """Tick several times, or have a command print what it prints."""
    figures = asyncio.run(_ticks(directory)) if what == "tick" else {"seconds": _command(COMMANDS[what])}
    return {**figures, "peak MB": peak_resident_mb()}


async def _ticks(directory: Path) -> dict[str, float]:
    settings, seconds, stop = load_settings(environment(directory)), [], asyncio.Event()
    listed = json.loads((directory / "listed.json").read_text())

    async def answered(*_: object) -> dict[str, list[str]]:
        return dict(listed)

    # what FlowAPI takes is not what is measured; and nothing is to be started
    setattr(ticking, "ask_flowapi", answered)  # noqa: B010
    stop.set()
    definitions = read_definitions(settings.workflows_file)
    with open_context(settings, dict(os.environ), Progress()) as context:
        executor = Executor(context, stop)
        for _ in range(1 + LATER_TICKS):
            began = time.process_time()
            await tick(context, definitions, executor)
            seconds.append(time.process_time() - began)
        if len(executor.waiting) != len(definitions.triggers) * len(listed["calls"]):
            raise RuntimeError(f"{len(executor.waiting)} runs are due")
    return {"first tick": seconds[0], "later tick": sorted(seconds[1:])[LATER_TICKS // 2]}


def _command(arguments: Sequence[str]) -> float:
    began = time.process_time()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        code = cli.main(arguments)
    if code:
        raise RuntimeError(f"{arguments} ended with {code}")
    return time.process_time() - began


if __name__ == "__main__":
    main()
