# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is in progress, as it is remembered."""

from __future__ import annotations

from autoflow.progress import Progress, RememberedProgress, Task

TASK = Task(7, "w 2016-01-01", "glues")


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
