# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Queries: specifications as flowclient sends them, and the results that they give."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from examples.flowapi import mobility

KINDS = ("flows", "spatial_aggregate")
METHODS = ("last", "most-common")


class SpecError(Exception):
    """A query that FlowAPI refuses, with the body of its answer."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(body["msg"])
        self.body = body


@dataclass(frozen=True)
class Query:
    """A query that can be run."""

    id: str
    kind: str
    unit: str
    spec: Mapping[str, Any]
    days: tuple[dt.date, ...]
    """All days whose data it reads."""

    def rows(self) -> list[dict[str, Any]]:
        """Compute the result."""
        level = int(self.unit.removeprefix("admin"))
        if self.kind == "flows":
            arrival = _days(self.spec["to_location"])[-1]
            counts = mobility.flows(arrival, level, salt=json.dumps(self.spec["from_location"], sort_keys=True))
            return [
                {"pcod_from": origin, "pcod_to": destination, "value": value}
                for (origin, destination), value in counts.items()
            ]
        day = _days(self.spec["locations"])[-1]
        return [{"pcod": code, "value": value} for code, value in mobility.subscribers(day, level).items()]


def read_query(body: Any, available: Collection[dt.date]) -> Query:
    """Read what was sent to ``run``.

    Raises
    ------
    SpecError
        With FlowAPI's answer.
    """
    if not isinstance(body, dict) or "query_kind" not in body:
        raise SpecError({"msg": "Could not parse query spec."})
    kind = body["query_kind"]
    if kind not in KINDS:
        raise _invalid(body, {"query_kind": [f"Unsupported value: {kind}"]})
    problems: dict[str, Any] = {}
    names = ("from_location", "to_location") if kind == "flows" else ("locations",)
    for name in names:
        if name not in body:
            problems[name] = ["Missing data for required field."]
        elif not isinstance(body[name], dict):
            problems[name] = {"_schema": f"Invalid data type: {body[name]}"}
        elif not _is_location(body[name]):
            problems[name] = {"query_kind": [f"Unsupported value: {body[name].get('query_kind')}"]}
    if problems:
        raise _invalid(body, problems)
    locations = [body[name] for name in names]
    units = {unit for location in locations for unit in _units(location)}
    if len(units) != 1:
        raise _invalid(body, {"_schema": ["Locations must have the same aggregation unit."]})
    days = tuple(day for location in locations for day in _days(location))
    for day in days:
        if day not in available:
            start, end = f"{day} 00:00:00", f"{day + dt.timedelta(days=1)} 00:00:00"
            payload = {"exception": f"No data for date: {start} - {end}"}
            raise SpecError({"msg": "Unable to create query object.", "payload": payload, "status": "Error"})
    digest = hashlib.md5(json.dumps(body, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return Query(digest, kind, units.pop(), body, days)


def _invalid(body: Mapping[str, Any], problems: Mapping[str, Any]) -> SpecError:
    def indented(value: Any) -> str:
        return json.dumps(value, indent=2).replace("\n", "\n   ")

    return SpecError(
        {
            "msg": f"Parameter validation failed.\n\nThe action parameters were:\n   {indented(body)}.\n\n"
            f"Validation error messages:\n   {indented(problems)}.\n\n"
        }
    )


def _is_location(spec: Mapping[str, Any]) -> bool:
    if spec.get("query_kind") == "modal_location":
        locations = spec.get("locations")
        return isinstance(locations, list) and bool(locations) and all(_is_location(inner) for inner in locations)
    try:
        dt.date.fromisoformat(str(spec.get("date")))
    except ValueError:
        return False
    return (
        spec.get("query_kind") == "daily_location"
        and spec.get("aggregation_unit") in mobility.places()
        and spec.get("method") in METHODS
    )


def _days(location: Mapping[str, Any]) -> list[dt.date]:
    if location["query_kind"] == "modal_location":
        return [day for inner in location["locations"] for day in _days(inner)]
    return [dt.date.fromisoformat(location["date"])]


def _units(location: Mapping[str, Any]) -> set[str]:
    if location["query_kind"] == "modal_location":
        return {unit for inner in location["locations"] for unit in _units(inner)}
    return {location["aggregation_unit"]}
