# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The door to all blocking work: one child process for each job, and nothing left of it afterwards."""

from autoflow.jobs.jobs import Beginning, Door, Jobs, Reply

__all__ = [
    "Beginning",
    "Door",
    "Jobs",
    "Reply",
]
