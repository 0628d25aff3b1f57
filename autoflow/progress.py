# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a person at a terminal sees of work in progress: lines that are drawn over again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoflow.log_writer import LogWriter
from autoflow.wording import counted, cut, printable, seconds_text, width


@dataclass(frozen=True)
class Task:
    """A notebook of an attempt at a run."""

    number: int
    """That of the run."""
    run: str
    """Its reference date, workflow and parameters."""
    label: str

    def __str__(self) -> str:
        return f"{self.run} {self.label}"


@dataclass(frozen=True)
class Counts:
    """How far all of the work is, in runs."""

    done: int
    total: int
    """Those done, those in progress, and those that wait."""
    running: int = 0
    failed: int = 0


class Progress:
    """Says nothing: for logs, where one line a transition is enough."""

    watched = False
    keeps_kernels = False
    """Whether the kernel of a cell that failed is kept until somebody has looked into it."""

    def show(self, task: Task, text: str) -> None:
        """Say how far a task is."""

    def drop(self, task: Task) -> None:
        """Forget a task that has ended."""

    def say(self, text: str) -> None:
        """Say what goes on before there are tasks."""

    def count(self, counts: Counts) -> None:
        """Say how far all of the work is."""

    def kept(self, task: Task, connection_file: str, release: Path) -> None:
        """Say that a kernel is kept, until there is a file ``release``."""

    def tasks(self) -> Mapping[Task, str]:
        """Return how far each task in progress is, as far as that is known."""
        return {}


def described(progress: Progress) -> list[tuple[int, str, str]]:
    """List the tasks in progress for other processes: the number of the run, the notebook, and how far it is."""
    return [(task.number, task.label, text) for task, text in progress.tasks().items()]


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

    def say(self, text: str) -> None:
        self._shown.say(text)

    def count(self, counts: Counts) -> None:
        self._shown.count(counts)

    def tasks(self) -> Mapping[Task, str]:
        return dict(self._tasks)


class TerminalProgress(Progress):
    """Lines at the foot of a terminal: one for each task in progress, and one for how far all of it is."""

    watched = True

    def __init__(self, writer: LogWriter, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock = clock
        self._tasks: dict[Task, tuple[str, float]] = {}
        self._summary: Callable[[], str] = str
        self._began: float | None = None

    def show(self, task: Task, text: str) -> None:
        _, since = self._tasks.get(task, ("", self._clock()))
        self._tasks[task] = text, since
        self._draw()

    def drop(self, task: Task) -> None:
        self._tasks.pop(task, None)
        self._draw()

    def say(self, text: str) -> None:
        self._summary = lambda: text
        self._draw()

    def count(self, counts: Counts) -> None:
        if counts.done == counts.total:
            self._began, self._summary = None, str
        else:
            now = self._clock()
            self._began = now if self._began is None else self._began
            self._summary = partial(_summary, counts, self._began, now, self._clock)
        self._draw()

    def _draw(self) -> None:
        # it is drawn in another thread, which gets what does not change any more
        tasks, summary = tuple(self._tasks.items()), self._summary
        self._writer.foot(partial(self._lines, tasks, summary) if tasks or summary() else None)

    def _lines(
        self, tasks: Sequence[tuple[Task, tuple[str, float]]], summary: Callable[[], str], size: os.terminal_size
    ) -> list[str]:
        columns, now, last = size.columns - 1, self._clock(), [summary()] if summary() else []
        room = max(size.lines - 2 - len(last), 1)
        if len(tasks) > room:
            last.insert(0, f"... and {len(tasks) - room + 1} more notebooks")
            tasks = tasks[: room - 1]
        return [
            *(_line(task, f"{text}, {_whole(now - since)}", columns) for task, (text, since) in tasks),
            *(cut(line, columns) for line in last),
        ]


def _line(task: Task, text: str, columns: int) -> str:
    """Write how far a task is; where there is not enough room, the middle of what it belongs to is left out."""
    text = cut(printable(f"  {task.label}  {text}"), columns)
    return cut(printable(task.run), columns - width(text), middle=True) + text


def _summary(counts: Counts, began: float, then: float, clock: Callable[[], float]) -> str:
    """Say how many runs are done, and about when the others will be: as it was until the last one ended."""
    words = f"{counts.done} of {counted(counts.total, 'run')} done"
    if counts.failed:
        words += f", {counts.failed} failed"
    if counts.done:
        # those in progress are half done on average
        still = (counts.total - counts.done - counts.running / 2) * (then - began) / counts.done
        if (left := still - (clock() - then)) > 0:
            words += f", about {_whole(max(left, 1))} left"
    return words


def _whole(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 59.5 else seconds_text(seconds)


def progress_for(writer: LogWriter | None) -> Progress:
    """Choose by where the log goes."""
    return TerminalProgress(writer) if writer is not None and writer.can_draw else Progress()
