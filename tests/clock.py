# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Time under control: an event loop whose time jumps from timer to timer, and the wall clock that goes with it."""

from __future__ import annotations

import asyncio
import datetime as dt
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds of real time that a test waits for something real; only a fault comes near."""


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while there is anything to do, and then jumps to the next timer.

    Where something real is in progress, a child process or a thread, its time passes as real time does: nothing
    overtakes what is waited for.

    Parameters
    ----------
    busy
        Says whether something real is in progress that the loop itself does not know of.
    """

    def __init__(self, busy: Callable[[], bool] = lambda: False) -> None:
        super().__init__(selectors.DefaultSelector())
        self._now = 0.0
        self.busy = busy
        self.before_select: Callable[[], None] = lambda: None
        """Called each time that the loop looks for something to do; what it raises ends the loop."""
        self._threads: set[asyncio.Future[Any]] = set()
        self._conditions: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._select = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._held_select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._threads.add(future)
        future.add_done_callback(self._threads.discard)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        # from Python 3.12 on there is a limit, which time would jump to
        await super().shutdown_default_executor()

    async def until(self, condition: Callable[[], bool], within: float = 400 * 86400.0) -> None:
        """Wait until a condition is met, which is looked at whenever the loop has nothing else to do.

        Parameters
        ----------
        within
            Seconds, on this loop's clock, after which the wait is given up.
        """
        if condition():
            return
        met: asyncio.Future[None] = self.create_future()
        self._conditions[met] = condition
        try:
            async with asyncio.timeout(within):
                await met
        finally:
            del self._conditions[met]

    def _held_select(self, timeout: float | None) -> list[Any]:
        self.before_select()
        events: list[Any] = self._select(0)
        if events or timeout == 0:
            return events
        met = [future for future, condition in self._conditions.items() if not future.done() and condition()]
        if met:
            for future in met:
                future.set_result(None)
            return []
        if self._threads or self.busy() or timeout is None:
            began = time.monotonic()
            # what is waited for may come about without an event, a file say
            events = self._select(0.02 if timeout is None else min(timeout, 0.02))
            self._now += time.monotonic() - began
            return events
        # the loop takes what is due within its resolution: a little further than asked, so that it is due
        self._now += timeout + 1e-6
        return []


class Clock:
    """A wall clock that goes with a loop, and can be set."""

    def __init__(self, start: dt.datetime, loop: asyncio.AbstractEventLoop) -> None:
        self._start, self._loop = start, loop

    def __call__(self) -> dt.datetime:
        return self._start + dt.timedelta(seconds=self._loop.time())

    def set(self, by: dt.timedelta) -> None:
        self._start += by


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something that real processes do, which is looked at many times a second."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"what was waited for did not come within {seconds:g} s"
        time.sleep(0.02)


def run_held(main: Coroutine[Any, Any, T], busy: Callable[[], bool] = lambda: False) -> T:
    """Run a coroutine on a loop whose time is under control."""
    with asyncio.Runner(loop_factory=lambda: HeldLoop(busy)) as runner:
        return runner.run(main)
