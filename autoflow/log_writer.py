# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The log, written by a thread of its own: a reader that has stopped reading blocks nothing."""

from __future__ import annotations

import logging
import os
import re
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from autoflow.wording import printable

MOST_WAITING = 4_000_000
"""Characters that wait to be written; lines beyond are lost, and counted."""

LONGEST_RECORD = 100_000
"""Characters of one record, traceback and all."""

LAST_PATIENCE = 2.0
"""Seconds that the reader is given at the end."""

STEP = {"step": True}
"""Goes with a record that a terminal need not show, since its progress does: a notebook has started, say."""

REDRAWN = 1.0
"""Seconds after which the foot is drawn anew: it tells for how long something has been going on."""

SMALLEST, USUAL = 20, os.terminal_size((80, 24))
"""Columns that are drawn at least, and the size of a terminal that does not tell."""

CLEAR = "\r\x1b[J"

Foot = Callable[[os.terminal_size], Sequence[str]]
"""Writes the lines at the foot of a terminal of that size, none of them longer than a line of it."""


class LogWriter:
    """Writes to a stream in the order in which it is told to, until it is closed, and never waits for who reads there.

    Parameters
    ----------
    stream
        Where to: its descriptor, if it has one, so that a write that hangs holds none of the stream's locks. It is
        kept as one of this writer's own: what is closed elsewhere may be another file with the same number now.
    """

    def __init__(self, stream: TextIO) -> None:
        self.is_terminal = stream.isatty()
        self.can_draw = self.is_terminal and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
        """Whether the lines at the foot can be drawn over."""
        self._stream = stream
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.dup(stream.fileno())
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._size = 0
        self._lost = 0
        self._foot: Foot | None = None
        self._is_drawn = True
        self._drawn: Sequence[str] = ()
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def line(self, text: str) -> None:
        """Queue a line, to be written above the foot."""
        with self._changed:
            if self._closed:
                return
            if self._size + len(text) > MOST_WAITING:
                self._lost += 1
                return
            self._waiting.append(text)
            self._size += len(text)
            self._wake()

    def foot(self, foot: Foot | None) -> None:
        """Draw the last lines of a terminal, again whenever something is written and each second; only the newest."""
        with self._changed:
            if self._closed:
                return
            self._foot, self._is_drawn = foot, False
            self._wake()

    def flush(self, patience: float = LAST_PATIENCE) -> bool:
        """Wait until all is written, but no longer than that; False when something is left."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and not self._is_behind(), patience)

    def close(self) -> None:
        """Let go of the stream as soon as all that is queued is written, without waiting for that."""
        with self._changed:
            self._closed, self._foot = True, None
            if self._thread is None:
                self._let_go()
            self._changed.notify_all()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_behind(self) -> bool:
        return bool(self._waiting) or not self._is_drawn

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="log", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._is_behind(), REDRAWN if self._foot else None)
                if self._closed and not self._is_behind():
                    self._let_go()
                    return
                self._busy = True
                text, lines = self._next()
            if text and not self._write(text):
                with self._changed:
                    self._lost += lines
                # the reader has stopped, or the disk is full: there may be room again
                time.sleep(0.1)

    def _write(self, text: str) -> bool:
        if self._descriptor is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                # who gave the stream has closed it
                return False
            return True
        return _write(self._descriptor, text.encode(self._stream.encoding or "utf-8", "backslashreplace"))

    def _next(self) -> tuple[str, int]:
        """Return all that is queued, and its number of lines."""
        lines = list(self._waiting)
        self._waiting.clear()
        self._size = 0
        if self._lost and lines:
            lines.insert(0, f"{self._lost} log lines were dropped because they could not be written in time")
            self._lost = 0
        text = "".join(f"{line}\n" for line in lines)
        self._is_drawn = True
        if self._foot or self._drawn:
            text = self._above_foot(text)
        return text, len(lines)

    def _above_foot(self, text: str) -> str:
        """Put text in the place of the foot, and the foot below it."""
        size = self._size_of_terminal()
        drawn = self._foot(size) if self._foot else ()
        if not text and drawn == self._drawn:
            return ""
        # where a terminal was made narrower it may have broken lines, or not: what stands there stays
        broken = any(len(line) >= size.columns for line in self._drawn)
        up = f"\x1b[{len(self._drawn)}A" if self._drawn and not broken else ""
        self._drawn = drawn
        return "".join([up, CLEAR, text, *(f"{line}\n" for line in drawn)])

    def _size_of_terminal(self) -> os.terminal_size:
        try:
            size = os.get_terminal_size(self._descriptor if self._descriptor is not None else -1)
        except OSError:
            return USUAL
        # a terminal on a serial line, or in a container, may not know its size
        return os.terminal_size((max(size.columns, SMALLEST), size.lines)) if size.columns and size.lines else USUAL


def _write(descriptor: int, data: bytes) -> bool:
    """Write all of it, however long that takes; False when it cannot be written."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # another process that shares the stream has made it so
            select.select([], [descriptor], [], 1.0)
        except (OSError, ValueError):
            return False
    return True


class LogHandler(logging.Handler):
    """Gives log records to a writer.

    Parameters
    ----------
    outputs
        Directory of the outputs: paths in it are written from there on.
    terse
        Whether to leave out steps of runs where a terminal shows progress.
    """

    def __init__(self, writer: LogWriter, outputs: Path | None = None, *, terse: bool = False) -> None:
        super().__init__()
        self.writer = writer
        self._terse = terse and writer.can_draw
        # of all that there is, and of what is below it in another directory, nothing is to be left out
        whole = outputs is not None and outputs != outputs.parent
        self._outputs = re.compile(rf"(?<![\w./-]){re.escape(str(outputs))}/") if whole else None

    def emit(self, record: logging.LogRecord) -> None:
        if self._terse and getattr(record, "step", False):
            return
        try:
            text = self.format(record)
            if self._outputs:
                text = self._outputs.sub("", text)
            if len(text) > LONGEST_RECORD:
                text = f"{text[:LONGEST_RECORD]} ... ({len(text) - LONGEST_RECORD} more characters)"
            # what FlowAPI or a notebook says may move a terminal's cursor, or turn the text around
            self.writer.line(printable(text, keep="\n\t"))
        except Exception:  # noqa: BLE001  # as all handlers do
            self.handleError(record)

    def flush(self) -> None:
        """Wait for the writer, within bounds."""
        self.writer.flush()

    def close(self) -> None:
        """Let the writer end."""
        self.writer.close()
        super().close()


def log_writer() -> LogWriter | None:
    """Return the writer that the log goes to; None when logging is not set up."""
    handlers = logging.getLogger().handlers
    return next((handler.writer for handler in handlers if isinstance(handler, LogHandler)), None)


def flush_log() -> None:
    """Write what is queued now."""
    if (writer := log_writer()) is not None:
        writer.flush()
