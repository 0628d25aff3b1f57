# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pages that a child makes of the record and of what only this process knows, kept until something changes."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import pickle
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoflow.context import Context
from autoflow.definitions import Definitions
from autoflow.overview import pool_loads
from autoflow.progress import described
from autoflow.sensor import Batch, SlotsInUse
from autoflow.settings import current_token, token_expiry

AT_A_TIME = 2
"""Pages that are made at a time; whoever asks for a third is told to come again."""

TIMEOUT = 60.0
"""Seconds that one page may take."""

FRESH = 2.0
"""Seconds for which a page is good, whatever happens."""

STALE = 60.0
"""Seconds after which a page is made anew, though nothing has happened: it speaks of the time."""

KEPT_PAGES, LARGEST_KEPT = 16, 2_000_000
"""How many pages are kept, and how many bytes each of these may have."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DaemonState:
    """What only a running AutoFlow knows of itself."""

    now: dt.datetime
    definitions: Definitions
    doing: str = ""
    """In words; empty where it is not for long."""
    next_tick: dt.datetime | None = None
    written_by: dt.datetime | None = None
    """When the page beside the reports is written anew at the latest; None where nothing does."""
    urgent: Sequence[str] = ()
    """Names of the conditions that keep AutoFlow from its work."""
    batch: Batch | None = None
    """How far the runs in progress are."""
    slots: SlotsInUse | None = None
    """How much goes on at a time."""

    def with_ticks(self, next_tick: dt.datetime, written_by: dt.datetime) -> DaemonState:
        """Say when the daemon looks for something to do again."""
        return replace(self, next_tick=next_tick, written_by=written_by)


@dataclass(frozen=True)
class Page:
    """A page as a browser gets it."""

    status: int
    body: bytes
    policy: str
    """Its Content-Security-Policy."""
    refresh: int = 0
    """Seconds after which a browser asks for it again; 0: never."""
    unfinished: bool = False
    """Whether pages beside it are left to be made."""


class BusyError(Exception):
    """As many pages as are made at a time are being made."""


class PageError(Exception):
    """A page could not be made, and why."""


@dataclass(frozen=True)
class _Kept:
    page: Page
    stamp: object
    made: float
    took: float


class PageCache:
    """Has pages made, a few at a time, and keeps them until something has changed."""

    def __init__(self, context: Context, daemon_state: Callable[[], DaemonState]) -> None:
        self._context = context
        self._daemon_state = daemon_state
        self._kept: OrderedDict[tuple[tuple[str, Any], ...], _Kept] = OrderedDict()
        self._making: dict[tuple[tuple[str, Any], ...], asyncio.Task[Page]] = {}

    @property
    def daemon_state(self) -> DaemonState:
        """Return what there is to say of this process."""
        return self._daemon_state()

    async def get(self, **request: Any) -> Page:
        """Return a page, made anew when something has changed.

        Parameters
        ----------
        request
            Which page: see `autoflow.child.page.page`.

        Raises
        ------
        BusyError, PageError
        """
        key = tuple(sorted(request.items()))
        kept = self._kept.get(key)
        if kept is not None and self._is_good(kept):
            return kept.page
        making = self._making.get(key)
        if making is None:
            if len(self._making) >= AT_A_TIME:
                if kept is not None:
                    return kept.page
                raise BusyError
            making = self._making[key] = asyncio.create_task(self._make(key, request))
            making.add_done_callback(lambda _: self._making.pop(key))
        # whoever asked may go away: the page is for the next one then
        return await asyncio.shield(making)

    async def close(self) -> None:
        """End what is being made.

        It is not left to the end of the loop, which cancels what asyncio itself does for a child that is just
        being started, and then waits for ever.
        """
        for making in (going_on := list(self._making.values())):
            making.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)

    @asynccontextmanager
    async def made(self, request: Mapping[str, Any], limit: float = TIMEOUT) -> AsyncIterator[tuple[Path, Page]]:
        """Have a page made, as a file that is there for as long as the context lasts.

        Yields
        ------
        file : Path
        page : Page
            Without its body.

        Raises
        ------
        PageError
            When it could not be made.
        """
        context, settings, daemon_state = self._context, self._context.settings, self.daemon_state
        token = current_token(settings)
        with context.jobs.workspace() as workspace:
            # as they are used, whatever has become of workflows.yml
            (workspace / "definitions.pickle").write_bytes(pickle.dumps(daemon_state.definitions))
            reply = await context.jobs.call(
                "page",
                {
                    "db": str(settings.db_path),
                    "outputs_dir": str(settings.outputs_dir),
                    "notebooks_dir": str(settings.notebooks_dir),
                    "reports_dir": str(settings.reports_dir),
                    **self._said(daemon_state),
                    "queued": self._queued(daemon_state, request.get("date", "")),
                    **request,
                },
                workspace,
                timeout=limit,
                # so that it can be taken out, should it be in a parameter
                secrets={"FLOWAPI_TOKEN": token} if token else None,
            )
            if reply.cause == "timeout":
                raise PageError(f"the page took longer than {limit:g} s")
            if reply.cause != "done":
                raise PageError(reply.error.get("message") or f"{reply.how}. {reply.log}")
            value = {"refresh": 0, "unfinished": False, **reply.value}
            yield workspace / "page.html", Page(body=b"", **value)

    def _queued(self, daemon_state: DaemonState, date: str) -> list[tuple[str, str, int | None]]:
        """List the runs of the date that a page is about that are queued, and how many go before each."""
        with suppress(ValueError):
            return self._context.backlog.queued(dt.date.fromisoformat(date)) if daemon_state.batch else []
        # the page says that no date is meant
        return []

    def _said(self, daemon_state: DaemonState) -> dict[str, Any]:
        """Write down, for a page, what only this process knows."""
        context, settings = self._context, self._context.settings
        problems = [
            {
                "name": each.name,
                "text": each.text,
                "since": each.since.isoformat(),
                "urgent": each.name in daemon_state.urgent,
            }
            for each in context.conditions.lasting()
        ]
        return {
            "name": settings.name,
            "now": daemon_state.now.isoformat(),
            "doing": daemon_state.doing,
            "next_tick": _iso(daemon_state.next_tick),
            "written_by": _iso(daemon_state.written_by),
            "token_expires": _iso(token_expiry(settings)),
            "problems": problems,
            "progress": described(context.progress),
            "batch": _written(daemon_state.batch, daemon_state.definitions) if daemon_state.batch else None,
            "why_no_more": daemon_state.slots.why if daemon_state.slots else "",
        }

    async def _make(self, key: tuple[tuple[str, Any], ...], request: Mapping[str, Any]) -> Page:
        clock = asyncio.get_running_loop().time
        began, stamp = clock(), self._stamp()
        async with self.made(request) as (file, described):
            page = replace(described, body=file.read_bytes())
        if len(page.body) <= LARGEST_KEPT:
            self._kept[key] = _Kept(page, stamp, clock(), clock() - began)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_PAGES:
                self._kept.popitem(last=False)
        return page

    def _is_good(self, kept: _Kept) -> bool:
        age = asyncio.get_running_loop().time() - kept.made
        return age < max(FRESH, kept.took) or (age < STALE and kept.stamp == self._stamp())

    def _stamp(self) -> object:
        """Return something that is another once there is something new to say."""
        daemon_state = self.daemon_state
        about = daemon_state.doing, daemon_state.next_tick, daemon_state.definitions, daemon_state.batch
        return self._context.store.changes, self._context.conditions.present(), self._context.progress.tasks(), about


def _written(batch: Batch, definitions: Definitions) -> dict[str, Any]:
    return {
        "done": batch.done,
        "running": batch.running,
        "waiting": dict(batch.waiting),
        "at_a_time": batch.at_a_time,
        "pools": pool_loads(definitions, batch.waiting),
    }


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
