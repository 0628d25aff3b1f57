# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's life: sleep until the next tick, tick, and sleep again, while runs go on."""

from __future__ import annotations

import asyncio
import ctypes
import datetime as dt
import gc
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from autoflow import sensor
from autoflow.code_version import RESTART, code_on_disk
from autoflow.context import Context, WriteProbe, recorded
from autoflow.daemon.agenda import STARTING, Agenda, schedule_of
from autoflow.daemon.state import daemon_state, doing, health
from autoflow.decision import first_retry
from autoflow.definitions import Definitions, Keep
from autoflow.errors import DefinitionError, ExitCode, FlowapiError, OutputsLostError, SettingsError, TokenError
from autoflow.messages import Messenger
from autoflow.model import Removal, Sweeper, Swept, open_for_reading
from autoflow.sensor import Executor
from autoflow.system import Control, Notifier, Signals
from autoflow.threads import to_end
from autoflow.web import IndexPage, PageCache, page_served
from autoflow.workflows import note_kept, remove_old_data

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds before a tick that could not be made is tried again; each pause is twice the one before."""

RECORD_PATIENCE = 0.05
"""Seconds that the loop stands still for while another process writes to the record."""

LONGEST_FAREWELL = 5.0
"""Seconds that a poll may go on for when AutoFlow is to stop."""

CLOCK_STEP = dt.timedelta(seconds=1)
"""What the clock may be set back by without a look at the record."""

AT_ONCE = 200
"""Removed outputs that are recorded in one go."""

Done = TypeVar("Done")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Life:
    """What the daemon's loop has at hand."""

    context: Context
    agenda: Agenda
    executor: Executor
    index: IndexPage
    signals: Signals
    messenger: Messenger
    notifier: Notifier


async def serve(context: Context, definitions: Definitions, notifier: Notifier, *, now: bool = False) -> ExitCode:
    """Tick on schedule, and execute what is due, until told to stop.

    Parameters
    ----------
    now
        Whether the first tick is at once.
    """
    # the clock may have been ahead before this start
    context.store.set_right(context.now())
    agenda = Agenda(first_tick(context, now=now), definitions)
    context.store.wait_at_most(RECORD_PATIENCE)
    with Signals() as signals:
        pages = PageCache(context, lambda: daemon_state(context, agenda, executor))
        index = IndexPage(context, pages)
        executor = Executor(context, signals.stop, index)
        probe = WriteProbe(context.settings.db_path.parent, context.settings.outputs_dir)
        how = partial(health, context, agenda, executor, probe)

        async def fresh() -> Definitions:
            await reload(context, agenda)
            return agenda.definitions

        async with (
            Messenger(context, lambda: agenda.definitions, lambda: executor.busy) as messenger,
            Control(context.settings.control_socket, partial(answer, context, agenda, signals.stop, how)),
            page_served(context, pages, how),
            beside(feed_watchdog(notifier)),
            beside(handle_requests(context, executor, index, fresh)),
        ):
            life = Life(context, agenda, executor, index, signals, messenger, notifier)
            notifier.ready()
            while not signals.stop.is_set():
                try:
                    await turn(life)
                except OutputsLostError:
                    signals.stop.set()
                    await done_or_stopped(executor.idle(), signals)
                    raise
            notifier.stopping()
            async with beside(tell_how_many_are_left(life)):
                await done_or_stopped(executor.idle(), signals, context.settings.grace)
            await index.close()
    logger.info("stopped")
    return ExitCode.OK


def first_tick(context: Context, *, now: bool) -> dt.datetime:
    """Find the tick from which the schedule goes on; a new installation waits for its first one."""
    last = context.store.last_tick()
    if last is None:
        last = context.now()
        context.store.record_tick(last)
    at_once = now or context.store.read.unfinished()
    return dt.datetime.min.replace(tzinfo=dt.UTC) if at_once else last


async def turn(life: Life) -> None:
    """Sleep until there is something to do, and do it."""
    context, agenda, executor = life.context, life.agenda, life.executor
    context.outputs.check()
    executor.news.clear()
    if "long runs" in context.conditions.by_name:
        # one may have ended long before the next tick
        sensor.tell_of_long_runs(context)
    if agenda.unsettled and not executor.busy:
        await settle(life)
    moment = agenda.next(context.now(), executor.retry_at)
    overdue = moment <= context.now()
    say(life, "a tick is due" if overdue else f"next tick at {moment:%Y-%m-%d %H:%M:%S} UTC")
    if not executor.busy:
        give_memory_back()
    if await sleep_until(moment, life):
        context.outputs.check()
        await reload(context, agenda)
        say(life, "ticking")
        await tick(life)
        life.messenger.look()
    elif life.signals.reload.is_set():
        life.signals.reload.clear()
        life.notifier.reloading(asyncio.get_running_loop().time())
        await reload(context, agenda)
        executor.resize(agenda.definitions)
        life.messenger.look()
        life.notifier.ready()


async def tick(life: Life) -> None:
    """Tick, and note when to come back; what keeps a tick from being made is said once."""
    context, agenda, executor, stop = life.context, life.agenda, life.executor, life.signals.stop
    began = context.now()
    agenda.last_tick, agenda.retry_at, executor.retry_at = began, None, None
    still_busy = executor.busy
    if context.code != code_on_disk():
        context.conditions.begin("code", RESTART)
        return
    context.conditions.end("code", "AutoFlow's code on disk matches the running version again")
    try:
        # a run whose end could not be recorded is left as one that is running, and counts as settled until here
        running = context.steering.running()
        left = await recorded(context.conditions, stop, lambda: context.store.recover(began, running))
        for attempt in left:
            if attempt.reference_date is not None:
                context.ledger.forget(attempt.workflow, attempt.reference_date)
        ticking = sensor.tick(context, agenda.definitions, executor)
        decision = await done_or_stopped(ticking, life.signals, min(context.settings.grace, LONGEST_FAREWELL))
        if decision is not None:
            context.conditions.end("tick", "FlowAPI is responding again")
            context.conditions.end("defect", "ticks succeed again")
        if decision is None or stop.is_set():
            # it is not recorded, so that the next start makes it at once
            return
        tick_made = partial(context.store.record_tick, began, unfinished=executor.busy)
        await recorded(context.conditions, stop, tick_made)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is said, and the next tick is made
        missed(life, error)
        return
    agenda.failed_ticks, agenda.unsettled = 0, True
    life.messenger.ticked()
    if still_busy:
        # there may be no moment without a run in progress
        await sweep(context, agenda.definitions)
        life.index.settle_soon()


def missed(life: Life, error: Exception) -> None:
    """Say why a tick could not be made, and try it again after a pause."""
    context, agenda = life.context, life.agenda
    if isinstance(error, (FlowapiError, SettingsError)):
        context.conditions.begin("token" if isinstance(error, TokenError) else "tick", str(error))
    else:
        logger.error("this tick failed", exc_info=error)
        context.conditions.begin("defect", f"ticks fail: {type(error).__name__}: {error}")
    pause = min(FIRST_PAUSE * 2**agenda.failed_ticks, LONGEST_PAUSE)
    agenda.failed_ticks = min(agenda.failed_ticks + 1, 32)
    agenda.retry_at = context.now() + dt.timedelta(seconds=pause)


async def settle(life: Life) -> None:
    """Clean up when no run is in progress any more."""
    life.agenda.unsettled = False
    with suppress(sqlite3.Error):
        # else the next start only ticks at once
        life.context.store.record_unfinished(unfinished=bool(life.executor.waiting))
    await sweep(life.context, life.agenda.definitions)
    life.messenger.look()
    life.index.settle_soon()


async def handle_requests(
    context: Context, executor: Executor, index: IndexPage, fresh: Callable[[], Awaitable[Definitions]]
) -> None:
    """Act on what people ask for as soon as it is recorded, also while a tick is being made.

    Parameters
    ----------
    fresh
        Gives the definitions as they are now.
    """
    changed = context.steering.changed
    while True:
        await changed.wait()
        changed.clear()
        index.changed()
        try:
            sensor.take_asked(context, await fresh(), executor)
            if executor.busy:
                unfinished = partial(context.store.record_unfinished, unfinished=True)
                await recorded(context.conditions, executor.stop, unfinished)
            await note_kept(context, executor.stop)
        except Exception:
            logger.exception("requested runs could not be started; the next tick retries them")
        # what is only to be skipped is seen at once too
        executor.news.set()
        index.settle_soon()


async def sweep(context: Context, definitions: Definitions) -> None:
    """Remove what workflows.yml does not want kept any longer."""
    try:
        swept = await to_end(_sweep, context, definitions, context.now())
        for removals in _in_parts(swept.forgotten, AT_ONCE):
            context.store.forget(removals)
            # there may be ten thousands, and others have their turn
            await asyncio.sleep(0)
        left = swept.left
        await remove_old_data(context, definitions)
    except Exception:
        # old files are no reason to fail
        logger.exception("old files could not be removed")
        return
    if left:
        first, why = next(iter(left.items()))
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        context.conditions.begin("old files", f"{first} {why}; it is not removed{more}", logging.WARNING)
    else:
        context.conditions.end("old files", "all old files were removed")


def _sweep(context: Context, definitions: Definitions, now: dt.datetime) -> Swept:
    """Remove files, by a connection of this thread's own."""
    if all(workflow.keep == Keep() for workflow in definitions.workflows.values()):
        return Swept(0, {})
    settings = context.settings
    directories = settings.notebooks_dir, settings.reports_dir
    reader = open_for_reading(settings.db_path, settings.places)
    try:
        return Sweeper(reader, directories, context.outputs.is_read).sweep(definitions.workflows, now)
    finally:
        reader.close()


def _in_parts(removals: Sequence[Removal], size: int) -> Iterator[Sequence[Removal]]:
    return (removals[start : start + size] for start in range(0, len(removals), size))


async def done_or_stopped(work: Coroutine[Any, Any, Done], signals: Signals, grace: float = 0.0) -> Done | None:
    """Wait for some work; once told to stop, give it a grace time, then end it.

    Returns
    -------
    object or None
        None when it had to be ended.
    """
    doing = asyncio.create_task(work)
    stopping = asyncio.create_task(signals.stop.wait())
    killing = asyncio.create_task(signals.kill.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({doing, killing}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        doing.cancel()
        # being cancelled it interrupts kernels; a second time it kills them
        await asyncio.wait({doing, killing}, return_when=asyncio.FIRST_COMPLETED)
        while not doing.done():
            # in turns with the work: two cancellations at a stroke count as one
            doing.cancel()
            await asyncio.wait({doing}, timeout=0.5)
        return await doing
    except asyncio.CancelledError:
        return None
    finally:
        stopping.cancel()
        killing.cancel()


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something without end for as long as the context lasts."""
    doing = asyncio.create_task(work)
    try:
        yield
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def reload(context: Context, agenda: Agenda) -> None:
    """Read workflows.yml again; the old definitions go on when the new ones are not valid."""
    file = context.settings.workflows_file
    try:
        fresh = await agenda.file.read(file)
        if agenda.definitions.schedule is not None:
            schedule_of(fresh)
    except (DefinitionError, SettingsError) as error:
        context.conditions.begin("workflows.yml", f"{error}\nthe definitions read before stay in use")
        return
    context.conditions.end("workflows.yml", f"{file} is valid again")
    if fresh != agenda.definitions:
        logger.info("%s has changed and was reloaded", file)
    agenda.definitions = fresh


async def sleep_until(moment: dt.datetime, life: Life) -> bool:
    """Sleep in naps, so that a clock that is set or a suspended machine is noticed.

    Returns
    -------
    bool
        Whether the moment has come; False when something else came first.
    """
    context, signals = life.context, life.signals
    events = (signals.stop, signals.reload, life.executor.news)
    while not set_back(life) and (left := (moment - context.now()).total_seconds()) > 0:
        if any(event.is_set() for event in events):
            return False
        waiters = {asyncio.create_task(event.wait()) for event in events}
        await asyncio.wait(waiters, timeout=min(left, context.longest_nap), return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
    return moment <= context.now() and not signals.stop.is_set()


def set_back(life: Life) -> bool:
    """Notice that the clock was set back; nothing in the record may lie later than now, or it would be waited for."""
    context, agenda, now = life.context, life.agenda, life.context.now()
    step, agenda.seen = (agenda.seen or now) - now, now
    if step <= dt.timedelta():
        return False
    logger.warning("the clock was set back by %s", step)
    if step > CLOCK_STEP:
        with suppress(sqlite3.Error):
            context.store.set_right(now)
        if life.executor.retry_at is not None:
            life.executor.retry_at = first_retry(agenda.definitions, context.store.read.history())
        agenda.retry_at = agenda.retry_at and min(agenda.retry_at, now + dt.timedelta(seconds=LONGEST_PAUSE))
        life.messenger.look()
    return True


def give_memory_back() -> None:
    """Return memory that is no longer needed to the machine."""
    gc.collect()
    # other C libraries than glibc do so by themselves, or not at all
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def feed_watchdog(notifier: Notifier) -> None:
    """Notify systemd's watchdog for as long as the loop runs."""
    while notifier.watchdog:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog / 3)


def say(life: Life, text: str) -> None:
    """Say what comes next, to the log and to systemd, when it is news."""
    agenda = life.agenda
    is_first, agenda.doing = agenda.doing == STARTING, text
    if (told := doing(agenda, life.executor)) != agenda.told:
        # a line in the log for the first tick alone: a month of them says nothing
        logger.log(logging.INFO if is_first else logging.DEBUG, "%s", told)
        agenda.told = told
        life.notifier.status(told)


async def tell_how_many_are_left(life: Life) -> None:
    """Say how many runs are in progress, and say it again when one has ended."""
    while True:
        life.executor.news.clear()
        say(life, life.agenda.doing)
        await life.executor.news.wait()


async def answer(
    context: Context,
    agenda: Agenda,
    stop: asyncio.Event,
    health: Callable[..., Awaitable[dict[str, Any]]],
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """Answer those who ask over the socket: say how the daemon is, or do as they say."""
    if not asked or "queued_on" in asked:
        return await health(**asked)
    await reload(context, agenda)
    carry_out = partial(context.steering.carry_out, asked, context.now(), agenda.definitions)
    return await recorded(context.conditions, stop, carry_out)
