# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The clocks. All else asks `Context.now`, takes the time as an argument, or waits on the event loop."""

from __future__ import annotations

import datetime as dt
import time


def utc_now() -> dt.datetime:
    """Read the clock; only where a process begins."""
    return dt.datetime.now(dt.UTC)


def boot_seconds() -> float:
    """Give the seconds since the machine started, asleep or not: the same clock for all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
