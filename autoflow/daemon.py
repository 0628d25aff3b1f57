# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's life: sleep until the next tick, tick, and sleep again."""

from __future__ import annotations

import asyncio
import ctypes
import datetime as dt
import gc
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from autoflow import sensor
from autoflow.checks import check_tools
from autoflow.context import Context
from autoflow.control import Control
from autoflow.definitions import Definitions
from autoflow.errors import DefinitionError, ExitCode, FlowapiError, SettingsError, TokenError
from autoflow.messenger import Messenger
from autoflow.notifier import Notifier
from autoflow.outputs import unwritable
from autoflow.pages import Outlook
from autoflow.parser import load_definitions
from autoflow.retention import Sweeper
from autoflow.schedule import Schedule, next_tick
from autoflow.signals import Signals

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds before a tick that could not be made is tried again; each pause is twice the one before."""

STARTING = "starting"

logger = logging.getLogger(__name__)


@dataclass
class Agenda:
    """What the daemon is at, and when it has to do something next."""

    last_tick: dt.datetime
    definitions: Definitions
    """Those that are used, whatever has become of workflows.yml."""
    retry_at: dt.datetime | None = None
    """When what failed, a tick or a run, may be tried again."""
    failed_ticks: int = 0
    doing: str = STARTING
    """In words, for people and service managers."""

    def next(self, now: dt.datetime) -> dt.datetime:
        """Give the time of the next tick; one in the past was missed, and happens at once.

        A last tick in the future means that the clock was set back: the schedule goes on from now.
        """
        scheduled = next_tick(schedule_of(self.definitions), min(self.last_tick, now))
        return scheduled if self.retry_at is None else min(scheduled, self.retry_at)


async def serve(context: Context, definitions: Definitions, notifier: Notifier, *, now: bool = False) -> ExitCode:
    """Tick on schedule until told to stop.

    Parameters
    ----------
    now
        Whether the first tick is at once.
    """
    agenda = Agenda(first_tick(context, now=now), definitions)
    context.pages.follow(lambda: outlook(context, agenda))
    with Signals() as signals:
        feeding = asyncio.create_task(feed_watchdog(notifier))
        async with (
            Messenger(context, lambda: agenda.definitions) as messenger,
            Control(context.settings.control_socket, lambda asked: answer(context, agenda, asked)),
            page(context, agenda),
        ):
            notifier.ready()
            while not signals.stop.is_set():
                moment = agenda.next(context.now())
                overdue = moment <= context.now()
                say(notifier, agenda, "a tick is due" if overdue else f"next tick at {moment:%Y-%m-%d %H:%M:%S} UTC")
                give_memory_back()
                if await sleep_until(moment, signals, context):
                    agenda.definitions = reload(context, agenda.definitions)
                    say(notifier, agenda, "ticking")
                    with messenger.working():
                        if await one_tick(context, agenda, signals):
                            messenger.ticked()
                    if not signals.stop.is_set():
                        context.index.settle_soon()
                elif signals.reload.is_set():
                    signals.reload.clear()
                    notifier.reloading()
                    agenda.definitions = reload(context, agenda.definitions)
                    messenger.look()
                    notifier.ready()
                elif context.steering.changed.is_set() and not signals.stop.is_set():
                    agenda.definitions = reload(context, agenda.definitions)
                    say(notifier, agenda, "running what was asked for")
                    # also what is only to be skipped is seen at once
                    context.index.changed()
                    with messenger.working():
                        await between_ticks(context, agenda, signals)
            notifier.stopping()
            await context.index.close()
        feeding.cancel()
    logger.info("stopped")
    return ExitCode.OK


def first_tick(context: Context, *, now: bool) -> dt.datetime:
    """Find the tick from which the schedule goes on; a new installation waits for its first one."""
    last = context.store.last_tick()
    if last is None:
        last = context.now()
        context.store.record_tick(last)
    return dt.datetime.min.replace(tzinfo=dt.UTC) if now else last


async def one_tick(context: Context, agenda: Agenda, signals: Signals) -> bool:
    """Tick, and note when to come back; what keeps a tick from being made is said once.

    Returns
    -------
    bool
        Whether the tick was made.
    """
    definitions, began = agenda.definitions, context.now()
    agenda.last_tick, agenda.retry_at = began, None
    until = next_tick(schedule_of(definitions), began)
    try:
        # a store that could not be written, on a full disk perhaps, leaves runs that are not running
        context.store.recover(began)
        outcome = await tick_or_stop(context, definitions, signals, until=until)
        ended = outcome is not None and not signals.stop.is_set()
        if ended:
            # one that was ended is not recorded, so that the next start takes up at once what was left
            context.store.record_tick(began)
    except Exception as error:
        if isinstance(error, (FlowapiError, SettingsError)):
            context.conditions.begin("token" if isinstance(error, TokenError) else "tick", str(error))
        else:
            logger.exception("this tick could not be made")
            context.conditions.begin("defect", f"ticks can not be made: {type(error).__name__}: {error}")
        pause = min(FIRST_PAUSE * 2**agenda.failed_ticks, LONGEST_PAUSE)
        agenda.failed_ticks = min(agenda.failed_ticks + 1, 32)
        agenda.retry_at = context.now() + dt.timedelta(seconds=pause)
        return False
    context.conditions.end("tick", "FlowAPI answers again")
    context.conditions.end("defect", "ticks can be made again")
    agenda.failed_ticks = 0
    if outcome is None or not ended:
        return False
    agenda.retry_at = outcome.retry_at
    sweep(context, definitions)
    if context.now() >= until:
        logger.warning(
            "this tick took %s and ran into the next one; %d runs are left for that",
            dt.timedelta(seconds=round((context.now() - began).total_seconds())),
            outcome.not_started,
        )
    return True


async def between_ticks(context: Context, agenda: Agenda, signals: Signals) -> None:
    """Run what somebody has asked for; what can not be made now is left for the next tick."""
    definitions, until = agenda.definitions, agenda.next(context.now())
    context.steering.changed.clear()
    try:
        running = sensor.run_asked(context, definitions, signals.stop, until=until)
        outcome = await done_or_stopped(running, context, signals)
    except SettingsError as error:
        context.conditions.begin("token" if isinstance(error, TokenError) else "tick", str(error))
        return
    except Exception:
        logger.exception("what was asked for could not be run; the next tick tries again")
        return
    if outcome is not None and outcome.retry_at is not None:
        agenda.retry_at = min(outcome.retry_at, agenda.retry_at or outcome.retry_at)


def sweep(context: Context, definitions: Definitions) -> None:
    """Remove what workflows.yml does not want kept any longer."""
    try:
        directories = context.settings.notebooks_dir, context.settings.reports_dir
        left = Sweeper(context.store, directories).sweep(definitions.workflows, context.now()).left
    except Exception:
        # old files are no reason to fail
        logger.exception("old files could not be removed")
        return
    if left:
        first, why = next(iter(left.items()))
        more = f", and {len(left) - 1} more are left too" if len(left) > 1 else ""
        context.conditions.begin("old files", f"{first} {why}; it is not removed{more}", logging.WARNING)
    else:
        context.conditions.end("old files", "all old files could be removed")


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
    ticking = sensor.tick(context, definitions, signals.stop, until=until, patient=patient)
    return await done_or_stopped(ticking, context, signals)


async def done_or_stopped(
    work: Coroutine[Any, Any, sensor.Outcome], context: Context, signals: Signals
) -> sensor.Outcome | None:
    """Wait for a tick or the like; once told to stop, give what is running the grace time, then end it."""
    ticking = asyncio.create_task(work)
    stopping = asyncio.create_task(signals.stop.wait())
    killing = asyncio.create_task(signals.kill.wait())
    try:
        await asyncio.wait({ticking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({ticking, killing}, timeout=context.settings.grace, return_when=asyncio.FIRST_COMPLETED)
        ticking.cancel()
        # being cancelled it interrupts kernels; a second time it kills them
        await asyncio.wait({ticking, killing}, return_when=asyncio.FIRST_COMPLETED)
        while not ticking.done():
            # in turns with the tick: two cancellations at a stroke count as one
            ticking.cancel()
            await asyncio.wait({ticking}, timeout=0.5)
        return await ticking
    except asyncio.CancelledError:
        return None
    finally:
        stopping.cancel()
        killing.cancel()


def reload(context: Context, definitions: Definitions) -> Definitions:
    """Read workflows.yml again; the old definitions go on when the new ones are not valid."""
    file = context.settings.workflows_file
    try:
        fresh, _ = load_definitions(file)
        check_tools(fresh)
        schedule_of(fresh)
    except (DefinitionError, SettingsError) as error:
        context.conditions.begin("workflows.yml", f"{error}\nthe definitions read before go on")
        return definitions
    context.conditions.end("workflows.yml", f"{file} is valid again")
    if fresh != definitions:
        logger.info("%s has changed and was read again", file)
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


async def sleep_until(moment: dt.datetime, signals: Signals, context: Context) -> bool:
    """Sleep in naps, so that a clock that is set or a suspended machine is noticed.

    Returns
    -------
    bool
        Whether the moment has come; False when a signal or an order came first.
    """
    while (left := (moment - context.now()).total_seconds()) > 0:
        events = (signals.stop, signals.reload, context.steering.changed)
        if any(event.is_set() for event in events):
            return False
        began = context.now()
        waiters = {asyncio.create_task(event.wait()) for event in events}
        await asyncio.wait(waiters, timeout=min(left, context.longest_nap), return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        if context.now() < began:
            logger.warning("the clock was set back by %s", began - context.now())
            return False
    return not signals.stop.is_set()


def give_memory_back() -> None:
    """Let the machine have what was needed since the last sleep, and is not any more."""
    gc.collect()
    # other C libraries than glibc do so by themselves, or not at all
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def feed_watchdog(notifier: Notifier) -> None:
    """Tell systemd that the loop turns, for as long as it does."""
    while notifier.watchdog:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog / 3)


def say(notifier: Notifier, agenda: Agenda, text: str) -> None:
    """Say what comes next, to the log and to systemd, when it is news."""
    if text != agenda.doing:
        # a line in the log for the first tick alone: a month of them says nothing
        logger.log(logging.INFO if agenda.doing == STARTING else logging.DEBUG, "%s", text)
        agenda.doing = text
        notifier.status(text)


def answer(context: Context, agenda: Agenda, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer those who ask over the socket: say how the daemon is, or do as they say."""
    return context.steering.obey(asked, context.now()) if asked else health(context, agenda)


@asynccontextmanager
async def page(context: Context, agenda: Agenda) -> AsyncIterator[None]:
    """Serve the page for as long as the context lasts, where the settings want it."""
    if context.settings.http is None:
        yield
        return
    # nobody else pays for its libraries
    from autoflow.web import Web

    async with Web(context, context.settings.http, lambda: {**health(context, agenda), **fitness(context, agenda)}):
        yield


def outlook(context: Context, agenda: Agenda) -> Outlook:
    """Say what pages are to know of the daemon."""
    now = context.now()
    return Outlook(now, agenda.definitions, agenda.doing, agenda.next(now))


def fitness(context: Context, agenda: Agenda) -> dict[str, Any]:
    """Say whether the daemon can do what it is for; a failed run is no fault of its own."""
    # that a token is near its end is no fault yet
    kinds = ("tick", "workflows.yml", *(("token", "defect") if agenda.failed_ticks else ()))
    present = context.conditions.by_name
    reasons = [present[kind] for kind in kinds if kind in present]
    reasons += unwritable(context.settings.db_path.parent, context.settings.outputs_dir)
    return {"healthy": not reasons, "reasons": reasons}


def health(context: Context, agenda: Agenda) -> dict[str, Any]:
    """Describe the daemon for those who ask it over its socket."""
    return {
        "pid": os.getpid(),
        "doing": agenda.doing,
        "last_tick": agenda.last_tick.isoformat(),
        "running": context.steering.running(),
        "problems": context.conditions.present(),
    }
