# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Measure, and write a table and a picture: ``python -m benchmarks [--quick] [--only ROW ...]``."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import contenders, rows
from benchmarks.contenders import Contender, ContenderMissingError, fresh
from benchmarks.measure import Cost
from benchmarks.workloads import Workload, limit, make
from examples.flowapi import FlowapiStandin

RESULTS = Path(__file__).parent / "results"
VERSIONS = ("papermill", "nbclient", "jupyter_client", "ipykernel", "nbconvert", "flowclient", "pandas", "pydantic")


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of AutoFlow's, and of something else where there is one to compare it with."""

    work: str
    who: str
    values: tuple[float, ...]
    unit: str
    note: str = ""
    against: float | None = None
    """How many times AutoFlow's median this one's is."""


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few dates, one repetition: does it work at all?")
    parser.add_argument("--only", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS), help="these alone")
    parser.add_argument("--repeat", type=int, default=5, help="how often each is measured, in turns")
    parser.add_argument("--venvs", type=Path, help="where contenders' virtual environments are kept")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table, picture and figures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory, FlowapiStandin(days=0) as flowapi:
        bench = Bench(
            directory=Path(directory),
            flowapi=flowapi,
            venvs=(options.venvs or Path(directory) / "venvs").absolute(),
            repeat=1 if options.quick else options.repeat,
            dates=2 if options.quick else 20,
            quick=options.quick,
        )
        found = []
        for name in options.only:
            for row in SECTIONS[name](bench):
                print(line(row), flush=True)
                found.append(row)
    write(options.results, found)
    return 0


@dataclass(frozen=True)
class Bench:
    """Where and how thoroughly to measure."""

    directory: Path
    flowapi: FlowapiStandin
    venvs: Path
    repeat: int
    dates: int
    quick: bool


def in_turns(bench: Bench, rivals: Sequence[Contender], workload: Workload) -> dict[str, list[Cost]]:
    """Measure contenders one after another, again and again, so that what disturbs the machine disturbs all."""
    costs: dict[str, list[Cost]] = {rival.name: [] for rival in rivals}
    for turn in range(bench.repeat):
        for rival in rivals:
            if rival.most is not None and turn >= rival.most:
                continue
            costs[rival.name].append(fresh(rival, workload))
    return costs


def compared(work: str, costs: dict[str, list[Cost]], rivals: Sequence[Contender]) -> Iterable[Row]:
    """Give rows of seconds, with ratios to the first contender's median."""
    own = statistics.median(cost.seconds for cost in costs[rivals[0].name])
    for rival in rivals:
        seconds = tuple(cost.seconds for cost in costs[rival.name])
        against = statistics.median(seconds) / own if rival is not rivals[0] else None
        yield Row(work, rival.name, seconds, "s", rival.note, against)


def realistic(bench: Bench) -> Iterable[Row]:
    """A backlog whose notebooks import what notebooks import."""
    workload = make(bench.directory / "realistic", bench.dates, realistic=True)
    rivals = [contenders.autoflow(bench.flowapi), contenders.papermill_cli()]
    yield from compared(f"{bench.dates} dates x 2, realistic imports", in_turns(bench, rivals, workload), rivals)


def trivial(bench: Bench) -> Iterable[Row]:
    """A backlog of notebooks that do next to nothing: all is overhead."""
    workload = make(bench.directory / "trivial", bench.dates, realistic=False)
    rivals = [contenders.autoflow(bench.flowapi), contenders.papermill_cli(), contenders.papermill_loop()]
    for make_rival in (contenders.prefect, contenders.ploomber):
        try:
            rivals.append(make_rival(bench.venvs))
        except ContenderMissingError as error:
            print(f"left out: {error}", file=sys.stderr)
    costs = in_turns(bench, rivals, workload)
    yield from compared(f"{bench.dates} dates x 2, trivial", costs, rivals)
    for rival in rivals:
        per_notebook = tuple(cost.cpu_seconds / (2 * bench.dates) for cost in costs[rival.name])
        yield Row("CPU for a trivial notebook, all included", rival.name, per_notebook, "CPU s")


def warm_notebook(bench: Bench) -> Iterable[Row]:
    """What one more notebook costs when libraries are there: the slope between two backlogs."""
    few = make(bench.directory / "few", 2, realistic=False)
    many = make(bench.directory / "many", 2 + bench.dates, realistic=False)
    contender = contenders.autoflow(bench.flowapi)
    slopes, walls = [], []
    for _ in range(bench.repeat):
        small, large = fresh(contender, few), fresh(contender, many)
        slopes.append((large.cpu_seconds - small.cpu_seconds) / (2 * bench.dates))
        walls.append((large.seconds - small.seconds) / (2 * bench.dates))
    yield Row("CPU for one more trivial notebook, warm", "AutoFlow", tuple(slopes), "CPU s")
    yield Row("time for one more trivial notebook, warm", "AutoFlow", tuple(walls), "s")


def cold(bench: Bench) -> Iterable[Row]:
    """One date, from nothing to exit."""
    workload = make(bench.directory / "cold", 1, realistic=False)
    rivals = [contenders.autoflow(bench.flowapi), contenders.papermill_cli()]
    yield from compared("1 date x 2, trivial, cold", in_turns(bench, rivals, workload), rivals)


def memory(bench: Bench) -> Iterable[Row]:
    """The peak of all processes together."""
    workload = make(bench.directory / "memory", max(bench.dates // 2, 2), realistic=True)
    for concurrency in (1, 2, 4):
        limit(workload, concurrency)
        peaks = [fresh(contenders.autoflow(bench.flowapi), workload, memory=True).peak_mb or 0.0]
        yield Row("peak memory (PSS), realistic imports", f"AutoFlow, {concurrency} at a time", tuple(peaks), "MB")
    peaks = [fresh(contenders.papermill_cli(), workload, memory=True).peak_mb or 0.0]
    yield Row("peak memory (PSS), realistic imports", "papermill CLI loop", tuple(peaks), "MB")


def tick(bench: Bench) -> Iterable[Row]:
    """Ticks that find nothing due, the poll included."""
    size = ["--dates", "100", "--triggers", "10"] if bench.quick else []
    environment = {**os.environ, "PYTHONPATH": str(contenders.ROOT)}
    command = [sys.executable, "-m", "benchmarks.ticks", *size]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    work = f"tick, nothing due, {found['settled']:,} settled"
    yield Row(work, "AutoFlow", tuple(found["later"]), "s", "poll included")
    yield Row(f"{work}: the first after a start", "AutoFlow", (found["first"],), "s")
    yield Row(f"{work}: memory", "AutoFlow", (found["peak_mb"],), "MB")


def commands(bench: Bench) -> Iterable[Row]:
    """Commands that people wait for."""
    workload = make(bench.directory / "commands", 1, realistic=False)
    for arguments in (["--help"], ["--check"]):
        values = rows.command_seconds(arguments, workload.inputs, bench.directory, bench.flowapi, 5 * bench.repeat)
        yield Row(f"autoflow {arguments[0]}", "AutoFlow", tuple(values), "s")


def idle(bench: Bench) -> Iterable[Row]:
    """The daemon between ticks."""
    workload = make(bench.directory / "idle", 1, realistic=False)
    minutes = 0.2 if bench.quick else 10.0
    found = rows.idle_daemon(workload.inputs, bench.directory / "idle-outputs", bench.flowapi, minutes)
    yield Row("idle daemon: resident", "AutoFlow", (found["rss_mb"],), "MB", f"PSS {found['pss_mb']:.1f} MB")
    yield Row("idle daemon: wake-ups", "AutoFlow", (found["wakeups"],), "a minute", f"over {minutes:g} minutes")
    yield Row("idle daemon: CPU", "AutoFlow", (found["cpu"],), "CPU s an hour", f"from {minutes:g} minutes")


def report(bench: Bench) -> Iterable[Row]:
    """One report, against the tools that it needs on the same document."""
    own, tools = rows.report_seconds(bench.directory / "report", bench.repeat)
    yield Row("one report", "AutoFlow", tuple(own), "s", "a job of its own, forked")
    ratio = statistics.median(tools) / statistics.median(own)
    yield Row("one report", "pandoc once + asciidoctor-pdf", tuple(tools), "s", "the same document", ratio)


SECTIONS: dict[str, Callable[[Bench], Iterable[Row]]] = {
    "realistic": realistic,
    "trivial": trivial,
    "warm": warm_notebook,
    "cold": cold,
    "memory": memory,
    "tick": tick,
    "commands": commands,
    "idle": idle,
    "report": report,
}


def line(row: Row) -> str:
    """Write a row of the table, in Markdown."""
    median, least, most = statistics.median(row.values), min(row.values), max(row.values)
    against = f"{row.against:.1f}x" if row.against else ""
    spread = f"{least:.3g} - {most:.3g}" if len(row.values) > 1 else ""
    return (
        f"| {row.work} | {row.who} | {median:.3g} {row.unit} | {spread} | {len(row.values)} | {against} | {row.note} |"
    )


def write(directory: Path, found: Sequence[Row]) -> None:
    """Leave a table, the figures behind it, and a picture."""
    directory.mkdir(parents=True, exist_ok=True)
    today = dt.datetime.now(dt.UTC).date()
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}"
    )
    versions = {name: importlib.metadata.version(name) for name in VERSIONS}
    header = "| work | who | median | min - max | n | x AutoFlow | |\n|---|---|---|---|---|---|---|"
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    table = "\n".join(line(row) for row in found)
    stem = directory / f"{today}-{os.cpu_count()}-cores"
    stem.with_suffix(".md").write_text(f"# {today}: {machine}\n\n{packages}\n\n{header}\n{table}\n")
    figures = [{**row.__dict__, "values": list(row.values)} for row in found]
    text = json.dumps({"date": str(today), "machine": machine, "versions": versions, "rows": figures}, indent=1)
    stem.with_suffix(".json").write_text(text + "\n")
    if comparisons := [row for row in found if row.against]:
        draw(stem.with_suffix(".png"), comparisons)


def draw(path: Path, comparisons: Sequence[Row]) -> None:
    """Show how many times AutoFlow's time others take."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.5 + 0.45 * len(comparisons)), layout="constrained")
    labels = [f"{row.who}\n{row.work}" for row in comparisons]
    ratios = [row.against or 0.0 for row in comparisons]
    bars = axes.barh(labels, ratios, color="#1f77b4")
    axes.bar_label(bars, [f"{ratio:.1f}x" for ratio in ratios], padding=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.set_xlabel("times as long as AutoFlow")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
