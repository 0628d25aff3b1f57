# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Short blocking work that needs no process of its own, out of the loop's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def to_end(work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
    """Run a function in a thread, and wait for its end even when cancelled: a thread cannot be stopped."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(doing)
    finally:
        while not doing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({doing})


class Probe(Generic[Result]):
    """Looks at what may hang, in a thread and once at a time: a share that hangs takes one thread and no more.

    Parameters
    ----------
    look
        Finds what is to be known.
    """

    def __init__(self, look: Callable[[], Result]) -> None:
        self._look = look
        self._looking: asyncio.Future[Result] | None = None
        self._began = 0.0

    async def found(self, *, fresh: float, patience: float) -> Result | None:
        """Return what is found, or was within the ``fresh`` seconds before; None when that takes too many seconds."""
        now = asyncio.get_running_loop().time()
        if self._looking is None or (self._looking.done() and now - self._began > fresh):
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._look))
            self._began = now
        done, _ = await asyncio.wait({self._looking}, timeout=patience)
        return self._looking.result() if done else None
