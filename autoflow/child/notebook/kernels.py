# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Kernels as AutoFlow starts them: over private unix sockets, tied to their parent's life, without fixed waits."""

from __future__ import annotations

import asyncio
import os
import time
from hashlib import sha256
from pathlib import Path
from queue import Empty
from subprocess import DEVNULL, Popen, run
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from autoflow.child.notebook.spare_kernel import ForkedProcess, Launch, SpareKernel
from autoflow.child.process import be_killed_first, die_with_parent
from autoflow.notebooks import OWN_METADATA

LONGEST_SOCKET_DIRECTORY = 90
"""Bytes that leave enough of the 107 which a unix socket's path holds; beyond that kernels listen on TCP ports."""
RECONNECT_MILLISECONDS = 5
"""Pause before another attempt to reach a socket that a starting kernel has not made yet."""


LIST_PACKAGES = """
from importlib.metadata import distributions
print("\\n".join(sorted({f"{each.name}=={each.version}" for each in distributions()})))
"""
"""What a Python interpreter is asked about its environment."""


def described_kernel(name: str) -> dict[str, Any]:
    """Describe a kernel as the metadata of a notebook, with a hash of what is installed for it where it is Python.

    Raises
    ------
    KernelNotReadyError
        When there is no such kernel.
    """
    try:
        found = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel as error:
        raise KernelNotReadyError(f"the kernel {name!r} is not installed") from error
    described: dict[str, Any] = {"name": name, "argv": list(found.argv[:1])}
    if found.language == "python":
        # flags and variables of the kernelspec may change what there is
        listed = run(
            [found.argv[0], "-c", LIST_PACKAGES], capture_output=True, check=False, env={**os.environ, **found.env}
        )
        if listed.returncode == 0:
            described["packages"] = listed.stdout.decode().count("\n")
            described["environment_sha256"] = sha256(listed.stdout).hexdigest()
    return {
        "kernelspec": {"name": name, "display_name": found.display_name, "language": found.language},
        OWN_METADATA: {"kernel": described},
    }


class KernelNotReadyError(Exception):
    """A kernel that was started does not answer."""


class KernelClient(AsyncKernelClient):
    """A client that is ready as soon as messages come both ways."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.context.reconnect_ivl = RECONNECT_MILLISECONDS

    async def wait_for_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # jupyter_client's
        """Ask until there is an answer, and what the kernel publishes arrives too.

        Raises
        ------
        KernelNotReadyError
            When the kernel ends, or the time is over.
        """
        end = time.monotonic() + timeout if timeout else float("inf")
        answered = False
        patience = 1.0
        while time.monotonic() < end:
            self.kernel_info()
            try:
                while not answered:
                    answer = await self.shell_channel.get_msg(timeout=patience)
                    answered = answer["msg_type"] == "kernel_info_reply"
                # once it was answered, a subscription that was late is all that can be missing
                patience = 0.05
                await self.iopub_channel.get_msg(timeout=patience)
            except Empty:
                if not await self.is_alive():
                    raise KernelNotReadyError("the kernel exited before it was ready") from None
            else:
                return
        raise KernelNotReadyError(f"the kernel was not ready within {timeout:g} s")


class Provisioner(LocalProvisioner):
    """Starts a kernel's process, or takes the spare one, and waits for its end without polling."""

    spare: SpareKernel | None = None

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Start the kernel that a command describes."""
        directory = str(options.get("cwd") or Path.cwd())
        parent = os.getpid()

        def prepare() -> None:
            die_with_parent(parent)
            be_killed_first()

        if self.spare is None or not self.spare.suits(cmd, directory):
            return await super().launch_kernel(
                # nothing will ever be typed: who waits for it is told so
                cmd,
                **options,
                stdin=DEVNULL,
                preexec_fn=prepare,
            )
        # what `jupyter_client.launch_kernel` sets, for a kernel to see that its parent has gone
        environment = {**options["env"], "JPY_PARENT_PID": str(parent)}
        process: Any = self.spare.launch(Launch(cmd, environment, directory))
        self.process = process
        # it leads a process group of its own as soon as it runs
        self.pid = self.pgid = process.pid
        self.cwd = directory
        return self.connection_info

    async def wait(self) -> int | None:
        """Wait for the process to end."""
        if self.process and self.process.poll() is None:
            descriptor = os.pidfd_open(self.process.pid)
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        returncode: int | None = await super().wait()
        return returncode


class KernelManager(AsyncKernelManager):
    """A manager whose Python kernels listen on unix sockets in the job's own directory.

    TCP ports of parallel kernels can collide, and any user of the machine can connect to them. Kernels
    of other languages keep to TCP, since not all of them know another way.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.client_factory = KernelClient
        self.context.reconnect_ivl = RECONNECT_MILLISECONDS
        # else it goes to /tmp, and stays there, key and all, when the job is killed
        self.connection_file = f"{os.environ['JUPYTER_RUNTIME_DIR']}/kernel.json"
        spec = self.kernel_spec
        directory = os.environ["JUPYTER_RUNTIME_DIR"]
        if spec is not None and spec.language == "python" and len(os.fsencode(directory)) <= LONGEST_SOCKET_DIRECTORY:
            self.transport = "ipc"
            self.ip = f"{directory}/k"
        if spec is not None and "kernel_provisioner" not in spec.metadata:
            self.provisioner = Provisioner(kernel_id="autoflow", kernel_spec=spec, parent=self)

    def prefer(self, spare: SpareKernel | None) -> None:
        """Use a spare kernel where it is the same as one that the kernelspec describes."""
        # an environment of the kernelspec's own may change how the interpreter starts
        if isinstance(self.provisioner, Provisioner) and self.kernel_spec and not self.kernel_spec.env:
            self.provisioner.spare = spare

    @property
    def process(self) -> Popen[bytes] | ForkedProcess | None:
        """The kernel's process; None before it is started."""
        return getattr(self.provisioner, "process", None)

    async def _async_wait(self, pollinterval: float = 0.1) -> None:  # noqa: ARG002
        if self.provisioner is not None:
            await self.provisioner.wait()
