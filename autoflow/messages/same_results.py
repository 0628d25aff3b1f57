# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told of runs that were made again after a restatement, with the results that they had: each once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

from autoflow.messages.data_changes import EVENT
from autoflow.model import KnownCause, Message, StaleRun
from autoflow.wording import counted, same_results_text

NAME = json.dumps(["same results"])
MOST_RUNS = 12
"""Runs that one message names."""


def same_results_news(
    same: Sequence[StaleRun], old: KnownCause | None, now: dt.datetime
) -> tuple[list[Message], list[KnownCause]]:
    """Compare the runs that have the results that they had before with those that people know of.

    Parameters
    ----------
    same
        Those that are so now, and that nobody keeps.
    old
        What people know of such runs.
    """
    runs = {f"{each.run} {each.attempt_id}": each for each in same}
    told = frozenset(old.runs if old else ())
    if not runs or runs.keys() == told:
        return [], []
    memory = [KnownCause(NAME, EVENT, "same results", old.since if old else now, now, None, tuple(runs))]
    new = [each for name, each in runs.items() if name not in told]
    return [_message(new)] if new else [], memory


def _message(runs: Sequence[StaleRun]) -> Message:
    has = "run shows" if len(runs) == 1 else "runs show"
    what = f"{len(runs)} {has} what {'it' if len(runs) == 1 else 'they'} showed before data were ingested anew"
    first = runs[0]
    lines = [f"Run {first.run}: {same_results_text(first.mark.same_as or 0)}."]
    lines += [f"{each.workflow} {each.reference_date}: run {each.run}" for each in runs[:MOST_RUNS]]
    lines += [f"and {counted(len(runs) - MOST_RUNS, 'more run')}"] if len(runs) > MOST_RUNS else []
    if held := sum(each.mark.held for each in runs):
        lines.append(f"Reports of {counted(held, 'run')} are kept out of latest.")
    lines += [
        "When the cache has been reset: autoflow rerun --stale",
        f"Where the results are right: autoflow keep {first.run} --reason TEXT",
    ]
    dates = sorted({each.reference_date.isoformat() for each in runs})
    return Message(EVENT, what, tuple(lines), dates=tuple(dates))
