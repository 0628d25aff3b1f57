# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Writing to the record from the loop, which goes on while the record is locked or its disk is full."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from autoflow.context.conditions import Conditions
from autoflow.errors import OutputsLostError

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds before it is tried again; each pause is twice the one before."""

QUIET = 5.0
"""Seconds of waiting that are not logged: another process reads or copies the record."""

LAST_PATIENCE = 5.0
"""Seconds that AutoFlow tries for when it is to stop; the next start puts right what was not recorded."""

Written = TypeVar("Written")


async def recorded(conditions: Conditions, stop: asyncio.Event, write: Callable[[], Written]) -> Written:
    """Write to the record as soon as it can be written.

    Parameters
    ----------
    conditions
        Where people find what is waited for.
    stop
        Once set, there is little patience.
    write
        One transaction, which leaves nothing behind when it raises.

    Raises
    ------
    sqlite3.Error
        When waiting does not help, or AutoFlow is to stop.
    """
    clock = asyncio.get_running_loop().time
    began, pause, stopped = clock(), FIRST_PAUSE, None
    while True:
        try:
            written = write()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_DBMOVED:
                raise OutputsLostError("the record was removed or replaced while AutoFlow ran") from error
            now = clock()
            if stop.is_set():
                stopped = now if stopped is None else stopped
                if now - stopped >= LAST_PATIENCE:
                    raise
            if now - began >= QUIET:
                conditions.begin("record", f"the record cannot be written ({error}); AutoFlow will retry")
        else:
            conditions.end("record", "the record is writable again")
            return written
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
