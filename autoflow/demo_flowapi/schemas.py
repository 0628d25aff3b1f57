# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The shape of query specifications, and what FlowAPI says of those that have another one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import Any

KINDS: Mapping[str, tuple[str, ...]] = {
    "flows": ("from_location", "to_location"),
    "spatial_aggregate": ("locations",),
    "total_network_objects": (),
    "unique_subscriber_counts": (),
}
"""The kinds that can be run, and the names of the locations in each."""

LOCATIONS = ("daily_location", "modal_location")
UNITS = ("admin0", "admin1", "admin2", "admin3")
CDR_TYPES = ("calls", "sms", "mds", "topups")

Check = Callable[[Any], Any]
"""Tells what is wrong with a value; None when nothing is."""


def problems_in(spec: Any, kinds: Collection[str]) -> dict[str, Any]:
    """Tell what is wrong with a specification, by field; nothing when all is well."""
    if not isinstance(spec, dict):
        return {"_schema": f"Invalid data type: {spec}"}
    if "query_kind" not in spec:
        return {"query_kind": ["Missing data for required field."]}
    kind = spec["query_kind"]
    if kind not in kinds:
        return {"query_kind": [f"Unsupported value: {kind}"]}
    required, optional = _fields(kind)
    found = {name: ["Missing data for required field."] for name in required if name not in spec}
    for name, value in spec.items():
        if name == "query_kind":
            continue
        if name not in required | optional:
            found[name] = ["Unknown field."]
        elif value is None:
            if name in required:
                found[name] = ["Field may not be null."]
        elif problem := {**required, **optional}[name](value):
            found[name] = problem
    # the fields in the order in which they were sent, then those that were not
    found = {name: found[name] for name in (*spec, *found) if name in found}
    return found or _at_odds(spec, kind)


def _at_odds(spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Tell of locations of different aggregation units."""
    if kind == "flows" and _unit(spec["from_location"]) != _unit(spec["to_location"]):
        return {"_schema": ["'from_location' and 'to_location' parameters must have the same aggregation unit"]}
    if kind == "modal_location" and len({_unit(each) for each in spec["locations"]}) > 1:
        return {"locations": ["All inputs to modal_location should have the same aggregation unit"]}
    return {}


def _unit(spec: Mapping[str, Any]) -> str:
    unit: str = spec["aggregation_unit"] if "aggregation_unit" in spec else spec["locations"][0]["aggregation_unit"]
    return unit


def _fields(kind: str) -> tuple[dict[str, Check], dict[str, Check]]:
    """Return the required and the optional fields of a kind, each with its check."""
    unit: dict[str, Check] = {"aggregation_unit": _one_of(UNITS)}
    reads: dict[str, Check] = {
        "event_types": _event_types, "hours": _hours, "subscriber_subset": _one_of(()),
        "mapping_table": _anything, "geom_table": _anything, "geom_table_join_column": _anything,
    }  # fmt: skip
    location = _query(LOCATIONS)
    match kind:
        case "flows":
            return {"from_location": location, "to_location": location}, {"join_type": _anything}
        case "spatial_aggregate":
            return {"locations": location}, {}
        case "modal_location":
            return {"locations": _daily_locations}, {"sampling": _anything}
        case "daily_location":
            return {"date": _date, **unit, "method": _one_of(("last", "most-common"))}, {**reads, "sampling": _anything}
        case _:
            more = {"total_by": _one_of(("day",))} if kind == "total_network_objects" else {}
            return {"start_date": _date, "end_date": _date, **unit}, {**reads, **more}


def _anything(_: Any) -> None:
    return None


def _one_of(choices: Collection[str]) -> Check:
    return lambda value: None if value in choices else [f"Must be one of: {', '.join(choices) or None}."]


def _query(kinds: Collection[str]) -> Check:
    return lambda value: problems_in(value, kinds) or None


def _daily_locations(value: Any) -> Any:
    if not isinstance(value, list):
        return ["Not a valid list."]
    if not value:
        return ["Shorter than minimum length 1."]
    found = {str(number): problems_in(each, ("daily_location",)) for number, each in enumerate(value)}
    return {number: problem for number, problem in found.items() if problem} or None


def _date(value: Any) -> Any:
    try:
        dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return ["Not a valid datetime."]
    return None


def _event_types(value: Any) -> Any:
    if not isinstance(value, list):
        return ["Not a valid list."]
    if not value:
        return ["Shorter than minimum length 1."]
    return {str(n): problem for n, each in enumerate(value) if (problem := _one_of(CDR_TYPES)(each))} or None


def _hours(value: Any) -> Any:
    names = ("start_hour", "end_hour")
    if not isinstance(value, dict):
        return {"_schema": ["Invalid input type."]}
    found: dict[str, Any] = {name: ["Missing data for required field."] for name in names if name not in value}
    for name, hour in value.items():
        if name not in names:
            found[name] = ["Unknown field."]
        elif type(hour) is not int:
            found[name] = ["Not a valid integer."]
        elif not 0 <= hour <= 24:
            found[name] = ["Must be greater than or equal to 0 and less than or equal to 24."]
    return found or None
