# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the operating system asks of the process: to stop, to stop at once, to read its definitions again."""

from __future__ import annotations

import asyncio
import logging
import signal
from types import FrameType
from typing import Any

from autoflow.signal_guard import IGNORED, STOPPING, Leave, ignore

logger = logging.getLogger(__name__)


class Signals:
    """What the operating system asks of the process, as events; a context in which they are heard."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        """SIGTERM, SIGINT or SIGQUIT: come to an end."""
        self.kill = asyncio.Event()
        """The same once more: at once."""
        self.reload = asyncio.Event()
        """SIGHUP: read workflows.yml again."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        loop = asyncio.get_running_loop()

        def heard(number: int, _: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._hear, signal.Signals(number))

        # not by the loop's own handlers: to take one back leaves the signal without any for a moment, and one that
        # comes then ends AutoFlow in the middle
        self._before = {number: signal.signal(number, heard) for number in (*STOPPING, *IGNORED, signal.SIGHUP)}
        leave = self._before[signal.SIGINT]
        if isinstance(leave, Leave) and leave.asked is not None:
            self._hear(leave.asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            # who has been asked to stop is about to: nothing breaks that off
            done = self.stop.is_set() and number in STOPPING
            signal.signal(number, ignore if done else before)

    def _hear(self, number: signal.Signals) -> None:
        if number in STOPPING:
            self._ask_to_stop(number.name)
        elif number == signal.SIGHUP:
            self.reload.set()
        else:
            ignore(number)

    def _ask_to_stop(self, name: str) -> None:
        if self.stop.is_set():
            logger.warning("%s again: killing what is running", name)
            self.kill.set()
        else:
            logger.info("%s: stopping", name)
            self.stop.set()
