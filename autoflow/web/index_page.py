# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``reports/index.html`` and the months beside it: the page, for people who reach the outputs by a file share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from autoflow.context import Context
from autoflow.web.page_cache import PageCache

INDEX, MONTHS = "index.html", "months"

FIRST = 2.0
"""Seconds after which runs in progress are worth a notice."""

PAUSE, SHARE = 5.0, 20.0
"""Seconds between two pages while runs go on: at least so many, and so many times what the last one took."""

LONGEST_LAST = 20.0
"""Seconds that the page may take for which the end of a tick waits."""

OLDEST_INDEX = 3600.0
"""Seconds after which the page is written again though nothing is new: it tells of the last poll."""


class IndexPage:
    """Writes the page whenever there is something new, and seldom enough to be no burden."""

    def __init__(self, context: Context, pages: PageCache) -> None:
        self._context = context
        self._pages = pages
        self._changed = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._written: tuple[object, float] | None = None

    def changed(self) -> None:
        """Note that a run has ended."""
        self._changed.set()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the page up to date while runs go on, and write it once more when the last of them is over."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if self._changed.is_set():
                await self._write(LONGEST_LAST)

    def settle_soon(self) -> None:
        """Settle while the daemon goes on."""
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self.settle())

    async def close(self) -> None:
        """Leave the page as it is."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)

    async def settle(self) -> None:
        """Write the page unless it says already how things are."""
        now = asyncio.get_running_loop().time()
        if self._written is None or self._written[0] != self._stamp() or now - self._written[1] > OLDEST_INDEX:
            await self._write(LONGEST_LAST)

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(FIRST)
        while True:
            began = clock()
            await self._write()
            await asyncio.sleep(max(PAUSE, SHARE * (clock() - began)))
            await self._changed.wait()

    async def _write(self, limit: float = 60.0) -> None:
        async with self._writing:
            self._changed.clear()
            self._written = self._stamp(), asyncio.get_running_loop().time()
            await self._publish(self._context.outputs.reports / INDEX, limit)

    async def _publish(self, final: Path, limit: float) -> None:
        try:
            while await self._publish_some(final, limit):
                # years of months are made a few at a time, once
                pass
        except asyncio.CancelledError:
            # what it was to say is not said yet
            self._changed.set()
            raise
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a page is no reason for a run to fail
            reason = error.strerror if isinstance(error, OSError) else error
            self._context.conditions.begin("index", f"{final} cannot be written ({reason})", logging.WARNING)
        else:
            self._context.conditions.end("index", f"{final} can be written again")

    async def _publish_some(self, final: Path, limit: float) -> bool:
        """Write the page, and pages of months that it leads to; True when some of these are left."""
        outputs = self._context.outputs
        async with self._pages.made({"page": "index"}, limit) as (file, page):
            months = sorted((file.parent / MONTHS).iterdir())
            directory = final.parent / MONTHS
            if months:
                directory.mkdir(parents=True, exist_ok=True)
            for month in months:
                await outputs.publish(month, directory / month.name)
            # it leads to them
            await outputs.publish(file, final)
            return page.unfinished and bool(months)

    def _stamp(self) -> object:
        problems = [problem for problem in self._context.conditions.present() if INDEX not in problem]
        return (
            self._pages.daemon_state.definitions,
            problems,
            self._context.backlog.waiting,
            len(self._context.backlog.due),
            self._context.store.read.count_stale_marks(),
        )
