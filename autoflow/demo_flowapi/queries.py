# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Queries: specifications as flowclient sends them, what they read, and the rows that they give.

All of this is pure: what has been ingested and what is cached lies in `flowmachine`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoflow.demo_flowapi import mobility
from autoflow.demo_flowapi.schemas import KINDS, LOCATIONS, problems_in

DEFAULT_TYPES = ("calls", "sms")
"""The CDR types that are read where a query names none."""

COVERAGE = {"calls": 1.0, "sms": 0.5, "mds": 0.3, "topups": 0.3}
"""The part of all subscribers of whom a day's data of a type know."""

Reading = Mapping[tuple[str, dt.date], float]
"""What a query found in the data: for each CDR type and day, the part of the usual subscribers that was there."""


class SpecError(Exception):
    """A query that FlowAPI refuses, with the body of its answer."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(body["msg"])
        self.body = body


@dataclass(frozen=True)
class Window:
    """A time of which a query reads CDR data: its result is a table of FlowMachine's cache."""

    id: str
    start: dt.datetime
    end: dt.datetime
    types: tuple[str, ...]

    def covers(self, day: dt.date) -> bool:
        """Return whether a part of a day is in it."""
        return self.start.date() <= day and dt.datetime.combine(day, dt.time()) < self.end


@dataclass(frozen=True)
class Query:
    """A query that can be run."""

    id: str
    kind: str
    unit: str
    scopes: frozenset[str]
    """What a token has to allow for it, besides ``run`` and ``get_result``."""
    windows: tuple[Window, ...]
    """What it reads, or its locations do, in order; a result is that of the last day."""
    salt: str
    """What makes its counts differ a little from those of another query."""
    hours: frozenset[int]


def read_query(body: Any) -> Query:
    """Read what was sent to ``run``.

    Raises
    ------
    SpecError
        With FlowAPI's answer.
    """
    if not isinstance(body, dict) or "query_kind" not in body:
        raise SpecError({"msg": "Could not parse query spec."})
    problems = problems_in(body, tuple(KINDS))
    if problems:
        raise _invalid(body, problems)
    spec, kind = _normal(body), body["query_kind"]
    locations = [spec[name] for name in KINDS[kind]] or [spec]
    leaves = [leaf for location in locations for leaf in _leaves(location)]
    unit = leaves[0]["aggregation_unit"]
    return Query(
        id=_digest(spec),
        kind=kind,
        unit=unit,
        scopes=frozenset(scopes_of(unit, kind, _kinds(spec))),
        windows=tuple(_window(leaf) for leaf in leaves),
        salt=json.dumps(body["from_location"], sort_keys=True) if kind == "flows" else "",
        hours=frozenset(hour for leaf in leaves for hour in leaf.get("hours", {}).values()),
    )


def scopes_of(unit: str, kind: str, nested: set[str] | None = None) -> list[str]:
    """Name the scopes of a kind of query with some kinds within it, or with all that it may have."""
    if nested is None:
        nested = {kind, *(LOCATIONS if KINDS[kind] else ())}
    return [f"{unit}:{kind}:{each}" for each in sorted(nested)]


def rows(query: Query, tables: Mapping[str, Reading]) -> list[dict[str, Any]]:
    """Compute a result from what was read when, by the ids of windows."""
    level = int(query.unit.removeprefix("admin"))
    readings = [tables[window.id] for window in query.windows]
    share = min(_share(reading) for reading in readings)
    days = sorted({day for _, day in readings[-1]})
    if query.kind == "flows":
        counts = mobility.flows(days[-1], level, query.salt, share)
        return [{"pcod_from": a, "pcod_to": b, "value": value} for (a, b), value in counts.items()]
    if query.kind == "total_network_objects":
        return [
            {"pcod": code, "value": value, "datetime": f"{day}T00:00:00+00:00"}
            for day in days
            for code, value in mobility.cells(day, level).items()
        ]
    return [{"pcod": code, "value": value} for code, value in mobility.subscribers(days[-1], level, share).items()]


def columns(query: Query) -> list[str]:
    """Name the columns of a result."""
    if query.kind == "flows":
        return ["pcod_from", "pcod_to", "value"]
    return ["pcod", "value", "datetime"] if query.kind == "total_network_objects" else ["pcod", "value"]


def features(query: Query, result: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Join a result to the places; flows become what comes into and what leaves each."""
    places = {feature["properties"]["pcod"]: feature for feature in mobility.places()[query.unit]}
    if query.kind == "flows":
        codes = sorted({row[name] for row in result for name in ("pcod_from", "pcod_to")})
        result = [
            {
                "pcod": code,
                "outflows": {row["pcod_to"]: row["value"] for row in result if row["pcod_from"] == code},
                "inflows": {row["pcod_from"]: row["value"] for row in result if row["pcod_to"] == code},
            }
            for code in codes
        ]
    else:
        # FlowMachine puts the values first here
        result = [{**{name: row[name] for name in row if name != "pcod"}, "pcod": row["pcod"]} for row in result]
    for number, row in enumerate(result, start=1):
        place = places[row["pcod"]]
        yield {**place, "id": number, "properties": {**row, "centroid": place["properties"]["centroid"]}}


def _share(reading: Reading) -> float:
    """Tell of what part of all subscribers a reading knows: of those of its best type, day by day."""
    days = {day for _, day in reading}
    best = (max(COVERAGE[kind] * part for (kind, of), part in reading.items() if of == day) for day in days)
    return sum(best) / len(days)


def _normal(spec: Any) -> Any:
    """Write a specification in one way, so that the same query has the same id."""
    if isinstance(spec, list):
        return [_normal(each) for each in spec]
    if not isinstance(spec, dict):
        return spec
    known = {name: value if name == "sampling" else _normal(value) for name, value in spec.items() if value is not None}
    if "query_kind" not in known:
        return known
    for name in {"date", "start_date", "end_date"} & set(known):
        known[name] = _moment(known[name]).isoformat()
    if "event_types" in known:
        known["event_types"] = sorted(set(known["event_types"]))
    defaults = {"flows": {"join_type": "inner"}, "total_network_objects": {"total_by": "day"}}
    return {**defaults.get(known["query_kind"], {}), **known}


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=None)


def _leaves(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if spec["query_kind"] == "modal_location":
        yield from spec["locations"]
    else:
        yield spec


def _kinds(spec: Any) -> set[str]:
    if isinstance(spec, list):
        return {kind for each in spec for kind in _kinds(each)}
    if not isinstance(spec, dict):
        return set()
    own = {spec["query_kind"]} if "query_kind" in spec else set()
    return own.union(*(_kinds(spec[name]) for name in ("locations", "from_location", "to_location") if name in spec))


def _window(leaf: Mapping[str, Any]) -> Window:
    start = _moment(leaf["date"] if "date" in leaf else leaf["start_date"])
    end = (
        _moment(leaf["end_date"]) if "end_date" in leaf else start + min(dt.timedelta(days=1), dt.datetime.max - start)
    )
    # a sample is drawn from the table of all, which may be cached
    whole = {name: value for name, value in leaf.items() if name != "sampling"}
    return Window(_digest(whole), start, end, tuple(leaf.get("event_types", DEFAULT_TYPES)))


def _digest(spec: Any) -> str:
    return hashlib.md5(json.dumps(spec, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def _invalid(body: Mapping[str, Any], problems: Mapping[str, Any]) -> SpecError:
    def indented(value: Any) -> str:
        return json.dumps(value, indent=2).replace("\n", "\n   ")

    return SpecError(
        {
            "msg": f"Parameter validation failed.\n\nThe action parameters were:\n   {indented(body)}.\n\n"
            f"Validation error messages:\n   {indented(problems)}.\n\n"
        }
    )
