# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The country's mobility: trips by a gravity model, with a weekly rhythm and a flood.

Everything follows from the places and the date, so that each process and machine computes the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

FIRST_DAY = dt.date(2016, 1, 1)
FLOOD_DAY = dt.date(2016, 1, 15)
FLOODED = "VEL.2.3"
"""The place of admin2 that the flood hits."""

FADING = (1.0, 0.7, 0.45, 0.25, 0.1)
"""What is left of the flood's effect, by days since it came."""

WEEKEND = {4: 1.06, 5: 0.8, 6: 0.72}
"""Trips between places by day of the week (Monday is 0), against a working day."""

TRAVELLERS = 0.18
"""The part of a place's subscribers that are elsewhere on a working day."""

SMALLEST_GROUP = 15
"""Rows with so few subscribers or fewer are left out of a result."""

Key = TypeVar("Key", str, tuple[str, str])
Flows = Mapping[tuple[str, str], float]


@cache
def places() -> Mapping[str, list[dict[str, Any]]]:
    """GeoJSON features by level."""
    content: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("country.json").read_text())
    return content


def flows(day: dt.date, level: int, salt: str = "", share: float = 1.0) -> dict[tuple[str, str], int]:
    """Count subscribers by where they were before and where they are on a day.

    Parameters
    ----------
    day
        Day of arrival.
    level
        Level of the places: 0 to 3.
    salt
        Anything that makes another query give slightly other counts.
    share
        The part of all subscribers that the data know of.

    Returns
    -------
    dict
        By (code of origin, code of destination); small groups are left out.
    """
    depth = level + 1
    counts: dict[tuple[str, str], float] = {}
    for (origin, destination), people in _trips(day, salt).items():
        key = (_cut(origin, depth), _cut(destination, depth))
        counts[key] = counts.get(key, 0.0) + people
    return _redacted(counts, share)


def subscribers(day: dt.date, level: int, share: float = 1.0) -> dict[str, int]:
    """Count subscribers by where they are on a day; small groups are left out."""
    counts: dict[str, float] = {}
    for (_, destination), people in _trips(day, "").items():
        code = _cut(destination, level + 1)
        counts[code] = counts.get(code, 0.0) + people
    return _redacted(counts, share)


def cells(day: dt.date, level: int) -> dict[str, int]:
    """Count the towers that were heard of in each place on a day."""
    return {
        feature["properties"]["pcod"]: 3 + round(40 / 4**level + 2 * chance(f"cells {feature['id']} {day}"))
        for feature in places()[f"admin{level}"]
    }


@cache
def population() -> float:
    """Count everybody."""
    return sum(_usual_trips().values())


def _redacted(counts: Mapping[Key, float], share: float) -> dict[Key, int]:
    rounded = {key: round(counts[key] * share) for key in sorted(counts)}
    return {key: people for key, people in rounded.items() if people > SMALLEST_GROUP}


def _trips(day: dt.date, salt: str) -> Flows:
    """Trips between places of admin3 on a day, the flood's among them."""
    rhythm = WEEKEND.get(day.weekday(), 1.0)
    days_since = (day - FLOOD_DAY).days
    flood = FADING[days_since] if 0 <= days_since < len(FADING) else 0.0
    trips = {}
    for (origin, destination), people in _usual_trips().items():
        moving = origin != destination
        factor = rhythm if moving else 1.0
        if flood:
            fled, entered = _flooded(origin), _flooded(destination)
            if fled and not entered:
                factor *= 1 + 4.5 * flood
            elif entered and not fled:
                factor *= 1 - 0.85 * flood
            elif fled and not moving:
                factor *= 1 - 0.35 * flood
            elif moving:
                factor *= 1 - 0.1 * flood
        trips[origin, destination] = people * factor * (0.97 + 0.06 * chance(f"{day} {origin} {destination} {salt}"))
    return trips


@cache
def _usual_trips() -> Flows:
    towns = {
        place["properties"]["pcod"]: place["properties"]["centroid"]["coordinates"] for place in places()["admin3"]
    }
    people = {code: 6000 + 90000 * chance(f"people of {code}") ** 3 for code in towns}
    trips: dict[tuple[str, str], float] = {}
    for origin, here in towns.items():
        pull = {
            destination: people[destination] / (math.dist(here, there) ** 2.1 + 0.05)
            for destination, there in towns.items()
            if destination != origin
        }
        for destination, strength in pull.items():
            trips[origin, destination] = TRAVELLERS * people[origin] * strength / sum(pull.values())
        trips[origin, origin] = (1 - TRAVELLERS) * people[origin]
    return trips


def _flooded(code: str) -> bool:
    return _cut(code, FLOODED.count(".") + 1) == FLOODED


def _cut(code: str, depth: int) -> str:
    return ".".join(code.split(".")[:depth])


def chance(text: str) -> float:
    """Return a number in [0, 1) that depends on a text and nothing else."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
