# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Signals that come while the loop begins or ends to hear them."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


SWALLOWED = """
import asyncio, os, signal, weakref
from autoflow.signal_guard import guard
from autoflow.system import Signals

class Thing:
    pass

async def live():
    with Signals() as signals:
        await asyncio.sleep(0)
        print("told" if signals.stop.is_set() else "not told")

guard(0)
thing = Thing()
# Python ignores what is raised in such a callback
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.NUMBER))
del thing
asyncio.run(live())
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_what_came_where_python_ignores_it_is_heard_as_soon_as_signals_are(number: str) -> None:
    script = SWALLOWED.replace("NUMBER", number)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "Exception ignored in" in ended.stderr
    assert (ended.returncode, ended.stdout) == (0, "told\n"), ended.stderr[-500:]
