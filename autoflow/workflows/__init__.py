# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One run: its notebooks in the order of what they read, their reports, and how they are published."""

from autoflow.workflows.kept import note_kept
from autoflow.workflows.old_data import remove_old_data
from autoflow.workflows.other_runs import Origin, left_out, notebooks_of_others, without
from autoflow.workflows.queries import to_make_again
from autoflow.workflows.run import execute

__all__ = [
    "Origin",
    "execute",
    "left_out",
    "note_kept",
    "notebooks_of_others",
    "remove_old_data",
    "to_make_again",
    "without",
]
