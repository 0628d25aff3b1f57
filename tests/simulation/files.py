# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The file system as it fails: it becomes full, or the machine stops before the next change of a file."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree"})
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Crash(BaseException):
    """The machine has stopped; nothing that AutoFlow does counts any more."""


class Files:
    """Hears of each change of a file below a directory before it is made, by an audit hook.

    An audit hook cannot be taken back: there is one in a process, and it listens to the newest of these.
    """

    current: Files | None = None
    _hooked = False

    def __init__(self, root: str, is_full: Callable[[], bool]) -> None:
        self._root = root
        self._is_full = is_full
        self.changes_left: int | None = None
        """How many changes are made before the machine stops; None does not count."""
        self.dead = False
        self.on_crash: Callable[[], None] = lambda: None
        Files.current = self
        if not Files._hooked:
            sys.addaudithook(_hear)
            Files._hooked = True

    def about_to_change(self, path: Any, *, grows: bool) -> None:
        if not str(path).startswith(self._root):
            return
        if self.dead:
            raise Crash
        if self.changes_left is not None:
            if self.changes_left == 0:
                self.crash()
                raise Crash
            self.changes_left -= 1
        if grows and self._is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def crash(self) -> None:
        self.dead = True
        self.changes_left = None
        self.on_crash()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    files = Files.current
    if files is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & WRITING and isinstance(path, str):
            files.about_to_change(path, grows=bool(flags & os.O_CREAT))
    elif event in CHANGES:
        files.about_to_change(arguments[1] if event == "os.rename" else arguments[0], grows=event == "os.mkdir")
