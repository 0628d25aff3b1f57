# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which code this is: an AutoFlow that runs goes on with the old one when another is installed over it."""

from __future__ import annotations

import os
from hashlib import md5
from pathlib import Path

RESTART = "AutoFlow's code on disk has changed since it was started: restart AutoFlow; no run starts until then"


def code_on_disk() -> str:
    """Identify the code on disk by the sizes and times of its files: in a checkout the version stays the same."""
    package = Path(__file__).parent
    said = []
    for directory, _, names in os.walk(package):
        for name in names:
            if name.endswith(".py"):
                try:
                    # a hundred files before each run: a Path for each would take longer
                    found = os.stat(f"{directory}/{name}")  # noqa: PTH116
                except OSError:
                    # just being replaced
                    continue
                said.append(f"{directory}/{name} {found.st_size} {found.st_mtime_ns}")
    return md5("\n".join(sorted(said)).encode(), usedforsecurity=False).hexdigest()
