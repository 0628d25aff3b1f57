# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a living AutoFlow holds: the settings, the record, and the doors to work, outputs and people."""

from autoflow.context.backlog import Backlog
from autoflow.context.conditions import Condition, Conditions
from autoflow.context.context import Context
from autoflow.context.ledger import Ledger
from autoflow.context.outputs import Outputs
from autoflow.context.recording import Written, recorded
from autoflow.context.steering import Steering
from autoflow.context.write_probe import WriteProbe, unwritable

__all__ = [
    "Backlog",
    "Condition",
    "Conditions",
    "Context",
    "Ledger",
    "Outputs",
    "Steering",
    "WriteProbe",
    "Written",
    "recorded",
    "unwritable",
]
