# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""No signal but SIGKILL ends AutoFlow at once, from its start to its end: what it has started would be left behind.

`autoflow.system.signals` hears them while the loop turns. Handlers, and not SIG_IGN, which children would inherit.
"""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU, signal.SIGPWR)
"""Ask AutoFlow to stop."""

IGNORED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO)
"""Mean nothing to AutoFlow, and end who does not handle them. Python itself ignores SIGPIPE and SIGXFSZ."""

logger = logging.getLogger(__name__)


class Leave:
    """Ends AutoFlow, as it is asked to before there is anything to stop.

    Python ignores what is raised in a callback, as of a weak reference: who hears signals then asks whether one came.
    """

    def __init__(self, code: int) -> None:
        self._code = code
        self.asked: signal.Signals | None = None

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.asked = signal.Signals(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        logger.info("%s: stopping", self.asked.name)
        sys.exit(self._code)


def guard(code: int) -> None:
    """Be ended by no signal from now on.

    Parameters
    ----------
    code
        Exit code for when it is asked to stop before there is anything to stop.
    """
    for number in (*IGNORED, signal.SIGHUP):
        signal.signal(number, ignore)
    leave = Leave(code)
    for number in STOPPING:
        signal.signal(number, leave)


def is_over() -> None:
    """Be ended by no signal while the interpreter is taken down, where it would forget its handlers."""
    for number in (*IGNORED, *STOPPING, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def ignore(number: int, _: FrameType | None = None) -> None:
    """Say that a signal is not for AutoFlow, or not now."""
    logger.info("%s: ignored", signal.Signals(number).name)
