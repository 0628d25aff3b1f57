# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How much may go on at a time, a number that may change meanwhile."""

from __future__ import annotations

import asyncio


class Slots:
    """A semaphore whose number can be changed; those who wait have their turns in the order in which they came."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._taken = 0
        self._freed = asyncio.Event()

    def resize(self, number: int) -> None:
        """Change the number; what is taken stays taken."""
        self._number = number
        self._freed.set()

    async def __aenter__(self) -> None:
        while self._taken >= self._number:
            self._freed.clear()
            await self._freed.wait()
        self._taken += 1

    async def __aexit__(self, *_: object) -> None:
        self._taken -= 1
        self._freed.set()
