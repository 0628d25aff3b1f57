# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a person at a terminal sees of work under way: one line that is drawn over again."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

CLEAR_LINE = "\r\x1b[K"


@dataclass(frozen=True)
class Task:
    """A notebook of an attempt at a run."""

    run_id: int
    run: str
    """Its workflow and reference date."""
    label: str

    def __str__(self) -> str:
        return f"{self.run} {self.label}"


class Progress:
    """Says nothing: for logs, where one line a transition is enough."""

    watched = False

    def show(self, task: Task, text: str) -> None:
        """Say how far a task is."""

    def drop(self, task: Task) -> None:
        """Forget a task that has ended."""

    def tasks(self) -> Mapping[Task, str]:
        """Give how far each task under way is, as far as that is known."""
        return {}


class RememberedProgress(Progress):
    """Tells those who ask, and passes on what it is told."""

    watched = True

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._tasks: dict[Task, str] = {}

    def show(self, task: Task, text: str) -> None:
        self._tasks[task] = text
        self._shown.show(task, text)

    def drop(self, task: Task) -> None:
        self._tasks.pop(task, None)
        self._shown.drop(task)

    def tasks(self) -> Mapping[Task, str]:
        return dict(self._tasks)


class TerminalProgress(Progress):
    """One line at the foot of a terminal, with all tasks under way."""

    watched = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tasks: dict[Task, str] = {}

    def show(self, task: Task, text: str) -> None:
        self._tasks[task] = text
        self.draw()

    def drop(self, task: Task) -> None:
        self._tasks.pop(task, None)
        self.draw()

    def erase(self) -> None:
        """Make room for a line that stays."""
        self._stream.write(CLEAR_LINE)

    def draw(self) -> None:
        """Draw the line as it is now."""
        line = "  |  ".join(f"{task}: {text}" for task, text in self._tasks.items())
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(CLEAR_LINE + (line if len(line) <= width else line[: width - 1] + "…"))
        self._stream.flush()


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Prints log records above the progress line."""

    def __init__(self, stream: TextIO, progress: TerminalProgress) -> None:
        super().__init__(stream)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.erase()
        super().emit(record)
        self._progress.draw()


def progress_for(stream: TextIO | None = None) -> Progress:
    """Choose by where the output goes."""
    stream = stream or sys.stderr
    return TerminalProgress(stream) if stream.isatty() else Progress()
