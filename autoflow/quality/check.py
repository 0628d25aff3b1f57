# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is asked of the outcomes of a QA check, and whether one of them is as asked."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

from autoflow.quality.outcomes import Outcome

ROWS = "count_added_rows"
"""The check that percentages are of."""

WEEKS, FEWEST_WEEKS = 8, 3
"""How many of the same weekdays before a date are looked at, and how many outcomes it takes to compare with them."""

OnMissing = Literal["wait", "pass", "hold"] | dt.timedelta


@dataclass(frozen=True)
class Bound:
    """A limit of outcomes, as it is written in workflows.yml."""

    value: float
    kind: Literal["number", "percent", "time"] = "number"
    """A percentage is of the rows of the date; a time of the day is in seconds."""

    def __str__(self) -> str:
        if self.kind == "time":
            return f"{int(self.value) // 3600:02}:{int(self.value) // 60 % 60:02}" + (
                f":{int(self.value) % 60:02}" if self.value % 60 else ""
            )
        number = f"{self.value:,.10f}".rstrip("0").rstrip(".")
        return f"{number}%" if self.kind == "percent" else number


@dataclass(frozen=True)
class Check:
    """What outcomes of a QA check have to be like."""

    check: str
    at_most: Bound | None = None
    at_least: Bound | None = None
    within: float | None = None
    """Percent of the median of the same weekday."""
    on_missing: OnMissing = "wait"

    @property
    def needs_rows(self) -> bool:
        return any(bound is not None and bound.kind == "percent" for bound in (self.at_most, self.at_least))

    def is_for(self, cdr_type: str) -> bool:
        """Whether there is such a check for a CDR type: what a name has after a dot is the type that it is for."""
        _, dot, of_type = self.check.rpartition(".")
        return not dot or of_type == cdr_type


class Breach(NamedTuple):
    """An outcome that is not as asked."""

    outcome: Outcome
    limit: str
    """In words: ``at least 18:00``."""


UNREADABLE = math.nan


def breach(
    check: Check, day: int, outcomes: Mapping[int, Outcome], rows: Mapping[int, Outcome]
) -> Breach | Literal["absent"] | None:
    """Judge the outcome of a day, given as an ordinal.

    Parameters
    ----------
    rows
        Outcomes of `ROWS`, for percentages.

    Returns
    -------
    Breach, "absent" or None
        What is wrong; whether there is no outcome yet; or nothing, when it is as asked.
    """
    if day not in outcomes or (check.needs_rows and day not in rows):
        return "absent"
    outcome = outcomes[day]
    for word, bound, sign in (("at most", check.at_most, 1), ("at least", check.at_least, -1)):
        if bound is None:
            continue
        value, limit = _measured(outcome, bound, day, rows)
        if math.isnan(value - limit):
            if not math.isnan(value):
                return Breach(outcome, f"{word} {bound} of {ROWS}, which is {rows[day] or 'null'}")
            expected = "a time" if bound.kind == "time" else "a number"
            return Breach(outcome, f"{expected} {word} {bound}")
        if sign * (value - limit) > 0:
            return Breach(outcome, f"{word} {_written(bound, limit)}")
    if check.within is not None:
        return _deviation(check.within, day, outcomes)
    return None


def _measured(outcome: Outcome, bound: Bound, day: int, rows: Mapping[int, Outcome]) -> tuple[float, float]:
    """Return an outcome and its limit as numbers that can be compared; nan is for an outcome that is none."""
    if bound.kind == "time":
        return seconds_of(outcome, day), bound.value
    if bound.kind == "percent":
        return number_of(outcome), bound.value / 100 * number_of(rows[day])
    return number_of(outcome), bound.value


def _written(bound: Bound, limit: float) -> str:
    if bound.kind != "percent" or math.isnan(limit):
        return str(bound)
    return f"{limit:,.10g} ({bound} of {ROWS})"


def _deviation(within: float, day: int, outcomes: Mapping[int, Outcome]) -> Breach | None:
    value, before = number_of(outcomes[day]), history(day, outcomes)
    usual = median(before) if len(before) >= FEWEST_WEEKS else None
    if math.isnan(value):
        return Breach(outcomes[day], f"a number within {within:g}% of the same weekday's median")
    if usual is None or abs(value - usual) <= within / 100 * abs(usual):
        return None
    weeks = f"the median of {len(before)} weeks before"
    return Breach(outcomes[day], f"within {within:g}% of {usual:,.10g}, {weeks}")


def history(day: int, outcomes: Mapping[int, Outcome]) -> Sequence[float]:
    """Return the numbers of the same weekday in the weeks before a day, the oldest first."""
    before = (outcomes.get(day - 7 * week) for week in range(WEEKS, 0, -1))
    return [value for outcome in before if outcome is not None and not math.isnan(value := number_of(outcome))]


def number_of(outcome: Outcome) -> float:
    """Read an outcome as a number; nan when it is none."""
    try:
        value = float(outcome) if outcome is not None else UNREADABLE
    except ValueError:
        return UNREADABLE
    return value if math.isfinite(value) else UNREADABLE


def seconds_of(outcome: Outcome, day: int) -> float:
    """Read an outcome as seconds after the beginning of its day; nan when it is no time.

    The zone is that of the database, and the times of events are in it: it is left out.
    """
    try:
        moment = dt.datetime.fromisoformat(outcome or "")
    except ValueError:
        return UNREADABLE
    return (moment.toordinal() - day) * 86400.0 + (moment.hour * 60 + moment.minute) * 60 + moment.second
