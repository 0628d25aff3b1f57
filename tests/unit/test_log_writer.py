# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The log is written in order, and a reader that has stopped reading, or is gone, holds nobody up."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from autoflow import log_writer
from autoflow.log_writer import CLEAR_LINE, LogHandler, LogWriter
from autoflow.progress import RememberedProgress, Task, TerminalProgress, progress_for

TASK = Task(7, "w 2016-01-01", "glues")


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        yield reading, stream


def read_all(descriptor: int, found: list[bytes]) -> None:
    while data := os.read(descriptor, 65536):
        found.append(data)


def test_lines_come_in_order_and_whole(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    writer = LogWriter(stream)
    found: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, found))
    reader.start()
    lines = [f"{number} \u202e é".ljust(100, "x") for number in range(2000)]
    for line in lines:
        writer.line(line)
    assert writer.flush(30)
    stream.close()
    reader.join(30)
    # an encoding that has not all characters is no reason to lose a line
    expected = "".join(f"{line}\n" for line in lines).encode("ascii", "backslashreplace")
    assert b"".join(found) == expected
    os.close(reading)


def test_a_reader_that_has_stopped_holds_nobody_up_and_hears_what_was_lost(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MOST_WAITING", 20_000)
    reading, stream = pipe
    writer = LogWriter(stream)
    for number in range(1000):
        writer.line(f"{number:04} {'x' * 95}")
    assert not writer.flush(0.01)
    found: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, found))
    reader.start()
    assert writer.flush(30)
    writer.line("the last")
    assert writer.flush(30)
    stream.close()
    reader.join(30)
    lines = b"".join(found).decode().splitlines()
    numbers = [int(line[:4]) for line in lines if line[:4].isdigit() and line[4] == " " and "x" in line]
    assert numbers == sorted(set(numbers))
    # said each time that there was room in between
    lost = sum(int(line.split()[0]) for line in lines if "log lines were dropped" in line)
    assert lost == 1000 - len(numbers) > 0
    assert lines[-1] == "the last"
    os.close(reading)


def test_a_reader_that_is_gone_ends_nothing(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    os.close(reading)
    writer = LogWriter(stream)
    writer.line("nobody")
    assert writer.flush(30)
    writer.line("still nobody")
    assert writer.flush(30)


def test_a_stream_that_does_not_block_gets_all(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = LogWriter(stream)
    writer.line("x" * 50_000)
    found: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, found))
    reader.start()
    assert writer.flush(30)
    stream.close()
    reader.join(30)
    assert len(b"".join(found)) == 50_001
    os.close(reading)


def test_lines_stand_above_the_progress_of_a_terminal() -> None:
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        writer = LogWriter(stream)
        progress = RememberedProgress(progress_for(writer))
        assert progress.watched
        progress.show(TASK, "cell 3/7")
        assert writer.flush(30)
        writer.line("a line")
        assert writer.flush(30)
        progress.drop(TASK)
        assert writer.flush(30)
        drawn = f"{TASK}: cell 3/7"
        expected = f"{CLEAR_LINE}{drawn}{CLEAR_LINE}a line\r\n{drawn}{CLEAR_LINE}".encode()
        # a terminal gives what was written in as many parts as it likes
        said = b""
        while len(said) < len(expected):
            said += os.read(reading, 10_000)
        assert select.select([reading], [], [], 0)[0] == []
    os.close(reading)
    assert said == expected


def test_progress_is_for_terminals_only(pipe: tuple[int, TextIO]) -> None:
    assert not isinstance(progress_for(LogWriter(pipe[1])), TerminalProgress)
    assert not progress_for(None).watched
    os.close(pipe[0])


def test_what_others_say_moves_no_cursor_and_forges_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8") as stream:
        handler = LogHandler(LogWriter(stream))
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger = logging.Logger("test")
        logger.addHandler(handler)
        logger.error("said %s", "\x1b[2J\u202eabc\ud800\x00\r é\tz" + "y" * 200_000)
        handler.flush()
    said = path.read_text(encoding="utf-8")
    assert said.startswith("ERROR said \\x1b[2J\\u202eabc\\ud800\\x00  é\tzyyy")
    assert said.endswith("more characters)\n")
    assert len(said) < 101_000
