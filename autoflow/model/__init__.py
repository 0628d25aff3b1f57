# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The record: one sqlite file with every attempt at every run; the only room that knows SQL."""

from autoflow.model.messages import HEARTBEAT, Message, Queued, joined, signed, tidy
from autoflow.model.presence import Presence
from autoflow.model.reader import (
    FailedRun,
    Failures,
    KnownCause,
    RecordedAttempt,
    RecordedNotebook,
    Request,
    RunHistory,
    RunReader,
    Silence,
    Skip,
    Skips,
)
from autoflow.model.retention import Removal, Sweeper, Swept
from autoflow.model.store import Attempt, RunStore, open_for_reading
from autoflow.model.tables import PREDECESSORS_COLUMNS, PREDECESSORS_TABLE, OldRow, TakenOver, count_rows

__all__ = [
    "HEARTBEAT",
    "PREDECESSORS_COLUMNS",
    "PREDECESSORS_TABLE",
    "Attempt",
    "FailedRun",
    "Failures",
    "KnownCause",
    "Message",
    "OldRow",
    "Presence",
    "Queued",
    "RecordedAttempt",
    "RecordedNotebook",
    "Removal",
    "Request",
    "RunHistory",
    "RunReader",
    "RunStore",
    "Silence",
    "Skip",
    "Skips",
    "Sweeper",
    "Swept",
    "TakenOver",
    "count_rows",
    "joined",
    "open_for_reading",
    "signed",
    "tidy",
]
