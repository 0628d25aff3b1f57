# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Thousands of ticks with nothing due, on a clock that runs fast: what the daemon holds on to.

``python -m tests.soak.ticks [--ticks 2000]``
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import logging
import os
import resource
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from autoflow.app import open_context
from autoflow.daemon.loop import serve
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.settings.settings import load_settings
from autoflow.system.notifier import Notifier
from tests.soak.kills import deploy


def main() -> int:
    """Tick, and print memory, descriptors and processor time every now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=2000)
    options = parser.parse_args()
    # each look at the clock leaps, so that every tick runs into the next: not news here
    logging.getLogger("autoflow").setLevel(logging.CRITICAL)
    with FlowapiStandin(days=0, poll_seconds=0.0) as flowapi, tempfile.TemporaryDirectory() as directory:
        deployment = deploy(Path(directory), flowapi)
        flowapi_token = flowapi.token(dt.timedelta(days=36500))
        settings = load_settings({**deployment.environment, "FLOWAPI_TOKEN": flowapi_token})
        start, looks = dt.datetime.now(dt.UTC), 0

        def leaping() -> dt.datetime:
            nonlocal looks
            looks += 1
            return start + dt.timedelta(hours=6 * looks)

        def polls() -> int:
            return flowapi.requests.count("GET /api/0/available_dates")

        async def watch() -> None:
            step, shown = max(options.ticks // 10, 1), -1
            print("ticks  resident KB  descriptors  CPU s (daemon)  CPU s (children)")
            while polls() < options.ticks:
                if polls() // step != shown:
                    shown = polls() // step
                    print(line(polls()), flush=True)
                await asyncio.sleep(0.2)
            print(line(polls()), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

        with open_context(settings, deployment.environment, Progress()) as context:
            context = replace(context, now=leaping, longest_nap=0.01)

            async def both() -> None:
                watching = asyncio.create_task(watch())
                await serve(context, read_definitions(settings.workflows_file), Notifier({}))
                await watching

            asyncio.run(both())
    return 0


def line(ticks: int) -> str:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    own = time.process_time()
    return f"{ticks:5}  {resident:11}  {descriptors:11}  {own:14.1f}  {children.ru_utime + children.ru_stime:16.1f}"


if __name__ == "__main__":
    sys.exit(main())
