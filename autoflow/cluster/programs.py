# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dask's scheduler and worker as AutoFlow needs them: which programs with which options, and what is refused."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from autoflow.cluster.protocol import RESOURCE
from autoflow.errors import AutoflowError

DIRECTORY = "AUTOFLOW_WORKER_DIRECTORY"
"""Tells the worker's process where it keeps what it needs."""

ENCRYPTED = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
SCHEDULER = {
    **ENCRYPTED,
    # a worker that died while it had a job may have begun it: the daemon decides whether another may
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False",
    # one that is stopped would get jobs for five minutes more
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "30s",
}
WORKER = {**ENCRYPTED}


def scheduler_command(certificates: Path, host: str | None, port: int) -> list[str]:
    """Return what is executed as a scheduler."""
    options = {"--port": str(port), "--protocol": "tls", "--dashboard-address": "127.0.0.1:0", **_host(host)}
    return [
        *(sys.executable, "-P", "-m", "distributed.cli.dask_scheduler"),
        *_typed({**options, **_certificates(certificates, "scheduler")}),
        "--no-dashboard",
        "--no-show",
    ]


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker is started."""

    address: str
    """Where the scheduler is."""
    certificates: Path
    directory: Path
    host: str | None
    """Where it listens; None: where the network is."""
    slots: int
    resources: Mapping[str, int] = field(default_factory=dict)
    """What it has for notebooks that ask for it."""


def worker_command(worker: WorkerOptions) -> list[str]:
    """Return what is executed as a worker."""
    resources = {RESOURCE: worker.slots, **worker.resources}
    options = {
        "--name": worker_name(worker.directory),
        "--nthreads": str(worker.slots),
        "--resources": " ".join(f"{name}={amount}" for name, amount in resources.items()),
        # memory is that of the notebooks, in processes of their own
        "--memory-limit": "0",
        "--local-directory": str(worker.directory / "dask"),
        "--preload": "autoflow.cluster.worker",
        "--dashboard-address": "127.0.0.1:0",
        **_host(worker.host),
        **_certificates(worker.certificates, "worker"),
    }
    command = [sys.executable, "-P", "-m", "distributed.cli.dask_worker", worker.address]
    return [*command, *_typed(options), "--no-nanny", "--no-dashboard"]


def worker_name(directory: Path) -> str:
    """Name a worker: the same after a restart, and another for each directory."""
    return f"{socket.gethostname()}-{_hash_of(directory)[:6]}"


def worker_instance(directory: Path) -> str:
    """Name the installation that a worker's children belong to: no other worker of the machine may end them."""
    return f"worker-{_hash_of(directory)[:12]}"


def _hash_of(directory: Path) -> str:
    return sha256(str(directory.resolve()).encode()).hexdigest()


def lock_directory(directory: Path) -> None:
    """Have a worker's directory for this process, and for what it executes in its place.

    Raises
    ------
    AutoflowError
        When a worker has it already.
    OSError
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AutoflowError(f"{directory}: another worker has it; each needs a directory of its own") from None
    os.set_inheritable(lock, True)


def become(command: list[str], environment: Mapping[str, str]) -> None:
    """Execute a program in place of this one."""
    sys.stdout.flush()
    os.execve(command[0], command, dict(environment))  # noqa: S606  # no shell is wanted


def _certificates(directory: Path, role: str) -> dict[str, str]:
    files = {"--tls-ca-file": "ca.pem", "--tls-cert": f"{role}.pem", "--tls-key": f"{role}-key.pem"}
    for name in files.values():
        if not (directory / name).is_file():
            raise AutoflowError(
                f"{directory / name} is not there; `autoflow cluster certificates {directory}` makes certificates"
            )
    return {option: str(directory / name) for option, name in files.items()}


def _typed(options: Mapping[str, str]) -> list[str]:
    return [word for option in options.items() for word in option]


def _host(host: str | None) -> dict[str, str]:
    return {"--host": host} if host else {}
