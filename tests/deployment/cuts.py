# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What becomes of a notebook whose worker is cut off, for less and for more than its lease; see workers.sh."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autoflow.clock import utc_now
from autoflow.cluster import make_certificates
from autoflow.context import Conditions
from autoflow.settings import load_settings
from tests.integration.test_cluster import Deployment, is_alive, seen

HERE, THERE = "10.77.0.1", "10.77.0.2"
PORT = 8786


class Machines:
    """A scheduler and a worker here, and a worker at the other end of the cable."""

    def __init__(self, root: Path) -> None:
        self.certificates = root / "certificates"
        self._root = root
        self._programs: list[subprocess.Popen[bytes]] = []
        make_certificates(self.certificates, utc_now())

    @property
    def address(self) -> str:
        return f"tls://{HERE}:{PORT}"

    def start(self, where: str, *typed: str) -> None:
        enter = ["ip", "netns", "exec", where]
        with (self._root / "programs.log").open("ab") as log:
            command = [*enter, sys.executable, "-m", "autoflow", *typed]
            self._programs.append(subprocess.Popen(command, stdout=log, stderr=log))

    def scheduler(self) -> None:
        self.start("autoflow-here", "cluster", "scheduler", str(self.certificates), "--host", HERE, "--port", str(PORT))

    def worker(self, end: str, host: str) -> None:
        place = ("--directory", str(self._root / f"worker-{end}"), "--slots", "1")
        self.start(f"autoflow-{end}", "worker", self.address, str(self.certificates), "--host", host, *place)

    def cable(self, state: str) -> None:
        subprocess.run(["ip", "-n", "autoflow-here", "link", "set", "here", state], check=True)

    def end(self) -> None:
        for program in self._programs:
            program.kill()
            program.wait()


def deployed(root: Path, machines: Machines, lease: int) -> Deployment:
    for name in ("inputs", "outputs/.autoflow", "outputs/notebooks"):
        (root / name).mkdir(parents=True)
    environment = {
        "AUTOFLOW_INPUTS_DIR": str(root / "inputs"),
        "AUTOFLOW_OUTPUTS_DIR": str(root / "outputs"),
        "FLOWAPI_URL": "http://127.0.0.1:9",
        "AUTOFLOW_WORKERS": machines.address,
        "AUTOFLOW_WORKERS_CERTIFICATES": str(machines.certificates),
        "AUTOFLOW_WORKERS_LEASE": f"{lease}s",
    }
    return Deployment(root, load_settings(environment), Conditions(utc_now))


async def cut_off(root: Path, lease: int, cut: float) -> tuple[str, int]:
    """Pull the cable for some seconds while a notebook runs at its other end; return how it ended and began."""
    machines = Machines(root)
    machines.scheduler()
    machines.worker("there", THERE)
    deployment = deployed(root, machines, lease)
    try:
        async with deployment.cluster() as cluster:
            running = asyncio.create_task(deployment.execute(cluster, deployment.works()))
            await seen(deployment.began)
            [first] = deployment.began()
            machines.worker("here", HERE)
            machines.cable("down")
            end = time.monotonic() + cut
            while time.monotonic() < end:
                await asyncio.sleep(0.1)
                if len(deployment.began()) > 1:
                    assert not is_alive(first), "two executions at a time"
            machines.cable("up")
            if cut > lease:
                await seen(lambda: len(deployment.began()) > 1)
            assert is_alive(first) == (cut < lease)
            deployment.release.touch()
            reply, _ = await running
            return reply.cause, len(deployment.began())
    finally:
        machines.end()


def main() -> int:
    failed = 0
    for name, lease, cut, expected in (
        ("a cut of 20 s is survived with a lease of 60 s", 60, 20.0, ("done", 1)),
        ("a cut of 40 s with a lease of 15 s lets the notebook run elsewhere, once", 15, 40.0, ("done", 2)),
    ):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
            try:
                found = asyncio.run(cut_off(Path(root), lease, cut))
            except AssertionError as error:
                found = (str(error), 0)
        failed += found != expected
        print(f"{'ok' if found == expected else 'FAILED'}: {name}: {found}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
