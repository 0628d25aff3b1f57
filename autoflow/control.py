# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's own socket: who asks there gets its answer from the loop itself, or none."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any


class Control:
    """Answers each connection to a unix socket with a line of JSON, for as long as the context lasts."""

    def __init__(self, path: Path, describe: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._describe = describe
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> None:
        # the store's lock is held, so a socket that is there is a dead AutoFlow's
        self._path.unlink(missing_ok=True)
        with _short(self._path) as address:
            self._server = await asyncio.start_unix_server(self._answer, address)
        self._path.chmod(0o600)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG002
        writer.write(json.dumps(self._describe()).encode() + b"\n")
        writer.close()


def ask(path: Path, patience: float = 5.0) -> dict[str, Any]:
    """Ask a daemon how it is.

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
