# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Measure, and write a table and a picture: ``python -m benchmarks [--quick] [--only SECTION ...]``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from autoflow.demo_flowapi import FlowapiStandin
from benchmarks import contenders, machine
from benchmarks.measure import Quiet, adopt_orphans
from benchmarks.sections import SECTIONS, Bench
from benchmarks.table import HEADER, Row, line, write

RESULTS = Path(__file__).parent / "results"
BUSY = 0.1
"""Cores that others may keep busy, before figures are doubted."""


def main() -> int:
    """Measure what was requested; 1 when a section of AutoFlow's could not be measured."""
    options = build_parser().parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    adopt_orphans()
    # so that temporary directories go when it is told to stop
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory, FlowapiStandin(days=0) as flowapi:
        bench = Bench(
            directory=Path(directory),
            flowapi=flowapi,
            venvs=(options.venvs or Path(directory) / "venvs").absolute(),
            repeat=options.repeat or (1 if options.quick else 5),
            dates=2 if options.quick else 20,
            quick=options.quick,
        )
        return measure(bench, options)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few dates, one repetition: does it work at all?")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--repeat", type=int, help="how often each is measured, in turns (5)")
    parser.add_argument("--cores", type=int, default=2, help="how many cores all of it may use at most (2)")
    parser.add_argument("--venvs", type=Path, help="keep contenders' virtual environments here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where table, figures and picture go")
    parser.add_argument("--machine", help="name of this machine in the files' names")
    return parser


def measure(bench: Bench, options: argparse.Namespace) -> int:
    """Measure section by section; what there is is written after each."""
    sections = options.only or list(SECTIONS)
    name = options.machine or f"{machine.cores()}-cores"
    # what is not the whole does not take the place of the whole
    part = "-".join([*(["quick"] if bench.quick else []), *(options.only or [])])
    stem = options.results / "-".join(filter(None, [machine.today(), name, part]))
    conditions = {
        "date": machine.today(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "repetitions": f"{bench.repeat}, in turns; seconds are wall time",
    }
    if "trivial" in sections:
        # minutes of pip are not to warm the machine in the middle
        contenders.prepare(bench.venvs)
    quiet = Quiet.from_now_on()
    found: list[Row] = []
    failed = False
    print(HEADER)
    for section in sections:
        try:
            for measured in SECTIONS[section](bench):
                # the goals are of the whole size
                row = replace(measured, goal=None) if bench.quick else measured
                print(line(row), flush=True)
                found.append(row)
                failed |= row.who == "AutoFlow" and not row.values
        except Exception as error:  # noqa: BLE001  # an hour of other sections is not thrown away
            failed = True
            found.append(Row(section, "AutoFlow", (), "", f"failed: {error}"))
            print(line(found[-1]), flush=True)
        peers = [contenders.versions(bench.venvs, peer) for peer in ("prefect", "ploomber")]
        conditions["versions of peers"] = "; ".join(filter(None, peers)) or "none measured"
        conditions["cores that others kept busy meanwhile"] = f"{quiet.others():.2f}"
        write(stem, found, conditions)
        if bench.stopped.is_set():
            print("stopped; what was measured is kept", file=sys.stderr)
            return 1
    if quiet.others() > BUSY:
        print(
            f"others kept {quiet.others():.1f} cores busy meanwhile: measure again on a quiet machine", file=sys.stderr
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
