# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How busy this machine is, or the part of it that AutoFlow may use; what cannot be read is not known."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000

SHORTEST_WINDOW = 0.5
"""Seconds over which the use of the CPU is measured at least."""

NO_LIMIT = 1 << 62
"""Bytes from which on a limit of memory is none: version 1 writes the largest number of whole pages."""

STEAL = 7
"""Where a line of /proc/stat has the last number that counts: what follows is in others already (proc(5))."""


@dataclass(frozen=True)
class Reading:
    """What was seen at one look; memory in MB, pressure in percent of the last ten seconds, None where not known."""

    cores: float
    """What may be used: the cores of the process's affinity, or a cgroup's quota where that is less."""
    busy: float | None = None
    """How many of these cores are in use, by whatever process."""
    cpu_pressure: float | None = None
    memory: float | None = None
    """What may be used in all."""
    free: float | None = None
    """What can be had of it now."""
    memory_pressure: float | None = None
    is_first: bool = False
    """Whether the use of the CPU is not known yet: it takes two looks."""


class Machine:
    """Reads /proc and control groups, of version 2 or 1; a look takes less than a millisecond.

    Parameters
    ----------
    root
        What is above ``proc`` and ``sys``.
    cores
        The numbers of the cores that may be used; by default those of this process.
    """

    def __init__(self, root: Path = Path("/"), cores: frozenset[int] | None = None) -> None:
        self._proc = root / "proc"
        self._cores = cores or frozenset(os.sched_getaffinity(0))
        self._top = root / "sys" / "fs" / "cgroup"
        self._groups = list(_groups(root / "proc", self._top))
        self._quota, self._limited = self._least_quota()
        self._before: tuple[float, float, float | None] | None = None
        self._busy: float | None = None

    def read(self) -> Reading:
        """Look."""
        memory, free = self._memory()
        return Reading(
            self._quota,
            self._busy_cores(),
            self._pressure("cpu"),
            memory,
            free,
            self._pressure("memory"),
            is_first=self._busy is None and self._before is not None,
        )

    def _least_quota(self) -> tuple[float, Path | None]:
        quota, limited = float(len(self._cores)), None
        for group in self._groups:
            with suppress(OSError, ValueError, ZeroDivisionError):
                if (own := _quota(group)) < quota:
                    quota, limited = own, group
        return quota, limited

    def _busy_cores(self) -> float | None:
        """Measure the use of the CPU since the last look that was long enough ago."""
        try:
            now = self._times()
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            self._before = self._busy = None
            return None
        if self._before is None:
            self._before = now
            return None
        seconds = now[0] - self._before[0]
        if seconds >= SHORTEST_WINDOW:
            idle = (now[1] - self._before[1]) / seconds
            if now[2] is not None and self._before[2] is not None:
                idle = min(idle, self._quota - (now[2] - self._before[2]) / seconds)
            self._busy = min(max(self._quota - idle, 0.0), self._quota)
            self._before = now
        return self._busy

    def _times(self) -> tuple[float, float, float | None]:
        """Read how many seconds have passed, those that the cores were idle, and those that the cgroup has used."""
        passed = idle = 0
        names = {f"cpu{core}" for core in self._cores}
        for line in (self._proc / "stat").read_text().splitlines():
            name, *fields = line.split()
            if name in names:
                names.remove(name)
                spent = [int(field) for field in fields[: STEAL + 1]]
                passed += sum(spent)
                idle += spent[3] + spent[4]
        if len(names) == len(self._cores):
            raise ValueError("none of the cores is there")
        hertz = os.sysconf("SC_CLK_TCK")
        used = None
        if self._limited:
            with suppress(OSError, ValueError, KeyError, StopIteration):
                used = _cpu_used(self._limited, self._top)
        return passed / hertz / len(self._cores), idle / hertz, used

    def _memory(self) -> tuple[float | None, float | None]:
        """Read how much there is and how much is free, of the machine and of each cgroup that has a limit."""
        try:
            known = _named(self._proc / "meminfo")
            memory, free = known["MemTotal:"] * 1024.0, known["MemAvailable:"] * 1024.0
        except (OSError, ValueError, KeyError):
            return None, None
        for group in self._groups:
            with suppress(OSError, ValueError, KeyError):
                limit, used = _memory(group)
                memory, free = min(memory, limit), min(free, limit - used)
        return memory / MB, max(free, 0) / MB

    def _pressure(self, what: str) -> float | None:
        found = []
        for path in (self._proc / "pressure" / what, *(group / f"{what}.pressure" for group in self._groups)):
            with suppress(OSError, ValueError, IndexError):
                some = path.read_text().splitlines()[0].split()
                found.append(float(some[1].removeprefix("avg10=")))
        return max(found, default=None)


def _groups(proc: Path, top: Path) -> Iterator[Path]:
    """List the control groups of this process and those above them, as far as they are to be seen.

    Version 2 has one tree for all, version 1 one for each controller; a container sees its own group as the top.
    """
    with suppress(OSError, ValueError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            mount = top if number == "0" else top / controllers
            if (number == "0" and (top / "cgroup.controllers").exists()) or {"cpu", "memory"} & {
                *controllers.split(",")
            }:
                group = mount / path.lstrip("/")
                yield from (each for each in (group, *group.parents) if each.is_relative_to(mount))


def _quota(group: Path) -> float:
    """Read how many cores a control group may use."""
    if (group / "cpu.max").exists():
        most, period = (group / "cpu.max").read_text().split()
    else:
        most, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    return math.inf if most in ("max", "-1") else int(most) / int(period)


def _cpu_used(group: Path, top: Path) -> float:
    """Read how many seconds of processor time a control group has used."""
    if (group / "cpu.max").exists():
        return _named(group / "cpu.stat")["usage_usec"] / 1_000_000
    # version 1 counts in a tree of its own, which may be the same
    tree, *path = group.relative_to(top).parts
    trees = (tree, "cpuacct", "cpu,cpuacct")
    found = next(each for name in trees if (each := top.joinpath(name, *path, "cpuacct.usage")).exists())
    return int(found.read_text()) / 1_000_000_000


def _memory(group: Path) -> tuple[float, int]:
    """Read how many bytes a control group may take, and how many it takes."""
    if (group / "memory.limit_in_bytes").exists():
        limit, used, kept = int((group / "memory.limit_in_bytes").read_text()), "memory.usage_in_bytes", "total_"
    else:
        limits = [(group / name).read_text().strip() for name in ("memory.max", "memory.high")]
        limit, used, kept = min(int(each) if each != "max" else NO_LIMIT for each in limits), "memory.current", ""
    if limit >= NO_LIMIT:
        return math.inf, 0
    # the kernel takes back what it only keeps of files
    return limit, int((group / used).read_text()) - _named(group / "memory.stat")[f"{kept}inactive_file"]


def _named(path: Path) -> dict[str, int]:
    """Read a file that has a name and a number on each line."""
    fields = (line.split() for line in path.read_text().splitlines())
    return {each[0]: int(each[1]) for each in fields if len(each) > 1}
