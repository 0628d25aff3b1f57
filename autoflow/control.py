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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

logger = logging.getLogger(__name__)


LONGEST_LINE = 100_000_000
"""Bytes that a question may have: an order for ten years of runs has a few millions."""

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

    def __init__(self, path: Path, answer: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self._path = path
        self._give = answer
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> None:
        # the store's lock is held, so a socket that is there is a dead AutoFlow's
        self._path.unlink(missing_ok=True)
        # from 3.13 on asyncio would remove the socket too, by a descriptor that may be another file's by then
        keep = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        with _short(self._path) as address:
            self._server = await asyncio.start_unix_server(self._answer, address, limit=LONGEST_LINE, **keep)
        self._path.chmod(0o600)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                question = json.loads(await reader.readline() or b"{}")
            if not isinstance(question, dict):
                raise ValueError(f"expected a mapping, found {type(question).__name__}")
            answer = self._give(question)
        except (OSError, ValueError, TimeoutError) as error:
            answer = {"error": f"the question can not be read ({error})"}
        except Exception as error:
            # the daemon goes on, and who asked is told
            logger.exception("an order could not be obeyed")
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()


def ask(path: Path, question: Mapping[str, Any] | None = None, patience: float = PATIENCE) -> dict[str, Any]:
    """Ask a daemon how it is, or give it an order.

    Raises
    ------
    OSError
        When there is none, or it does not answer in time.
    ValueError
        When it answers nonsense.
    """
    with _short(path) as address, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(address)
        connection.sendall(json.dumps(question or {}).encode() + b"\n")
        with connection.makefile() as answer:
            described: dict[str, Any] = json.loads(answer.readline())
    return described


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a socket by its directory's descriptor: its own path may be longer than the 107 bytes it may have."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
