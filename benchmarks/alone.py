# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Measurements that nothing is beside: commands that people wait for, and the idle daemon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import cpu_seconds, proportional_mb, tree, wakeups

SETTLE_SECONDS = 15.0
"""How long after its tick the daemon is left alone before it is looked at."""


@dataclass(frozen=True)
class Idle:
    """The idle daemon, all its processes together, in one stretch of time."""

    processes: int
    resident_mb: float
    proportional_mb: float
    wakeups_a_minute: float
    cpu_seconds_an_hour: float


def command_seconds(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Time a command line."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "autoflow", *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def idle_daemon(environment: Mapping[str, str], stretches: int, minutes: float) -> list[Idle]:
    """Watch a daemon that has ticked once and waits for the next year.

    Parameters
    ----------
    environment
        Its settings; its log level is set here.
    stretches, minutes
        How often it is looked at, and for how long each time.
    """
    command = [sys.executable, "-m", "autoflow", "--now"]
    log_level = {"AUTOFLOW_LOG_LEVEL": "DEBUG"}
    with subprocess.Popen(command, env={**environment, **log_level}, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stderr is not None
            said = []
            for line in daemon.stderr:
                said.append(line)
                # the first is before the tick of --now, the next after it
                if "next tick at" in line:
                    break
            else:
                raise RuntimeError(f"the daemon ended: {''.join(said)[-2000:]}")
            time.sleep(SETTLE_SECONDS)
            return [_watch(daemon.pid, minutes) for _ in range(stretches)]
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate()


def _watch(pid: int, minutes: float) -> Idle:
    processes = tree(pid)
    cpu_before, wakeups_before, began = cpu_seconds(processes), wakeups(processes), time.monotonic()
    time.sleep(60 * minutes)
    passed = (time.monotonic() - began) / 60
    return Idle(
        processes=len(processes),
        resident_mb=sum(_resident_mb(process) for process in processes),
        proportional_mb=proportional_mb(processes),
        wakeups_a_minute=(wakeups(processes) - wakeups_before) / passed,
        cpu_seconds_an_hour=(cpu_seconds(processes) - cpu_before) * 60 / passed,
    )


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1000
