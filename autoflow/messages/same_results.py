# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told of runs that were made again of other data, with the results that they had: each once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence

from autoflow.messages.data_changes import EVENT
from autoflow.model import KnownCause, Message, StaleRun
from autoflow.wording import CACHE_DOUBT, counted

NAME = json.dumps(["same results"])
MOST_RUNS = 12
"""Runs that one message names."""


def same_results_news(
    same: Sequence[StaleRun], old: KnownCause | None, now: dt.datetime, told_now: Collection[int] = ()
) -> tuple[list[Message], list[KnownCause]]:
    """Compare the runs that have the results that they had before with those that people know of.

    Parameters
    ----------
    same
        Those that are so now, and that nobody keeps.
    old
        What people know of such runs.
    told_now
        Numbers of those of which another message of this moment says so.
    """
    runs = {f"{each.run} {each.attempt_id}": each for each in same}
    told = frozenset(old.runs if old else ())
    if not runs or runs.keys() == told:
        return [], []
    memory = [KnownCause(NAME, EVENT, "same results", old.since if old else now, now, None, tuple(runs))]
    new = [each for name, each in runs.items() if name not in told and each.run not in told_now]
    return [_message(new)] if new else [], memory


def _message(runs: Sequence[StaleRun]) -> Message:
    what = f"{counted(len(runs), 'run has', 'runs have')} the same results as before, although the data changed"
    lines = [f"{each.workflow} {each.reference_date}: {result_text(each)}" for each in runs[:MOST_RUNS]]
    lines += [f"and {counted(len(runs) - MOST_RUNS, 'more run')}"] if len(runs) > MOST_RUNS else []
    dates = sorted({each.reference_date.isoformat() for each in runs})
    return Message(EVENT, what, (*lines, *what_to_do(runs)), dates=tuple(dates))


def result_text(each: StaleRun) -> str:
    """Say of a run that it has the results that it had."""
    although = f", although {other}" if (other := each.mark.other_data) else ""
    return f"run {each.run} has the same results as attempt {each.mark.same_as}{although}"


def what_to_do(runs: Sequence[StaleRun]) -> list[str]:
    """Say what it means that runs have the results that they had, and give the commands."""
    held = sum(each.mark.held for each in runs)
    numbers = " ".join(str(each.run) for each in runs[:MOST_RUNS])
    more = ", ..." if len(runs) > MOST_RUNS else ""
    return [
        f"{CACHE_DOUBT}.",
        *([f"Reports of {counted(held, 'run')} are kept out of latest."] if held else []),
        "Details: autoflow stale",
        "When the cache has been reset: autoflow rerun --stale",
        f"If the results are right: autoflow keep {numbers} --reason TEXT{more}",
    ]
