# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is wrong with the QA checks that workflows.yml asks for, though each of them can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autoflow.dates import CDR_TYPES
from autoflow.errors import Problem
from autoflow.parser.yaml_reader import Document, KeyPath
from autoflow.quality import Bound
from autoflow.values import read_bound
from autoflow.wording import closest, shown

STANDARD = (
    "count_added_rows",
    "count_duplicated",
    "count_duplicates",
    "count_imeis",
    "count_imsis",
    "count_location_ids",
    "count_msisdns",
    "count_tacs",
    "earliest_timestamp",
    "latest_timestamp",
)
"""The checks that FlowETL makes of every CDR type."""

OF_TIMES = ("earliest_timestamp", "latest_timestamp")

LIMITS = ("at_most", "at_least")


def quality_problems(
    document: Document, path: KeyPath, raw: Mapping[str, Any], cdr_types: Sequence[str] | None
) -> Iterator[Problem]:
    """Find what is wrong with the checks of the sensor or a trigger, which names or inherits some CDR types."""
    written = raw.get("quality")
    alone = isinstance(written, dict)
    for index, entry in enumerate([written] if alone else written if isinstance(written, list) else []):
        if isinstance(entry, dict) and isinstance(entry.get("check"), str):
            yield from _check_problems(document, (*path, "quality", *([] if alone else [index])), entry, cdr_types)


def _check_problems(
    document: Document, path: KeyPath, entry: Mapping[str, Any], cdr_types: Sequence[str] | None
) -> Iterator[Problem]:
    name = entry["check"]
    yield from _name_problems(document, (*path, "check"), name, cdr_types)
    limits = {key: entry[key] for key in (*LIMITS, "within") if entry.get(key) is not None}
    if not limits:
        message = "says nothing of what outcomes have to be like; add at_most, at_least or within"
        yield document.problem(path, message)
    for key, found in limits.items():
        bound = _bound(key, found)
        if name in OF_TIMES and (key == "within" or (bound is not None and bound.kind != "time")):
            yield document.problem((*path, key), _not_a_time(name, key, found))
        elif name in STANDARD and name not in OF_TIMES and bound is not None and bound.kind == "time":
            message = f"found {shown(found)}, a time of the day, but outcomes of {name} are numbers"
            yield document.problem((*path, key), message)
    most, least = (_bound(key, limits.get(key)) for key in LIMITS)
    if most is not None and least is not None and most.kind == least.kind and least.value > most.value:
        message = f"{least} is more than at_most, {most}: no outcome is as asked, and every date would be held"
        yield document.problem((*path, "at_least"), message)


def _name_problems(document: Document, path: KeyPath, name: str, cdr_types: Sequence[str] | None) -> Iterator[Problem]:
    _, dot, of_type = name.rpartition(".")
    if name != name.lower():
        message = f"FlowAPI lists a check whose name has capitals, and cannot be asked for it; found {shown(name)}"
        yield document.problem(path, message)
    elif dot and of_type not in (cdr_types or CDR_TYPES):
        of = f"the CDR types that count here ({', '.join(cdr_types)})" if cdr_types else "the CDR types"
        message = f"what stands after the dot is the CDR type of a check; {shown(of_type)} is none of {of}"
        yield document.problem(path, message)
    elif not dot and name not in STANDARD and (meant := closest(name, STANDARD)):
        message = f"FlowETL has no check {shown(name)} of its own; did you mean {shown(meant)}?"
        yield document.problem(path, message, severity="warning")


def _not_a_time(name: str, key: str, found: Any) -> str:
    if key == "within":
        return f"outcomes of {name} are times; within is for numbers: use at_least or at_most"
    message = f'found {shown(found)}, expected a time of the day in quotes such as "18:00"'
    if isinstance(found, int):
        # YAML 1.1 has numbers to the base of 60
        message += f"; if {found // 60}:{found % 60:02} was written, put it in quotes: YAML takes it for a number"
    return message


def _bound(key: str, found: Any) -> Bound | None:
    """Read a limit; None where it cannot be read, which is told elsewhere, or is no limit."""
    if key not in LIMITS or found is None:
        return None
    try:
        return read_bound(found)
    except ValueError:
        return None
