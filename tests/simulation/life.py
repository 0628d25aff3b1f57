# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Lives one deployment through its months: starts AutoFlow, lets things happen, and starts it again when it ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from autoflow import app
from autoflow.context.context import Context
from autoflow.daemon import loop
from autoflow.daemon.loop import serve
from autoflow.errors import AutoflowError, DefinitionError, StoreError
from autoflow.model.store import RunStore
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.runs.runs import AttemptState
from autoflow.sensor import executor
from autoflow.settings.settings import load_settings
from autoflow.system.notifier import Notifier
from tests.clock import Clock, HeldLoop
from tests.simulation import oracle
from tests.simulation.files import Crash, Files
from tests.simulation.jobs import Observed, SimulatedJobs
from tests.simulation.world import DAY, HOUR, START, Event, World

CODE = "the same"

LONGEST_NAP = 4 * 3600.0
"""Seconds after which AutoFlow looks at the clock, which may have been set."""

MOST_TURNS, MOST_STEPS = 5_000, 300_000
"""Turns of the loop that may come at one moment, and in all lives."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass
class Simulation:
    """All lives of one deployment."""

    world: World
    observed: Observed = field(default_factory=Observed)
    steps: int = 0
    """Turns of the event loop."""
    log: list[str] = field(default_factory=list)
    now: dt.datetime = START
    began_at_the_earliest: dict[tuple[str, str], dt.datetime] | None = None
    """When the data of each run was there; kept, since no edit changes it."""
    defect: str = ""
    """What AutoFlow logged with a traceback, which it does of defects of its own."""

    def run(self) -> None:
        """Live until the end.

        Raises
        ------
        ViolationError
            Saying what does not hold, and when.
        """
        # each takes longer than a simulated day, and its answer is the same each time
        with (
            hearing(self),
            patch.object(loop, "give_memory_back", lambda: None),
            patch.object(loop, "code_on_disk", lambda: CODE),
            patch.object(executor, "code_on_disk", lambda: CODE),
        ):
            while self.world.events:
                self.now = Life(self).live()

    def fail(self, message: str) -> None:
        raise ViolationError(f"seed {self.world.seed}, {self.now:%Y-%m-%d %H:%M}: {message}")


class Life:
    """One AutoFlow, from its start to its end, however that comes."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.world = simulation, simulation.world
        self.loop = SimulatedLoop()
        self._turns, self._turned_at = 0, -1.0
        self.true = Clock(simulation.now, self.loop)
        self.clock = Clock(simulation.now, self.loop)
        """What the machine's clock shows, which may be wrong."""
        self.files = Files(str(self.world.outputs), lambda: self.world.is_full(self.true()))
        self.loop.before_select = self._turn
        self.random = Random(f"{self.world.seed} {simulation.now}")

    def live(self) -> dt.datetime:
        """Start AutoFlow, and give the time at which the next one starts."""
        settings = load_settings(self.world.environment, docker_secrets=self.world.secrets)
        jobs = partial(SimulatedJobs, self.world, self.clock, self.simulation.observed, settings.work_dir / "jobs")
        opened = app.open_context(settings, self.world.environment, Progress())
        with patch.object(app, "Jobs", lambda *_, **__: jobs()), patch.object(app, "Context", self._context):
            try:
                definitions = read_definitions(settings.workflows_file)
                context = opened.__enter__()
            except (AutoflowError, OSError, sqlite3.Error) as error:
                self.world.drawn["start that fails"] += 1
                self.simulation.log.append(f"does not start: {error}")
                if isinstance(error, DefinitionError) and "filenam" not in str(error):
                    raise
                self.loop.close()
                return self._pass(HOUR)
        self.files.on_crash = lambda: self._pull_the_plug(context.store)
        try:
            self.loop.run_until_complete(self._main(context, definitions))
        except BaseException as error:
            if not self.files.dead:
                self.files.crash()
            self._bury(opened)
            if not isinstance(error, Crash):
                raise
            return self.true() + self.random.uniform(0, 6) * HOUR
        else:
            opened.__exit__(None, None, None)
            return self.true() + self.random.uniform(0, 3) * HOUR
        finally:
            self.loop.close()

    def _context(self, **parts: Any) -> Context:
        store = parts["store"]
        store.__class__ = SimulatedStore
        store.files, store.is_full, store.limited = self.files, lambda: self.world.is_full(self.true()), False
        # in this machine no power is cut: a commit need not reach a disk
        store._connection.execute("PRAGMA synchronous = OFF")
        return Context(**parts, now=self.clock, longest_nap=LONGEST_NAP, code=CODE)

    def _pass(self, time: dt.timedelta) -> dt.datetime:
        """Let time go by in which no AutoFlow lives."""
        end = self.simulation.now + time
        while self.world.events and self.world.events[0].at <= end:
            event = self.world.events.pop(0)
            happen = getattr(self, f"_{event.kind.replace(' ', '_')}", None)
            if event.kind in OF_THE_WORLD and happen:
                happen(None, event)
        return end

    async def _main(self, context: Context, definitions: Any) -> None:
        serving = asyncio.create_task(serve(context, definitions, Notifier({})))
        await asyncio.sleep(0.001)
        while self.world.events:
            event = self.world.events[0]
            left = (event.at - self.true()).total_seconds()
            if left > 0:
                await asyncio.wait({serving}, timeout=left)
                if serving.done():
                    self.simulation.fail(f"AutoFlow ended by itself: {serving}")
                continue
            self.world.events.pop(0)
            self.simulation.now = self.true()
            self.simulation.log.append(f"{self.true():%m-%d %H:%M} --- {event.kind}")
            if event.kind in ("restart", "end"):
                self.world.drawn[event.kind] += 1
                self._signal(signal.SIGTERM)
                await serving
                if event.kind == "end":
                    oracle.check_end(self, context)
                return
            getattr(self, f"_{event.kind.replace(' ', '_')}")(context, event)

    def _signal(self, number: signal.Signals) -> None:
        if signal.getsignal(number) is signal.SIG_DFL:
            self.simulation.fail(f"{number.name} would end the process")
        os.kill(os.getpid(), number)

    def _turn(self) -> None:
        self.simulation.steps += 1
        if self._turned_at == self.loop.time():
            self._turns += 1
        else:
            self._turns, self._turned_at, self.simulation.now = 0, self.loop.time(), self.true()
        if self._turns > MOST_TURNS or self.simulation.steps > MOST_STEPS:
            self.simulation.fail(f"the loop turns without end: {asyncio.all_tasks(self.loop)}")
        if self.files.dead:
            raise Crash

    def _pull_the_plug(self, store: RunStore) -> None:
        """End what the operating system ends with a process: what is not committed is gone, the lock is free."""
        store._connection.close()
        store._lock.release()

    def _bury(self, opened: AbstractContextManager[Context]) -> None:
        """Let go of the tasks of a life that has ended, while nothing that they do counts."""
        self.loop.set_exception_handler(lambda *_: None)
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            for _ in range(8):
                # each try ends one more `finally` that awaits
                try:
                    coroutine.close()  # type: ignore[union-attr]
                except BaseException:  # noqa: BLE001
                    continue
                break
        with suppress(BaseException):
            opened.__exit__(Crash, Crash(), None)

    # what may happen, by the name of the event

    def _check(self, context: Context, event: Event) -> None:
        oracle.check(self, context)

    def _crash(self, context: Context, event: Event) -> None:
        self.world.drawn["crash"] += 1
        self.files.crash()

    def _crash_in_a_file(self, context: Context, event: Event) -> None:
        self.world.drawn["crash in a file"] += 1
        self.files.changes_left = event.value % 40

    def _renew(self, context: Context | None, event: Event) -> None:
        self.world.write_token(self.world.end + 40 * DAY)

    def _reload(self, context: Context, event: Event) -> None:
        self._signal(signal.SIGHUP)

    def _second(self, context: Context, event: Event) -> None:
        with suppress(StoreError):
            RunStore(context.settings.db_path)
            self.simulation.fail("a second AutoFlow could hold the same record")

    def _clock_ahead(self, context: Context, event: Event) -> None:
        self.world.drawn["clock step"] += 1
        self.clock.set((1 + event.value % 400) * DAY)

    def _clock_back(self, context: Context, event: Event) -> None:
        self.world.drawn["clock step"] += 1
        self.clock.set(-(1 + event.value % 100) * HOUR)

    def _end_of_clock_ahead(self, context: Context, event: Event) -> None:
        self.clock.set(self.true() - self.clock())

    _end_of_clock_back = _end_of_clock_ahead

    def _edit(self, context: Context, event: Event) -> None:
        draw = Random(event.value)
        workflow = draw.choice(self.world.config["workflows"])
        workflow["retries"] = {"attempts": draw.randint(1, 4), "pause": "1h"}
        self.world.config["available_dates_sensor"]["order"] = draw.choice(("newest", "oldest"))
        self.world.write_definitions(self.world.config)
        self.world.drawn["edit"] += 1

    def _invalid_edit(self, context: Context, event: Event) -> None:
        file = self.world.inputs / "workflows.yml"
        file.write_text(file.read_text().replace("filename", "filenam", 1))
        self.world.drawn["invalid edit"] += 1

    def _end_of_invalid_edit(self, context: Context | None, event: Event) -> None:
        self.world.write_definitions(self.world.config)

    def _rerun(self, context: Context, event: Event) -> None:
        runs = [
            run for run in context.store.read.attempts() if run.state is not AttemptState.RUNNING and run.parameters
        ]
        if runs:
            run = runs[event.value % len(runs)]
            self.world.asked.add(run.key)
            self._order(context, "run", runs=[{"workflow": run.workflow, "parameters": run.parameters}])

    def _repair(self, context: Context, event: Event) -> None:
        newest = {run.key: run for run in sorted(context.store.read.attempts(), key=lambda run: run.id)}
        failed = [run for run in newest.values() if run.state in (AttemptState.FAILED, AttemptState.INTERRUPTED)]
        if failed:
            run = failed[event.value % len(failed)]
            self.world.asked.add(run.key)
            self._order(context, "run", runs=[{"workflow": run.workflow, "parameters": run.parameters}], repairs=run.id)

    def _backfill(self, context: Context, event: Event) -> None:
        self._rerun(context, event)

    def _cancel(self, context: Context, event: Event) -> None:
        if running := context.steering.running():
            self._order(context, "cancel", run=running[event.value % len(running)], reason="a drawn one")

    def _skip(self, context: Context, event: Event) -> None:
        self._order(context, "skip", **self._dates(event), reason="a drawn one")

    def _unskip(self, context: Context, event: Event) -> None:
        skips = context.store.read.skips().skips
        if skips:
            skip = list(skips)[event.value % len(skips)]
            self._order(context, "unskip", workflow=skip.workflow, dates=[skip.reference_date.isoformat()])

    def _quiet(self, context: Context, event: Event) -> None:
        """Let people take back what they have kept from running."""
        for skip in context.store.read.skips().skips:
            self._order(context, "unskip", workflow=skip.workflow, dates=[skip.reference_date.isoformat()])

    def _dates(self, event: Event) -> dict[str, Any]:
        draw = Random(event.value)
        workflow = draw.choice(self.world.config["workflows"])["name"]
        return {"workflow": workflow, "dates": [(self.true() - draw.randint(0, 5) * DAY).date().isoformat()]}

    def _order(self, context: Context, do: str, **rest: Any) -> None:
        self.world.drawn[do] += 1
        answer = context.steering.carry_out({"do": do, **rest}, self.clock())
        self.simulation.log.append(f"{do} {rest}: {answer}")


OF_THE_WORLD = frozenset({"renew", "end of invalid edit"})
"""Events that happen whether AutoFlow lives or not."""


class SimulatedLoop(HeldLoop):
    """A loop without threads: what would be done in one is done at once, and always in the same order."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whoever awaits it handles it
            future.set_exception(error)
        return future


class SimulatedStore(RunStore):
    """The real store, on a disk that may be full and in a machine that may stop before and after each transaction."""

    files: Files
    is_full: Any
    limited: bool

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        self.files.about_to_change(self.path, grows=False)
        if (full := self.is_full()) or self.limited:
            limit = self._connection.execute("PRAGMA page_count").fetchone()[0] if full else 2**30
            self._connection.execute(f"PRAGMA max_page_count = {limit}")
            self.limited = full
        with super()._transaction() as cursor:
            yield cursor
        self.files.about_to_change(self.path, grows=False)


@contextmanager
def hearing(simulation: Simulation) -> Iterator[None]:
    """Keep the log, and let a defect that AutoFlow has logged of itself end the simulation."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if Files.current is not None and Files.current.dead:
                return
            simulation.log.append(f"{simulation.now:%m-%d %H:%M} {record.levelname[0]} {record.getMessage()}")
            # on a full disk whatever is tried may fail, and says how
            if record.exc_info and not simulation.world.is_full(simulation.now):
                simulation.log.append(logging.Formatter().formatException(record.exc_info))
                simulation.defect = simulation.defect or record.getMessage()

    handler, logger = Handler(), logging.getLogger("autoflow")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
