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
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from autoflow import app
from autoflow.commands import steering
from autoflow.context.conditions import Conditions
from autoflow.context.context import Context
from autoflow.daemon import loop
from autoflow.daemon.loop import Agenda, serve
from autoflow.errors import AutoflowError, DefinitionError, StoreError
from autoflow.machine import Reading
from autoflow.messages import messenger
from autoflow.model.reader import RunReader, Skip
from autoflow.model.recorded import RecordedAttempt, RecordedNotebook
from autoflow.model.retention import Removal
from autoflow.model.store import Attempt, RunStore
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.runs.runs import AttemptState, Failure, Run, recorded_run
from autoflow.sensor import executor, sensor
from autoflow.settings.settings import load_settings
from autoflow.system.notifier import Notifier
from autoflow.web import index_page
from autoflow.web.metrics import Metrics
from autoflow.web.page_cache import DaemonState, PageCache
from tests.clock import Clock, HeldLoop
from tests.simulation import oracle, shown, starts
from tests.simulation.files import Crash, Files
from tests.simulation.jobs import Observed, SimulatedJobs
from tests.simulation.world import DAY, HOUR, START, Event, World

CODE = "the same"
DECIDE = sensor._decide

MACHINE = Reading(cores=2, busy=0.5, cpu_pressure=0, memory=8000, free=6000, memory_pressure=0)
"""Most of the time; now and then it is busy, or memory is short."""

LONGEST_NAP = 4 * 3600.0
"""Seconds after which AutoFlow looks at the clock, which may have been set."""

BETWEEN_LOOKS, BETWEEN_INDEXES = 30.0, 120.0
"""Seconds between two looks at the machine, and between two index pages: simulated notebooks take minutes."""

PLANS_CHECKED = 0.3
"""How many of the decisions are compared with their plan, which takes as long as all else that is done in a tick."""

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
    violation: str = ""
    """What did not hold, the first time."""
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
            patch.object(executor, "GROWS_EVERY", BETWEEN_LOOKS),
            patch.object(index_page, "PAUSE", BETWEEN_INDEXES),
        ):
            while self.world.events:
                self.now = Life(self).live()

    def fail(self, message: str) -> None:
        # what AutoFlow itself calls may catch it
        self.violation = self.violation or f"seed {self.world.seed}, {self.now:%Y-%m-%d %H:%M}: {message}"
        raise ViolationError(self.violation)


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
        self.agenda: Agenda
        self.aimed: list[Callable[[], None]] = []
        self.failing: list[Event] = []
        """Repairs that wait for a run to fail."""
        self.listed: Any = None
        """The dates that were last decided by."""
        self.decided = simulation.now
        """When that was, by the machine's clock."""
        self.metrics: Metrics
        self.context: Context
        self.observer: sqlite3.Connection
        """Sees what others would see of the record."""
        self.ended: Counter[AttemptState] = Counter()
        """Attempts that had ended when this life began, or have since."""

    def live(self) -> dt.datetime:
        """Start AutoFlow, and give the time at which the next one starts."""
        settings = load_settings(self.world.environment, docker_secrets=self.world.secrets)
        jobs = partial(SimulatedJobs, self.world, self.clock, self.simulation.observed, settings.work_dir / "jobs")
        opened = app.open_context(settings, self.world.environment, Progress())
        with (
            patch.object(app, "Jobs", lambda *_, **__: jobs()),
            patch.object(app, "Context", self._context),
        ):
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
        self.context = context
        self.metrics = Metrics(context, PageCache(context, lambda: DaemonState(self.clock(), definitions)))
        self.ended.update(context.store.read.counts())
        try:
            reader = SharedReader(context.store._connection, settings.places)
            with (
                patch.object(loop, "Agenda", self._agenda),
                patch.object(sensor, "_decide", self._decide),
                patch.object(loop, "open_for_reading", lambda *_: reader),
                patch.object(messenger, "open_for_reading", lambda *_: reader),
            ):
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
            self.observer.close()
            self.loop.close()

    def committed(self) -> int:
        """Give a number that is another one once another change is in the record for good."""
        (version,) = self.observer.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _context(self, **parts: Any) -> Context:
        store = parts["store"]
        store.__class__ = SimulatedStore
        store.life, store.limited = self, False
        self.observer = sqlite3.connect(f"file:{quote(str(store.path))}?mode=ro", uri=True, isolation_level=None)
        # in this machine no power is cut: a commit need not reach a disk
        store._connection.execute("PRAGMA synchronous = OFF")
        parts["conditions"] = Conditions(self.clock)
        return Context(**parts, machine=self._machine, now=self.clock, longest_nap=LONGEST_NAP, code=CODE)

    def _machine(self) -> Reading:
        """Look at the machine, which for every other seed is another one every five minutes."""
        draw = Random(f"{self.world.seed} {self.true().timestamp() // 300}")
        if self.world.seed % 2 == 0 or draw.random() < 0.5:
            return MACHINE
        self.world.drawn["machine that is busy or has little memory"] += 1
        return replace(MACHINE, busy=draw.choice((0.5, 2.0, None)), free=draw.choice((200, 900, 6000, None)))

    def _agenda(self, *values: Any, **named: Any) -> Agenda:
        self.agenda = Agenda(*values, **named)
        return self.agenda

    async def _decide(self, context: Context, definitions: Any, listed: Any, *, patient: bool) -> Any:
        """Decide as AutoFlow does, and see that its plan would have been the same."""
        decided = self.clock()
        decision = await DECIDE(context, definitions, listed, patient=patient)
        self.listed, self.decided = listed, decided
        shown.check_order(self, context, definitions, decision)
        if self.random.random() < PLANS_CHECKED:
            shown.check_plan(self, context, definitions, decision)
        return decision

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
            if event.kind in AIMED and event.value % 3 and not context.steering.running():
                self.aimed.append(partial(self._happen, context, event))
                continue
            if event.kind == "repair" and event.value % 3:
                self.failing.append(event)
                continue
            self.simulation.log.append(f"{self.true():%m-%d %H:%M} --- {event.kind}")
            if event.kind in ("restart", "end"):
                self.world.drawn[event.kind] += 1
                self._signal(signal.SIGTERM)
                await serving
                if event.kind == "end":
                    oracle.check_end(self, context)
                return
            getattr(self, f"_{event.kind.replace(' ', '_')}")(context, event)

    def _happen(self, context: Context, event: Event) -> None:
        self.simulation.log.append(f"{self.true():%m-%d %H:%M} --- {event.kind}")
        getattr(self, f"_{event.kind}")(context, event)

    def hit(self) -> None:
        """Let happen soon what was to happen when a run is in progress."""
        for happen in self.aimed:
            # at the end nobody cancels: who would ask for that run again?
            if self.true() < self.world.quiet_from - HOUR:
                self.loop.call_later(self.random.uniform(0, 400), happen)
        self.aimed.clear()

    def failed(self, context: Context) -> None:
        """Let somebody repair soon what has failed just now: later it has often been tried again by itself."""
        for event in self.failing:
            self.loop.call_later(self.random.uniform(0, 400), partial(self._happen, context, event))
        self.failing.clear()

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
        if self.simulation.violation:
            raise ViolationError(self.simulation.violation)
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

    def _trigger_away(self, context: Context, event: Event) -> None:
        self.world.away = self.world.config["available_dates_sensor"]["workflows"].pop(event.value)
        self.world.write_definitions(self.world.config)
        self.world.drawn["trigger away"] += 1

    def _end_of_trigger_away(self, context: Context | None, event: Event) -> None:
        if self.world.away is not None:
            self.world.config["available_dates_sensor"]["workflows"].insert(event.value, self.world.away)
            self.world.away = None
            self.world.write_definitions(self.world.config)

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
            depending = self._depending(context, run) if event.value % 2 else []
            self.world.asked.update([run.key, *(each.key for each in depending)])
            wanted = [(run.workflow, run.parameters), *((each.workflow.name, each.parameters) for each in depending)]
            self._order(context, "run", runs=[{"workflow": name, "parameters": values} for name, values in wanted])

    def _depending(self, context: Context, attempt: RecordedAttempt) -> list[Run]:
        """Find what `autoflow rerun --downstream` would run again, too."""
        definitions = self.agenda.definitions
        workflow = definitions.workflows[attempt.workflow]
        run = recorded_run(workflow, attempt.parameters or {}, attempt.parameters_hash)
        found, _, _ = steering._depending(definitions, context.store.read, [run], at_work=True)
        self.world.drawn["run that depends on one that is run again"] += len(found)
        return found

    def _repair(self, context: Context, event: Event) -> None:
        newest = {run.key: run for run in sorted(context.store.read.attempts(), key=lambda run: run.id)}
        failed = [run for run in newest.values() if run.state in (AttemptState.FAILED, AttemptState.INTERRUPTED)]
        if failed:
            run = failed[-1 if event.value % 3 else event.value % len(failed)]
            self.world.asked.add(run.key)
            self.world.repaired.add(run.key)
            wanted = {"workflow": run.workflow, "parameters": run.parameters}
            self._order(context, "run", runs=[wanted], repairs=run.run)

    def _backfill(self, context: Context, event: Event) -> None:
        self._rerun(context, event)

    def _cancel(self, context: Context, event: Event) -> None:
        if running := context.steering.running():
            number = running[event.value % len(running)]
            self.world.cancelled.add(number)
            self._order(context, "cancel", run=number, reason="a drawn one")

    def _skip(self, context: Context, event: Event) -> None:
        self._order(context, "skip", **self._dates(event), reason="a drawn one")

    def _unskip(self, context: Context, event: Event) -> None:
        if skips := context.store.read.skips().skips:
            self._run_again(context, skips[event.value % len(skips)])

    def _quiet(self, context: Context, event: Event) -> None:
        """Let people take back what they have kept from running."""
        self.files.changes_left = None
        self.world.put_secret()
        for skip in context.store.read.skips().skips:
            self._run_again(context, skip)
        for workflow, date in context.store.read.overrides():
            self._decide_of("unhold", workflow, date)

    def _run_again(self, context: Context, skip: Skip) -> None:
        date = skip.reference_date.isoformat()
        self.world.unskipped.add((skip.workflow, date))
        self._order(context, "unskip", workflow=skip.workflow, dates=[date])

    def _accept(self, context: Context, event: Event) -> None:
        """Let count what QA checks hold, if there is anything."""
        draw, listed = Random(event.value), self.world.listed(self.true()).values()
        outcomes = self.world.outcomes(self.true()).values()
        held = sorted({date for each in outcomes for date, text in each.items() if text[11:] < "18"})
        date = dt.date.fromisoformat(draw.choice(held or sorted({date for each in listed for date in each})[-5:]))
        workflow = draw.choice(self.world.config["workflows"])["name"]
        self._decide_of("accept", workflow, date)

    def _hold(self, context: Context, event: Event) -> None:
        """Keep a date from counting that is there, or will be soon."""
        dates = self._dates(event)
        self._decide_of("hold", dates["workflow"], dt.date.fromisoformat(dates["dates"][0]))

    def _unhold(self, context: Context, event: Event) -> None:
        if overrides := sorted(context.store.read.overrides()):
            self._decide_of("unhold", *overrides[event.value % len(overrides)])

    def _decide_of(self, do: str, workflow: str, date: dt.date) -> None:
        of_the_date, decided, world = (workflow, date), self.clock(), self.world
        world.holds.pop(of_the_date, None)
        if do == "accept":
            world.accepted.add(of_the_date)
        answer = self._order(self.context, do, workflow=workflow, dates=[date.isoformat()], reason="a drawn one")
        if do == "hold":
            world.held.add(of_the_date)
            if "done" in answer:
                world.holds[of_the_date] = decided

    def _dates(self, event: Event) -> dict[str, Any]:
        draw = Random(event.value)
        workflow = draw.choice(self.world.config["workflows"])["name"]
        return {"workflow": workflow, "dates": [(self.true() - draw.randint(0, 5) * DAY).date().isoformat()]}

    def _order(self, context: Context, do: str, **rest: Any) -> Mapping[str, Any]:
        self.world.drawn[do] += 1
        self.world.asked_at.append(self.clock().isoformat())
        try:
            answer = context.steering.carry_out({"do": do, **rest}, self.clock())
        except sqlite3.OperationalError as error:
            # who asks for something on a full disk is told that it was not done
            if not self.world.is_full(self.true()):
                raise
            answer = {"error": str(error)}
        self.simulation.log.append(f"{do} {rest}: {answer}")
        return answer


AIMED = frozenset({"cancel", "crash"})
"""Events most of which happen while a run is in progress: at any other time they are of little interest."""

OF_THE_WORLD = frozenset({"renew", "end of invalid edit", "end of trigger away"})
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


class SharedReader(RunReader):
    """In the place of connections that threads open for themselves."""

    def close(self) -> None:
        """Leave it to its owner."""


class Statements(sqlite3.Cursor):
    """A cursor that may be left before any of its statements, in the midst of a transaction."""

    def __init__(self, cursor: sqlite3.Cursor, before: Callable[[], None]) -> None:
        super().__init__(cursor.connection)
        self.row_factory = cursor.row_factory
        self._before = before

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._before()
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._before()
        return super().executemany(*arguments)


class SimulatedStore(RunStore):
    """The real store, on a disk that may be full and in a machine that may stop before each statement."""

    life: Life
    limited: bool

    def begin(
        self,
        run: Run,
        now: dt.datetime,
        missing: Sequence[dt.date] = (),
        data_digest: str | None = None,
        cdr_types: Sequence[str] | None = None,
    ) -> Attempt:
        starts.check_start(self.life, self.read, run, now)
        if missing:
            self.life.world.drawn["run with dates missing"] += 1
        attempt = super().begin(run, now, missing, data_digest, cdr_types)
        self.life.hit()
        world = self.life.world
        world.attempts[run.parameters.get("p"), run.reference_date.isoformat()] = attempt.id
        world.begun[attempt.id] = run.key
        return attempt

    def finish(self, attempt: Attempt, state: AttemptState, now: dt.datetime, failure: Failure | None = None) -> None:
        if state is AttemptState.CANCELLED and attempt.run not in self.life.world.cancelled:
            self.life.simulation.fail(f"run {attempt.run} was cancelled, and nobody has asked for that")
        super().finish(attempt, state, now, failure)
        if state is AttemptState.FAILED:
            self.life.failed(self.life.context)
        self.life.ended[state] += 1
        # `keep` may let it go before anybody asks for figures
        self.life.metrics._count()

    def ask_for(
        self, runs: Iterable[Run], now: dt.datetime, repairs: int | None = None, *, automatic: bool = False
    ) -> list[Run]:
        asked = super().ask_for(runs, now, repairs, automatic=automatic)
        self.life.world.requested |= {run.key for run in asked}
        return asked

    def recover(self, now: dt.datetime, under_way: Collection[int] = ()) -> list[Attempt]:
        left = super().recover(now, under_way)
        if left and hasattr(self.life, "metrics"):
            self.life.ended[AttemptState.INTERRUPTED] += len(left)
            self.life.metrics._count()
        return left

    def reuse_notebook(self, attempt: Attempt, notebook: RecordedNotebook, executed_by: int) -> None:
        super().reuse_notebook(attempt, notebook, executed_by)
        self.life.world.drawn["notebook used again by a repair"] += 1

    def forget(self, removals: Sequence[Removal]) -> None:
        shown.check_removals(self.life, self.read, removals)
        super().forget(removals)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        files = self.life.files
        files.about_to_change(self.path, grows=False)
        if (full := self.life.world.is_full(self.life.true())) or self.limited:
            limit = self._connection.execute("PRAGMA page_count").fetchone()[0] if full else 2**30
            self._connection.execute(f"PRAGMA max_page_count = {limit}")
            self.limited = full
        before = self.life.committed()
        try:
            with super()._transaction() as cursor:
                yield Statements(cursor, lambda: files.about_to_change(self.path, grows=False))
        except BaseException as error:
            if self.life.committed() != before:
                self.life.simulation.fail(f"half of a change is in the record, which ended with {error!r}")
            raise
        files.about_to_change(self.path, grows=False)


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
    level, propagates = logger.level, logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates
