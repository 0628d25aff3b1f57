# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's own socket: who asks there, or gives an order, gets the answer from the loop itself, or none."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

logger = logging.getLogger(__name__)


LONGEST_LINE = 16_000_000
"""Bytes that a question or an answer may have: an order for ten years of runs has a few millions."""

AT_A_TIME, MOST_CONNECTIONS = 4, 32
"""Questions that are read at a time, and connections: what all of them may hold is bounded."""

CHUNK = 65_536

PATIENCE = 5.0
"""Seconds that the other side may take."""


class Control:
    """Answers a line of JSON with another, over a unix socket, for as long as the context lasts.

    Parameters
    ----------
    path
        The socket; only its owner may use it.
    answer
        Gives the answer to a question; an empty mapping asks how the daemon is.
    """

    def __init__(self, path: Path, answer: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]) -> None:
        self._path = path
        self._give = answer
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._reading = asyncio.Semaphore(AT_A_TIME)

    async def __aenter__(self) -> None:
        # the store's lock is held, so a socket that is there is a dead AutoFlow's
        self._path.unlink(missing_ok=True)
        # from 3.13 on asyncio would remove the socket too, by a descriptor that may be another file's by then
        keep = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        with _short(self._path) as address:
            self._server = await asyncio.start_unix_server(self._answer, address, limit=CHUNK, **keep)
        self._path.chmod(0o600)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(2 * PATIENCE):
                writer.write(json.dumps(await self._answered(reader)).encode() + b"\n")
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            # who asked does not read, or is gone
            writer.transport.abort()
        finally:
            self._connections -= 1

    async def _answered(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE), self._reading:
                question = json.loads(await _line(reader) or b"{}")
            if not isinstance(question, dict):
                raise ValueError(f"expected a mapping, found {type(question).__name__}")
            return await self._give(question)
        except TimeoutError:
            return {"error": f"the question took longer than {PATIENCE:g} s"}
        except (OSError, ValueError, RecursionError) as error:
            return {"error": f"the question cannot be read ({error})"}
        except Exception as error:
            # the daemon goes on, and who asked is told
            logger.exception("a request could not be handled")
            return {"error": f"{type(error).__name__}: {error}"}


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and (chunk := await reader.read(CHUNK)):
        line += chunk
        if len(line) > LONGEST_LINE:
            raise ValueError(f"it has more than {LONGEST_LINE:,} bytes")
    return bytes(line)


def ask(path: Path, question: Mapping[str, Any] | None = None, patience: float = PATIENCE) -> dict[str, Any]:
    """Ask a daemon how it is, or give it an order.

    Raises
    ------
    OSError
        When there is none, or it does not answer in time.
    ValueError
        When it answers nonsense, or the question is longer than it would read.
    """
    asked = json.dumps(question or {}).encode() + b"\n"
    if len(asked) > LONGEST_LINE:
        raise ValueError(f"the request has more than {LONGEST_LINE:,} bytes")
    end = time.monotonic() + patience
    with _short(path) as address, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(address)
        connection.sendall(asked)
        answer = bytearray()
        while not answer.endswith(b"\n") and (chunk := connection.recv(CHUNK)):
            answer += chunk
            if len(answer) > LONGEST_LINE:
                raise ValueError(f"its response has more than {LONGEST_LINE:,} bytes")
            # each part may be quick where the whole has no end
            connection.settimeout(max(end - time.monotonic(), 0.001))
    try:
        described = json.loads(answer)
    except RecursionError:
        raise ValueError("its response is nested too deeply") from None
    if not isinstance(described, dict):
        raise ValueError(f"its response is not a mapping, but {type(described).__name__}")
    return described


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a socket by its directory's descriptor: its own path may be longer than the 107 bytes it may have."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
