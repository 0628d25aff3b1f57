# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What ``--json`` prints: one object, the same at its outside for every command, whatever becomes of it.

`autoflow.commands.answer_schema` describes what is inside.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

from autoflow.errors import AutoflowError, DefinitionError, Problem

VERSION = 1
"""Raised when something that scripts may read is renamed or gone; what is new does not raise it."""


NOT_ASCII = re.compile("[^\x00-\x7f]")


def answer(
    command: str | None, code: int, content: Mapping[str, Any], errors: Iterable[Problem] = ()
) -> dict[str, Any]:
    """Make the object of a command; ``errors`` keep it from doing what it was asked for."""
    outside = {"version": VERSION, "command": command, "exit_code": int(code), "errors": [*map(asdict, errors)]}
    return {**outside, **content}


def problems_of(error: AutoflowError) -> tuple[Problem, ...]:
    """Return the mistakes that an error is about, one or several."""
    if isinstance(error, DefinitionError):
        return error.problems
    return problems_in(str(error))


def problems_in(message: str) -> tuple[Problem, ...]:
    """Return the mistakes that a message tells, each in a line of its own."""
    return tuple(Problem("", 0, 0, "", line) for line in message.splitlines() if line)


class Streamed(list[Any]):
    """A list of an answer whose elements are made while it is written: there may be millions.

    A list, since that is what `json` writes; it can be gone through once, and only that.
    """

    def __init__(self, elements: Iterable[Any]) -> None:
        super().__init__()
        rest = iter(elements)
        self._first = list(islice(rest, 1))
        self._rest = rest

    def __bool__(self) -> bool:
        return bool(self._first)

    def __iter__(self) -> Iterator[Any]:
        return map(_plain, chain(self._first, self._rest))


def in_pieces(value: Any, encoding: str | None = None) -> Iterator[str]:
    """Write a value as `as_text` does, piece by piece, where some of it is streamed."""
    for piece in json.JSONEncoder(indent=2, ensure_ascii=False, allow_nan=False, default=_iso).iterencode(value):
        try:
            piece.encode(encoding or "utf-8")
            yield piece
        except UnicodeEncodeError:
            yield NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], piece)


def as_text(value: Any, encoding: str | None = None) -> str:
    """Write a value as JSON; dates and times are ISO text, and so are numbers that JSON does not have.

    Characters that the encoding of the output lacks are written as escapes.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_iso)
        text.encode(encoding or "utf-8")
    except (ValueError, TypeError):
        text = json.dumps(_plain(value), indent=2, allow_nan=False, default=_iso)
    return text


def _plain(value: Any) -> Any:
    """Write what JSON does not have, as a key that is a date, or a number that is none, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
