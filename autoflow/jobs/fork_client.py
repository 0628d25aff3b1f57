# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""AutoFlow's end of the connection to the warm parent, which forks jobs (`autoflow.child.warm_parent`)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from autoflow.warm_process import MARKER, WarmProcess

PATIENCE = 60.0
"""Seconds in which a fork is to be made, imports included."""


class Process(Protocol):
    """What a job's process can be asked, however it was started."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def send_signal(self, signal: int, /) -> None: ...

    async def wait(self) -> int: ...


class NotWarmError(Exception):
    """No fork can be had, and why; a job can be started from nothing instead.

    Parameters
    ----------
    unexpected
        Whether this is a fault: other refusals belong to the ordinary course of things.
    """

    def __init__(self, why: str, *, unexpected: bool = False) -> None:
        super().__init__(why)
        self.unexpected = unexpected


class Fork:
    """A process that the warm parent forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, status: int) -> None:
        """Record its end."""
        self.returncode = status
        self._ended.set()

    def send_signal(self, number: int, /) -> None:
        """Signal it, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end, and give its exit code as `subprocess` does."""
        await self._ended.wait()
        return self.returncode or 0


class ForkClient:
    """Asks the warm parent for forks, and tells it to retire."""

    def __init__(self, warm: WarmProcess) -> None:
        self._process = warm.process
        self._connection = warm.connection
        self._connection.setblocking(False)
        self._forks: dict[str, Fork] = {}
        self._asked: dict[str, asyncio.Future[Fork]] = {}
        self._sending = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen())
        self.retired = False

    async def fork(
        self, kind: str, request: Mapping[str, Any], workspace: Path, environment: Mapping[str, str]
    ) -> Fork:
        """Fork a process for a job.

        Raises
        ------
        NotWarmError
            When it cannot be had; this warm parent is not asked again then.
        """
        name = str(workspace)
        answer: asyncio.Future[Fork] = asyncio.get_running_loop().create_future()
        self._asked[name] = answer
        message = {
            "workspace": name,
            "kind": kind,
            "notebook": request.get("notebook"),
            "preload": request.get("preload", ()),
            "formats": request.get("formats", ()),
            "environment": dict(environment),
            "marker": MARKER,
        }
        try:
            async with asyncio.timeout(PATIENCE):
                # a line that was begun is sent to its end, whatever becomes of the one who wants it
                await asyncio.shield(asyncio.create_task(self._send(json.dumps(message).encode() + b"\n")))
                return await answer
        except (TimeoutError, OSError) as error:
            self.kill()
            why = f"the warm parent does not respond ({error or 'timed out'})"
            raise NotWarmError(why, unexpected=True) from error
        except NotWarmError:
            self.retire()
            raise
        finally:
            self._asked.pop(name, None)

    def retire(self) -> None:
        """Ask it to end after its last fork."""
        if not self.retired:
            self.retired = True
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """End it, and with it all that it forked."""
        self.retired = True
        self._process.kill()

    async def close(self) -> None:
        """Retire it, and wait until it has gone; it is killed when it does not go, or has nothing left to do."""
        self.retire()
        if not self._forks and not self._asked:
            self.kill()
        try:
            async with asyncio.timeout(5.0):
                await asyncio.shield(self._listening)
        except TimeoutError:
            self.kill()
            await self._listening
        await asyncio.to_thread(self._process.wait)

    async def _send(self, line: bytes) -> None:
        async with self._sending:
            await asyncio.get_running_loop().sock_sendall(self._connection, line)

    async def _listen(self) -> None:
        """Read its answers until it has exited."""
        try:
            await self._hear()
        except asyncio.CancelledError:
            # the loop is ended over its head, and nobody would hear of what it has forked any more
            self.kill()
            raise
        finally:
            self._gone()

    async def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        received = b""
        with self._connection, suppress(OSError):
            while chunk := await loop.sock_recv(self._connection, 1 << 16):
                *lines, received = (received + chunk).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))

    def _gone(self) -> None:
        self.retired = True
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(NotWarmError("the warm parent has exited", unexpected=True))
        for fork in self._forks.values():
            # they are killed with it
            fork.end(-signal.SIGKILL)

    def _take(self, message: Mapping[str, Any]) -> None:
        name = message["workspace"]
        if "status" in message:
            self._forks.pop(name).end(message["status"])
            return
        asked = self._asked.get(name)
        if "pid" in message:
            fork = self._forks[name] = Fork(message["pid"])
            if asked is not None and not asked.done():
                asked.set_result(fork)
            else:
                # no longer waited for
                fork.send_signal(signal.SIGKILL)
        elif asked is not None and not asked.done():
            asked.set_exception(NotWarmError(message["refused"], unexpected="defect" in message))
