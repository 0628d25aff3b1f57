# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Kernels as AutoFlow starts them: over private unix sockets, tied to the life of their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import tempfile
from subprocess import Popen
from typing import Any

from jupyter_client.manager import AsyncKernelManager

LONGEST_SOCKET_DIRECTORY = 90
PR_SET_PDEATHSIG = 1


class KernelManager(AsyncKernelManager):
    """A manager whose Python kernels listen on unix sockets in the job's own directory.

    TCP ports of parallel kernels can collide, and anybody on the machine can connect to them. Kernels
    of other languages keep to TCP, since not all of them know another way.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # else it goes to /tmp, and stays there, key and all, when the job is killed
        self.connection_file = f"{os.environ['JUPYTER_RUNTIME_DIR']}/kernel.json"
        if self.kernel_spec is not None and self.kernel_spec.language == "python":
            self.transport = "ipc"
            self.ip = f"{_socket_directory()}/k"

    @property
    def process(self) -> Popen[bytes] | None:
        """The kernel's process; None before it is started."""
        return getattr(self.provisioner, "process", None)


def die_with_parent() -> None:
    """Run in a kernel's process before it becomes one, so that no kernel outlives its job."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _socket_directory() -> str:
    directory = os.environ["JUPYTER_RUNTIME_DIR"]
    # a unix socket's path holds 107 bytes
    return directory if len(directory) <= LONGEST_SOCKET_DIRECTORY else tempfile.mkdtemp(prefix="autoflow-", dir="/tmp")
