# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dask's scheduler and worker as AutoFlow needs them: which programs with which options, and what is refused."""

from __future__ import annotations

import errno
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
from autoflow.wording import shown

DIRECTORY = "AUTOFLOW_WORKER_DIRECTORY"
"""Tells the worker's process where it keeps what it needs."""

OWN_ADDRESS = "expected one of its own, such as 192.0.2.10 (`ip address` lists them)"

REACHING = 5.0
"""Seconds until a scheduler's answer is not waited for, when it is only looked whether it is there."""

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


def check_can_listen(host: str | None, port: int = 0) -> None:
    """Check that a program of dask's can listen where it is told to: it would end in a traceback.

    Raises
    ------
    AutoflowError
        When it cannot.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AutoflowError(
            f"--host: no address is known for {shown(host)} ({error.strerror}); {OWN_ADDRESS}"
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise AutoflowError(_why_not_listen(error, host, port)) from None


def _why_not_listen(error: OSError, host: str | None, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port: {port} is in use, maybe by another scheduler; end that program, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host: found {shown(host)}, which is no address of this machine; {OWN_ADDRESS}"
    return f"cannot listen on {host or 'this machine'}, port {port} ({error.strerror}); see --host and --port"


def why_unreachable(address: str) -> str:
    """Say why nothing answers at a scheduler's address now; empty where something does."""
    host, _, port = address.removeprefix("tls://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHING).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


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
