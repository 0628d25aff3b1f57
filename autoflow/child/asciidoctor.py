# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A process that has loaded asciidoctor-pdf, and the line over which a job has pages made by a fork of it.

To load that program takes longer than to make the pages of a short report. Where anything is in the way of
that, jobs start the program themselves.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PROGRAM = "asciidoctor-pdf"
SERVER = Path(__file__).with_name("warm_asciidoctor.rb")
CHOOSES = re.compile(r"\bgem\s*\(?\s*['\"]|\bGem\.|[Bb]undler|GEM_(PATH|HOME)|LOAD_PATH")
"""What stands in a program that chooses the version of its library."""
MESSAGE = 100
"""Bytes that an answer has at most."""
PATIENCE = 30.0
"""Seconds in which a conversion is to begin, the loading of the program included."""


class _TooLongError(Exception):
    """A conversion takes longer than it may."""


class Line:
    """What a job holds: conversions end with it."""

    def __init__(self, connection: socket.socket, patience: float = PATIENCE) -> None:
        self._connection = connection
        self._patience = patience

    def convert(self, arguments: Sequence[str], messages: Path, timeout: float) -> int | None:
        """Convert a document.

        Parameters
        ----------
        arguments
            Of the program.
        messages
            A file for what it prints.
        timeout
            Seconds.

        Returns
        -------
        int or None
            Its exit code, minus a signal's number where that ended it; None where no process could be had.

        Raises
        ------
        TimeoutError
            When it takes too long; it is killed.
        """
        request = {"arguments": list(arguments), "messages": str(messages)}
        try:
            self._connection.settimeout(self._patience)
            self._connection.send(json.dumps(request).encode())
            pid = self._connection.recv(MESSAGE)
            ended = self._end_of(int(pid), timeout) if pid else b""
        except _TooLongError:
            self._connection.close()
            raise TimeoutError from None
        except OSError:
            ended = b""
        if not ended:
            # who forks could not start, hangs, or is there no more: nothing of it is to begin later either
            self._connection.close()
            return None
        return int(ended)

    def _end_of(self, pid: int, timeout: float) -> bytes:
        """Wait for a process to end, and hear how it did."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            sources: list[Any] = [self._connection, descriptor]
            try:
                ready, _, _ = select.select(sources, [], [], timeout)
            finally:
                os.close(descriptor)
            if not ready:
                raise _TooLongError
        return self._connection.recv(MESSAGE)

    def close(self) -> None:
        """Release it, in a process whose it is not."""
        self._connection.close()


class WarmAsciidoctor:
    """The process that is forked, from its start until the one who started it ends."""

    def __init__(self, program: Path, interpreter: Sequence[str]) -> None:
        self._program = program
        self._modified = program.stat().st_mtime_ns
        self._callers, theirs = socket.socketpair()
        # a process that hangs is not waited for
        self._callers.setblocking(False)
        with theirs:
            command = [*interpreter, str(SERVER), str(program), str(os.getpid())]
            self._process = subprocess.Popen(command, stdin=theirs.fileno())

    @classmethod
    def start(cls) -> WarmAsciidoctor | None:
        """Start it; None where the program is none in Ruby."""
        with suppress(OSError):
            program = shutil.which(PROGRAM)
            if program and (interpreter := ruby_of(Path(program))):
                return cls(Path(program), interpreter)
        return None

    def line(self) -> Line | None:
        """Make a line for a process that is to be forked; None where none can be had any more."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, suppress(OSError):
            if self._program.stat().st_mtime_ns == self._modified:
                socket.send_fds(self._callers, [b"\0"], [theirs.fileno()])
                return Line(ours)
        ours.close()
        return None

    def let_go(self) -> None:
        """Leave it to another process, after a fork."""
        self._callers.close()


def ruby_of(program: Path) -> list[str] | None:
    """Find the Ruby that a program is made for in its first line.

    None where it is not made for any, or chooses itself which library it loads, as gems and checkouts do:
    that may be another one than the one that a process has loaded before.
    """
    text = program.read_text(encoding="utf-8", errors="replace")
    if CHOOSES.search(text) or (program.resolve().parent.parent / "lib/asciidoctor/pdf.rb").exists():
        return None
    match = re.fullmatch(r"#! *(\S+)(?: +(\S+))?\s*", text.partition("\n")[0])
    words: list[str] = [word for word in match.groups() if word] if match else []
    return words if any(Path(word).name.startswith("ruby") for word in words) else None
