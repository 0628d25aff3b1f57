# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks that wait for queries: a FlowAPI that runs four at a time, and for each date a notebook that computes.

``python -m benchmarks.waiting`` prints seconds, and how many times the bound that is: what the queries take four at a
time, or the notebooks that compute on all cores, whichever is more. ``--seconds 5`` makes queries shorter than 20 s.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autoflow.demo_flowapi import FlowapiStandin
from benchmarks import contenders
from benchmarks.contenders import Contender
from benchmarks.machine import cores
from benchmarks.measure import adopt_orphans
from benchmarks.workloads import Workload, limit, make, write_notebook

AT_A_TIME, COMPUTES = 4, 1.0
"""How many queries FlowAPI runs at a time, and how many seconds of processor time the second notebook takes."""

QUERY = """
import os, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import flowclient
# AutoFlow gives the token to a kernel; others find it in a file
token = os.environ.get("FLOWAPI_TOKEN") or Path({token!r}).read_text()
connection = flowclient.connect(url={url!r}, token=token)
spec = flowclient.daily_location_spec(date=reference_date, aggregation_unit="admin2", method="last")
query = flowclient.spatial_aggregate(connection=connection, locations=spec)
query.run()
query.wait_until_ready(poll_interval=0.2)
"""

COMPUTE = """
import time
end = time.process_time() + {seconds}
while time.process_time() < end:
    pass
"""

RIVALS_AT_A_TIME = 8
"""How many notebooks the others have in progress: those that FlowAPI runs queries of, and as many more."""


def workload(directory: Path, flowapi: FlowapiStandin, dates: int) -> Workload:
    """Write a notebook that waits, and one that computes."""
    made = make(directory, dates, realistic=False)
    token = directory / "token.txt"
    token.write_text(flowapi.token())
    first = QUERY.format(token=str(token), url=flowapi.url)
    write_notebook(directory / "first.ipynb", "reference_date = ''", [first])
    write_notebook(directory / "second.ipynb", "reference_date = ''; first = ''", [COMPUTE.format(seconds=COMPUTES)])
    return made


def rivals(flowapi: FlowapiStandin) -> dict[str, Callable[[], Contender]]:
    """List who can execute the work, each made when it is measured."""
    venvs = Path(tempfile.gettempdir()) / "autoflow-benchmark-venvs"
    return {
        "auto": lambda: replace(contenders.autoflow(flowapi), name="AutoFlow, concurrency: auto"),
        "fixed": lambda: replace(contenders.autoflow(flowapi), name=f"AutoFlow, {min(cores(), 4)} at a time"),
        "loop": contenders.papermill_cli,
        "prefect": lambda: contenders.prefect(venvs, RIVALS_AT_A_TIME, "flowclient"),
        "dask": lambda: contenders.dask(venvs, RIVALS_AT_A_TIME, "flowclient"),
    }


def measured(
    root: Path, flowapi: FlowapiStandin, dates: int, names: Sequence[str]
) -> Iterator[tuple[str, float, float | None]]:
    """Execute the work by each of the rivals; yield name, seconds and the most memory in MB."""
    automatic = workload(root / "auto", flowapi, dates)
    fixed = workload(root / "fixed", flowapi, dates)
    limit(fixed, min(cores(), 4))
    makers = rivals(flowapi)
    for name in names:
        rival, work = makers[name](), fixed if name == "fixed" else automatic
        some = replace(work, dates=work.dates[: rival.dates or dates])
        # queries that an earlier rival has run would be done at once
        flowapi.flowmachine.reset_cache()
        flowapi.flowmachine.flush_redis()
        cost = contenders.fresh(rival, some, memory=True).times(len(work.dates) / len(some.dates))
        yield rival.name, cost.seconds, cost.peak_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a query runs (default: 20)")
    parser.add_argument("--dates", type=int, default=20)
    names = ("auto", "fixed", "loop", "prefect", "dask")
    parser.add_argument("--rivals", nargs="+", default=names, choices=names, help="which are measured (default: all)")
    options = parser.parse_args()
    bound = options.dates * max(options.seconds / AT_A_TIME, COMPUTES / cores())
    adopt_orphans()
    print(f"{options.dates} dates, queries of {options.seconds:g} s; the bound: {bound:.1f} s", flush=True)
    with FlowapiStandin(options.dates, poll_seconds=options.seconds) as flowapi, tempfile.TemporaryDirectory() as name:
        flowapi.flowmachine.at_a_time = AT_A_TIME
        for rival, seconds, peak in measured(Path(name), flowapi, options.dates, options.rivals):
            print(
                json.dumps({"rival": rival, "s": round(seconds, 1), "of bound": round(seconds / bound, 2), "MB": peak})
            )


if __name__ == "__main__":
    main()
