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
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from autoflow import log_writer
from autoflow.log_writer import CLEAR, STEP, LogHandler, LogWriter
from autoflow.progress import Counts, RememberedProgress, Task, TerminalProgress, progress_for

TASK = Task(7, "2016-01-01 w", "glues")


Writing = Callable[[TextIO], LogWriter]


@pytest.fixture
def writing_to() -> Iterator[Writing]:
    """Make writers that end with their test."""
    with ExitStack() as ending:
        yield lambda stream: ending.enter_context(closing(LogWriter(stream)))


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        yield reading, stream


def read_all(descriptor: int, found: list[bytes]) -> None:
    while data := os.read(descriptor, 65536):
        found.append(data)


def test_lines_come_in_order_and_whole(writing_to: Writing, pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    writer = writing_to(stream)
    found: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, found))
    reader.start()
    lines = [f"{number} \u202e é".ljust(100, "x") for number in range(2000)]
    for line in lines:
        writer.line(line)
    assert writer.flush(30)
    writer.close()
    stream.close()
    reader.join(30)
    assert not reader.is_alive()
    # an encoding that has not all characters is no reason to lose a line
    expected = "".join(f"{line}\n" for line in lines).encode("ascii", "backslashreplace")
    assert b"".join(found) == expected
    os.close(reading)


def test_a_reader_that_has_stopped_holds_nobody_up_and_hears_what_was_lost(
    writing_to: Writing, pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MOST_WAITING", 20_000)
    reading, stream = pipe
    writer = writing_to(stream)
    for number in range(1000):
        writer.line(f"{number:04} {'x' * 95}")
    assert not writer.flush(0.01)
    found: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, found))
    reader.start()
    assert writer.flush(30)
    writer.line("the last")
    assert writer.flush(30)
    writer.close()
    stream.close()
    reader.join(30)
    assert not reader.is_alive()
    lines = b"".join(found).decode().splitlines()
    numbers = [int(line[:4]) for line in lines if line[:4].isdigit() and line[4] == " " and "x" in line]
    assert numbers == sorted(set(numbers))
    # said each time that there was room in between
    lost = sum(int(line.split()[0]) for line in lines if "log lines were dropped" in line)
    assert lost == 1000 - len(numbers) > 0
    assert lines[-1] == "the last"
    os.close(reading)


def test_a_reader_that_is_gone_ends_nothing(writing_to: Writing, pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    os.close(reading)
    writer = writing_to(stream)
    writer.line("nobody")
    assert writer.flush(30)
    writer.line("still nobody")
    assert writer.flush(30)


def test_what_was_queued_is_still_written_after_the_end_and_nothing_else(
    writing_to: Writing, pipe: tuple[int, TextIO]
) -> None:
    reading, stream = pipe
    writer = writing_to(stream)
    writer.line("x" * 50_000)
    writer.close()
    writer.line("too late")
    writer.foot(lambda size: ["too late"])
    stream.close()
    found: list[bytes] = []
    # up to the end of the pipe: the writer has let go of it
    read_all(reading, found)
    assert len(b"".join(found)) == 50_001
    os.close(reading)


def test_a_stream_that_does_not_block_gets_all(writing_to: Writing, pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = writing_to(stream)
    writer.line("x" * 50_000)
    found: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(reading, found))
    reader.start()
    assert writer.flush(30)
    writer.close()
    stream.close()
    reader.join(30)
    assert not reader.is_alive()
    assert len(b"".join(found)) == 50_001
    os.close(reading)


@dataclass
class Terminal:
    """A terminal, as far as it is read and resized."""

    reading: int
    stream: TextIO

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.reading, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def said(self, writer: LogWriter, end: str) -> str:
        """Read what was written, up to what must come last."""
        assert writer.flush(30)
        said = b""
        # a terminal gives what was written in as many parts as it likes
        while not said.endswith(end.encode()):
            assert select.select([self.reading], [], [], 30)[0], f"only {said!r}"
            said += os.read(self.reading, 10_000)
        assert select.select([self.reading], [], [], 0)[0] == []
        return said.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    # what is drawn each second is for another test
    monkeypatch.setattr(log_writer, "REDRAWN", 1e6)
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        made = Terminal(reading, stream)
        made.resize(80, 24)
        yield made
    os.close(reading)


def test_lines_stand_above_the_progress_of_a_terminal(writing_to: Writing, terminal: Terminal) -> None:
    writer = writing_to(terminal.stream)
    assert isinstance(progress_for(writer), TerminalProgress)
    progress = RememberedProgress(TerminalProgress(writer, lambda: 0.0))
    foot = f"{TASK.run}  glues  cell 3/7, 0 s\r\n"
    progress.show(TASK, "cell 3/7")
    assert terminal.said(writer, "\n") == f"{CLEAR}{foot}"
    writer.line("a line")
    assert terminal.said(writer, "0 s\r\n") == f"\x1b[1A{CLEAR}a line\r\n{foot}"
    progress.count(Counts(0, 5))
    assert terminal.said(writer, "done\r\n") == f"\x1b[1A{CLEAR}{foot}0 of 5 runs done\r\n"
    progress.drop(TASK)
    assert terminal.said(writer, "done\r\n") == f"\x1b[2A{CLEAR}0 of 5 runs done\r\n"
    progress.count(Counts(5, 5))
    # nothing of it is left, and the cursor stands below the last line
    assert terminal.said(writer, CLEAR) == f"\x1b[1A{CLEAR}"


def test_lines_that_a_narrower_terminal_may_have_broken_are_left_alone(writing_to: Writing, terminal: Terminal) -> None:
    writer = writing_to(terminal.stream)
    writer.foot(lambda size: ["x" * (size.columns - 1)])
    assert terminal.said(writer, "\n") == f"{CLEAR}{'x' * 79}\r\n"
    terminal.resize(40, 24)
    writer.line("a line")
    # no step up: it might lead into the lines above
    assert terminal.said(writer, "x\r\n") == f"{CLEAR}a line\r\n{'x' * 39}\r\n"
    terminal.resize(60, 24)
    writer.line("another")
    assert terminal.said(writer, "x\r\n") == f"\x1b[1A{CLEAR}another\r\n{'x' * 59}\r\n"


def test_the_foot_is_drawn_again_as_time_goes_on(
    writing_to: Writing, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "REDRAWN", 0.01)
    seconds, drawn = iter(range(1000)), threading.Event()

    def foot(size: os.terminal_size) -> list[str]:
        second = next(seconds)
        if second == 3:
            drawn.set()
        return [f"{second} s"]

    writing_to(terminal.stream).foot(foot)
    assert drawn.wait(30)


def test_what_has_the_number_of_a_stream_that_was_closed_is_left_alone(
    writing_to: Writing, terminal: Terminal, tmp_path: Path
) -> None:
    writer = writing_to(terminal.stream)
    number = terminal.stream.fileno()
    terminal.stream.close()
    with (tmp_path / "record").open("w") as other:
        assert other.fileno() == number
        writer.foot(lambda size: ["in progress"])
        assert writer.flush(30)
    assert terminal.said(writer, "\n") == f"{CLEAR}in progress\r\n"
    assert (tmp_path / "record").read_text() == ""


@pytest.mark.parametrize("name", ["dumb", "", None])
def test_nothing_is_drawn_on_a_terminal_that_cannot_move_its_cursor(
    writing_to: Writing, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.delenv("TERM") if name is None else monkeypatch.setenv("TERM", name)
    writer = writing_to(terminal.stream)
    assert writer.is_terminal
    assert not progress_for(writer).watched


def test_a_terminal_with_progress_has_no_lines_for_the_steps_of_runs(
    writing_to: Writing, terminal: Terminal, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    logger = logging.Logger("test")
    with path.open("w", encoding="utf-8") as stream:
        for writer in (writing_to(terminal.stream), writing_to(stream)):
            logger.addHandler(LogHandler(writer, terse=True))
        logger.info("notebook glues started", extra=STEP)
        logger.info("run 7 succeeded")
        for handler in logger.handlers:
            handler.flush()
    # in a file all of them
    assert path.read_text() == "notebook glues started\nrun 7 succeeded\n"
    assert terminal.said(writing_to(terminal.stream), "\n") == "run 7 succeeded\r\n"


@pytest.mark.parametrize(
    ("outputs", "message", "expected"),
    [
        ("/srv/out", "done: /srv/out/notebooks/a.ipynb", "done: notebooks/a.ipynb"),
        ("/srv/out {1}", "(executed notebook: /srv/out {1}/a)", "(executed notebook: a)"),
        ("/srv/out", "outputs are in /srv/out; '/srv/out/b'", "outputs are in /srv/out; 'b'"),
        ("/srv/out", "/mnt/srv/out/a and /srv/outputs/a and file:///srv/out/a", None),
        ("/", "/srv/out/a", None),
    ],
)
def test_paths_in_the_outputs_are_written_from_there_on(
    writing_to: Writing, tmp_path: Path, outputs: str, message: str, expected: str | None
) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8") as stream:
        handler = LogHandler(writing_to(stream), Path(outputs))
        handler.emit(logging.LogRecord("test", logging.INFO, "", 0, message, (), None))
        handler.flush()
    assert path.read_text() == f"{expected or message}\n"


def test_progress_is_for_terminals_only(writing_to: Writing, pipe: tuple[int, TextIO]) -> None:
    assert not isinstance(progress_for(writing_to(pipe[1])), TerminalProgress)
    assert not progress_for(None).watched
    os.close(pipe[0])


def test_what_others_say_moves_no_cursor_and_forges_no_line(writing_to: Writing, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8") as stream:
        handler = LogHandler(writing_to(stream))
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger = logging.Logger("test")
        logger.addHandler(handler)
        logger.error("said %s", "\x1b[2J\u202eabc\ud800\x00\r é\tz" + "y" * 200_000)
        handler.flush()
    said = path.read_text(encoding="utf-8")
    assert said.startswith("ERROR said \\x1b[2J\\u202eabc\\ud800\\x00  é\tzyyy")
    assert said.endswith("more characters)\n")
    assert len(said) < 101_000
