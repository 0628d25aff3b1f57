# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Times in the record that lie in the future, since the clock was ahead when they were recorded."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3

TIMES = {
    "attempts": ("started", "ended", "superseded"),
    "notebooks": ("started", "ended"),
    "requests": ("asked",),
    "skips": ("since",),
    "listed_dates": ("appeared",),
    "overrides": ("since",),
    "restatements": ("seen",),
    "stale": ("since",),
    "departures": ("seen",),
    "kept_reports": ("since",),
    "causes": ("since", "told"),
    "outbox": ("made",),
}
"""The columns that hold times, by table."""

META_TIMES = ("last_tick", "last_poll", "first_poll")


def set_right(cursor: sqlite3.Cursor, now: str) -> None:
    """Move what lies later than now to the past, all of it by the same length, so that its order stays.

    Parameters
    ----------
    cursor
        In a transaction.
    now
        As times are recorded: text whose order is that of time.
    """
    latest = _latest(cursor, now)
    if latest is not None:
        by = dt.datetime.fromisoformat(latest) - dt.datetime.fromisoformat(now)
        cursor.connection.create_function("moved", 1, lambda time: _moved(time, by), deterministic=True)
        for table, columns in TIMES.items():
            for column in columns:
                cursor.execute(
                    f"UPDATE {table} SET {column} = moved({column}) WHERE {column} > ?",  # noqa: S608
                    (now,),
                )
        marks = ", ".join("?" * len(META_TIMES))
        cursor.execute(
            f"UPDATE meta SET value = moved(value) WHERE key IN ({marks}) AND value > ?",  # noqa: S608
            (*META_TIMES, now),
        )
    silence = cursor.execute("SELECT value FROM meta WHERE key = 'silence'").fetchone()
    if silence:
        told = json.loads(silence[0])
        told |= {name: min(told[name], now) for name in ("since", "last")}
        cursor.execute("UPDATE meta SET value = ? WHERE key = 'silence'", (json.dumps(told),))


def _latest(cursor: sqlite3.Cursor, now: str) -> str | None:
    """Find the latest time that lies later than now; None when there is none."""
    found = [
        cursor.execute(f"SELECT max({column}) FROM {table} WHERE {column} > ?", (now,)).fetchone()[0]  # noqa: S608
        for table, columns in TIMES.items()
        for column in columns
    ]
    marks = ", ".join("?" * len(META_TIMES))
    meta = cursor.execute(
        f"SELECT max(value) FROM meta WHERE key IN ({marks}) AND value > ?",  # noqa: S608
        (*META_TIMES, now),
    ).fetchone()
    return max((time for time in (*found, *meta) if time is not None), default=None)


def _moved(time: str, by: dt.timedelta) -> str:
    return (dt.datetime.fromisoformat(time) - by).isoformat(timespec="microseconds")
