# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Signals that come while the loop begins or ends to hear them."""

from __future__ import annotations

import subprocess
import sys

FLOOD = """
import asyncio, os, signal, threading, time
from autoflow.signal_guard import guard
from autoflow.system import Signals

async def live():
    for _ in range(500):
        with Signals() as signals:
            pass
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        await signals.reload.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.stop.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.kill.wait()

def flood():
    while not over.is_set():
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0)

guard(0)
over = threading.Event()
thread = threading.Thread(target=flood)
thread.start()
asyncio.run(live())
over.set()
thread.join()
print("heard")
"""


def test_no_signal_comes_at_a_moment_at_which_nothing_hears_it() -> None:
    ended = subprocess.run([sys.executable, "-c", FLOOD], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "heard\n"), ended.stderr[-500:]
