# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The record: one sqlite file with every attempt at every run; the only room that knows SQL.

The door is wide since it names the types of what is recorded: attempts, notebooks, messages that wait, and what
people were told. `RunStore` writes, `RunReader` reads, `copy_record` and `replace_record` are for backups, and all
else is data.
"""

from autoflow.model.backup import copy_record, replace_record, schema_of
from autoflow.model.finals import FinalRun
from autoflow.model.messages import Message, Queued
from autoflow.model.predecessor import PREDECESSORS_TABLE, OldRow, TakenOver
from autoflow.model.reader import RunReader
from autoflow.model.record_lock import is_held
from autoflow.model.recorded import (
    FailedRun,
    KnownCause,
    ProvisionalRun,
    RecordedAttempt,
    RecordedNotebook,
    RecordFacts,
    RunReports,
    Silence,
    WantedAttempts,
)
from autoflow.model.restatements import (
    Blocks,
    Departure,
    KeptReports,
    Restatement,
    StaleGroup,
    StaleMark,
    StaleRun,
    StaleSummary,
    UsedChange,
    weightiest_first,
)
from autoflow.model.retention import Removal, Sweeper, Swept
from autoflow.model.sources import MadeOf
from autoflow.model.store import Attempt, RunStore, open_for_reading

__all__ = [
    "PREDECESSORS_TABLE",
    "Attempt",
    "Blocks",
    "Departure",
    "FailedRun",
    "FinalRun",
    "KeptReports",
    "KnownCause",
    "MadeOf",
    "Message",
    "OldRow",
    "ProvisionalRun",
    "Queued",
    "RecordFacts",
    "RecordedAttempt",
    "RecordedNotebook",
    "Removal",
    "Restatement",
    "RunReader",
    "RunReports",
    "RunStore",
    "Silence",
    "StaleGroup",
    "StaleMark",
    "StaleRun",
    "StaleSummary",
    "Sweeper",
    "Swept",
    "TakenOver",
    "UsedChange",
    "WantedAttempts",
    "copy_record",
    "is_held",
    "open_for_reading",
    "replace_record",
    "schema_of",
    "weightiest_first",
]
