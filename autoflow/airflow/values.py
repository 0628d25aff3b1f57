# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the expressions of a DAG's file come to, as far as that can be told without running them."""

from __future__ import annotations

import ast
import datetime as dt
import re
from calendar import monthrange
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class Unknown:
    """A value that only running the file would tell."""

    source: str
    """As it is written."""
    text: str
    """With braces around the parts that are not known: for an f-string most of it may be."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Length:
    """A length of time, as `datetime.timedelta` or `dateutil.relativedelta` have it."""

    months: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Moment:
    """A date, and the name of its time zone where one is said."""

    date: dt.date
    timezone: str | None = None


SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 7 * 86400}
MONTHS = {"months": 1, "years": 12}
TIMEDELTA = ("days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks")
"""Order of the arguments of `datetime.timedelta`."""


def unknown(node: ast.AST) -> Unknown:
    """Give an expression up."""
    source = ast.unparse(node)
    return Unknown(source, f"{{{source}}}")


def text_of(value: Any) -> str | None:
    """Write a value as `str` does; None for what cannot stand in a text."""
    if isinstance(value, (str, int, float, PurePosixPath, Unknown)):
        return str(value)
    return None


def joined(node: ast.AST, parts: list[Any]) -> str | Unknown:
    """Put the parts of a text together."""
    texts = [text_of(part) for part in parts]
    if any(text is None for text in texts):
        return unknown(node)
    whole = "".join(text or "" for text in texts)
    return Unknown(ast.unparse(node), whole) if any(isinstance(part, Unknown) for part in parts) else whole


def path_of(node: ast.AST, parts: list[Any]) -> PurePosixPath | Unknown:
    """Put the parts of a path together."""
    texts = [text_of(part) for part in parts]
    if any(text is None for text in texts):
        return unknown(node)
    path = PurePosixPath(*(text or "" for text in texts))
    return Unknown(ast.unparse(node), str(path)) if any(isinstance(part, Unknown) for part in parts) else path


def length_of(name: str, args: list[Any], keywords: Mapping[str, Any]) -> Length | None:
    """Read a call that makes a length of time; None when it is not one whose numbers are known."""
    if name == "timedelta":
        keywords = {**dict(zip(TIMEDELTA, args, strict=False)), **keywords}
    elif args:
        return None
    if not all(isinstance(value, (int, float)) for value in keywords.values()):
        return None
    if not keywords.keys() <= SECONDS.keys() | MONTHS.keys():
        return None
    months = sum(int(MONTHS[key] * value) for key, value in keywords.items() if key in MONTHS)
    return Length(months, sum(SECONDS[key] * value for key, value in keywords.items() if key in SECONDS))


def moment_of(args: list[Any], keywords: Mapping[str, Any]) -> Moment | None:
    """Read a call of ``datetime`` or ``date``; None when the date is not known."""
    numbers = [
        keywords.get(name, default) for name, default in zip(("year", "month", "day"), (None, 1, 1), strict=True)
    ]
    numbers[: len(args[:3])] = args[:3]
    zone = keywords.get("tz", keywords.get("tzinfo"))
    with suppress(TypeError, ValueError):
        return Moment(dt.date(*numbers), zone if isinstance(zone, str) else None)
    return None


def parsed_moment(text: Any) -> Moment | None:
    """Read a date that is written out, as ``pendulum.parse`` takes it."""
    if isinstance(text, str) and (found := re.match(r"\d{4}-\d{2}-\d{2}", text)):
        with suppress(ValueError):
            return Moment(dt.date.fromisoformat(found.group()))
    return None


def combined(node: ast.BinOp, left: Any, right: Any) -> Any:
    """Return what an arithmetic operator makes of two values."""
    if isinstance(node.op, ast.Add):
        if isinstance(left, (str, Unknown)) or isinstance(right, (str, Unknown)):
            return joined(node, [left, right])
        if isinstance(left, list) and isinstance(right, list):
            return [*left, *right]
    if isinstance(node.op, ast.BitOr) and isinstance(left, dict) and isinstance(right, dict):
        return {**left, **right}
    if isinstance(node.op, ast.Div) and (isinstance(left, (PurePosixPath, Unknown))):
        return path_of(node, [left, right])
    if isinstance(left, Moment) and isinstance(right, Length) and isinstance(node.op, (ast.Add, ast.Sub)):
        return moved(left, right, -1 if isinstance(node.op, ast.Sub) else 1)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _calculated(node, left, right)
    return unknown(node)


def _calculated(node: ast.BinOp, left: float, right: float) -> Any:
    match node.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
    return unknown(node)


def moved(moment: Moment, length: Length, sign: int) -> Moment | Unknown:
    """Return the date that is so long before or after another."""
    year, month = divmod(moment.date.year * 12 + moment.date.month - 1 + sign * length.months, 12)
    with suppress(ValueError, OverflowError):
        date = dt.date(year, month + 1, min(moment.date.day, monthrange(year, month + 1)[1]))
        return Moment(date + sign * dt.timedelta(seconds=length.seconds), moment.timezone)
    return Unknown("", "{a date beyond the calendar}")
