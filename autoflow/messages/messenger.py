# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Tells people: finds the news, puts it into the outbox, and sends what is there, all beside the work itself.

A message stays in the outbox, which is in the record, until its channel has taken it: a crash loses none,
and may send one twice. Nothing waits for the messenger.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import socket
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Self

from autoflow.channels import SEND_TIMEOUT, channels_of, secret_of
from autoflow.context import Context
from autoflow.dates import Days
from autoflow.decision import counted_days, without_kept
from autoflow.definitions import Definitions
from autoflow.jobs import Jobs, Reply
from autoflow.messages.causes import GATHER, CauseChanges, Snapshot, news, next_late, not_done
from autoflow.messages.content import HEARTBEAT, joined, signed, tidy
from autoflow.messages.data_changes import AGAIN_FOR, name_of
from autoflow.messages.data_changes import EVENT as RESTATED
from autoflow.messages.provisional import keys_told
from autoflow.model import KnownCause, Message, ProvisionalRun, Queued, RunReader, open_for_reading
from autoflow.overview import final_changes
from autoflow.redaction import Redactor
from autoflow.settings import Settings, current_secrets
from autoflow.threads import to_end

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds before a channel that did not take a message is tried again; each pause is twice the one before."""

KEPT, HEARTBEAT_KEPT = dt.timedelta(days=3), dt.timedelta(hours=1)
"""How long it is tried to send a message, and to ask for the heartbeat URL."""

MOST_AT_ONCE = 5
"""Messages that are made at a time; more become one."""

MOST_AN_HOUR = 20
"""What is wrong beyond is looked at again when the hour is over."""

MOST_FAILING, FEWEST_FAILING = 2000, 20
"""Failing runs, the newest, that are looked at beside those that people know of: of all, of each workflow."""

LONGEST_WORK = dt.timedelta(hours=1)
"""How long runs may be in progress before notifications are sent nevertheless."""

HOUR = dt.timedelta(hours=1)
NAPS = 10
"""How many naps of the daemon the messenger sleeps at a stretch, where it waits for a time."""

SENDING = "messages by "
"""How the names of the conditions begin that messages cannot be sent on a channel."""

logger = logging.getLogger(__name__)


class Messenger:
    """Lives beside the daemon's loop for as long as the context lasts.

    Parameters
    ----------
    context
        Where what is wrong is found.
    definitions
        Gives those that are used at the time: what people want to be told is in them.
    busy
        Says whether runs are in progress: what can be told only when they are over is held back meanwhile, but not for
        ever, since one of them may hang.
    """

    def __init__(
        self, context: Context, definitions: Callable[[], Definitions], busy: Callable[[], bool] = lambda: False
    ) -> None:
        self._definitions = definitions
        self._context = context
        self._busy = busy
        self._busy_since: dt.datetime | None = None
        self._woken = asyncio.Event()
        self._made: deque[dt.datetime] = deque()
        self._look_at: dt.datetime | None = None
        self._retry_at: dict[str, dt.datetime] = {}
        self._failed: Counter[str] = Counter()
        self._tries: Counter[int] = Counter()
        # what could not be recorded, since the record cannot be written, is kept here meanwhile
        self._known: dict[str, KnownCause] = {}
        self._unrecorded: list[Queued] = []
        self._gone: set[int] = set()
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._life = asyncio.create_task(self._live())
        self._context.conditions.follow(self.look)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._life is not None:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life

    def look(self) -> None:
        """Look for something to look at soon."""
        self._woken.set()

    def ticked(self) -> None:
        """Note that a tick was made, for the heartbeat; one that was not sent yet is replaced."""
        if HEARTBEAT in self._channels():
            with suppress(sqlite3.Error):
                store = self._context.store
                store.take_out([queued.id for queued in store.read.outbox() if queued.channel == HEARTBEAT])
                store.tell([Message(HEARTBEAT, "a tick was made")], [HEARTBEAT], self._context.now())
            self._woken.set()

    async def finish(self, patience: float, stop: asyncio.Event) -> None:
        """Send what there is to be sent, for a while; the rest is left for the next start."""
        with self._guarding():
            await self._tell()
            sending, stopping = asyncio.create_task(self._send()), asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({sending, stopping}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    await sending
                elif not stop.is_set():
                    logger.warning("sending notifications took longer than %g s; the next start continues", patience)
            finally:
                stopping.cancel()
                sending.cancel()
                await asyncio.gather(sending, stopping, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            self._woken.clear()
            with self._guarding():
                await self._tell()
                await self._send()
            await self._rest()

    async def _rest(self) -> None:
        """Sleep until there may be something to do, in naps, since clocks are set and machines suspended."""
        while not self._woken.is_set():
            times = [time for time in (self._look_at, *self._retry_at.values()) if time is not None]
            left = (min(times) - self._context.now()).total_seconds() if times else None
            if left is not None and left <= 0:
                return
            nap = None if left is None else min(left, NAPS * self._context.longest_nap)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), nap)

    @contextmanager
    def _guarding(self) -> Iterator[None]:
        """Log what goes wrong, so that it does not affect runs."""
        try:
            yield
        except Exception as error:
            name = "messages"
            if name not in self._context.conditions.by_name:
                logger.exception("sending notifications failed")
            self._context.conditions.begin(name, f"notifications fail: {type(error).__name__}: {error}")
            self._look_at = self._context.now() + dt.timedelta(seconds=LONGEST_PAUSE)
        else:
            self._context.conditions.end("messages", "notifications work again")

    def _channels(self) -> tuple[str, ...]:
        return channels_of(self._definitions().notify, self._context.settings)

    async def _tell(self) -> None:
        """Put what is new into the outbox, and note when to look again."""
        channels = [channel for channel in self._channels() if channel != HEARTBEAT]
        self._look_at, now = None, self._context.now()
        working = self._is_working(now)
        if not channels:
            return
        # those in the future were made before the clock was set back
        self._made = deque(made for made in self._made if now - HOUR < made <= now)
        if len(self._made) >= MOST_AN_HOUR:
            self._look_at = self._made[0] + HOUR
            return
        definitions = self._definitions()
        unsettled = [] if working else await self._unsettled(definitions, now)
        snapshot = Snapshot(
            definitions,
            now,
            conditions=dict(self._context.conditions.by_name),
            over=frozenset(self._context.conditions.over),
            most_failing=max(MOST_FAILING // max(len(definitions.workflows), 1), FEWEST_FAILING),
            working=working,
        )
        found, self._look_at = await to_end(_look, self._context.settings, snapshot, dict(self._known), unsettled)
        if self._busy():
            # one of the runs in progress may fail for the first time at any time
            self._look_at = min(now + GATHER, self._look_at or now + GATHER)
        messages = self._finished(found.messages)
        if messages or found.known or found.over or self._known:
            self._record(messages, channels, found, now)
        self._made.extend([now] * len(messages))
        for message in messages:
            logger.info("notification: %s", message.subject)

    def _is_working(self, now: dt.datetime) -> bool:
        """Whether to wait for the runs in progress."""
        if not self._busy():
            self._busy_since = None
            return False
        self._busy_since = min(self._busy_since or now, now)
        return now - self._busy_since < LONGEST_WORK

    async def _unsettled(self, definitions: Definitions, now: dt.datetime) -> Sequence[Days]:
        """Find the days of each trigger that could have been done long enough ago, and did not succeed."""
        limit = definitions.notify.not_done_after
        if limit is None:
            return []
        then, context = now - dt.timedelta(seconds=limit), self._context
        days = counted_days(definitions, context.store.read.listed_dates().as_of(then), then)
        unsettled = await context.ledger.unsettled(definitions, days.ready)
        return without_kept(definitions, days, unsettled, context.store.read.history())

    def _finished(self, messages: Sequence[Message]) -> list[Message]:
        several = [joined(messages)] if len(messages) > MOST_AT_ONCE else messages
        settings = self._context.settings
        signature = [signature_of(settings)]
        if page := self._definitions().notify.page:
            signature.append(page)
        redactor = Redactor.of(*current_secrets(settings))
        finished = (signed(tidy(message), signature) for message in several)
        return [Message.of(redactor.redact_json(asdict(message))) for message in finished]

    def _record(
        self, messages: Sequence[Message], channels: Sequence[str], found: CauseChanges, now: dt.datetime
    ) -> None:
        known = {**self._known, **{each.name: each for each in found.known}}
        try:
            self._context.store.tell(messages, channels, now, known=known.values(), over=found.over)
            self._known.clear()
        except sqlite3.Error:
            # that the record cannot be written is what people should hear of
            self._known = known
            self._unrecorded += [Queued(0, channel, now, message) for message in messages for channel in channels]

    async def _send(self) -> None:
        """Send what is in the outbox, on each channel by itself, until one of its messages is not taken."""
        now = self._context.now()
        self._forget_channels()
        queued = [each for each in self._context.store.read.outbox() if each.id not in self._gone]
        queued += self._unrecorded
        self._drop([each for each in queued if _is_stale(each, now) or each.channel not in self._channels()])
        waiting: dict[str, list[Queued]] = {}
        for each in queued:
            if each.channel in self._channels() and not _is_stale(each, now):
                waiting.setdefault(each.channel, []).append(each)
        self._retry_at = {channel: at for channel, at in self._retry_at.items() if channel in waiting}
        longest = now + dt.timedelta(seconds=LONGEST_PAUSE)
        due = {
            # a pause that is longer than any was begun before the clock was set back
            channel: on_it
            for channel, on_it in waiting.items()
            if not now < self._retry_at.get(channel, now) <= longest
        }
        if due:
            async with asyncio.TaskGroup() as group:
                for channel, on_it in due.items():
                    group.create_task(self._send_on(channel, on_it))

    def _forget_channels(self) -> None:
        """End what is told of channels that workflows.yml no longer names."""
        for name in self._context.conditions.by_name:
            channel = name.removeprefix(SENDING)
            if channel != name and channel not in self._channels():
                self._context.conditions.end(name, f"notifications are not to be sent ({channel}) any more")

    async def _send_on(self, channel: str, waiting: Sequence[Queued]) -> None:
        context = self._context
        self._retry_at.pop(channel, None)
        # one that is refused again and again must not keep the others
        for queued in sorted(waiting, key=lambda each: self._tries[each.id]):
            reply = await send(context.jobs, context.settings, self._definitions(), queued)
            if reply.cause != "done":
                self._tries[queued.id] += 1
                pause = min(FIRST_PAUSE * 2 ** self._failed[channel], LONGEST_PAUSE)
                self._failed[channel] = min(self._failed[channel] + 1, 32)
                self._retry_at[channel] = context.now() + dt.timedelta(seconds=pause)
                reason = f"notifications cannot be sent ({channel}): {why_not(reply)}"
                context.conditions.begin(f"{SENDING}{channel}", reason, logging.WARNING)
                return
            if refused := reply.value.get("refused"):
                logger.warning("a notification was accepted, but not for %s", ", ".join(refused))
            self._drop([queued], sent=True)
            self._failed[channel] = 0
            context.conditions.end(f"{SENDING}{channel}", f"notifications can be sent again ({channel})")

    def _drop(self, gone: Sequence[Queued], *, sent: bool = False) -> None:
        for queued in gone:
            if sent:
                logger.debug("sent by %s: %s", queued.channel, queued.message.subject)
            elif queued.message.event != HEARTBEAT:
                logger.warning("gave up sending by %s: %s", queued.channel, queued.message.subject)
            self._tries.pop(queued.id, None)
        self._unrecorded = [each for each in self._unrecorded if each not in gone]
        self._gone.update(queued.id for queued in gone if queued.id)
        if self._gone:
            with suppress(sqlite3.Error):
                self._context.store.take_out(self._gone)
                self._gone.clear()


def _look(
    settings: Settings, snapshot: Snapshot, unrecorded: Mapping[str, KnownCause], unsettled: Sequence[Days]
) -> tuple[CauseChanges, dt.datetime | None]:
    """Find what people are to be told, and when to look again, by a connection of this thread's own.

    Parameters
    ----------
    unrecorded
        What people know that could not be recorded.
    unsettled
        Days of each trigger that have not succeeded and should have.
    """
    reader = open_for_reading(settings.db_path, settings.places)
    try:
        known = {**reader.known(), **unrecorded}
        definitions, run_history = snapshot.definitions, reader.history()
        late = not_done(definitions, unsettled, run_history)
        told = ((each.workflow, key) for each in known.values() if each.workflow for key in each.runs)
        failing = reader.failing(definitions.workflows, snapshot.most_failing or MOST_FAILING, told)
        provisional = reader.provisional(keys_told(known.values()))
        snapshot = replace(snapshot, failing=failing, run_history=run_history, listed=reader.listed_dates(), late=late)
        snapshot = replace(snapshot, provisional=provisional, final_changes=_final_changes(reader, provisional))
        snapshot = replace(_with_data_changes(snapshot, reader, known), same=reader.same_results(MOST_FAILING))
        found = news(snapshot, known, reader.succeeded_since)
        times = [found.due, None if snapshot.working else next_late(snapshot.listed, definitions, snapshot.now)]
        return found, min((time for time in times if time is not None), default=None)
    finally:
        reader.close()


def _with_data_changes(snapshot: Snapshot, reader: RunReader, known: Collection[str]) -> Snapshot:
    """Add what has changed of data that runs had used; these, of which there may be many, until people know of it."""
    snapshot = replace(snapshot, changes=reader.used_changes())
    new = [each for each in snapshot.changes if name_of(each) not in known]
    if not new or RESTATED not in snapshot.definitions.notify.events:
        return snapshot
    first = min((each.number for each in new if each.kind == "restatement"), default=None)
    return replace(
        snapshot,
        stale=reader.stale_groups(new, snapshot.now - AGAIN_FOR),
        restatements=[] if first is None else reader.restatements(first),
        departures=reader.departures(),
    )


def _final_changes(reader: RunReader, runs: Sequence[ProvisionalRun]) -> dict[int, Sequence[str]]:
    """Read what the runs that are final now have changed."""
    attempts = {run.run: reader.attempt(run.run, run.final_attempt) for run in runs if run.is_final}
    return {number: final_changes(reader.notebooks(each.id)) for number, each in attempts.items() if each is not None}


def signature_of(settings: Settings) -> str:
    """Say where a message comes from."""
    instance = f"{settings.name} ({settings.instance})" if settings.name else settings.instance
    return f"AutoFlow {instance} on {socket.gethostname()}"


async def send(jobs: Jobs, settings: Settings, definitions: Definitions, queued: Queued) -> Reply:
    """Send one message on its channel, in a child process."""
    request = {
        "channel": queued.channel,
        "message": asdict(queued.message),
        "to": definitions.notify.email,
        "id": queued.id,
        "made": queued.made.timestamp(),
        "host": socket.gethostname(),
        "instance": settings.instance,
        "name": settings.name,
    }
    with jobs.workspace() as workspace:
        return await jobs.call(
            "message", request, workspace, timeout=SEND_TIMEOUT, secrets=secret_of(queued.channel, settings)
        )


def why_not(reply: Reply) -> str:
    """Say why a message was not sent."""
    if reply.cause == "timeout":
        return f"it took longer than {SEND_TIMEOUT:g} s"
    return str(reply.error.get("message") or reply.how)


def _is_stale(queued: Queued, now: dt.datetime) -> bool:
    return now - queued.made > (HEARTBEAT_KEPT if queued.message.event == HEARTBEAT else KEPT)
