# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Time, processor time and memory of a command and all that it starts."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """What one execution took."""

    seconds: float
    cpu_seconds: float
    """User and system time of the process and of all below it that were waited for (`os.wait4`)."""
    peak_mb: float | None = None
    """Largest sum of proportional set sizes; None where memory was not sampled, since that takes time itself."""


def run(command: Sequence[str], environment: Mapping[str, str], *, memory: bool = False) -> Cost:
    """Execute a command.

    Raises
    ------
    subprocess.CalledProcessError
        When it fails, with the end of what it printed.
    """
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        sampler = _Sampler(process.pid) if memory else None
        if sampler:
            sampler.start()
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = sampler.stop() if sampler else None
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output[-3000:].decode(errors="replace"))
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


def proportional_mb(pids: Sequence[int]) -> float:
    """Sum what processes hold, with shared memory counted once."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000


class _Sampler(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._peak = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            with suppress(psutil.Error):
                below = psutil.Process(self._pid).children(recursive=True)
                self._peak = max(self._peak, proportional_mb([self._pid, *(process.pid for process in below)]))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self._peak
