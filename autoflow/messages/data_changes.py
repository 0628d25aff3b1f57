# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told of data that were ingested anew, or left FlowAPI's list, though runs had used them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from autoflow.model import Departure, Restatement, StaleGroup, UsedChange, weightiest_first
from autoflow.wording import counted, first_few, span_text, spans

EVENT = "restated"
MOST_DATES = 12
"""Stretches of dates, and lines of what has changed, that a message shows."""

AGAIN_FOR = dt.timedelta(days=1)
"""How long people may yet be told of runs that were requested again meanwhile."""


class Told(NamedTuple):
    """What has changed together, and what people are told of it."""

    name: str
    what: str
    since: dt.datetime
    lines: tuple[str, ...]
    dates: tuple[str, ...]


def name_of(change: UsedChange) -> str:
    """Name what has changed together."""
    if change.kind == "restatement":
        return json.dumps(["restated", change.number])
    return json.dumps(["departed", change.seen.isoformat()])


def data_changes(
    groups: Sequence[StaleGroup], restatements: Sequence[Restatement], departures: Sequence[Departure]
) -> Iterator[Told]:
    """Say what has made runs stale; what was seen together is told together.

    Parameters
    ----------
    restatements, departures
        All that the groups are about.
    """
    by_number: dict[int, list[StaleGroup]] = {}
    for group in groups:
        if group.kind == "restatement":
            by_number.setdefault(group.number, []).append(group)
    for first, those in by_number.items():
        seen = next((each.seen for each in restatements if each.id == first), None)
        if seen is not None:
            yield _restated(first, seen, [e for e in restatements if e.id >= first and e.seen == seen], those)
    numbers = {group.number for group in groups if group.kind == "departure"}
    for seen in sorted({each.seen for each in departures if each.id in numbers}):
        together = [each for each in departures if each.seen == seen]
        those = [g for g in groups if g.kind == "departure" and any(g.number == each.id for each in together)]
        yield _departed(seen, together, those)


def _restated(first: int, seen: dt.datetime, together: Sequence[Restatement], groups: Sequence[StaleGroup]) -> Told:
    dates, runs, again = sorted({each.date for each in together}), _runs(groups), sum(each.again for each in groups)
    are = counted(runs, "run is", "runs are")
    if again == runs:
        stale = f"{are} made again"
    else:
        stale = f"{are} stale" + (f", and {again} of them made again" if again else "")
    lines = [*_bounded(weightiest_first(together)), *_workflows(groups), "Details: autoflow stale"]
    lines += ["To run those again whose data all count: autoflow rerun --stale"] if again < runs else []
    what = f"data of {bounded_spans(dates)} were ingested anew: {stale}"
    return Told(name_of(UsedChange("restatement", first, seen)), what, seen, tuple(lines), tuple(map(str, dates)))


def _departed(seen: dt.datetime, together: Sequence[Departure], groups: Sequence[StaleGroup]) -> Told:
    dates = sorted({each.date for each in together})
    used = counted(_runs(groups), "run has", "runs have")
    what = f"data of {bounded_spans(dates)} are no longer listed by FlowAPI: {used} used them"
    lines = [
        *_bounded(together),
        *_workflows(groups),
        "They are stale, and are not run again until the data are back.",
        "Details: autoflow stale",
    ]
    return Told(
        name_of(UsedChange("departure", together[0].id, seen)), what, seen, tuple(lines), tuple(map(str, dates))
    )


def bounded_spans(dates: Sequence[dt.date]) -> str:
    """Write dates, and of very many the first ones."""
    return first_few(spans(dates).split(", "), MOST_DATES)


def _bounded(changes: Sequence[object]) -> list[str]:
    more = [f"... and {len(changes) - MOST_DATES} more"] if len(changes) > MOST_DATES else []
    return [*map(str, changes[:MOST_DATES]), *more]


def _workflows(groups: Sequence[StaleGroup]) -> Iterator[str]:
    for workflow in dict.fromkeys(group.workflow for group in groups):
        # of several triggers, or dates that left, some may be the same
        found = dict.fromkeys(span for group in groups if group.workflow == workflow for span in group.spans)
        yield f"{workflow}: {first_few([span_text(*span) for span in sorted(found)], MOST_DATES)}"


def _runs(groups: Sequence[StaleGroup]) -> int:
    return sum(group.runs for group in groups)
