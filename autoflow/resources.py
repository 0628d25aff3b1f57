# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where the files of config/ are: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path


def config_file(name: str) -> Path:
    """Find a file of config/, wherever AutoFlow runs from."""
    package = Path(__file__).parent
    installed = package / "config" / name
    return installed if installed.exists() else package.parent / "config" / name
