# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What becomes of the data behind a stand-in while it runs: dates that come, go and are ingested anew."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

from autoflow.demo_flowapi import qa
from autoflow.demo_flowapi.flowmachine import CDR_TYPES, Flowmachine

PATH = "/stand-in"
"""Where a change is posted; no FlowAPI has it."""

SHARE = 0.6
"""Part of the usual subscribers that are in data that are ingested anew."""

MOST_DATES = 36_500

USAGE = {
    "add": "DATE [TO]",
    "drop": "DATE [TO]",
    "restate": "DATE [TO]",
    "outcome": "DATE CHECK [OUTCOME]",
    "reset-cache": "nothing more",
}
"""What each change takes."""


def change(flowmachine: Flowmachine, body: bytes) -> str:
    """Make a change, and say what has become of the data.

    Parameters
    ----------
    body
        JSON: ``do``, one of `USAGE`; ``values``, a list of texts; and ``share``, a number or null, for ``restate``.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    asked = json.loads(body)
    if not isinstance(asked, dict) or asked.get("do") not in USAGE or not isinstance(asked.get("values"), list):
        raise ValueError(f"expected one of {', '.join(USAGE)}, with values")
    do, values = asked["do"], [str(value) for value in asked["values"]]
    least, most = {"outcome": (2, 3), "reset-cache": (0, 0)}.get(do, (1, 2))
    if not least <= len(values) <= most:
        raise ValueError(f"{do}: found {' '.join(values) or 'nothing more'}, expected {USAGE[do]}")
    if do == "reset-cache":
        flowmachine.reset_cache()
        return "FlowMachine has forgotten all results"
    if do == "outcome":
        return _outcome(flowmachine, *values)
    days = _days(values)
    there = {day for each in flowmachine.dates.values() for day in each}
    if do == "add":
        flowmachine.dates = {name: {*flowmachine.dates.get(name, ()), *days} for name in CDR_TYPES}
        return f"{_written(days)}: data are there"
    if absent := [day for day in days if day not in there]:
        raise ValueError(f"there are no data of {absent[0]}")
    if do == "drop":
        for day in days:
            flowmachine.drop(day)
        return f"{_written(days)}: data are gone"
    share = SHARE if asked.get("share") is None else float(asked["share"])
    for day in days:
        flowmachine.restate(day, share)
    return f"{_written(days)}: ingested anew, with {share:.0%} of the subscribers"


def _outcome(flowmachine: Flowmachine, date: str, check: str, outcome: str | None = None) -> str:
    """Let a QA check say something else of a date than it would, for each CDR type, or what it would again."""
    (day,) = _days([date])
    known = {name for _, name in qa.listed(flowmachine)}
    if check not in known:
        raise ValueError(f"found {check}, expected one of {', '.join(sorted(known))}")
    for cdr_type in {cdr_type for cdr_type, name in qa.listed(flowmachine) if name == check}:
        if outcome is None:
            flowmachine.outcomes.pop((cdr_type, check, day), None)
        else:
            flowmachine.outcomes[cdr_type, check, day] = outcome
    return f"{day}: {check} is {'as usual' if outcome is None else outcome}"


def _days(values: Sequence[str]) -> list[str]:
    """List the ISO dates from one to another, both of them included."""
    try:
        first, last = (dt.date.fromisoformat(value) for value in (values[0], values[-1]))
    except ValueError:
        raise ValueError(f"found {' '.join(values)}, expected dates such as 2016-01-31") from None
    if not 0 <= (last - first).days < MOST_DATES:
        raise ValueError(f"found {first} to {last}, expected at most {MOST_DATES:,} dates in order")
    return [(first + dt.timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def _written(days: Sequence[str]) -> str:
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
