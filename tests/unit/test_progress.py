# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is in progress, as it is remembered, and as a terminal shows it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import cast

import pytest

from autoflow.log_writer import Foot, LogWriter
from autoflow.progress import Counts, Progress, RememberedProgress, Task, TerminalProgress
from autoflow.wording import width

TASK = Task(7, "2016-01-01 flows_above_normal aggregation_unit=admin3", "glues")


def test_tasks_are_remembered_until_they_end() -> None:
    progress = RememberedProgress(Progress())
    progress.show(TASK, "starting")
    progress.show(TASK, "cell 3/7")
    assert progress.tasks() == {TASK: "cell 3/7"}
    progress.drop(TASK)
    progress.drop(TASK)
    assert progress.tasks() == {}


def test_without_a_page_nothing_is_remembered_and_nothing_watched() -> None:
    progress = Progress()
    progress.show(TASK, "cell 3/7")
    assert progress.tasks() == {}
    assert not progress.watched


@dataclass
class Screen:
    """Takes what is drawn at the foot, and draws it."""

    foots: list[Foot | None] = field(default_factory=list)
    now: float = 1000.0
    columns: int = 100
    lines: int = 24

    def foot(self, foot: Foot | None) -> None:
        self.foots.append(foot)

    def drawn(self) -> list[str]:
        foot = self.foots[-1]
        return list(foot(os.terminal_size((self.columns, self.lines)))) if foot else []


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def progress(screen: Screen) -> TerminalProgress:
    return TerminalProgress(cast(LogWriter, screen), lambda: screen.now)


def test_each_notebook_has_its_line_and_all_of_the_work_the_last(screen: Screen, progress: TerminalProgress) -> None:
    progress.say("asking FlowAPI for dates")
    assert screen.drawn() == ["asking FlowAPI for dates"]
    progress.count(Counts(0, 66, running=1))
    progress.show(TASK, "starting")
    screen.now += 3
    progress.show(TASK, "cell 3/7")
    assert screen.drawn() == [f"{TASK.run}  glues  cell 3/7, 3 s", "0 of 66 runs done"]
    progress.drop(TASK)
    assert screen.drawn() == ["0 of 66 runs done"]
    progress.count(Counts(66, 66))
    assert screen.foots[-1] is None


def test_the_time_left_is_told_by_the_runs_so_far_and_counted_down(screen: Screen, progress: TerminalProgress) -> None:
    progress.count(Counts(0, 30, running=2))
    screen.now += 60
    progress.count(Counts(9, 30, running=2, failed=1))
    # 20 more, at 60 / 9 seconds each
    assert screen.drawn() == ["9 of 30 runs done, 1 failed, about 2 min 13 s left"]
    screen.now += 100
    assert screen.drawn() == ["9 of 30 runs done, 1 failed, about 33 s left"]
    screen.now += 100
    assert screen.drawn() == ["9 of 30 runs done, 1 failed"]


def test_the_next_work_is_timed_anew(screen: Screen, progress: TerminalProgress) -> None:
    progress.count(Counts(0, 1, running=1))
    progress.count(Counts(1, 1))
    screen.now += 100_000
    progress.count(Counts(0, 3))
    screen.now += 10
    progress.count(Counts(1, 3))
    assert screen.drawn() == ["1 of 3 runs done, about 20 s left"]


@pytest.mark.parametrize("columns", [20, 30, 45, 60, 80])
@pytest.mark.parametrize("name", [TASK.run, "2016-01-01 \N{CJK UNIFIED IDEOGRAPH-4E2D}" * 9, "2016-01-01 \x1b[2J\n"])
def test_no_line_is_longer_than_the_terminal_is_wide(
    screen: Screen, progress: TerminalProgress, columns: int, name: str
) -> None:
    screen.columns = columns
    progress.show(Task(7, name, "a_label_that_is_long"), "cell 3/7")
    progress.count(Counts(1, 66))
    assert len(screen.drawn()) == 2
    for line in screen.drawn():
        assert width(line) < columns
        assert line.isprintable()


def test_a_narrow_terminal_still_shows_the_date_and_the_notebook(screen: Screen, progress: TerminalProgress) -> None:
    screen.columns = 60
    progress.show(TASK, "cell 3/7")
    assert screen.drawn() == ["2016-01-01 flows_a…gation_unit=admin3  glues  cell 3/7, 0 s"]


def test_a_low_terminal_says_how_many_notebooks_it_does_not_show(screen: Screen, progress: TerminalProgress) -> None:
    screen.lines = 6
    progress.count(Counts(1, 66))
    for number in range(5):
        progress.show(Task(number, f"run {number}", "glues"), "cell 1/2")
    assert screen.drawn() == [
        "run 0  glues  cell 1/2, 0 s",
        "run 1  glues  cell 1/2, 0 s",
        "... and 3 more notebooks",
        "1 of 66 runs done",
    ]
