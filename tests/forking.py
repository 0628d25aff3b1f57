# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""AutoFlow as a process whose warm parents are forked from one that has made its imports already.

``python -m tests.forking DESCRIPTOR WHEN ARGUMENTS`` is ``python -m autoflow ARGUMENTS`` with a connection to that
process; WHEN says whether there is a warm parent ``in ticks``, as ever, or ``always``.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from autoflow import cli
from autoflow.jobs.jobs import Jobs
from tests.warm_parents import STARTS_WARM_PARENTS, Forking

BEGIN = Jobs.__init__


def _stay_warm(self: Jobs, *arguments: Any, **named: Any) -> None:
    """Fork what is asked for between ticks, too, as pages are."""
    BEGIN(self, *arguments, **named)
    self._warmths, self._preload = 1, ()


def main() -> int:
    connection, when = socket.socket(fileno=int(sys.argv.pop(1))), sys.argv.pop(1)
    connection.set_inheritable(False)
    forking = Forking(connection, dict(os.environ))
    with ExitStack() as stack:
        if when == "always":
            stack.enter_context(patch.object(Jobs, "__init__", _stay_warm))
        for name in STARTS_WARM_PARENTS:
            stack.enter_context(patch(name, forking.start_warm_process))
        return cli.main()


if __name__ == "__main__":
    sys.exit(main())
