# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Time, processor time and memory of a command and all that it starts."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.1
ORPHAN_SECONDS = 5.0
"""How long what a command has left behind may go on; its processor time counts as the command's."""


@dataclass(frozen=True)
class Cost:
    """What one execution took."""

    seconds: float
    """Until the command itself has ended."""
    cpu_seconds: float
    """User and system time of all processes, as the kernel adds it up when each of them is waited for."""
    peak_mb: float | None = None
    """Largest sum of proportional set sizes; None where memory was not sampled, since that takes time itself."""

    def times(self, factor: float) -> Cost:
        """Return what so many times the work would take."""
        return replace(self, seconds=self.seconds * factor, cpu_seconds=self.cpu_seconds * factor)


def adopt_orphans() -> None:
    """Have processes whose parent has gone become this one's children, where they are counted."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: Sequence[str], environment: Mapping[str, str], *, memory: bool = False) -> Cost:
    """Execute a command, alone: all other children of this process are taken for its orphans.

    Raises
    ------
    subprocess.CalledProcessError
        When it fails, with the end of what it printed.
    """
    # no pipe: an orphan could hold it open
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        sampler = _Sampler() if memory else None
        if sampler:
            sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            # told to stop: nothing that is measured goes on
            for pid in tree(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = sampler.stop() if sampler else None
        cpu_seconds = usage.ru_utime + usage.ru_stime + _reap_orphans()
        if process.returncode:
            output.seek(0)
            said = output.read()[-3000:].decode(errors="replace")
            raise subprocess.CalledProcessError(process.returncode, command[:4], said)
    return Cost(seconds, cpu_seconds, peak)


def proportional_mb(pids: Iterable[int]) -> float:
    """Sum what processes hold, with shared memory counted once."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1000


def tree(pid: int) -> list[int]:
    """List a process and all below it."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [pid, *(below.pid for below in process.children(recursive=True))]
    return []


def wakeups(pids: Iterable[int]) -> int:
    """Count how often processes, in all their threads, have waited for something and been woken."""
    total = 0
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with suppress(OSError):
                lines = status.read_text().splitlines()
                total += next((int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt")), 0)
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """Sum the processor time of processes and of children that they waited for; the kernel counts in 10 ms."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            total += sum(psutil.Process(pid).cpu_times()[:4])
    return total


@dataclass(frozen=True)
class Quiet:
    """How busy the machine was with other things than what is measured."""

    began: float
    busy: float
    own: float

    @classmethod
    def from_now_on(cls) -> Quiet:
        """Begin to look."""
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        machine = psutil.cpu_times()
        # stolen time is what other machines on the same hardware took
        steal = getattr(machine, "steal", 0.0)
        busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq + steal
        return cls(time.monotonic(), busy, own)

    def others(self) -> float:
        """Return how many cores others kept busy on average until now."""
        now = Quiet.from_now_on()
        return max(now.busy - self.busy - (now.own - self.own), 0.0) / max(now.began - self.began, 0.001)


def peak_resident_mb() -> float:
    """Return this process's own peak.

    Not `resource.getrusage`'s: that begins with what its parent held when this process was started.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000


def _reap_orphans() -> float:
    """Wait for what a command has left behind, kill what does not end, and give its processor time."""
    seconds, patience = 0.0, time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return seconds
        if pid:
            seconds += usage.ru_utime + usage.ru_stime
            continue
        if time.monotonic() > patience:
            for process in psutil.Process().children():
                process.kill()
        time.sleep(0.02)


class _Sampler(threading.Thread):
    """Looks at the memory of all that is below this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._own = os.getpid()
        self._peak = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            with suppress(psutil.Error):
                self._peak = max(self._peak, proportional_mb(tree(self._own)[1:]))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self._peak
