# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a worker costs: trivial notebooks on two workers of this machine, beside the same by `Jobs` alone.

``python -m benchmarks.workers`` prints the milliseconds of one notebook, the seconds of forty on two slots, and how
many tasks that do nothing the scheduler places a second.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from distributed import Client, Security

from autoflow.clock import utc_now
from autoflow.cluster import make_certificates
from autoflow.cluster.protocol import RESOURCE
from autoflow.context import Conditions
from autoflow.jobs import Door, Jobs
from autoflow.settings import load_settings
from tests.integration.test_cluster import Deployment, Programs

ONE_BY_ONE, TOGETHER, SLOTS = 15, 40, 2
PLACED = 2000


async def took(execute: Callable[[], Awaitable[None]], notebooks: int, slots: int) -> tuple[float, float]:
    """Execute notebooks, so many at a time; return the seconds of all and the median of one."""
    free, each = asyncio.Semaphore(slots), []

    async def one() -> None:
        async with free:
            began = time.monotonic()
            await execute()
            each.append(time.monotonic() - began)

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(notebooks)))
    return time.monotonic() - began, median(each)


async def compare(deployment: Deployment, here: Jobs) -> None:
    """Measure both doors in turns, since machines are noisy."""
    notebook = deployment.write("trivial.ipynb", "1 + 1")
    async with here.warmth((), at_once=True), deployment.cluster() as cluster:

        async def execute(door: Door) -> None:
            reply, _ = await deployment.execute(door, notebook)
            assert reply.cause == "done", reply

        doors: dict[str, Door] = {"here": here, "worker": cluster}
        for door in doors.values():
            await execute(door)
        for _ in range(3):
            for notebooks, slots in ((ONE_BY_ONE, 1), (TOGETHER, SLOTS)):
                found = {name: await took(partial(execute, door), notebooks, slots) for name, door in doors.items()}
                alone = ", ".join(f"{name} {1000 * one:.0f} ms" for name, (_, one) in found.items())
                ratio = found["worker"][0] / found["here"][0]
                print(
                    f"{notebooks} notebooks, {slots} at a time: {alone} each; all: {ratio:.2f} times as long",
                    flush=True,
                )


async def bound(address: str, certificates: Path, scheduler: psutil.Process) -> None:
    """Have the scheduler place tasks that do nothing, one at a time on each worker: it can place no more notebooks."""
    files = {"ca_file": "ca.pem", "client_cert": "daemon.pem", "client_key": "daemon-key.pem"}
    security = Security(
        require_encryption=True, **{f"tls_{name}": str(certificates / file) for name, file in files.items()}
    )
    async with Client(address, security=security, asynchronous=True) as client:
        began, used = time.monotonic(), sum(scheduler.cpu_times()[:2])
        await client.gather([client.submit(int, each, resources={RESOURCE: 1}) for each in range(PLACED)])
        seconds, cpu = time.monotonic() - began, sum(scheduler.cpu_times()[:2]) - used
    print(f"scheduler: {PLACED / seconds:.0f} tasks a second, {1000 * cpu / PLACED:.2f} ms of its CPU each", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        for directory in ("programs", "inputs", "outputs/.autoflow", "outputs/notebooks"):
            (root / directory).mkdir(parents=True)
        make_certificates(root / "programs" / "certificates", utc_now())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            programs = Programs(root / "programs", free.getsockname()[1], root / "programs" / "certificates")
        programs.all_up()
        environment = {
            "AUTOFLOW_INPUTS_DIR": str(root / "inputs"),
            "AUTOFLOW_OUTPUTS_DIR": str(root / "outputs"),
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "AUTOFLOW_WORKERS": programs.address,
            "AUTOFLOW_WORKERS_CERTIFICATES": str(programs.certificates),
        }
        here = Jobs(root / "here", "benchmark", os.environ)
        try:
            asyncio.run(compare(Deployment(root, load_settings(environment), Conditions(utc_now)), here))
            scheduler = psutil.Process(programs.running["scheduler"].pid)
            asyncio.run(bound(programs.address, programs.certificates, scheduler))
        finally:
            here.close()
            for program in programs.running.values():
                program.kill()
                program.wait()


if __name__ == "__main__":
    main()
