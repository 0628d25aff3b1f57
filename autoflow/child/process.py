# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a process does to itself so that it can be found, and does not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from autoflow.clock import boot_seconds
from autoflow.processes import kill_marked, memory_of_process
from autoflow.warm_process import MARKER

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

LEASE_LOOK, LONGEST_UNREADABLE = 0.5, 10.0
"""Seconds between looks at a lease, and that one which cannot be read is taken to last."""

OOM_SCORE = 500
"""Half of what there is: memory that a notebook takes counts double (proc(5))."""

BLOCK_START, BLOCK_END = 47, 48
"""Where /proc/<pid>/stat has the addresses of the environment, counted after the name (proc(5))."""


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends, also when that has happened already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent process exited")


def keep_orphans() -> None:
    """Become the parent of orphaned descendants, so that daemons that a notebook starts are found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def live_by_lease(file: Path) -> None:
    """End this process and all that it has started once the time in a file has passed, which the worker puts off.

    That is in a thread here since the worker may be stopped, or hang.
    """
    threading.Thread(target=_watch_lease, args=(file,), name="lease", daemon=True).start()


def _watch_lease(file: Path) -> None:
    over = boot_seconds() + LONGEST_UNREADABLE
    while boot_seconds() < over:
        time.sleep(LEASE_LOOK)
        with suppress(OSError, ValueError):
            over = float(file.read_text())
    kill_marked(MARKER, os.environ[MARKER], {os.getpid()})
    os.kill(os.getpid(), signal.SIGKILL)


def peak_memory() -> int:
    """Say how many MB this process and the largest of those that it has waited for have taken at most."""
    below = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1_000_000
    return round(memory_of_process("self")[1] + below)


def be_killed_first() -> None:
    """Make the out-of-memory killer choose this process and its children before AutoFlow."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


def replace_environment(environment: Mapping[str, str], marker: str) -> None:
    """Replace the environment, also what /proc shows of its ``marker``.

    /proc/<pid>/environ shows the memory that a process was started with, which a fork copies. The
    value there is overwritten in place, and must be as long as the new one at least.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[BLOCK_START]), int(fields[BLOCK_END])
    block = b"\0" + ctypes.string_at(start, end - start)
    found = block.find(f"\0{marker}=".encode())
    if found >= 0:
        length = block.index(b"\0", found + 1) - found - 1
        text = f"{marker}={environment[marker]}".encode()[:length].ljust(length, b"\0")
        ctypes.memmove(start + found, text, length)
    os.environ.clear()
    os.environ.update(environment)
