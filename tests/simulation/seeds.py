# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Living the lives of many seeds, on all cores."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.simulation.life import Simulation, ViolationError
from tests.simulation.mutations import MUTATIONS
from tests.simulation.world import DAYS, World

QUICK = "/dev/shm"
"""A file system in memory: the record is synced to disk thousands of times."""


def live(seed: int, days: int = DAYS) -> tuple[Simulation, BaseException | None]:
    """Live all lives of a seed; the error is what did not hold."""
    with tempfile.TemporaryDirectory(dir=QUICK if os.access(QUICK, os.W_OK) else None) as root:
        simulation = Simulation(World(seed, Path(root), days))
        try:
            simulation.run()
        except (ViolationError, Exception) as error:  # noqa: BLE001  # whatever it is, it is told with its seed
            return simulation, error
    return simulation, None


def try_seed(seed: int, days: int = DAYS) -> tuple[int, str, int, Counter[str]]:
    """Live a seed in a process of a pool, and say how it went."""
    simulation, error = live(seed, days)
    told = "" if error is None else "".join(traceback.format_exception_only(error)).strip()
    return seed, told, simulation.steps, simulation.world.drawn


def try_seeds(seeds: Iterable[int], days: int = DAYS) -> tuple[dict[int, str], int, Counter[str]]:
    """Live many seeds, on all cores."""
    failures, steps, drawn = {}, 0, Counter[str]()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for seed, told, taken, of_kind in pool.map(try_seed, seeds, [days] * len(list(seeds)), chunksize=4):
            steps, drawn = steps + taken, drawn + of_kind
            if told:
                failures[seed] = told
                print(f"{told}\n  again: python -m tests.simulation --seed {seed} --days {days} --log", flush=True)
    return failures, steps, drawn


def find(name: str, seeds: int, days: int) -> tuple[str, int | None, str]:
    """Plant a fault, and give the first seed that finds it and what that says."""
    with MUTATIONS[name]():
        for seed in range(1, seeds + 1):
            _, error = live(seed, days)
            if error is not None:
                return name, seed, "".join(traceback.format_exception_only(error)).strip()
    return name, None, "not found"


def plant(seeds: int, days: int) -> int:
    """Plant each fault by itself, on all cores."""
    missed = 0
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        finding = [pool.submit(find, name, seeds, days) for name in MUTATIONS]
        for found in as_completed(finding):
            name, seed, told = found.result()
            missed += seed is None
            print(f"{name}: {f'seed {seed}: ' if seed else ''}{told[:200]}", flush=True)
    return int(bool(missed))
