# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The executor: hands the runs that are due to free slots, while ticks go on deciding what is due."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from autoflow.capacity import (
    GROWS_EVERY,
    Capacity,
    Governor,
    Level,
    Needs,
    PoolInUse,
    Rules,
    Slots,
    asked_of_worker,
    reserve,
    waits_for,
    why_not,
)
from autoflow.code_version import RESTART, code_on_disk
from autoflow.context import Context
from autoflow.dates import Days, ListedDates
from autoflow.decision import judge_failures, missing_dates, triggers_by_run
from autoflow.definitions import MOST_HERE, Automatic, Concurrency, Definitions, Trigger, Workflow
from autoflow.errors import SettingsError, may_pass
from autoflow.progress import Counts
from autoflow.runs import AttemptState, Run, RunKey, Runs
from autoflow.sensor.quality import data_digest_of, quality_of
from autoflow.settings import read_token
from autoflow.wording import counted, first_few, size_text
from autoflow.workflows import Origin, execute

LACKING, ALL_THERE = "resources of runs", "workers: no run waits any more for what none of them has"
"""Name of the condition that no worker has what runs ask for, and what is said when it is over."""

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
    """How many may be in progress; 0 where no more start, since AutoFlow is stopping."""

    @property
    def total(self) -> int:
        return self.done + self.running + sum(self.waiting.values())


@dataclass(frozen=True)
class SlotsInUse:
    """How much goes on at a time, over all runs."""

    in_use: int
    """Notebooks and reports that are being made, and runs that are about to begin with one."""
    given: int
    """How many may be."""
    why: str = ""
    """What the next that waits is, and why it does not start, in words; empty where nothing waits."""
    pools: Mapping[str, PoolInUse] = field(default_factory=dict)


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
        """Set when a run has started or ended; who takes note of that clears it."""
        self.states: Counter[AttemptState] = Counter()
        """How the runs ended that this process has made."""
        self.stop = stop
        self._context = context
        self._watcher = watcher
        self._work = Work(Definitions({}, (), schedule=None), Runs(), ListedDates())
        self._running: dict[asyncio.Task[AttemptState | None], Run] = {}
        self._life: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._governor = Governor(context.machine, Needs(context.store.read.peaks))
        self._capacity = Capacity(self._changed.set, self._governor)
        self._capacity.why_busy = context.notebooks.busy
        self._looked, self._runs, self._notebooks = -math.inf, 1, 1
        self._put_back: set[RunKey] = set()
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
            0 if self.stop.is_set() else self._expected_at_a_time,
        )

    @property
    def slots(self) -> SlotsInUse:
        """How many notebooks may go on at a time, how many do, and why no more start; as it is now."""
        governed, pools = self._capacity.governed, self._capacity.pools()
        if governed:
            return SlotsInUse(self._governor.use(self._active).slots, self._room, self._why_no_more(), pools)
        apart = self._apart
        in_use = sum(not held.is_apart for held in self._governor.held) - apart
        return SlotsInUse(max(in_use, 0), self._notebooks - apart, self._why_no_more(), pools)

    def _why_no_more(self) -> str:
        if not self._wants_more:
            return ""
        what = "run" if self.waiting else "notebook"
        if self.stop.is_set():
            return f"{what} does not start: AutoFlow is stopping"
        if self.waiting:
            why = self._next()[1]
        elif self._capacity.governed:
            use, level = self._governor.use(self._active), self._governor.level
            why = why_not(self._governor.reading, use, level) or self._governor.why
        else:
            why = self._capacity.why_waits
        return why and f"{what} {why}"

    @property
    def _apart(self) -> int:
        """How many notebooks take none of the workers' slots, where these are what is counted."""
        is_counted = isinstance(self._work.definitions.concurrency, Automatic) and not self._capacity.governed
        return self._context.notebooks.apart if is_counted else 0

    @property
    def _room(self) -> int:
        """How many runs may be in progress."""
        return self._governor.level.slots if self._capacity.governed else self._runs

    @property
    def _expected_at_a_time(self) -> int:
        """How many runs will be in progress: as many as may, or fit into the memory where that is looked at."""
        first = self.waiting.first(lambda _: True)
        if not self._capacity.governed or first is None:
            return self._room
        need = self._governor.need(first.workflow.name, *_labels(first))
        return int(min(self._room, self._governor.fitting(self._governor.use(self._active), need)))

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

    @property
    def listed(self) -> ListedDates:
        """The dates by which it was decided what is due."""
        return self._work.listed

    def take_up(self, work: Work) -> None:
        """Let a decision take the place of the one before, and start what there is room for."""
        self._context.backlog.due = work.due.without(self._under_way)
        self._work, self._held, self.retry_at = work, False, work.retry_at
        self._fit()
        self._context.jobs.withhold(
            name for workflow in work.definitions.workflows.values() for name in workflow.secrets
        )
        for door in {self._context.jobs, self._context.notebooks}:
            door.keep_warm(preload_of(work.definitions))
        if not self.busy and self.waiting and not self.stop.is_set():
            # what the machine did hours ago says nothing of now
            self._before, self._looked = self.states.copy(), -math.inf
            self._governor.level = Level(cores_here())
            self._life = asyncio.create_task(self._live())
        self._changed.set()

    def resize(self, definitions: Definitions) -> None:
        """Let as much go on as other definitions say; what runs there are more is for the next decision."""
        old, workflows = self._work.definitions, definitions.workflows
        self._context.backlog.due = self.waiting.only(
            lambda each: each.days if each.workflow.name in workflows else Days()
        )
        self._work = replace(
            self._work,
            definitions=replace(old, concurrency=definitions.concurrency, pools=definitions.pools),
        )
        self._fit()
        self._changed.set()

    async def idle(self) -> None:
        """Wait until nothing is left to do. Cancellation interrupts the runs, a second one kills them."""
        if self._life is not None:
            await self._life

    async def _live(self) -> None:
        """Keep at hand what runs need for as long as there are any."""
        while not self.stop.is_set() and self._next()[0]:
            watched = self._watcher.kept() if self._watcher else nullcontext()
            preload = preload_of(self._work.definitions)
            async with self._context.jobs.warmth(preload), self._context.notebooks.warmth(preload), watched:
                await self._until_idle()
        # nobody looks at it until there is something to do again
        self._context.conditions.end("memory", "nothing is to run that needs memory")
        self._context.conditions.end(LACKING, ALL_THERE)
        self.news.set()

    async def _until_idle(self) -> None:
        try:
            while True:
                await self._look()
                self._start_due()
                self._tell_what_lacks()
                self._count()
                if not self._running:
                    return
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                waits_for = {*self._running, changed}
                try:
                    await asyncio.wait(waits_for, timeout=self._until_next_look, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                done = [task for task in self._running if task.done()]
                for task in done:
                    self._take_note(task)
                if done and self._work.again and not self.stop.is_set():
                    due = await self._work.again()
                    # what has become due takes its place in the order; what this leaves out waits for the next tick
                    self._context.backlog.due = due.without(self._under_way).then(self.waiting)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            for task in list(self._running):
                self._take_note(task)
            self._count()

    @property
    def _until_next_look(self) -> float | None:
        """In how many seconds the machine, or what workers there are, may decide what comes next; None: they do not."""
        # workers may come and go meanwhile, which changes what is told
        waits = self._wants_more or len(self._governor.held) > 1 or self._context.workers is not None
        if not isinstance(self._work.definitions.concurrency, Automatic):
            # a number stays as it is, but what a run waits for may come with a worker
            return GROWS_EVERY if self._wants_more and self._context.notebooks.slots is not None else None
        if not waits:
            return None
        return max(self._looked + GROWS_EVERY - asyncio.get_running_loop().time(), 0.0)

    @property
    def _wants_more(self) -> bool:
        here = self._capacity.here
        return bool(self.waiting) or self._capacity.slots.awaited or (here is not None and here.awaited)

    def _fit(self) -> None:
        """Let as much go on as workflows.yml says; where that is `auto`, as workers or this machine do."""
        definitions, door = self._work.definitions, self._context.notebooks
        concurrency, pools, workers = definitions.concurrency, definitions.pools, door.slots
        if isinstance(concurrency, Automatic) and workers is None and door.absence:
            # some may begin, and wait; how busy this machine is says nothing of that
            workers = cores_here()
        if isinstance(concurrency, Automatic) and workers is None:
            self._capacity.here = None
            rules = Rules(cores_here(), concurrency.most or MOST_HERE, is_default=concurrency.most is None)
            self._capacity.govern(rules, pools)
            return
        if isinstance(concurrency, Automatic):
            number = min(max((workers or 1) - door.apart, 1), concurrency.most or math.inf) + door.apart
            self._fit_here()
            concurrency = Concurrency(int(number), int(number))
        else:
            self._capacity.here = None
        self._runs, self._notebooks, self._capacity.governed = concurrency.runs, concurrency.notebooks, False
        self._context.conditions.end("memory", "the memory of this machine decides nothing now")
        self._capacity.why_full = self._why_full(concurrency.notebooks)
        self._capacity.resize(concurrency.notebooks, pools)

    def _fit_here(self) -> None:
        """Let this machine do beside the workers what is to be done here: reports, and notebooks with `place: here`."""
        if self._capacity.here is None:
            self._capacity.here = Slots(cores_here())

    async def _look(self) -> None:
        """See what the machine bears, now and then; where memory is short for long, put the youngest run back."""
        now = asyncio.get_running_loop().time()
        if now < self._looked + GROWS_EVERY:
            return
        self._looked = now
        if isinstance(self._work.definitions.concurrency, Automatic):
            self._fit()
        if not self._capacity.governed:
            # what workers have to give may be more by now
            self._capacity.slots.hand_out()
            return
        await self._context.jobs.measure()
        self._governor.look(now, wanted=self._wants_more, active=self._active)
        if self._governor.reading.is_first:
            # the use of the CPU is known with the next look, which need not wait as long
            self._looked -= GROWS_EVERY / 2
        self._tell_of_memory()
        if why := self._governor.put_back(now, self._governor.use(self._active)):
            holding = {held.run for held in self._governor.held}
            youngest = next((run for run in reversed(self._running.values()) if run.key in holding), None)
            if youngest and self._context.steering.put_back(youngest.key, why):
                self._put_back.add(youngest.key)
        self._capacity.slots.hand_out()

    @property
    def _active(self) -> list[RunKey]:
        """The runs in progress that do not only wait for a pool."""
        return [run.key for run in self._running.values() if not self._capacity.waits_for(run.key)]

    def _tell_of_memory(self) -> None:
        conditions, reading = self._context.conditions, self._governor.reading
        if self._governor.level.short_since is None:
            conditions.end("memory", "memory is no longer short")
        else:
            kept = size_text(reserve(reading))
            what = f"memory is short: AutoFlow keeps {kept} free, and less is left; no run starts until there is more"
            conditions.begin("memory", what, logging.WARNING)

    def _what_lacks(self, workflow: Workflow) -> str:
        """Say what a run of a workflow would wait for in vain."""
        return next(filter(None, map(self._context.notebooks.lacks, workflow.asked_of_workers())), "")

    def _tell_what_lacks(self) -> None:
        """Tell people which runs do not start since no worker has what they ask for."""
        waiting = {series.workflow.name: series.workflow for series in self.waiting.series}
        lacking = [f"{name} {why}" for name, workflow in waiting.items() if (why := self._what_lacks(workflow))]
        if lacking:
            self._context.conditions.begin(LACKING, f"workers: runs do not start: {first_few(lacking)}")
        else:
            self._context.conditions.end(LACKING, ALL_THERE)

    def _count(self) -> None:
        """Say how far the work is that has come since there was none."""
        done, running = self.states - self._before, len(self._running)
        failed = done[AttemptState.FAILED]
        total = done.total() + running + len(self.waiting)
        self._context.progress.count(Counts(done.total(), total, running, failed))

    def _next(self) -> tuple[Run | None, str]:
        """Find the first run that there is room for, or say why none starts."""
        governor, governed, room = self._governor, self._capacity.governed, self._room
        if self._held or not self.waiting:
            return None, ""
        use, waits = governor.use(self._active), [self._capacity.waits_for(run.key) for run in self.running]
        apart = sum(self._capacity.is_apart(run.key) for run in self.running)
        in_progress = use.slots if governed else sum(not pools for pools in waits) - apart
        if in_progress >= room:
            return None, why_not(governor.reading, use, governor.level) if governed else self._why_full(room)
        under_way = Counter(run.workflow.name for run in self.running)

        def obstacle(workflow: Workflow) -> str:
            if lacking := self._what_lacks(workflow):
                return lacking
            if workflow.concurrency is not None and under_way[workflow.name] >= workflow.concurrency:
                return f"waits for its workflow, which has {counted(workflow.concurrency, 'run')} at a time"
            awaited = [name for name in _needs(workflow, at_start=True) if self._capacity.awaited(name)]
            # what only waits for a pool, or a worker that has something, is in the way of those that need that too
            in_the_way = [names for names in waits if not names or not names.isdisjoint(_needs(workflow))]
            if not awaited and len(in_the_way) >= room:
                awaited = sorted(set[str]().union(*in_the_way).intersection(_needs(workflow)))
            return waits_for(awaited)

        run = self.waiting.first(lambda workflow: not obstacle(workflow))
        if run is None:
            first = self.waiting.first(lambda _: True)
            return None, obstacle(first.workflow) if first else ""
        why = governor.why_not(use, governor.need(run.workflow.name, *_labels(run))) if governed else ""
        return (None, why) if why else (run, "")

    def _why_full(self, number: int) -> str:
        """Say why no more start where workers have so many slots, or workflows.yml says so many."""
        if isinstance(self._work.definitions.concurrency, Automatic):
            theirs = number - self._context.notebooks.apart
            which = f"all {theirs} of the workers are" if theirs > 1 else "the only one of the workers is"
            return self._context.notebooks.absence or f"waits for a slot, {which} in use"
        which = f"all {number} are" if number > 1 else "the only one is"
        return f"waits for a slot, {which} in use; `concurrency` in workflows.yml says {number}"

    def _start_due(self) -> None:
        """Start what there is room for, in order."""
        work, context = self._work, self._context
        while not self.stop.is_set() and (run := self._next()[0]):
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
            self._governor.runs[run.key] = _labels(run)
            self.news.set()

    def _origin(self, run: Run, trigger: Trigger | None) -> Origin:
        """Say by what a run was decided."""
        listed, definitions = self._work.listed, self._work.definitions
        holds = definitions.holds_same_results(trigger)
        if trigger is None:
            return Origin(listed.listed(definitions.cdr_types), holds_same_results=holds)
        rule = definitions.data_rule(trigger)
        missing = missing_dates(definitions, trigger, run, listed, self._context.now())
        quality, digest = quality_of(run, rule, listed, missing), data_digest_of(run, rule, listed, missing)
        return Origin(listed.listed(rule.cdr_types), trigger.needs, quality, missing, holds, digest, rule.cdr_types)

    def _take_note(self, task: asyncio.Task[AttemptState | None]) -> None:
        """Take note of the end of a run, whatever it was, without harm to the others."""
        run, context = self._running.pop(task), self._context
        self._governor.runs.pop(run.key, None)
        context.ledger.forget(run.workflow.name, run.reference_date)
        if self._watcher:
            self._watcher.changed()
        self.news.set()
        if run.key in self._put_back:
            self._put_back.remove(run.key)
            if not task.cancelled() and not task.exception() and task.result() is AttemptState.INTERRUPTED:
                # it has not ended: it is the next
                context.backlog.due = Runs.of([run]).then(self.waiting)
                return
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


def _needs(workflow: Workflow, *, at_start: bool = False) -> Sequence[str]:
    """List the pools, and what is asked of workers, that notebooks of a workflow wait for where there is no room."""
    return [
        *workflow.pools(at_start=at_start),
        *map(asked_of_worker, workflow.asked_of_workers(at_start=at_start)),
    ]


def _labels(run: Run) -> Sequence[str]:
    return [notebook.label for notebook in run.workflow.notebooks]


def runs_at_a_time(definitions: Definitions) -> int:
    """Return how many runs go on at a time, or at least where workflows.yml leaves that to the machine."""
    concurrency = definitions.concurrency
    return (
        concurrency.runs if isinstance(concurrency, Concurrency) else min(cores_here(), concurrency.most or MOST_HERE)
    )


def cores_here() -> int:
    """Return how much goes on at a time whatever the CPU does: as many as cores, at most 4."""
    return min(len(os.sched_getaffinity(0)), 4)


def preload_of(definitions: Definitions) -> Sequence[str] | None:
    """Return the modules that warm kernels import ahead; None where there are to be no warm kernels."""
    return definitions.preload if definitions.warm else None


def names_of(runs: Iterable[Run], most: int = 3) -> str:
    """Write the first few of some runs."""
    names = [str(run) for run in islice(runs, most + 1)]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
