# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``python -m autoflow``."""

import os
import sys

# -m has put the working directory first, where others may write; `python -P -m autoflow` never looks there at all
if not sys.flags.safe_path and sys.path[0] in ("", os.path.realpath(".")):
    del sys.path[0]

from autoflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
