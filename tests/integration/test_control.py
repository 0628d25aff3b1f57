# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The control socket, as it comes and goes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from autoflow.system import control
from autoflow.system.control import LONGEST_LINE, MOST_CONNECTIONS, Control, ask

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def while_listening(
    path: Path,
    steps: Callable[[], Awaitable[None]],
    answer: Callable[[Mapping[str, Any]], Any] = lambda question: {"length": len(json.dumps(question))},
) -> None:
    async def give(question: Mapping[str, Any]) -> dict[str, Any]:
        answered: dict[str, Any] = answer(question)
        return answered

    async def listen() -> None:
        async with Control(path, give):
            await asyncio.wait_for(steps(), 60)

    asyncio.run(listen())


def test_the_socket_goes_without_a_word_whatever_was_opened_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address names a descriptor, which other files take one after the other."""
    path = tmp_path / "control.sock"

    async def come_and_go() -> None:
        async with Control(path, lambda _: {}):
            assert path.is_socket()
            others = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
        for other in others:
            os.close(other)

    asyncio.run(come_and_go())
    assert not path.exists()
    assert caplog.messages == []


def test_a_question_has_its_largest_size_and_so_does_an_answer(path: Path) -> None:
    async def steps() -> None:
        assert (await asyncio.to_thread(ask, path, {"x": "." * (LONGEST_LINE - 100)}))["length"] > LONGEST_LINE - 100
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LONGEST_LINE)
        with suppress(ConnectionError):
            # it is not read to its end
            for _ in range(LONGEST_LINE // 65_536 + 2):
                writer.write(b"." * 65_536)
                await writer.drain()
            assert b"it has more than 16,000,000 bytes" in await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        with pytest.raises(ValueError, match="the request has more than 16,000,000 bytes"):
            await asyncio.to_thread(ask, path, {"x": "." * LONGEST_LINE})
        with pytest.raises(ValueError, match="its response has more than 16,000,000 bytes"):
            await asyncio.to_thread(ask, path, {"large": True})
        # who asks for little still gets it
        assert await asyncio.to_thread(ask, path) == {"length": 2}

    while_listening(
        path, steps, lambda asked: {"x": "." * LONGEST_LINE} if "large" in asked else {"length": len(json.dumps(asked))}
    )


def test_more_connections_than_there_may_be_are_closed_at_once_and_room_is_made_again(path: Path) -> None:
    async def steps() -> None:
        held: list[Streams] = [await asyncio.open_unix_connection(str(path)) for _ in range(MOST_CONNECTIONS)]
        reader, writer = await asyncio.open_unix_connection(str(path))
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        for _, held_writer in held:
            held_writer.close()
        await asyncio.gather(*(each.wait_closed() for _, each in held), return_exceptions=True)
        while True:
            with suppress(OSError, ValueError):
                assert await asyncio.to_thread(ask, path) == {"length": 2}
                return

    while_listening(path, steps)


def test_a_question_that_comes_byte_by_byte_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.3)

    async def steps() -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        # not to the end: that of a connection whose other side has left something unread is a reset
        answering = asyncio.create_task(reader.readline())
        while not answering.done():
            with suppress(ConnectionError):
                writer.write(b".")
                await writer.drain()
            await asyncio.wait({answering}, timeout=0.05)
        assert b"the question took longer than 0.3 s" in answering.result()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    while_listening(path, steps)


def test_who_does_not_read_the_answer_is_let_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.3)

    async def steps() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"{}\n")
            closed = select.poll()
            closed.register(client, select.POLLHUP)
            assert await asyncio.to_thread(closed.poll, 30_000)

    while_listening(path, steps, lambda _: {"x": "." * 10_000_000})


@pytest.mark.parametrize("said", [b".", b""])
def test_a_daemon_that_answers_byte_by_byte_or_not_at_all_is_not_waited_for(path: Path, said: bytes) -> None:
    over = threading.Event()

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            while not over.wait(0.02):
                connection.sendall(said)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        answering = threading.Thread(target=answer, args=(listening,))
        answering.start()
        with pytest.raises(TimeoutError):
            ask(path, patience=0.3)
        over.set()
        answering.join()
