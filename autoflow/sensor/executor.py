# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The executor: hands the runs that are due to free slots, while ticks go on deciding what is due."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from autoflow.code_version import RESTART, code_on_disk
from autoflow.context import Context
from autoflow.dates import ListedDates
from autoflow.decision import incomplete_runs, judge_failures, triggers_by_run
from autoflow.definitions import Concurrency, Definitions, Trigger, Workflow
from autoflow.errors import SettingsError, may_pass
from autoflow.progress import Counts
from autoflow.runs import AttemptState, Run, RunKey, Runs
from autoflow.sensor.quality import quality_of
from autoflow.settings import read_token
from autoflow.wording import counted
from autoflow.workflows import Capacity, Origin, execute

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What a decision hands over."""

    definitions: Definitions
    due: Runs
    """Runs to be executed now, in order."""
    listed: ListedDates
    """The dates that were decided by, for the manifests of reports."""
    retry_at: dt.datetime | None = None
    """When the first of the failed runs that are not due yet will be."""
    again: Callable[[], Awaitable[Runs]] | None = None
    """Finds what is due once more when a run has succeeded; None where no run waits for another."""


@dataclass(frozen=True)
class Batch:
    """How far the runs are that are made without a pause between them."""

    done: int
    running: int
    waiting: Mapping[str, int]
    """How many are still to start, by workflow."""
    at_a_time: int

    @property
    def total(self) -> int:
        return self.done + self.running + sum(self.waiting.values())


class Watcher(Protocol):
    """Who wants to know how runs go on."""

    def changed(self) -> None:
        """Hear that a run has ended."""

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Return a context that lasts as long as runs go on."""


class Executor:
    """Executes what is due, as many runs at a time as is allowed, and lives as long as AutoFlow does.

    A decision replaces what waits and leaves alone what is in progress: a run keeps the workflow that it began
    with, and another ``concurrency`` counts from the next run on.

    Parameters
    ----------
    context
        The world of the runs.
    stop
        Once set, no further run starts.
    watcher
        Sends notifications of runs; None: nothing does.
    """

    def __init__(self, context: Context, stop: asyncio.Event, watcher: Watcher | None = None) -> None:
        self.retry_at: dt.datetime | None = None
        """When to decide again, since a failed run can be tried again; None when there is none."""
        self.news = asyncio.Event()
        """Set when a run has ended; who takes note of that clears it."""
        self.states: Counter[AttemptState] = Counter()
        """How the runs ended that this process has made."""
        self.stop = stop
        self._context = context
        self._watcher = watcher
        self._work = Work(Definitions({}, (), schedule=None), Runs(), ListedDates())
        self._running: dict[asyncio.Task[AttemptState | None], Run] = {}
        self._life: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._capacity = Capacity(self._changed.set)
        self._held = False
        self._before: Counter[AttemptState] = Counter()

    @property
    def batch(self) -> Batch | None:
        """How far the runs in progress and those after them are; None when there are none."""
        if not self.busy:
            return None
        return Batch(
            (self.states - self._before).total(),
            len(self._running),
            self.waiting.by_workflow(),
            concurrency_of(self._work.definitions).runs,
        )

    @property
    def busy(self) -> bool:
        """Whether runs are in progress or about to start."""
        return self._life is not None and not self._life.done()

    @property
    def running(self) -> list[Run]:
        """The runs in progress, in the order in which they started."""
        return list(self._running.values())

    @property
    def _under_way(self) -> dict[RunKey, dt.date]:
        return {run.key: run.reference_date for run in self._running.values()}

    @property
    def waiting(self) -> Runs:
        """The runs that are due and have not started, in order."""
        return self._context.backlog.due

    def take_up(self, work: Work) -> None:
        """Let a decision take the place of the one before, and start what there is room for."""
        self._context.backlog.due = work.due.without(self._under_way)
        self._work, self._held, self.retry_at = work, False, work.retry_at
        self._capacity.resize(concurrency_of(work.definitions).notebooks, work.definitions.pools)
        self._context.jobs.withhold(
            name for workflow in work.definitions.workflows.values() for name in workflow.secrets
        )
        for door in {self._context.jobs, self._context.notebooks}:
            door.keep_warm(preload_of(work.definitions))
        if not self.busy and self.waiting and not self.stop.is_set():
            self._before = self.states.copy()
            self._life = asyncio.create_task(self._live())
        self._changed.set()

    async def idle(self) -> None:
        """Wait until nothing is left to do. Cancellation interrupts the runs, a second one kills them."""
        if self._life is not None:
            await self._life

    async def _live(self) -> None:
        """Keep at hand what runs need for as long as there are any."""
        while not self.stop.is_set() and self._startable():
            watched = self._watcher.kept() if self._watcher else nullcontext()
            preload = preload_of(self._work.definitions)
            async with self._context.jobs.warmth(preload), self._context.notebooks.warmth(preload), watched:
                await self._until_idle()
        self.news.set()

    async def _until_idle(self) -> None:
        try:
            while True:
                self._start_due()
                self._count()
                if not self._running:
                    return
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait({*self._running, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                done = [task for task in self._running if task.done()]
                for task in done:
                    self._take_note(task)
                if done and self._work.again and not self.stop.is_set():
                    due = await self._work.again()
                    self._context.backlog.due = self.waiting.then(due.without(self._under_way))
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            for task in list(self._running):
                self._take_note(task)
            self._count()

    def _count(self) -> None:
        """Say how far the work is that has come since there was none."""
        done, running = self.states - self._before, len(self._running)
        failed = done[AttemptState.FAILED]
        total = done.total() + running + len(self.waiting)
        self._context.progress.count(Counts(done.total(), total, running, failed))

    def _startable(self) -> Run | None:
        """Find the first run that there is room for."""
        running = self._running.values()
        waits = [self._capacity.waits_for(run.key) for run in running]
        room = concurrency_of(self._work.definitions).runs
        if self._held or sum(not pools for pools in waits) >= room:
            return None
        under_way = Counter(run.workflow.name for run in running)

        def has_room(workflow: Workflow) -> bool:
            if workflow.concurrency is not None and under_way[workflow.name] >= workflow.concurrency:
                return False
            if any(self._capacity.pool(name).awaited for name in workflow.pools(at_start=True)):
                return False
            # what only waits for a pool is in the way of those alone that need the pool too
            return sum(not pools or not pools.isdisjoint(workflow.pools()) for pools in waits) < room

        return self.waiting.first(has_room)

    def _start_due(self) -> None:
        """Start what there is room for, in order."""
        work, context = self._work, self._context
        while not self.stop.is_set() and (run := self._startable()):
            if context.code != code_on_disk():
                context.conditions.begin("code", RESTART)
                self._held = True
                return
            try:
                # a long backlog may outlive the token that it began with
                token = read_token(context.settings, context.now())
            except SettingsError as error:
                context.conditions.begin("token", f"{error}")
                # the next decision is a tick's, which sees to the token first
                self._held, self.retry_at = True, context.now()
                return
            context.backlog.due = self.waiting.without({run.key: run.reference_date})
            trigger = next(triggers_by_run(work.definitions)(run.key, run.reference_date), None)
            origin = self._origin(run, trigger)
            making = execute(context, run, token, self._capacity, self.stop, origin)
            self._running[asyncio.create_task(making)] = run

    def _origin(self, run: Run, trigger: Trigger | None) -> Origin:
        """Say by what a run was decided."""
        listed, definitions = self._work.listed, self._work.definitions
        holds = definitions.holds_same_results(trigger)
        if trigger is None:
            return Origin(listed.listed(definitions.cdr_types), holds_same_results=holds)
        rule = definitions.data_rule(trigger)
        lacking = incomplete_runs(definitions, listed, self._context.now())(run)
        missing = lacking.missing if lacking else ()
        return Origin(listed.listed(rule.cdr_types), trigger.needs, quality_of(run, rule, listed), missing, holds)

    def _take_note(self, task: asyncio.Task[AttemptState | None]) -> None:
        """Take note of the end of a run, whatever it was, without harm to the others."""
        run, context = self._running.pop(task), self._context
        context.ledger.forget(run.workflow.name, run.reference_date)
        if self._watcher:
            self._watcher.changed()
        self.news.set()
        if task.cancelled():
            self.states[AttemptState.INTERRUPTED] += 1
        elif error := task.exception():
            # of a full disk there is nothing to trace
            trace = None if isinstance(error, Exception) and may_pass(error) else error
            logger.error("%s could not be started; the next tick retries it", run, exc_info=trace)
            context.conditions.begin("defect", f"{run} could not be started: {type(error).__name__}: {error}")
            self.states[AttemptState.INTERRUPTED] += 1
        elif (state := task.result()) is not None:
            self.states[state] += 1
            if state is AttemptState.FAILED:
                self._look_ahead(run)

    def _look_ahead(self, run: Run) -> None:
        """Note when a run that has just failed may be tried again, or say that it may not."""
        failures = self._context.store.read.failures(run.key)
        if failures is None:
            return
        verdict = judge_failures(failures, run.workflow.retries)
        if verdict.retry_at is None:
            logger.error("%s: given up after %s", run, counted(failures.attempts, "failed attempt"))
        else:
            self.retry_at = min(verdict.retry_at, self.retry_at or verdict.retry_at)


def concurrency_of(definitions: Definitions) -> Concurrency:
    """Return how much goes on at a time, on this machine where workflows.yml does not say."""
    cores = min(len(os.sched_getaffinity(0)), 4)
    return definitions.concurrency or Concurrency(runs=cores, notebooks=cores)


def preload_of(definitions: Definitions) -> Sequence[str] | None:
    """Return the modules that warm kernels import ahead; None where there are to be no warm kernels."""
    return definitions.preload if definitions.warm else None


def names_of(runs: Iterable[Run], most: int = 3) -> str:
    """Write the first few of some runs."""
    names = [str(run) for run in islice(runs, most + 1)]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
