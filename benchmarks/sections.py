# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The sections of the benchmark: each measures one kind of work and gives rows, with the goals of issue 4."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from autoflow.demo_flowapi import FlowapiStandin
from benchmarks import alone, backlog, contenders, ticks
from benchmarks.contenders import Contender, ContenderMissingError, autoflow_environment, fresh
from benchmarks.measure import Cost
from benchmarks.phases import PHASES, phases
from benchmarks.reports import report_seconds
from benchmarks.table import Row
from benchmarks.workloads import Workload, limit, make

AUTOFLOW = "AutoFlow"
CLI_LOOP = "papermill CLI loop"
MORE_CELLS = 20
"""How many cells a trivial notebook is given, to see what one of them costs."""


@dataclass(frozen=True)
class Bench:
    """Where and how thoroughly to measure."""

    directory: Path
    flowapi: FlowapiStandin
    venvs: Path
    repeat: int
    dates: int
    quick: bool
    stopped: Event = field(default_factory=Event)
    """Set when it was told to stop in the middle of a section, which then gives what it has."""


def realistic(bench: Bench) -> Iterable[Row]:
    """A backlog whose notebooks import what notebooks import."""
    workload = make(bench.directory / "realistic", bench.dates, realistic=True)
    rivals = [contenders.autoflow(bench.flowapi), contenders.papermill_cli(), contenders.papermill_cli_parallel()]
    costs, failures = in_turns(bench, rivals, workload)
    yield from compared(
        f"{bench.dates} dates x 2, realistic imports", workload, rivals, costs, failures, {CLI_LOOP: 15}
    )


def trivial(bench: Bench) -> Iterable[Row]:
    """A backlog of notebooks that do next to nothing: all is overhead."""
    workload = make(bench.directory / "trivial", bench.dates, realistic=False)
    rivals = [
        contenders.autoflow(bench.flowapi),
        contenders.papermill_cli(),
        contenders.papermill_cli_parallel(),
        contenders.papermill_loop(),
    ]
    work = f"{bench.dates} dates x 2, trivial"
    for name, make_rival in (("prefect", contenders.prefect), ("ploomber", contenders.ploomber)):
        try:
            rivals.append(make_rival(bench.venvs))
        except ContenderMissingError as error:
            yield Row(work, name, (), "s", str(error))
    costs, failures = in_turns(bench, rivals, workload)
    goals = {CLI_LOOP: 8.0, "papermill in a process": 6.0}
    yield from compared(work, workload, rivals, costs, failures, goals)
    for rival in rivals:
        if values := tuple(cost.cpu_seconds / (2 * bench.dates) for cost in costs[rival.name]):
            yield Row(f"{work}: CPU for each notebook, all included", rival.name, values, "CPU s")


def warm(bench: Bench) -> Iterable[Row]:
    """What one more notebook costs when libraries are there: the slope between two backlogs."""
    more = 2 * bench.dates
    few = make(bench.directory / "few", 2, realistic=False)
    many = make(bench.directory / "many", 2 + bench.dates, realistic=False)
    long = make(bench.directory / "long", 2 + bench.dates, realistic=False, more_cells=MORE_CELLS)
    contender = contenders.autoflow(bench.flowapi)
    rounds = [[fresh(contender, workload) for workload in (few, many, long)] for _ in range(bench.repeat)]
    cpu = tuple((large.cpu_seconds - small.cpu_seconds) / more for small, large, _ in rounds)
    seconds = tuple((large.seconds - small.seconds) / more for small, large, _ in rounds)
    cell = tuple((longer.cpu_seconds - large.cpu_seconds) / (more + 4) / MORE_CELLS for _, large, longer in rounds)
    # parameters, those of papermill, and one more
    beyond = tuple(whole - 3 * one for whole, one in zip(cpu, cell, strict=True))
    note = f"without its three trivial cells, of which one more takes {1000 * statistics.median(cell):.1f} ms of CPU"
    yield Row("one more trivial notebook, warm: CPU beyond its cells", AUTOFLOW, beyond, "CPU s", note, goal=0.15)
    yield Row("one more trivial notebook, warm: CPU", AUTOFLOW, cpu, "CPU s", "its trivial cells included")
    yield Row("one more trivial notebook, warm: time", AUTOFLOW, seconds, "s", "several at a time")


def profile(bench: Bench) -> Iterable[Row]:
    """Where the time of a notebook goes, one at a time."""
    for realistic_imports, kind in ((False, "trivial"), (True, "realistic")):
        workload = make(bench.directory / f"profile-{kind}", bench.dates, realistic=realistic_imports)
        limit(workload, 1)
        with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory:
            outputs = Path(directory) / "outputs"
            contenders.autoflow(bench.flowapi).execute(workload, outputs, False)
            # the first one waits for what is imported once
            found = list(phases(outputs))[2:]
        for phase in PHASES:
            values = tuple(1000 * seconds[phase] for seconds in found)
            yield Row(f"profile of a {kind} notebook, one at a time", phase, values, "ms")
        whole = tuple(1000 * sum(seconds.values()) for seconds in found)
        yield Row(f"profile of a {kind} notebook, one at a time", "all", whole, "ms")


def cold(bench: Bench) -> Iterable[Row]:
    """One date, from nothing to exit."""
    workload = make(bench.directory / "cold", 1, realistic=False)
    rivals = [contenders.autoflow(bench.flowapi), contenders.papermill_cli()]
    costs, failures = in_turns(bench, rivals, workload)
    yield from compared("1 date x 2, trivial, cold", workload, rivals, costs, failures, {CLI_LOOP: 2})


def memory(bench: Bench) -> Iterable[Row]:
    """The peak of all processes together."""
    dates = max(bench.dates // 2, 2)
    rivals: list[tuple[str, Contender, Workload]] = []
    for at_a_time in (1, 2, 4):
        workload = make(bench.directory / f"memory-{at_a_time}", dates, realistic=True)
        limit(workload, at_a_time)
        rivals.append((f"{AUTOFLOW}, {at_a_time} at a time", contenders.autoflow(bench.flowapi), workload))
    # its peak is that of one notebook
    rivals.append((CLI_LOOP, contenders.papermill_cli(), Workload(workload.inputs, workload.dates[:1])))
    peaks: dict[str, list[float]] = {name: [] for name, _, _ in rivals}
    for _ in range(bench.repeat):
        for name, rival, workload in rivals:
            peaks[name].append(fresh(rival, workload, memory=True).peak_mb or 0.0)
    for name, values in peaks.items():
        yield Row("peak memory (PSS) of all processes, realistic imports", name, tuple(values), "MB")


def tick(bench: Bench) -> Iterable[Row]:
    """Ticks that find nothing due, and what new dates add."""
    dates, triggers = (100, 10) if bench.quick else (3650, 100)
    directory = bench.directory / "tick"
    bench.flowapi.set_days(ticks.listed(dates))
    # what counts is what the process itself is told
    environment = autoflow_environment(directory / "inputs", directory / "outputs", bench.flowapi)

    def step(name: str, new: int = 1) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.ticks", name, str(directory)]
        size = ["--dates", str(dates), "--triggers", str(triggers), "--new", str(new)]
        said = subprocess.run([*command, *size], env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        found: dict[str, Any] = json.loads(said) if said else {}
        return found

    step("settle")
    found: dict[int, list[dict[str, Any]]] = {1: [], 10: [], 100: []}
    for _ in range(bench.repeat):
        for new, measured in found.items():
            measured.append(step("tick", new))
    every = [measured for some in found.values() for measured in some]

    def one(name: str) -> tuple[float, ...]:
        return tuple(measured[name] for measured in every)

    def many(name: str) -> tuple[float, ...]:
        return tuple(value for measured in every for value in measured[name])

    work = f"tick, nothing due, {dates * triggers:,} settled"
    yield Row(work, f"{AUTOFLOW}, later ticks", many("later_ticks"), "s", "poll included", goal=0.3)
    yield Row(work, f"{AUTOFLOW}, later ticks", many("later_decisions"), "s", "without the poll")
    yield Row(work, f"{AUTOFLOW}, first tick", one("first_tick"), "s", "poll included")
    yield Row(work, f"{AUTOFLOW}, first tick", one("first_decision"), "s", "without the poll")
    yield Row(work, f"{AUTOFLOW}, peak resident", one("peak_mb"), "MB", "the ticking process", goal=100)
    for new, some in found.items():
        values = tuple(measured["decision_with_new_dates"] for measured in some)
        yield Row(work, f"{AUTOFLOW}, and {new} new dates", values, "s", f"{new * triggers:,} due; without the poll")


def due(bench: Bench) -> Iterable[Row]:
    """A backlog of which every run is due: ticks that decide about it, and commands that look at all of it."""
    dates, triggers = (100, 10) if bench.quick else (3650, 500)
    directory, size = bench.directory / "due", ["--dates", str(dates), "--triggers", str(triggers)]
    backlog.in_process(directory, "write", backlog.ROOT, size)
    goals = {"first tick": 1.0, "later tick": 0.1, "seconds": 1.0, "peak MB": 100.0}
    for what in ("tick", "plan", "calendar --by year"):
        found = [backlog.in_process(directory, what, backlog.ROOT) for _ in range(bench.repeat)]
        for figure in found[0]:
            values = tuple(each[figure] for each in found)
            unit = "MB" if figure.endswith("MB") else "CPU s"
            yield Row(
                f"{dates * triggers:,} due runs: {what}", f"{AUTOFLOW}, {figure}", values, unit, goal=goals[figure]
            )


def commands(bench: Bench) -> Iterable[Row]:
    """Commands that people wait for."""
    workload = make(bench.directory / "commands", 1, realistic=False)
    environment = autoflow_environment(workload.inputs, bench.directory / "unused", bench.flowapi)
    goals = {"--help": 0.15, "--check": 0.35}
    found: dict[str, list[float]] = {argument: [] for argument in goals}
    for _ in range(3 * bench.repeat):
        for argument, values in found.items():
            values.append(alone.command_seconds([argument], environment))
    for argument, values in found.items():
        yield Row(f"autoflow {argument}", AUTOFLOW, tuple(values), "s", goal=goals[argument])


def idle(bench: Bench) -> Iterable[Row]:
    """The daemon between ticks, with all its processes."""
    workload = make(bench.directory / "idle", 1, realistic=False)
    bench.flowapi.set_days(1)
    minutes, stretches = (0.1, 1) if bench.quick else (2.0, 5)
    environment = autoflow_environment(workload.inputs, bench.directory / "idle-outputs", bench.flowapi)
    found = alone.idle_daemon(environment, stretches, minutes)
    note = f"stretches of {minutes:g} minutes; {max(one.processes for one in found)} process(es)"
    resident = tuple(one.resident_mb for one in found)
    yield Row("idle daemon: resident", AUTOFLOW, resident, "MB", note, goal=40)
    yield Row("idle daemon: PSS", AUTOFLOW, tuple(one.proportional_mb for one in found), "MB", note)
    wakeups = tuple(one.wakeups_a_minute for one in found)
    yield Row("idle daemon: wake-ups", AUTOFLOW, wakeups, "a minute", f"voluntary switches, {note}", goal=1)
    cpu = tuple(one.cpu_seconds_an_hour for one in found)
    yield Row("idle daemon: CPU", AUTOFLOW, cpu, "s an hour", f"extrapolated, counted in 10 ms; {note}", goal=1)


def report(bench: Bench) -> Iterable[Row]:
    """One report, against the tools that it needs on the same document."""
    found = report_seconds(bench.directory / "report", bench.repeat)
    tools = statistics.median(one.tools for one in found)
    work = "one report: 6 markdown cells, 2 plots, 2 tables"
    yield Row(work, AUTOFLOW, tuple(one.warm for one in found), "s", "a job that is forked, as in a tick")
    yield Row(work, f"{AUTOFLOW}, first of a tick", tuple(one.cold for one in found), "s", "a job started from nothing")
    yield Row(
        work, "pandoc once + asciidoctor-pdf", tuple(one.tools for one in found), "s", "its own theme, no nbconvert"
    )
    ratios = tuple(one.warm / one.tools for one in found)
    yield Row(work, f"{AUTOFLOW} / tools", ratios, "x", f"pair by pair; median of tools {tools:.3g} s", goal=1.2)


def in_turns(
    bench: Bench, rivals: Sequence[Contender], workload: Workload
) -> tuple[dict[str, list[Cost]], dict[str, str]]:
    """Measure contenders one after another, again and again, so that what disturbs the machine disturbs all.

    Each is let to execute one date before, so that what is made once, bytecode and databases, is there.

    Returns
    -------
    costs, failures
        By name; who fails is left out from then on, with the reason. Costs are of the whole workload, also of
        those who are measured with a part of it.
    """
    costs: dict[str, list[Cost]] = {rival.name: [] for rival in rivals}
    failures: dict[str, str] = {}
    try:
        for number in range(bench.repeat + (not bench.quick)):
            rehearsal = number == 0 and not bench.quick
            for rival in rivals:
                if rival.name in failures or len(costs[rival.name]) == rival.repeat:
                    continue
                part = Workload(workload.inputs, workload.dates[: 1 if rehearsal else rival.dates])
                try:
                    cost = fresh(rival, part).times(len(workload.dates) / len(part.dates))
                except subprocess.CalledProcessError as error:
                    failures[rival.name] = f"exit code {error.returncode}: {' '.join(error.output.splitlines()[-1:])}"
                    print(f"{rival.name} failed:\n{error.output}", file=sys.stderr)
                    continue
                except RuntimeError as error:
                    failures[rival.name] = str(error)
                    continue
                if not rehearsal:
                    costs[rival.name].append(cost)
                    # a section may take long: what there was stays to be seen when it is broken off
                    seconds = f"{cost.seconds:.2f} s, {cost.cpu_seconds:.2f} CPU s"
                    print(f"{number or 1}/{bench.repeat} {rival.name}: {seconds}", file=sys.stderr, flush=True)
    except (KeyboardInterrupt, SystemExit):
        bench.stopped.set()
    return costs, failures


def compared(
    work: str,
    workload: Workload,
    rivals: Sequence[Contender],
    costs: Mapping[str, Sequence[Cost]],
    failures: Mapping[str, str],
    goals: Mapping[str, float],
) -> Iterable[Row]:
    """Yield rows of seconds, the first contender's as what the others are compared with."""
    ours = [cost.seconds for cost in costs[rivals[0].name]]
    own = statistics.median(ours) if ours else None
    for rival in rivals:
        seconds = tuple(cost.seconds for cost in costs[rival.name])
        note = f"failed: {failures[rival.name]}" if rival.name in failures else rival.note
        if rival.dates is not None and rival.dates < len(workload.dates):
            note += f"; measured with {rival.dates} dates, and scaled"
        against = None if rival is rivals[0] else own
        yield Row(work, rival.name, seconds, "s", note, against, goals.get(rival.name))


SECTIONS: Mapping[str, Callable[[Bench], Iterable[Row]]] = {
    "cold": cold,
    "commands": commands,
    "warm": warm,
    "profile": profile,
    "report": report,
    "realistic": realistic,
    "trivial": trivial,
    "memory": memory,
    "tick": tick,
    "due": due,
    "idle": idle,
}
"""In this order: what is short comes first, so that a run that is broken off has much."""
