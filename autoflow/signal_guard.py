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


def guard(code: int) -> None:
    """Be ended by no signal from now on.

    Parameters
    ----------
    code
        Exit code for when it is asked to stop before there is anything to stop.
    """

    def leave(number: int, _: FrameType | None) -> None:
        logger.info("%s: stopping", signal.Signals(number).name)
        sys.exit(code)

    for number in (*IGNORED, signal.SIGHUP):
        signal.signal(number, ignore)
    for number in STOPPING:
        # Ctrl-C is a KeyboardInterrupt already
        if number != signal.SIGINT:
            signal.signal(number, leave)


def is_over() -> None:
    """Be ended by no signal while the interpreter is taken down, where it would forget its handlers."""
    for number in (*IGNORED, *STOPPING, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def ignore(number: int, _: FrameType | None = None) -> None:
    """Say that a signal is not for AutoFlow, or not now."""
    logger.info("%s: ignored", signal.Signals(number).name)
