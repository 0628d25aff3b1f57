# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Warm parents that are there at once: forks of one process that has imported what each of them imports.

A warm parent costs half a second of imports, and a hundred tests need one. Here they are paid for once. What a test
gets is a process like any other warm parent: its own socket, session, environment and marker.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from autoflow.warm_process import MARKER, START, WarmProcess, start_warm_process

ROOT = Path(__file__).parent.parent
LONGEST_MARKER = 200
STARTS_WARM_PARENTS = ("autoflow.jobs.jobs.start_warm_process", "autoflow.warm_process.start_warm_process")

ANOTHER = b"more"
"""In the place of the length of a request: a connection over which more requests will come."""

# the rest is as in `START`: kernels are forked at the top of the program
SERVE = f"import sys; sys.path[0] = {str(ROOT)!r}; from tests.warm_parents import serve; serve(); "


class Forked:
    """A warm parent, with what AutoFlow uses of `subprocess.Popen`."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self) -> None:
        select.select([self._descriptor], [], [])


class Forking:
    """Asks over a connection for forks, in the place of warm parents that are started from nothing.

    Parameters
    ----------
    connection
        To the process that forks.
    environment
        With which that process has started.
    """

    def __init__(self, connection: socket.socket, environment: Mapping[str, str]) -> None:
        self._connection, self._environment = connection, environment

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a process of this environment could not be told from a fork."""
        return _of_python(environment) == _of_python(self._environment)

    def start_warm_process(self, environment: Mapping[str, str], instance: str) -> WarmProcess:
        """Do what the function of this name does, by a fork unless it could be told from a process of its own."""
        if not self.fits(environment):
            return start_warm_process(environment, instance)
        ours, theirs = socket.socketpair()
        with theirs:
            marked = {**environment, MARKER: f"{instance}/warm-parent-of-jobs/"}
            text = json.dumps(marked).encode()
            socket.send_fds(self._connection, [len(text).to_bytes(4, "big")], [theirs.fileno()])
            self._connection.sendall(text)
        said, descriptors, _, _ = socket.recv_fds(self._connection, 4, 1)
        return WarmProcess(cast(Any, Forked(int.from_bytes(said, "big"), *descriptors)), ours)


class WarmParents(Forking):
    """The process that forks warm parents; it is started when the first is wanted."""

    def __init__(self) -> None:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        ours, self._theirs = socket.socketpair()
        super().__init__(ours, environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start_warm_process(self, environment: Mapping[str, str], instance: str) -> WarmProcess:
        self._started()
        return super().start_warm_process(environment, instance)

    def connect(self) -> socket.socket:
        """Make one more connection, for an AutoFlow that is a process of its own: see `tests.forking`."""
        self._started()
        return one_more(self._connection)

    def _started(self) -> None:
        if self._process is None:
            self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._theirs:
            return subprocess.Popen(
                [sys.executable, "-c", SERVE + START],
                stdin=self._theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # what each fork overwrites
                env={**self._environment, MARKER: "-" * LONGEST_MARKER},
                cwd="/",
                start_new_session=True,
            )

    def close(self) -> None:
        self._theirs.close()
        self._connection.close()
        if self._process:
            self._process.wait()


def one_more(connection: socket.socket) -> socket.socket:
    """Make a connection of its own to the process that forks, over one that several processes may have."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(connection, [ANOTHER], [theirs.fileno()])
    return ours


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Choose the variables that have worked when a process has started."""
    return {name: text for name, text in environment.items() if name.startswith(("PYTHON", "LC_", "LANG", "HOME"))}


def serve() -> None:
    """Fork for each request; returns in the forks."""
    from autoflow.child import warm_parent
    from autoflow.child.process import die_with_parent, replace_environment

    die_with_parent(os.getppid())
    before = dict(os.environ)
    warm_parent.import_always()
    for kind in ("page", "report"):
        # as it would be a moment later
        import_module(f"autoflow.child.{kind}").prepare()
    imported = {name: text for name, text in os.environ.items() if name not in before}
    # a garbage collection would copy the memory that all forks share
    gc.freeze()
    first = socket.socket(fileno=os.dup(0))
    connections = [first]
    awake, wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([awake, *connections], [], [])
        if awake in ready:
            os.read(awake, 4096)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
        connection = next((each for each in connections if each in ready), None)
        if connection is None:
            continue
        length, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
        if length == ANOTHER:
            connections.append(socket.socket(fileno=descriptors[0]))
            continue
        if not length:
            if connection is first:
                os._exit(0)
            connections.remove(connection)
            connection.close()
            continue
        environment = json.loads(connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        parent = os.getpid()
        pid = os.fork()
        if pid:
            socket.send_fds(connection, [pid.to_bytes(4, "big")], [own := os.pidfd_open(pid)])
            for descriptor in (own, *descriptors):
                os.close(descriptor)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(descriptors[0], 0)
        for descriptor in (awake, wakened, *(each.detach() for each in connections), *descriptors):
            os.close(descriptor)
        os.setsid()
        replace_environment(environment, MARKER)
        # the imports are made, and what they have set comes when they would be
        warm_parent.import_always = partial(os.environ.update, imported)
        sys.argv[1:] = ["--warm", str(parent)]
        for name in ("tests.warm_parents", "tests"):
            del sys.modules[name]
        return
