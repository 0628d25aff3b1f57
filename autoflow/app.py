# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Builds everything from the settings, and lives its life: once, or until told to stop."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from autoflow import sensor
from autoflow.conditions import Conditions
from autoflow.context import Context
from autoflow.definitions import Definitions
from autoflow.errors import DefinitionError, ExitCode, FlowapiError, SettingsError
from autoflow.jobs import Jobs
from autoflow.model import RunStore
from autoflow.notifier import Notifier
from autoflow.outputs import Outputs
from autoflow.parser import load_definitions
from autoflow.progress import Progress
from autoflow.runs import RunState
from autoflow.schedule import Schedule, next_tick
from autoflow.settings import Settings, check_directories, read_token

PDF_TOOLS = {"pandoc": "pandoc", "asciidoctor-pdf": "ruby-asciidoctor-pdf"}
"""Programs that make a PDF, and the Debian packages that have them."""

LONGEST_NAP = 60.0
"""Seconds that the idle daemon sleeps at a stretch."""

FIRST_POLL_PAUSE, LONGEST_POLL_PAUSE = 30.0, 3600.0
"""Seconds before FlowAPI is asked again after it gave no answer; each pause is twice the one before."""

logger = logging.getLogger(__name__)


def read_definitions(settings: Settings) -> Definitions:
    """Read workflows.yml, and log what is doubtful in it.

    Raises
    ------
    DefinitionError
        With all that is wrong in it.
    """
    definitions, warnings = load_definitions(settings.workflows_file)
    for warning in warnings:
        logger.warning("%s", warning)
    return definitions


def check_tools(definitions: Definitions) -> None:
    """See that what makes a PDF is there, if a workflow wants one."""
    wanted = [
        f"{workflow.name}.{notebook.label}"
        for workflow in definitions.workflows.values()
        for notebook in workflow.notebooks
        if notebook.output
    ]
    missing = [tool for tool in PDF_TOOLS if shutil.which(tool) is None]
    if wanted and missing:
        packages = " ".join(PDF_TOOLS[tool] for tool in missing)
        raise SettingsError(
            f"{' and '.join(missing)} not found, and {', '.join(wanted)} is to be made a PDF;"
            f" install with: apt-get install {packages}"
        )


@contextmanager
def open_context(settings: Settings, environment: Mapping[str, str], progress: Progress) -> Iterator[Context]:
    """Open the store and the doors, and put right what a crash left; close them at the end."""
    check_directories(settings)
    store = RunStore(settings.db_path)
    try:
        # the same after a restart, and another for each database: what a dead AutoFlow left is found by it
        instance = hashlib.sha256(str(settings.db_path.resolve()).encode()).hexdigest()[:12]
        jobs = Jobs(settings.work_dir / instance, instance, _without_secrets(environment))
        try:
            context = Context(
                settings=settings,
                store=store,
                jobs=jobs,
                outputs=Outputs(settings.notebooks_dir, settings.reports_dir),
                progress=progress,
                conditions=Conditions(),
            )
            for attempt in store.recover(context.now()):
                logger.warning(
                    "run %d: %s %s was interrupted when AutoFlow or its machine stopped; it will be tried again",
                    attempt.id,
                    attempt.workflow,
                    attempt.reference_date,
                )
            yield context
        finally:
            jobs.close()
    finally:
        store.close()


def run_once(settings: Settings, environment: Mapping[str, str], progress: Progress) -> ExitCode:
    """Poll once, execute what is due, and say how it went."""
    definitions = read_definitions(settings)
    check_tools(definitions)
    read_token(settings)
    with open_context(settings, environment, progress) as context:
        return asyncio.run(_run_once(context, definitions))


def run_on_schedule(
    settings: Settings, environment: Mapping[str, str], progress: Progress, *, now: bool = False
) -> ExitCode:
    """Tick on schedule until told to stop; with ``schedule: null``, once."""
    definitions = read_definitions(settings)
    if definitions.schedule is None:
        return run_once(settings, environment, progress)
    check_tools(definitions)
    read_token(settings)
    with open_context(settings, environment, progress) as context:
        return asyncio.run(serve(context, definitions, Notifier(environment), now=now))


async def _run_once(context: Context, definitions: Definitions) -> ExitCode:
    with Signals() as signals:
        try:
            outcome = await tick_or_stop(context, definitions, signals, patient=False)
        except FlowapiError as error:
            logger.error("%s", error)
            return error.exit_code
    if outcome is None:
        return ExitCode.RUN_FAILED
    states = outcome.states
    if not states and not outcome.not_started:
        logger.info("nothing was due")
    else:
        logger.info(
            "%d runs succeeded, %d failed, %d were interrupted, %d were not started",
            states.get(RunState.SUCCESS, 0),
            states.get(RunState.FAILED, 0),
            states.get(RunState.INTERRUPTED, 0),
            outcome.not_started,
        )
    undone = states.get(RunState.FAILED, 0) + states.get(RunState.INTERRUPTED, 0) + outcome.not_started
    return ExitCode.RUN_FAILED if undone else ExitCode.OK


async def serve(context: Context, definitions: Definitions, notifier: Notifier, *, now: bool = False) -> ExitCode:
    """Tick on schedule until told to stop.

    Parameters
    ----------
    now
        Whether the first tick is at once.
    """
    with Signals() as signals:
        feeding = asyncio.create_task(feed_watchdog(notifier))
        notifier.ready()
        agenda = Agenda(last_tick=first_tick(context, now=now))
        while not signals.stop.is_set():
            moment = agenda.next(definitions, context.now())
            notifier.status(f"next tick at {moment:%Y-%m-%d %H:%M:%S} UTC")
            logger.info("next tick at %s", f"{moment:%Y-%m-%d %H:%M:%S} UTC")
            if await sleep_until(moment, signals, context.now):
                definitions = reload(context, definitions)
                notifier.status("ticking")
                await one_tick(context, definitions, agenda, signals)
            elif signals.reload.is_set():
                signals.reload.clear()
                notifier.reloading()
                definitions = reload(context, definitions)
                notifier.ready()
        notifier.stopping()
        feeding.cancel()
    logger.info("stopped")
    return ExitCode.OK


@dataclass
class Agenda:
    """When the daemon has to do something next."""

    last_tick: dt.datetime
    retry_at: dt.datetime | None = None
    """When what failed, a poll or a run, may be tried again."""
    failed_polls: int = 0

    def next(self, definitions: Definitions, now: dt.datetime) -> dt.datetime:
        """Give the time of the next tick; one in the past was missed, and happens at once.

        A last tick in the future means that the clock was set back: the schedule goes on from now.
        """
        scheduled = next_tick(schedule_of(definitions), min(self.last_tick, now))
        return scheduled if self.retry_at is None else min(scheduled, self.retry_at)


def first_tick(context: Context, *, now: bool) -> dt.datetime:
    """Find the tick from which the schedule goes on; a new installation waits for its first one."""
    last = context.store.last_tick()
    if last is None:
        last = context.now()
        context.store.record_tick(last)
    return dt.datetime.min.replace(tzinfo=dt.UTC) if now else last


async def one_tick(context: Context, definitions: Definitions, agenda: Agenda, signals: Signals) -> None:
    """Tick, and note when to come back; what is wrong with FlowAPI or the token is said once."""
    began = context.now()
    agenda.last_tick, agenda.retry_at = began, None
    until = next_tick(schedule_of(definitions), began)
    try:
        outcome = await tick_or_stop(context, definitions, signals, until=until)
    except (FlowapiError, SettingsError) as error:
        context.conditions.begin("poll", str(error))
        pause = min(FIRST_POLL_PAUSE * 2**agenda.failed_polls, LONGEST_POLL_PAUSE)
        agenda.failed_polls = min(agenda.failed_polls + 1, 32)
        agenda.retry_at = context.now() + dt.timedelta(seconds=pause)
        return
    context.conditions.end("poll", "FlowAPI answers again")
    agenda.failed_polls = 0
    if outcome is None or signals.stop.is_set():
        # not recorded as a tick, so that the next start takes up at once what was left
        return
    agenda.retry_at = outcome.retry_at
    context.store.record_tick(began)
    length = context.now() - began
    if context.now() >= until:
        logger.warning(
            "this tick took %s and ran into the next one; %d runs are left for that",
            dt.timedelta(seconds=round(length.total_seconds())),
            outcome.not_started,
        )


async def tick_or_stop(
    context: Context,
    definitions: Definitions,
    signals: Signals,
    *,
    until: dt.datetime | None = None,
    patient: bool = True,
) -> sensor.Outcome | None:
    """Tick; once told to stop, give what is running the grace time, then end it.

    Returns
    -------
    sensor.Outcome or None
        None when the tick had to be ended.
    """
    ticking = asyncio.create_task(sensor.tick(context, definitions, signals.stop, until=until, patient=patient))
    stopping = asyncio.create_task(signals.stop.wait())
    killing = asyncio.create_task(signals.kill.wait())
    try:
        await asyncio.wait({ticking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({ticking, killing}, timeout=context.settings.grace, return_when=asyncio.FIRST_COMPLETED)
        ticking.cancel()
        # being cancelled it interrupts kernels; a second time it kills them
        await asyncio.wait({ticking, killing}, return_when=asyncio.FIRST_COMPLETED)
        ticking.cancel()
        return await ticking
    except asyncio.CancelledError:
        return None
    finally:
        stopping.cancel()
        killing.cancel()


def reload(context: Context, definitions: Definitions) -> Definitions:
    """Read workflows.yml again; the old definitions go on when the new ones are not valid."""
    try:
        fresh = load_definitions(context.settings.workflows_file)[0]
        check_tools(fresh)
        schedule_of(fresh)
    except (DefinitionError, SettingsError) as error:
        context.conditions.begin("workflows.yml", f"{error}\nthe definitions read before go on")
        return definitions
    context.conditions.end("workflows.yml", f"{context.settings.workflows_file} is valid again")
    if fresh != definitions:
        logger.info("%s has changed and was read again", context.settings.workflows_file)
    return fresh


def schedule_of(definitions: Definitions) -> Schedule:
    """Give the schedule of a daemon's definitions.

    Raises
    ------
    SettingsError
        For ``schedule: null``, which is for one tick and not for a daemon that goes on.
    """
    if definitions.schedule is None:
        raise SettingsError(
            "schedule: null asks for one tick, but this AutoFlow was started with a schedule; restart it"
        )
    return Schedule(definitions.schedule, definitions.timezone)


class Signals:
    """What the operating system asks of the process, as events; a context in which they are heard."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        """SIGTERM or SIGINT: come to an end."""
        self.kill = asyncio.Event()
        """The same once more: at once."""
        self.reload = asyncio.Event()
        """SIGHUP: read workflows.yml again."""

    def __enter__(self) -> Signals:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop, number.name)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _ask_to_stop(self, name: str) -> None:
        if self.stop.is_set():
            logger.warning("%s again: killing what is running", name)
            self.kill.set()
        else:
            logger.info("%s: stopping", name)
            self.stop.set()


async def sleep_until(moment: dt.datetime, signals: Signals, now: Callable[[], dt.datetime]) -> bool:
    """Sleep in short naps, so that a clock that is set or a suspended machine is noticed.

    Returns
    -------
    bool
        Whether the moment has come; False when a signal came first.
    """
    while (left := (moment - now()).total_seconds()) > 0:
        if signals.stop.is_set() or signals.reload.is_set():
            return False
        waiters = {asyncio.create_task(signals.stop.wait()), asyncio.create_task(signals.reload.wait())}
        await asyncio.wait(waiters, timeout=min(left, LONGEST_NAP), return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
    return not signals.stop.is_set()


async def feed_watchdog(notifier: Notifier) -> None:
    """Tell systemd that the loop turns, for as long as it does."""
    while notifier.watchdog:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog / 3)


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "FLOWAPI_TOKEN"}
