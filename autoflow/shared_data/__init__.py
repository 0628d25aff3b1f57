# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Data that the runs of a workflow share: each run works on a copy, and what it wrote appears when it has succeeded.

`SharedData.directory` finds the data of one workflow. `SharedDirectory.open_view` copies their newest version,
`View.changes` finds what a run has changed in its copy, `SharedDirectory.stage` makes the next version of it, and
`SharedDirectory.commit` shows that to others in one step.
"""

from autoflow.shared_data.changes import Changes, SharedDataError, SharedFile, View, Writer, file_hashes, file_names
from autoflow.shared_data.versions import SharedData, SharedDirectory, Staged

__all__ = [
    "Changes",
    "SharedData",
    "SharedDataError",
    "SharedDirectory",
    "SharedFile",
    "Staged",
    "View",
    "Writer",
    "file_hashes",
    "file_names",
]
