# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a process does to itself so that it can be found, and does not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

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
