# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What runs and attempts are called: whatever shows them, in a letter, a word or more, asks here."""

from __future__ import annotations

from collections.abc import Iterator

from autoflow.model import RecordedAttempt
from autoflow.runs import RunState
from autoflow.wording import spans

STALE = "stale"
"""What stands for a run that has succeeded, and whose data have changed since, unless somebody keeps it as it is."""

GOOD = frozenset({RunState.SUCCEEDED, RunState.PROVISIONAL})
"""States of runs that have a report to show."""

SIGNS: dict[str, str] = {
    RunState.GIVEN_UP: "G",
    RunState.FAILED: "F",
    RunState.RUNNING: "R",
    RunState.DUE: "d",
    RunState.HELD: "h",
    STALE: "~",
    RunState.WAITING: "w",
    RunState.PROVISIONAL: "p",
    RunState.SUCCEEDED: "#",
    RunState.NOT_AVAILABLE: ".",
    RunState.SKIPPED: "s",
    RunState.EXCLUDED: "-",
}
"""What stands for each word; of several days, the first here is shown."""


def run_word(state: RunState, *, stale: bool) -> str:
    """Say in one word what a run is, where there is no room for more."""
    return STALE if stale and state in GOOD else state


def run_words(state: RunState, *, stale: bool) -> str:
    """Say what a run is: its state, and whether it is stale."""
    return f"{state}, {STALE}" if stale and state in GOOD else state


def attempt_word(attempt: RecordedAttempt) -> str:
    """Say in one word what an attempt is: the state of its run, as long as no other has taken its place."""
    return RunState.PROVISIONAL if attempt.provisional else attempt.state


def attempt_marks(attempt: RecordedAttempt) -> list[str]:
    """Say in a few words what else there is to say of an attempt."""
    return list(_marks(attempt))


def _marks(attempt: RecordedAttempt) -> Iterator[str]:
    if attempt.missing_dates:
        yield f"without {spans(attempt.missing_dates)}"
    if attempt.stale:
        yield STALE
    if attempt.same_as is not None:
        yield f"same results as attempt {attempt.same_as}, although the data changed"
    if attempt.held:
        yield "kept out of latest"
    if attempt.kept is not None and attempt.counts:
        yield f"kept as it is: {attempt.kept}"
    if attempt.superseded is not None:
        yield "superseded"
