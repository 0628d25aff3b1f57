# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One run: its notebooks in the order of what they read, their reports, and how they are published."""

from autoflow.workflows.admission import GROWS_EVERY, Level, Rules, reserve, why_not
from autoflow.workflows.governor import Governor, Needs
from autoflow.workflows.kept import note_kept
from autoflow.workflows.old_data import remove_old_data
from autoflow.workflows.other_runs import Origin, left_out, without
from autoflow.workflows.queries import to_make_again
from autoflow.workflows.run import execute
from autoflow.workflows.slots import Capacity, PoolInUse

__all__ = [
    "GROWS_EVERY",
    "Capacity",
    "Governor",
    "Level",
    "Needs",
    "Origin",
    "PoolInUse",
    "Rules",
    "execute",
    "left_out",
    "note_kept",
    "remove_old_data",
    "reserve",
    "to_make_again",
    "why_not",
    "without",
]
