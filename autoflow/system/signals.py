# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the operating system asks of the process: to stop, to stop at once, to read its definitions again."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

from autoflow.signal_guard import IGNORED, STOPPING, ignore

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
        self._before = {number: signal.getsignal(number) for number in (*STOPPING, *IGNORED, signal.SIGHUP)}
        for number in STOPPING:
            loop.add_signal_handler(number, self._ask_to_stop, number.name)
        for number in IGNORED:
            loop.add_signal_handler(number, ignore, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number, before in self._before.items():
            loop.remove_signal_handler(number)
            # who has been asked to stop is about to: nothing breaks that off
            done = self.stop.is_set() and number in STOPPING
            signal.signal(number, ignore if done else before)

    def _ask_to_stop(self, name: str) -> None:
        if self.stop.is_set():
            logger.warning("%s again: killing what is running", name)
            self.kill.set()
        else:
            logger.info("%s: stopping", name)
            self.stop.set()
