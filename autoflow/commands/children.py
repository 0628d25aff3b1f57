# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Children of a command: they find what those of a daemon find, which they leave alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from autoflow.jobs import Jobs
from autoflow.settings import Settings, job_environment


@contextmanager
def children_of(command: str, settings: Settings) -> Iterator[Jobs]:
    """Give a command jobs of its own, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix=f"autoflow-{command}-") as directory:
        # an instance of its own: what a running daemon has started is not to be touched
        instance = f"{command}-{os.getpid()}"
        with closing(Jobs(Path(directory) / "jobs", instance, job_environment(os.environ, settings))) as jobs:
            yield jobs
