# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How much may go on at a time, numbers that may change meanwhile."""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import asynccontextmanager
from itertools import count

from autoflow.runs import RunKey


class Slots:
    """A semaphore whose number can be changed; those who wait have their turns by rank, then as they came."""

    def __init__(self, number: float) -> None:
        self._number = number
        self._taken = 0
        self._came = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def full(self) -> bool:
        """Whether who comes now has to wait."""
        return bool(self._waiting) or self._taken >= self._number

    @property
    def awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def resize(self, number: float) -> None:
        """Change the number; what is taken stays taken."""
        self._number = number
        self._hand_out()

    async def take(self, rank: int = 0) -> None:
        """Wait for a slot; the lowest rank has the next."""
        if not self.full:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        entry = (rank, next(self._came), turn)
        insort(self._waiting, entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            elif not turn.cancelled():
                # its turn came in the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next have a slot."""
        self._taken -= 1
        self._hand_out()

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *_: object) -> None:
        self.give_back()

    def _hand_out(self) -> None:
        while self._waiting and self._taken < self._number:
            _, _, turn = self._waiting.pop(0)
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


class Capacity:
    """How many notebooks go on at a time, over all runs: of each pool, and all together.

    Parameters
    ----------
    changed
        Called when a run begins or ceases to wait for a pool.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.slots = Slots(1)
        self._changed = changed
        self._sizes: Mapping[str, int] = {}
        self._pools: dict[str, Slots] = {}
        self._open: dict[RunKey, int] = {}
        self._waits: dict[RunKey, list[str]] = {}

    def resize(self, notebooks: int, pools: Mapping[str, int]) -> None:
        """Change the numbers; a pool that is no longer there has no limit, for runs that began with it."""
        self.slots.resize(notebooks)
        self._sizes = pools
        for name, pool in self._pools.items():
            pool.resize(pools.get(name, math.inf))

    def pool(self, name: str) -> Slots:
        """Return the slots of a pool."""
        return self._pools.setdefault(name, Slots(self._sizes.get(name, math.inf)))

    def note_open(self, run: RunKey, tasks: int) -> None:
        """Note how many tasks a run has begun that are not done; those that wait count."""
        self._open[run] = tasks
        self._changed()

    def forget(self, run: RunKey) -> None:
        """Take note that a run has no tasks any more."""
        self._open.pop(run, None)

    def waits_for(self, run: RunKey) -> Set[str]:
        """Return the pools that a run waits for, where it does nothing else meanwhile."""
        waits = self._waits.get(run, [])
        return set(waits) if len(waits) == self._open.get(run) else set()

    @asynccontextmanager
    async def place(self, name: str, run: RunKey, rank: int) -> AsyncIterator[None]:
        """Wait for a place in a pool, and keep it for as long as the context lasts."""
        pool = self.pool(name)
        self._waits.setdefault(run, []).append(name)
        self._changed()
        try:
            await pool.take(rank)
        finally:
            self._waits[run].remove(name)
            if not self._waits[run]:
                del self._waits[run]
            self._changed()
        try:
            yield
        finally:
            pool.give_back()
