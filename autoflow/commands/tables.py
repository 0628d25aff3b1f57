# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Tables that fit a terminal: nothing is left out where it is narrow, what is long continues on the next line.

As long as there is room, each row is a line. Then the note gets a narrower column, or goes below its row, and so do the
parameters; where even that is too wide, each row is a list of its cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from autoflow.wording import width

LEAST = {"note": 28, "reason": 28, "parameters": 16, "workflow": 12}
"""Columns of the terminal that columns are to have which can be narrower than what is in them; with less than that a
note, a reason and parameters go below the row."""

LEAST_CELL = 12
"""The same of a cell in a list."""

GAP = 2
INDENT = 4
"""Spaces between columns, and before what continues below a row."""

Piece = tuple[str, str]
"""A text, and the heading of the column that it belongs to; of a heading itself, ``HEADING``."""

HEADING = "heading"


def table_lines(
    rows: Sequence[Mapping[str, str]], columns: int, right: frozenset[str] = frozenset()
) -> Iterator[list[Piece]]:
    """Lay out rows with the same keys, which are the headings, in so many columns of a terminal."""
    sizes = {heading: max(width(heading), *(width(row[heading]) for row in rows)) for heading in rows[0]}
    layout = _layout(sizes, columns)
    if layout is None:
        yield from _lists(rows, columns)
        return
    sizes, below = layout
    yield _line({heading: heading for heading in sizes}, sizes, right, is_head=True)
    for row in rows:
        folded = [wrapped(row[heading], size) or [""] for heading, size in sizes.items()]
        for cells in zip_longest(*folded, fillvalue=""):
            yield _line(dict(zip(sizes, cells, strict=True)), sizes, right)
        for heading in below:
            for line in wrapped(row[heading], columns - INDENT, breaking=False):
                yield [(f"{' ' * INDENT}{line}", heading)]


def _layout(sizes: Mapping[str, int], columns: int) -> tuple[dict[str, int], list[str]] | None:
    """Return the widths of the columns, and which ones go below the row; None where that does not do."""
    kept, below = dict(sizes), []

    def excess() -> int:
        return sum(kept.values()) + GAP * (len(kept) - 1) - columns

    for heading, least in LEAST.items():
        if heading not in kept or excess() <= 0:
            continue
        if kept[heading] - excess() >= min(least, kept[heading]):
            kept[heading] -= excess()
        elif heading != "workflow":
            below.append(heading)
            del kept[heading]
        else:
            kept[heading] = min(least, kept[heading])
    return None if excess() > 0 else (kept, [heading for heading in sizes if heading in below])


def _line(
    cells: Mapping[str, str], sizes: Mapping[str, int], right: frozenset[str], *, is_head: bool = False
) -> list[Piece]:
    pieces = []
    for heading, size in sizes.items():
        space = " " * (size - width(cells[heading]))
        text = f"{space}{cells[heading]}" if heading in right else f"{cells[heading]}{space}"
        pieces += [(text, HEADING if is_head else heading), (" " * GAP, "")]
    while pieces and not pieces[-1][0].strip():
        pieces.pop()
    return [*pieces[:-1], (pieces[-1][0].rstrip(), pieces[-1][1])] if pieces else []


def _lists(rows: Sequence[Mapping[str, str]], columns: int) -> Iterator[list[Piece]]:
    margin = max(width(heading) for heading in rows[0]) + GAP
    for number, row in enumerate(rows):
        if number:
            yield []
        for heading, text in row.items():
            head = heading
            for line in wrapped(text, max(columns - margin, LEAST_CELL)):
                yield [(head.ljust(margin), HEADING), (line, heading)]
                head = ""


def wrapped(text: str, columns: int, *, breaking: bool = True) -> list[str]:
    """Break a text between words into lines of so many columns of a terminal; a longer word too, if ``breaking``."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width(line) + 1 + width(word) > columns:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        if breaking:
            *full, line = _pieces(line, columns)
            lines += full
    return [*lines, line] if line else lines


def _pieces(text: str, columns: int) -> Iterable[str]:
    piece = ""
    for character in text:
        if piece and width(piece) + width(character) > columns:
            yield piece
            piece = ""
        piece += character
    yield piece
