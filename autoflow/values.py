# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The kinds of values in workflows.yml: how each is written, and what editors are told of it.

They annotate the fields of `autoflow.definitions`. pydantic calls the methods of the classes when it validates a file;
commands that only read the record do not import it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from autoflow.dates import (
    FIRST_DAY,
    LONGEST_DAYS,
    MOST_DAYS,
    CdrType,
    DateStencil,
    Interval,
    Share,
    StencilError,
    as_date,
    parse_duration,
    parse_intervals,
)
from autoflow.quality import Bound, OnMissing
from autoflow.wording import shown

NO_LIMIT = "none"

LONGEST_LAG = dt.timedelta(days=LONGEST_DAYS)

LONGEST_DAY, LARGEST_NUMBER = 24 * 3600, 10**15

MOST_AT_A_TIME, MOST_ATTEMPTS, MOST_KEPT = 1_000, 1_000_000, 1_000_000

Schema = dict[str, Any]
"""A JSON Schema."""


@dataclass(frozen=True, eq=False)
class Written:
    """A value that a function reads; it raises ValueError with what was found and what was expected."""

    read: Callable[[Any], Any]
    schema: Schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Schema:
        return dict(self.schema)


@dataclass(frozen=True, eq=False)
class Within:
    """A value of the annotated type, with limits as pydantic's core schemas name them."""

    limits: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {**handler(source), **self.limits}


@dataclass(frozen=True, eq=False)
class Short:
    """A value that may also be written in a shorter way, which ``expand`` makes the full one."""

    expand: Callable[[Any], Any]
    describe: Callable[[Schema], Schema]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Schema:
        return self.describe(handler(core))


class EachOnce:
    """A list whose repeated values count once."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(lambda each: tuple(dict.fromkeys(each)), handler(source))


def _auto_or_mapping(raw: Any) -> Any:
    if raw == "auto":
        return {}
    if not isinstance(raw, dict) or not raw:
        raise ValueError(f"found {shown(raw)}, expected auto, or a mapping such as {{most: 8}} or {{runs: 4}}")
    return raw


def _duration(raw: Any) -> float:
    if not isinstance(raw, str):
        hint = f"; did you mean '{raw}s'?" if isinstance(raw, (int, float)) and not isinstance(raw, bool) else ""
        raise ValueError(f"found {shown(raw)}, expected a duration with units, such as 90s, 30m, 2h or 1d{hint}")
    return parse_duration(raw)


def _limit(raw: Any) -> float | None:
    return None if raw == NO_LIMIT else _duration(raw)


def _date(raw: Any) -> dt.date:
    if (date := as_date(raw)) is None:
        raise ValueError(f"found {shown(raw)}, expected a date such as 2016-01-01")
    return date


def _amount(raw: Any) -> int | dt.timedelta:
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= MOST_KEPT:
        return raw
    if isinstance(raw, str):
        with suppress(ValueError, OverflowError):
            return dt.timedelta(seconds=parse_duration(raw))
    raise ValueError(
        f"found {shown(raw)}, expected a number such as 30 (the newest 30), or an age such as 90d,"
        f" and no more than {MOST_KEPT} or {LONGEST_DAYS}d"
    )


def _lag(raw: Any) -> dt.timedelta:
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= LONGEST_LAG.days:
        return dt.timedelta(days=raw)
    if isinstance(raw, str):
        with suppress(ValueError, OverflowError):
            lag = dt.timedelta(seconds=parse_duration(raw))
            if lag <= LONGEST_LAG:
                return lag
    raise ValueError(
        f"found {shown(raw)}, expected a whole number of days or a duration such as 2d or 36h,"
        f" and no more than {LONGEST_LAG.days} days"
    )


def read_bound(raw: Any) -> Bound:
    """Read a limit of outcomes of QA checks.

    Raises
    ------
    ValueError
        With what was found and what was expected.
    """
    number = _number(raw)
    if number is not None:
        return Bound(number)
    if isinstance(raw, str):
        if (percent := _percent_in(raw)) is not None:
            return Bound(percent, "percent")
        if match := re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?", raw.strip()):
            hours, minutes, seconds = (int(part or 0) for part in match.groups())
            if hours * 3600 + minutes * 60 + seconds <= LONGEST_DAY:
                return Bound(float(hours * 3600 + minutes * 60 + seconds), "time")
    raise ValueError(
        f"found {shown(raw)}, expected a number, a percentage of count_added_rows such as 0.1%, or a time of the day in"
        ' quotes such as "18:00"'
    )


def _number(raw: Any) -> float | None:
    is_number = isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) <= LARGEST_NUMBER
    return float(raw) if is_number else None


def _percent_in(text: str) -> float | None:
    match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,10})?)\s*%\s*", text)
    return float(match[1]) if match else None


def _percent(raw: Any) -> float:
    percent = _percent_in(raw) if isinstance(raw, str) else None
    if not percent:
        hint = f"; did you mean {raw}%?" if _number(raw) else ""
        raise ValueError(f"found {shown(raw)}, expected a percentage greater than 0 such as 30%{hint}")
    return percent


def _on_missing(raw: Any) -> OnMissing:
    match raw.split() if isinstance(raw, str) else []:
        case ["wait"]:
            return "wait"
        case ["pass"]:
            return "pass"
        case ["hold"]:
            return "hold"
        case ["wait", *length]:
            with suppress(ValueError, OverflowError):
                wait = dt.timedelta(seconds=parse_duration(" ".join(length)))
                if wait <= LONGEST_LAG:
                    return wait
    raise ValueError(f"found {shown(raw)}, expected pass, hold, wait, or wait with a duration such as wait 2d")


def _plain_stencil(raw: Any) -> DateStencil:
    stencil = DateStencil.parse(raw)
    for number, tolerance in enumerate(stencil.tolerances):
        if tolerance is not None:
            raise StencilError([((number,), "found a mapping, expected a pair [start, end): all of it is needed")])
    return stencil


def _matching(pattern: str, expected: str) -> Written:
    """Return the kind of text that matches a pattern; editors are told only that it is text."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or not re.fullmatch(pattern, raw):
            raise ValueError(f"found {shown(raw)}, expected {expected}")
        return raw

    return Written(read, {"type": "string"})


def _as_list(raw: Any) -> list[Any]:
    if raw is None:
        return []
    return raw if isinstance(raw, list) else [raw]


def _one_or_several(schema: Schema) -> Schema:
    return {"anyOf": [schema["items"], schema, {"type": "null"}]}


def _pairs_of(end: Schema) -> Schema:
    pair = {"type": "array", "items": end, "minItems": 2, "maxItems": 2}
    return {"type": "array", "items": {"anyOf": [end, pair]}}


def file_pattern(raw: Any) -> str:
    names = raw.split("/") if isinstance(raw, str) else []
    # globbing knows no "." for a last name
    if not any(name not in ("", ".") for name in names) or names[-1] == "." or ".." in names or not names[0]:
        raise ValueError(
            f"found {shown(raw)}, expected a pattern such as key_obs/*.md, relative to the directory of workflows.yml"
        )
    if any("**" in name and name != "**" for name in names):
        raise ValueError(
            f"found {shown(raw)}, where ** stands for any directories only between slashes, as in texts/**/*.md"
        )
    return "/".join(names)


DURATION = {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*[smhd]\s*)+$", "examples": ["90s", "30m", "2h", "1d"]}
DATE = {"type": "string", "format": "date"}
PERCENT = r"^\s*\d{1,6}(\.\d{1,10})?\s*%\s*$"

Flag = Annotated[bool, Within({"strict": True})]
Name = Annotated[str, Within({"min_length": 1})]
"""Text that is not empty."""
Line = Annotated[str, Within({"min_length": 1, "max_length": 300, "pattern": r"\S"})]
"""Text that is not blank, on a report."""
ModuleName = Annotated[str, Within({"pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*$"})]
VariableName = Annotated[str, Within({"pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"})]
"""The name of an environment variable."""
FilePattern = Annotated[str, Written(file_pattern, {"type": "string", "minLength": 1, "pattern": "^[^/]"})]
AtATime = Annotated[int, Within({"strict": True, "gt": 0, "le": MOST_AT_A_TIME})]
Attempts = Annotated[int, Within({"strict": True, "gt": 0, "le": MOST_ATTEMPTS})]
Duration = Annotated[float, Written(_duration, DURATION)]
"""Seconds."""
Limit = Annotated[float | None, Written(_limit, {"anyOf": [DURATION, {"const": NO_LIMIT}]})]
"""Seconds; None is no limit."""
Amount = Annotated[
    int | dt.timedelta | None,
    Written(_amount, {"anyOf": [{"type": "integer", "exclusiveMinimum": 0, "maximum": MOST_KEPT}, DURATION]}),
]
"""How much is kept: the newest so many, what is no older, or everything."""
Date = Annotated[dt.date, Written(_date, DATE)]
Dates = Annotated[tuple[Interval, ...], Written(parse_intervals, _pairs_of(DATE))]
NAMED_DAY = {"type": "string", "pattern": f"^{FIRST_DAY}$", "examples": ["month", "month-1", "week", "year"]}
STENCIL_END = {"anyOf": [{"type": "integer"}, DATE, NAMED_DAY]}
DAY_COUNT = {"type": "integer", "exclusiveMinimum": 0, "maximum": MOST_DAYS}
SHARE = {"anyOf": [DAY_COUNT, {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,6})? *%$", "examples": ["60%"]}]}
WINDOW = {
    "type": "object",
    "description": "A pair that need not be complete, once `late` of the trigger says that waiting is over.",
    "properties": {
        "from": STENCIL_END,
        "to": {"description": "Not in it.", **STENCIL_END},
        "at_least": {"description": "Days that must be there, or their percentage.", **SHARE},
        "longest_gap": {"description": "Days that follow each other and may be missing.", **DAY_COUNT},
        "require_last": {"description": "Whether the last day must be there.", "type": "boolean"},
    },
    "required": ["from", "to"],
    "additionalProperties": False,
}
PAIRS = _pairs_of(STENCIL_END)
PlainStencil = Annotated[DateStencil, Written(_plain_stencil, {**PAIRS, "minItems": 1})]
"""A stencil whose pairs must all be complete."""
Stencil = Annotated[
    DateStencil,
    Written(DateStencil.parse, {**PAIRS, "items": {"anyOf": [*PAIRS["items"]["anyOf"], WINDOW]}, "minItems": 1}),
]
AtLeast = Annotated[Share, Written(Share.read, SHARE)]
Lag = Annotated[
    dt.timedelta,
    Written(_lag, {"anyOf": [{"type": "integer", "minimum": 0, "maximum": LONGEST_LAG.days}, DURATION]}),
]
Limits = Annotated[
    Bound,
    Written(
        read_bound,
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": PERCENT, "examples": ["0.1%"]},
                {"type": "string", "pattern": r"^\d{1,2}:\d{2}(:\d{2})?$", "examples": ["18:00"]},
            ]
        },
    ),
]
Percent = Annotated[float, Written(_percent, {"type": "string", "pattern": PERCENT, "examples": ["30%"]})]
WhenMissing = Annotated[
    OnMissing, Written(_on_missing, {"type": "string", "pattern": "^(pass|hold|wait.*)$", "examples": ["wait 2d"]})
]
CdrTypes = Annotated[tuple[CdrType, ...], Within({"min_length": 1}), EachOnce()]
EmailAddresses = Annotated[
    tuple[Annotated[str, _matching(r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$", "an e-mail address such as me@example.org")], ...],
    EachOnce(),
    Short(_as_list, _one_or_several),
]
WebAddress = Annotated[str, _matching(r"^https?://[^\s/]\S*$", "an address such as https://autoflow.example.org")]

ONE_OR_SEVERAL = Short(_as_list, _one_or_several)
"""A list of one may be written without being one."""
AUTO_OR_MAPPING = Short(
    _auto_or_mapping, lambda schema: {"anyOf": [{"const": "auto"}, {**schema, "minProperties": 1}], "default": "auto"}
)
"""`auto` is a mapping in which all is left open."""
MAY_BE_EMPTY = Short(lambda raw: {} if raw is None else raw, lambda schema: {**schema, "type": ["object", "null"]})
"""``parameters:`` without any is null in YAML, and was no mistake in the predecessor."""

RULE_OR_WORD = Short(
    lambda raw: raw if raw is None or isinstance(raw, dict) else {"do": raw},
    lambda schema: {"anyOf": [{"enum": ["tell", "rerun", "ignore"]}, *schema["anyOf"]]},
)
"""A mapping of which all but ``do`` may be left out, and then its value alone be written."""
