# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""About how long runs take that are due and in progress: one estimate, for the plan and for pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autoflow.definitions import Definitions
from autoflow.model import RunReader


@dataclass(frozen=True)
class PoolLoad:
    """A pool, and the notebooks that need a place in it."""

    places: int
    notebooks: Sequence[Sequence[str]]
    """Workflow and label of each."""


@dataclass(frozen=True)
class Load:
    """What is to be done."""

    waiting: Mapping[str, int]
    """Runs that have not begun, by workflow."""
    running: Sequence[tuple[str, float]]
    """Of each run in progress, its workflow and the seconds that it has taken, without waiting."""
    at_a_time: int
    """How many runs go on at a time, as slots and memory allow."""
    pools: Sequence[PoolLoad] = field(default_factory=list)


def pool_loads(definitions: Definitions, workflows: Iterable[str]) -> list[dict[str, Any]]:
    """List the pools that notebooks of some workflows need a place in, each as `PoolLoad` has it."""
    found: dict[str, list[list[str]]] = {}
    for name in workflows:
        workflow = definitions.workflows.get(name)
        for notebook in workflow.notebooks if workflow else ():
            if notebook.pool is not None and notebook.pool in definitions.pools:
                found.setdefault(notebook.pool, []).append([name, notebook.label])
    return [{"places": definitions.pools[pool], "notebooks": notebooks} for pool, notebooks in found.items()]


def seconds_left(reader: RunReader, load: Load) -> float | None:
    """Estimate when all is done, from the medians of the last successes; None where no workflow has one.

    What has never succeeded is taken to last as long as the others do on average. The slots, the longest single run,
    and each pool say how long it takes at least; what takes longest counts. That a pool is idle at times, that a run's
    notebooks go on side by side, and that the machine may bear more or less later, is not looked at.
    """
    names = {*load.waiting, *(name for name, _ in load.running)}
    usual = {name: length for name in names if (length := reader.durations(name)) is not None}
    if not usual:
        return None
    typical = sum(usual.values()) / len(usual)
    left = [max(usual.get(name, typical) - elapsed, 0.0) for name, elapsed in load.running]
    waiting = {name: (number, usual.get(name, typical)) for name, number in load.waiting.items() if number}
    number = max(1, min(load.at_a_time, sum(load.waiting.values()) + len(left)))
    work = sum(runs * length for runs, length in waiting.values()) + sum(left)
    longest = max([*left, *(length for _, length in waiting.values())], default=0.0)
    return max(work / number, longest, *(_of_pool(reader, load, pool) for pool in load.pools), 1.0)


def _of_pool(reader: RunReader, load: Load, pool: PoolLoad) -> float:
    """Say how long the notebooks of a pool take at least; what those of runs in progress still need is not known."""
    workflows = {workflow for workflow, _ in pool.notebooks if load.waiting.get(workflow)}
    usual = {workflow: reader.notebook_lengths(workflow) for workflow in workflows}
    needed = (
        load.waiting[workflow] * usual[workflow].get(label, 0.0)
        for workflow, label in pool.notebooks
        if workflow in workflows
    )
    return sum(needed) / pool.places
