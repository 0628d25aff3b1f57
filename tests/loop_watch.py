# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Finds what keeps an asyncio loop from turning."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

WORTH_NOTING = 0.02


@dataclass
class Watched:
    """What the callbacks of a loop took, in seconds of the processor."""

    longest: list[tuple[float, str]] = field(default_factory=list)
    """The longest of them, the longest first."""

    def note(self, seconds: float, name: str) -> None:
        self.longest = sorted([*self.longest, (seconds, name)], reverse=True)[:10]


@contextmanager
def watched() -> Iterator[Watched]:
    """Measure each callback of the loops of this process.

    By the time of the thread's own on the processor: on a machine that others load a callback takes no more of that.
    What waits without working, as for a disk, is not found.
    """
    found = Watched()
    run = asyncio.events.Handle._run
    collected = 0.0

    def collecting(phase: str, _: dict[str, int]) -> None:
        nonlocal collected
        collected += time.thread_time() if phase == "stop" else -time.thread_time()

    def measured(handle: asyncio.events.Handle) -> None:
        # what was requested its task when it is over knows none any more
        task = next((each for each in gc.get_referents(handle._callback) if isinstance(each, asyncio.Task)), None)
        began, before, garbage = time.thread_time(), resource.getrusage(resource.RUSAGE_THREAD), collected
        run(handle)
        if (seconds := time.thread_time() - began) > WORTH_NOTING:
            after = resource.getrusage(resource.RUSAGE_THREAD)
            # what the code works, what the system does for it, and what there was to collect
            how = (
                f"{after.ru_stime - before.ru_stime:.2f} s of it in the system,"
                f" {after.ru_minflt - before.ru_minflt} page faults, {collected - garbage:.2f} s of it garbage"
            )
            found.note(seconds, f"{how}: {task or handle!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events.Handle, "_run", measured)
        gc.callbacks.append(collecting)
        try:
            yield found
        finally:
            gc.callbacks.remove(collecting)
