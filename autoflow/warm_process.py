# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The process that forks jobs; it can be started before AutoFlow has imported what it needs itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

MARKER = "AUTOFLOW_JOB"
"""Environment variable that every process started for a job carries: ``<instance>/<job>/``."""


START = "import sys; del sys.path[0]; from autoflow.child.__main__ import main; main()"
"""Does as ``-P -m autoflow.child``: but kernels are forked from this process, and with that flag, which cannot be taken
back, ipykernel would not let them import the modules beside a notebook."""


@dataclass(frozen=True)
class WarmProcess:
    """The process, and AutoFlow's end of the socket to it."""

    process: subprocess.Popen[bytes]
    connection: socket.socket

    def end(self) -> None:
        """End it, if it was not used."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


def start_warm_process(environment: Mapping[str, str], instance: str) -> WarmProcess:
    """Start it; it ends with this process, or when the connection is closed.

    Parameters
    ----------
    environment
        That of children, without secrets.
    instance
        Name of this installation.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", START, "--warm", str(os.getpid())],
            stdin=theirs.fileno(),
            # what libraries print when they are imported is no message
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # longer than the marker of any job, which overwrites it
            env={**environment, MARKER: f"{instance}/warm-parent-of-jobs/"},
            # nothing that it imports, reads or makes is where AutoFlow happens to run: others may write there
            cwd="/",
            start_new_session=True,
        )
    return WarmProcess(process, ours)
