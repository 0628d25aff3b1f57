# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The wall clock. All else asks `Context.now`, takes the time as an argument, or waits on the event loop."""

from __future__ import annotations

import datetime as dt


def utc_now() -> dt.datetime:
    """Read the clock; only where a process begins."""
    return dt.datetime.now(dt.UTC)
