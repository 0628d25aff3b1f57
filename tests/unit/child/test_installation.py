# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Who looks at what is installed needs none of it."""

from __future__ import annotations

import subprocess
import sys

LOOKS = """
import sys
from autoflow.child import installation
installation.work({}, None)
print(*sorted({"bs4", "nbconvert", "nbformat", "pandas", "papermill"} & sys.modules.keys()))
"""


def test_what_is_installed_is_looked_at_without_what_makes_reports() -> None:
    """It takes most of a second to import, and may be what is missing."""
    done = subprocess.run([sys.executable, "-P", "-c", LOOKS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
