# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ending processes for good: by descent, and by a marker in the environment."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection
from contextlib import suppress

ROUNDS = 50
"""How often the search is repeated at most, against processes that fork while they are hunted."""


def leave_no_core() -> None:
    """Disable core dumps of this process and its children: they would contain the token."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # the hard limit stays: a notebook may ask for one of its own
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def kill_tree(pid: int) -> None:
    """Kill a process and all that descends from it.

    The process is stopped first and killed last: as long as it lives its orphans stay below it when it
    is a subreaper, as the children of `autoflow.jobs.jobs` are.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        root.suspend()
        kill_descendants(pid)
        root.kill()
    except psutil.NoSuchProcess:
        return


def kill_descendants(pid: int) -> int:
    """Kill all that descends from a process, and return how many there were."""
    import psutil

    killed = set()
    root = psutil.Process(pid)
    for _ in range(ROUNDS):
        below = [process for process in root.children(recursive=True) if process.status() != psutil.STATUS_ZOMBIE]
        if not below:
            break
        for process in below:
            killed.add(process.pid)
            with suppress(psutil.Error):
                process.kill()
    return len(killed)


def has_children() -> bool:
    """Whether this process has children that have not ended; ended ones are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def memory_of(roots: Collection[int]) -> dict[int, tuple[float, float]]:
    """Read how many MB each of some processes has together with all that descends from it, now and at most.

    Memory that processes share counts for each of them, and the most of a process is from any time: it is more rather
    than less.
    """
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # the name before may have anything in it
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    found = dict.fromkeys(roots, (0.0, 0.0))
    for pid in parents:
        above: int | None = pid
        while above and above not in found:
            above = parents.get(above)
        if above:
            now, most = found[above]
            own_now, own_most = memory_of_process(pid)
            found[above] = now + own_now, most + own_most
    return found


def memory_of_process(pid: int | str) -> tuple[float, float]:
    """Read how many MB a process has, now and at most; none when it has ended."""
    with suppress(OSError, ValueError, KeyError), open(f"/proc/{pid}/status") as file:  # noqa: PTH123
        lines = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS:", "VmHWM:")))
        now, most = (int(lines[name].split()[0]) * 1024 / 1_000_000 for name in ("VmRSS", "VmHWM"))
        return now, most
    return 0.0, 0.0


def kill_marked(name: str, prefix: str, spared: Collection[int] = ()) -> int:
    """Kill every process whose environment has the variable ``name`` with a value that begins with ``prefix``.

    Parameters
    ----------
    spared
        Process ids of those that are to go on.

    Returns
    -------
    int
        How many there were.
    """
    kept = {os.getpid(), *spared}
    killed: set[int] = set()
    for _ in range(ROUNDS):
        found = _marked(f"{name}={prefix}".encode()) - kept
        if not found - killed:
            break
        for pid in found - killed:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed |= found
    return len(killed)


def _marked(marker: bytes) -> set[int]:
    found = set()
    # at the end of every job: a Path for each process would take longer than to read it
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            # a process of another user, or one that has just ended, is not ours
            with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                environment = file.read()
                if environment.startswith(marker) or b"\0" + marker in environment:
                    found.add(int(name))
    return found
