# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Windows that need not be complete: drawn, and what has to hold of runs that were made with dates missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from random import Random
from typing import Any

DAY = dt.timedelta(days=1)

WINDOWS: tuple[list[Any], ...] = (
    [{"from": -6, "to": 1, "at_least": "60%", "longest_gap": 2}],
    [{"from": "week-1", "to": "week", "at_least": 5}],
    [{"from": -2, "to": 1, "require_last": True}, -3],
)


def draw_late(draw: Random, config: Mapping[str, Any], *, in_order: bool = False) -> None:
    """Let some triggers wait for some time only.

    Parameters
    ----------
    in_order
        Whether these are triggers that others wait for, or that wait for others; otherwise none of them are.
    """
    sensor = config["available_dates_sensor"]
    needed = {need["workflow"] for trigger in sensor["workflows"] for need in trigger.get("needs", ())}
    for trigger in sensor["workflows"]:
        name = trigger["workflow_name"]
        alone = "after" not in trigger and "needs" not in trigger and name not in needed
        if alone is not in_order and draw.random() < (0.8 if in_order else 0.4):
            trigger["date_stencil"] = draw.choice(WINDOWS)
            trigger["late"] = {"after": draw.choice(("1d", 3)), "at_least": draw.choice((3, "40%"))}
            if draw.random() < 0.3:
                trigger["late"]["finalise"] = False
            (workflow,) = (each for each in config["workflows"] if each["name"] == name)
            workflow["notebooks"]["a"]["parameters"]["missing"] = "missing_dates"


def deadline(trigger: Mapping[str, Any], date: dt.date, needed: list[dt.date]) -> dt.datetime:
    """Say when waiting for the dates of a run is over."""
    over = dt.datetime.combine(max(*needed, date), dt.time(), dt.UTC) + DAY
    return over + {"1d": DAY, 3: 3 * DAY}[trigger["late"]["after"]]


def complaint(
    trigger: Mapping[str, Any], windows: list[tuple[Any, list[dt.date]]], there: Callable[[dt.date], bool]
) -> str | None:
    """Say what is against a run with the dates that are there, by its windows as they are written."""
    every = {day for _, days in windows for day in days}
    have = {day for day in every if there(day)}
    for window, days in windows:
        if have.issuperset(days):
            continue
        if not isinstance(window, dict):
            return f"{window} is not there"
        if have.isdisjoint(days):
            return f"nothing of {window} is there"
        least = window.get("at_least", 1)
        if len(have & set(days)) < (len(days) * int(least[:-1]) / 100 if isinstance(least, str) else least):
            return f"{window} has too few"
        gaps = [len(list(group)) for is_there, group in groupby(days, have.__contains__) if not is_there]
        if max(gaps) > window.get("longest_gap", len(days)):
            return f"{window} has too long a gap"
        if window.get("require_last") and days[-1] not in have:
            return f"the last day of {window} is not there"
    least = trigger["late"]["at_least"]
    if len(have) < (len(every) * int(least[:-1]) / 100 if isinstance(least, str) else least):
        return "there are too few days"
    return None


def provisional(
    config: Mapping[str, Any], ranges_of: Callable[[list[Any], dt.date], list[tuple[dt.date, dt.date]]]
) -> Iterator[tuple[Mapping[str, Any], Callable[[dt.date], list[tuple[Any, list[dt.date]]]]]]:
    """Give the triggers that wait for some time only, and what makes their windows for a date."""
    for trigger in config["available_dates_sensor"]["workflows"]:
        if "late" not in trigger:
            continue

        def windows(date: dt.date, stencil: list[Any] = trigger["date_stencil"]) -> list[tuple[Any, list[dt.date]]]:
            return [
                (element, [start + number * DAY for number in range((end - start).days)])
                for element, (start, end) in zip(stencil, ranges_of(stencil, date), strict=True)
            ]

        yield trigger, windows
