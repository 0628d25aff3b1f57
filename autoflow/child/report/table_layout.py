# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How a table gets onto a page: as it is, in smaller letters, on a page turned sideways, or in parts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

PORTRAIT, LANDSCAPE = 495.0, 740.0
"""Points between the margins of A4."""

PADDING = 11.0
"""Points on the left and right of a cell's text, together."""

NORMAL = 10.5
SMALLER = (8.5, 7.0)
"""Sizes of letters, in points; smaller ones cannot be read."""

BOLD = 1.1
"""How much wider than others the letters of heads are."""

WIDEST_WORD, WIDEST_TEXT = 120.0, 260.0
"""Points beyond which a word may be broken, and a text has to wrap."""

FEW_ROWS = 14
"""A table of no more rows is better read in parts, one below the other, than on a page of its own."""


@dataclass(frozen=True)
class Column:
    """The room that one column asks for, in points of letters of the normal size."""

    narrowest: float
    widest: float


@dataclass(frozen=True)
class Part:
    """Columns that stand side by side, by number, and their shares of the width; None lets the text decide."""

    columns: tuple[int, ...]
    shares: tuple[int, ...] | None


@dataclass(frozen=True)
class Layout:
    """Where and how large a table is printed."""

    size: float
    sideways: bool
    parts: tuple[Part, ...]


def measure(heads: Sequence[str], texts: Sequence[str], *, numeric: bool, picture: float = 0.0) -> Column:
    """Measure a column by what stands in it; numbers and pictures are never broken over lines."""
    widest = max(BOLD * _longest(heads), _longest(texts))
    narrowest = max(BOLD * _longest(_words(heads)), 0.0 if numeric else _longest(_words(texts)))
    narrowest = min(narrowest, WIDEST_WORD)
    if numeric:
        narrowest = max(narrowest, _longest(texts))
    narrowest = max(narrowest, picture)
    return Column(narrowest, max(narrowest, min(widest, WIDEST_TEXT)))


def _longest(texts: Iterable[str]) -> float:
    return max(map(text_width, texts), default=0.0)


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from text.replace("\u200b", " ").split()


def text_width(text: str) -> float:
    """Estimate how many points a text takes in a sans-serif face."""
    return NORMAL * sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in " .,:;'|!ijlI\u200b":
        return 0.3
    return 0.7 if character.isupper() or character in "mwMW%@" else 0.58


def lay_out(columns: Sequence[Column], rows: int, index: int) -> Layout:
    """Decide how a table is printed.

    Parameters
    ----------
    columns
        What each column asks for.
    rows
        How many rows there are below the head.
    index
        How many columns on the left name the rows: they are repeated where a table is printed in parts.
    """
    everything = tuple(range(len(columns)))
    for size in (NORMAL, *SMALLER):
        if _needed(columns, everything, size) <= PORTRAIT:
            return Layout(size, False, (_part(columns, everything, size, PORTRAIT),))
    if rows > FEW_ROWS:
        for size in SMALLER:
            if _needed(columns, everything, size) <= LANDSCAPE:
                return Layout(size, True, (_part(columns, everything, size, LANDSCAPE),))
    size, sideways = SMALLER[0], rows > FEW_ROWS
    room = LANDSCAPE if sideways else PORTRAIT
    parts = _split(columns, min(index, len(columns) - 1), size, room)
    return Layout(size, sideways, tuple(_part(columns, part, size, room) for part in parts))


def _needed(columns: Sequence[Column], chosen: Sequence[int], size: float) -> float:
    return sum(columns[number].narrowest * size / NORMAL + PADDING for number in chosen)


def _split(columns: Sequence[Column], index: int, size: float, room: float) -> list[tuple[int, ...]]:
    """Put as many columns into each part as fit beside the index; parts of about the same length."""
    heads = tuple(range(index))
    if _needed(columns, heads, size) > room / 2:
        heads = ()
    rest = range(len(heads), len(columns))
    for count in range(2, len(rest) + 1):
        length = -(-len(rest) // count)
        parts = [(*heads, *rest[start : start + length]) for start in range(0, len(rest), length)]
        if all(_needed(columns, part, size) <= room for part in parts):
            return parts
    return [(*heads, number) for number in rest]


def _part(columns: Sequence[Column], chosen: tuple[int, ...], size: float, room: float) -> Part:
    """Share the room out: to each column what it cannot do without, and of the rest what it asks for."""
    scale = size / NORMAL
    if sum(columns[number].widest * scale + PADDING for number in chosen) <= room:
        return Part(chosen, None)
    narrowest = [columns[number].narrowest * scale + PADDING for number in chosen]
    wishes = [(columns[number].widest - columns[number].narrowest) * scale for number in chosen]
    spare = max(room - sum(narrowest), 0.0) / (sum(wishes) or 1.0)
    widths = [least + wish * min(spare, 1.0) for least, wish in zip(narrowest, wishes, strict=True)]
    return Part(chosen, tuple(max(round(1000 * width / sum(widths)), 1) for width in widths))
