# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a person at a terminal sees of work in progress: one line that is drawn over again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoflow.log_writer import LogWriter
from autoflow.wording import printable


@dataclass(frozen=True)
class Task:
    """A notebook of an attempt at a run."""

    number: int
    """That of the run."""
    run: str
    """Its workflow and reference date."""
    label: str

    def __str__(self) -> str:
        return f"{self.run} {self.label}"


class Progress:
    """Says nothing: for logs, where one line a transition is enough."""

    watched = False
    keeps_kernels = False
    """Whether the kernel of a cell that failed is kept until somebody has looked into it."""

    def show(self, task: Task, text: str) -> None:
        """Say how far a task is."""

    def drop(self, task: Task) -> None:
        """Forget a task that has ended."""

    def kept(self, task: Task, connection_file: str, release: Path) -> None:
        """Say that a kernel is kept, until there is a file ``release``."""

    def tasks(self) -> Mapping[Task, str]:
        """Return how far each task in progress is, as far as that is known."""
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
    """One line at the foot of a terminal, with all tasks in progress."""

    watched = True

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._tasks: dict[Task, str] = {}

    def show(self, task: Task, text: str) -> None:
        self._tasks[task] = text
        self._draw()

    def drop(self, task: Task) -> None:
        self._tasks.pop(task, None)
        self._draw()

    def _draw(self) -> None:
        line = printable("  |  ".join(f"{task}: {text}" for task, text in self._tasks.items()))
        width = shutil.get_terminal_size().columns - 1
        self._writer.foot(line if len(line) <= width else line[: width - 1] + "…")


def progress_for(writer: LogWriter | None) -> Progress:
    """Choose by where the log goes."""
    return TerminalProgress(writer) if writer is not None and writer.is_terminal else Progress()
