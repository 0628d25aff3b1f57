# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Limits that the usual outcomes so far keep, and which dates do not: a beginning for those who know their data."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping
from statistics import median

from autoflow.quality.check import FEWEST_WEEKS, ROWS, Bound, Check, history, number_of, seconds_of
from autoflow.quality.judged import Outcomes
from autoflow.quality.outcomes import Outcome
from autoflow.wording import first_few, spans

RECENT, FEWEST = 366, 14
"""Days that are looked at, and outcomes that it takes to suggest anything."""

FAR = 3
"""Outcomes that are farther from the middle half than so many times its width are not usual, however many they are."""

HOUR = 3600

FAULTS = ("duplicat", "null")
"""Words in the names of checks that count what should not be there."""


def suggested(outcomes: Outcomes) -> list[Check]:
    """Suggest a limit for each check that has outcomes enough, for all CDR types together."""
    by_check: dict[str, list[str]] = {}
    for cdr_type, check in outcomes.checks():
        by_check.setdefault(check, []).append(cdr_type)
    found = []
    for check, cdr_types in sorted(by_check.items()):
        limits = [limit for cdr_type in cdr_types if (limit := _suggested(outcomes, cdr_type, check)) is not None]
        if limits:
            found.append(_widest(limits))
    return found


def as_yaml(checks: Iterable[Check], outcomes: Outcomes) -> str:
    """Write checks as they are written in workflows.yml, below the sensor, each with the dates so far that fail it."""
    lines = ["available_dates_sensor:", "  quality:"]
    for check in checks:
        lines += [f"    # {_failing(check, outcomes)}", f"    - check: {check.check}"]
        for key, bound in (("at_most", check.at_most), ("at_least", check.at_least)):
            if bound is not None:
                text = str(bound).replace(",", "")
                lines.append(f"      {key}: " + (f'"{text}"' if bound.kind == "time" else text))
        if check.within is not None:
            lines.append(f"      within: {check.within:g}%")
    return "\n".join(lines) + "\n"


def _failing(check: Check, outcomes: Outcomes) -> str:
    types = [cdr_type for cdr_type, name in outcomes.checks() if name == check.check]
    judged = [outcomes.judged(check, cdr_type) for cdr_type in types]
    failed, answered = _days(each.failed for each in judged), _days(each.answered for each in judged)
    if not failed:
        return f"kept by all {len(answered)} dates so far"
    which = first_few(spans(map(dt.date.fromordinal, sorted(failed))).split(", "))
    return f"{len(failed)} of {len(answered)} dates so far fail: look at {which}"


def _days(several: Iterable[Iterable[tuple[int, int]]]) -> set[int]:
    return {day for stretches in several for start, end in stretches for day in range(start, end)}


def _suggested(outcomes: Outcomes, cdr_type: str, check: str) -> Check | None:
    found = outcomes.of(cdr_type, check)
    days = sorted(found)[-RECENT:]
    if len(days) < FEWEST:
        return None
    if check.endswith("_timestamp"):
        return _of_times(check, [seconds_of(found[day], day) for day in days])
    if any(word in check for word in FAULTS):
        return _of_faults(check, days, found, outcomes.of(cdr_type, ROWS))
    if not check.startswith("count_"):
        return None
    deviations = list(_deviations(days, found))
    if len(deviations) < FEWEST:
        return None
    return Check(check, within=float(max(math.ceil(1.5 * _most(deviations, 5) / 5) * 5, 10)))


def _of_times(check: str, times: Iterable[float]) -> Check | None:
    there = [time for time in times if 0 <= time < 24 * HOUR]
    if len(there) < FEWEST:
        return None
    if check.startswith("earliest"):
        return Check(check, at_most=Bound(float(min((_most(there, HOUR) // HOUR + 2) * HOUR, 24 * HOUR)), "time"))
    late = -_most([-time for time in there], HOUR)
    return Check(check, at_least=Bound(float(max((late // HOUR - 1) * HOUR, 0)), "time"))


def _of_faults(
    check: str, days: Iterable[int], found: Mapping[int, Outcome], rows: Mapping[int, Outcome]
) -> Check | None:
    pairs = ((number_of(found[day]), number_of(rows.get(day))) for day in days)
    shares = [100 * some / whole for some, whole in pairs if whole > 0 and not math.isnan(some)]
    if len(shares) < FEWEST:
        return None
    return Check(check, at_most=Bound(max(math.ceil(20 * _most(shares, 0.1)) / 10, 0.1), "percent"))


def _deviations(days: Iterable[int], found: Mapping[int, Outcome]) -> Iterator[float]:
    for day in days:
        before, value = history(day, found), number_of(found[day])
        if len(before) >= FEWEST_WEEKS and (usual := median(before)) and not math.isnan(value):
            yield 100 * abs(value - usual) / abs(usual)


def _most(values: list[float], least: float) -> float:
    """Return the highest value that is a usual one; the middle half is taken to be at least so wide."""
    ordered = sorted(values)
    first, third = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    farthest = third + FAR * max(third - first, least)
    return max(value for value in ordered if value <= farthest)


def _widest(limits: list[Check]) -> Check:
    """Leave the limit that all CDR types keep."""
    if limits[0].within is not None:
        return max(limits, key=lambda each: each.within or 0)
    if limits[0].at_most is not None:
        return max(limits, key=lambda each: each.at_most.value if each.at_most else 0)
    return min(limits, key=lambda each: each.at_least.value if each.at_least else 0)
