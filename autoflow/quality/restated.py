# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dates that were ingested anew: their outcomes are others than before, whatever these mean."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from autoflow.quality.check import ROWS, number_of
from autoflow.quality.judged import Outcomes
from autoflow.quality.outcomes import Outcome, read_block

FINGERPRINT = (ROWS, "count_msisdns", "count_location_ids", "earliest_timestamp", "latest_timestamp")
"""The checks whose outcomes tell one ingestion of a date from another, as far as they are there."""

FEW_SECONDS = 60.0
"""By which the time of the first or the last event of a date may differ, with nothing more to it."""

Change = tuple[str, str]
"""The outcome before, and after."""


def changes_in(year: str, old: str | None, new: str | None) -> tuple[dict[int, Change], dict[int, str], dict[int, str]]:
    """Compare a block of outcomes with what it was before.

    Returns
    -------
    changed
        Days with another outcome than before: null, or none at all, is not one.
    gone
        Days without an outcome any more, with the last one.
    come
        Days with an outcome that had none.
    """
    before, after = _there(year, old), _there(year, new)
    changed = {day: (before[day], after[day]) for day in before.keys() & after.keys() if before[day] != after[day]}
    gone = {day: before[day] for day in before.keys() - after.keys()}
    come = {day: after[day] for day in after.keys() - before.keys()}
    return changed, gone, come


def _there(year: str, block: str | None) -> dict[int, str]:
    return {day: outcome for day, outcome in read_block(year, block or "{}").items() if outcome}


def changes_text(changes: Mapping[str, Change]) -> str:
    """Write what has changed of a date, counts before times: ``count_added_rows 6,429 -> 3,896``.

    Times that differ by seconds, as those of the first and the last event do, are left out where more has changed.
    """
    more = {check: change for check, change in changes.items() if not _is_of_seconds(change)}
    ordered = sorted((more or changes).items(), key=lambda each: (_seconds_between(each[1]) is not None, each[0]))
    return ", ".join(f"{check} {_text(old)} -> {_text(new)}" for check, (old, new) in ordered)


def weight_of(changes: Mapping[str, Change]) -> int:
    """Say how much changes of a date tell of its data: counts the most, times that differ by seconds the least."""
    if any(_seconds_between(change) is None for change in changes.values()):
        return 2
    return 0 if all(map(_is_of_seconds, changes.values())) else 1


def _is_of_seconds(change: Change) -> bool:
    seconds = _seconds_between(change)
    return seconds is not None and seconds < FEW_SECONDS


def _seconds_between(change: Change) -> float | None:
    """Say how far two times are from each other; None where they are none."""
    try:
        old, new = (dt.datetime.fromisoformat(each) for each in change if not each.isdigit())
        return abs((new - old).total_seconds())
    except (ValueError, TypeError):
        return None


def _text(outcome: str) -> str:
    return f"{number_of(outcome):,.0f}" if outcome.isdigit() else outcome


def fingerprints(
    outcomes: Outcomes, cdr_types: Iterable[str], days: Iterable[int], checks: Iterable[str] = FINGERPRINT
) -> dict[str, dict[str, dict[str, Outcome]]]:
    """Return the outcomes that tell ingestions of some days apart, by CDR type, ISO date and check."""
    found: dict[str, dict[str, dict[str, Outcome]]] = {}
    wanted, names = sorted(set(days)), list(checks)
    for cdr_type in sorted(cdr_types):
        for check in names:
            there = outcomes.of(cdr_type, check)
            for day in wanted:
                if there.get(day):
                    by_date = found.setdefault(cdr_type, {})
                    by_date.setdefault(dt.date.fromordinal(day).isoformat(), {})[check] = there[day]
    return found


def version_of(found: Mapping[str, Mapping[str, Mapping[str, Outcome]]], missing: Sequence[dt.date] = ()) -> str:
    """Return a short text that is another one when fingerprints are, or other dates are missing; empty without both."""
    if not found and not missing:
        return ""
    # outcomes of a date come later than the date itself
    data = [found, [*map(str, missing)]] if missing else found
    return hashlib.blake2s(json.dumps(data, sort_keys=True).encode(), digest_size=6).hexdigest()


def digest_of(outcomes: Outcomes, days: Mapping[str, Collection[int]], missing: Sequence[dt.date] = ()) -> str | None:
    """Return a short text that is another one when any outcome of some days is; None where one of these has none.

    `version_of` goes by fewer checks, so that notebooks ask for the same as before when another check is named.

    Parameters
    ----------
    days
        By CDR type.
    """
    checks, found = sorted({check for _, check in outcomes.checks()}), dict[str, dict[str, dict[str, Outcome]]]()
    for cdr_type, those in days.items():
        found |= fingerprints(outcomes, [cdr_type], those, checks)
        if len(found.get(cdr_type, ())) < len(set(those)):
            return None
    return version_of(found, missing) if found else None
