# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""HTML tables, as pandas shows its frames, to asciidoc tables."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

from bs4 import Tag

from autoflow.child.report.asciidoc import spelled
from autoflow.child.report.html_inline import IN_CELL, Page, inline, plain, tidy, written
from autoflow.child.report.table_layout import FEW_ROWS, NORMAL, Layout, Part, lay_out, measure

NUMBER = re.compile(
    r"[-+\u2212]?[\d.,\s\u00a0\u202f]*\d[\d.,]*([eE][-+]?\d+)?\s?(%|‰)?|nan|NaN|None|<NA>|inf|-inf|…|\.\.\.|"
)
"""What a column of numbers may hold, signs for missing ones and the frame's ellipsis among them."""

NO_ROWS = "no rows"
"""What stands in the place of the rows of an empty table."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    markup: str
    is_header: bool
    columns: int = 1
    rows: int = 1

    @cached_property
    def text(self) -> str:
        return plain(self.markup)

    @cached_property
    def picture(self) -> float:
        """Points that the widest picture in it takes."""
        if "pdfwidth" not in self.markup:
            return 0.0
        return max(map(float, PICTURE_WIDTH.findall(self.markup)), default=0.0)


UNDERSCORE = spelled("_")
PICTURE_WIDTH = re.compile(r"pdfwidth=([\d.]+)pt")

Row = list[Cell]
Line = list[tuple[int, Cell]]
"""A row, with the column that each cell begins in."""


@dataclass(frozen=True)
class Grid:
    """A table with each cell in its place."""

    lines: list[Line]
    heads: int
    """How many of the lines are its head."""
    numeric: list[bool]
    """Of each column, whether it holds numbers."""


def rows_of(table: Tag) -> list[Tag]:
    """List the rows of a table, those of tables inside of it left out."""
    rows = []
    for child in table.children:
        if isinstance(child, Tag) and child.name == "tr":
            rows.append(child)
        elif isinstance(child, Tag) and child.name not in ("table", "caption"):
            rows += rows_of(child)
    return rows


def cells_of(row: Tag) -> list[Tag]:
    """List the cells of a row."""
    return [child for child in row.children if isinstance(child, Tag) and child.name in ("td", "th")]


def in_head(row: Tag) -> bool:
    """Whether a row is in the head of its table."""
    return isinstance(row.parent, Tag) and row.parent.name == "thead"


def table_block(table: Tag, page: Page, *, nested: bool) -> str:
    """Write a table; within another block it is neither turned nor split into parts."""
    rows = [(in_head(row), _cells(row, page)) for row in rows_of(table)]
    head = [cells for heading, cells in rows if heading and cells]
    body = [cells for heading, cells in rows if not heading and cells]
    head = _with_index_names(head)
    if not head and body and all(cell.is_header for cell in body[0]):
        head, body = body[:1], body[1:]
    width = _width([*head, *body])
    if not width:
        return ""
    if not body:
        # in one column: what spans all of them does not make any of them wider
        body = [[Cell(f"<em>{NO_ROWS}</em>", is_header=False)]]
    grid = Grid([*_flat(head, width), *_placed(body, width)], len(head), _numeric_columns(body, width))
    layout, breakable = _layout(grid), _with_breaks(grid)
    if layout != (narrower := _layout(breakable)):
        grid, layout = breakable, narrower
    caption = table.find("caption")
    words = written(inline(caption, page).replace("\n", " ")) if isinstance(caption, Tag) else ""
    title = f".{words}\n" if words else ""
    return _written_out(grid, layout, title, nested=nested)


def _written_out(grid: Grid, layout: Layout, title: str, *, nested: bool) -> str:
    everything = Part(tuple(range(len(grid.numeric))), None)
    whole = Layout(NORMAL, sideways=False, parts=(everything,))
    if layout == whole:
        return _printed(grid, whole, everything, title)
    printed = [
        _printed(grid, layout, part, "" if number else title, role="on-paper")
        for number, part in enumerate(layout.parts)
    ]
    if nested:
        return printed[0] if len(printed) == 1 else "\n\n".join(printed)
    pages = "\n\n".join(printed)
    if layout.sideways:
        pages = f"[page-layout=landscape]\n<<<\n\n{pages}\n\n[page-layout=portrait]\n<<<"
    # a page of HTML scrolls, so that what is printed in parts can stay in one
    role = "on-screen" if len(layout.parts) > 1 else "wide" if layout.sideways else "fine"
    screen = _printed(grid, whole, everything, title, role=role)
    if len(layout.parts) > 1:
        screen += "\n\n" + "\n\n".join(printed)
    return f"ifdef::backend-pdf[]\n{pages}\nendif::[]\nifndef::backend-pdf[]\n{screen}\nendif::[]"


def _flat(head: list[Row], width: int) -> list[Line]:
    """Leave no cell of a head spanning rows, which asciidoc has not: its text is in the lowest of them."""
    placed = [dict(line) for line in _placed(head, width)]
    for number, line in enumerate(placed):
        for column, cell in list(line.items()):
            rows = min(cell.rows, len(placed) - number)
            if cell.rows > 1:
                blank = replace(cell, markup="", rows=1)
                for below in range(number, number + rows):
                    placed[below][column] = blank
                placed[number + rows - 1][column] = replace(cell, rows=1)
    return [sorted(line.items(), key=lambda item: item[0]) for line in placed]


def _layout(grid: Grid) -> Layout:
    """Measure what is in each column, cells that reach over several left out."""
    width = len(grid.numeric)
    names: list[list[str]] = [[] for _ in range(width)]
    texts: list[list[str]] = [[] for _ in range(width)]
    pictures = [0.0] * width
    for number, line in enumerate(grid.lines):
        for column, cell in line:
            if cell.columns == 1:
                (names if number < grid.heads else texts)[column].extend(cell.text.split("\n"))
                pictures[column] = max(pictures[column], cell.picture)
    columns = [
        measure(names[column], texts[column], numeric=grid.numeric[column], picture=pictures[column])
        for column in range(width)
    ]
    body = grid.lines[grid.heads :]
    index = min((sum(cell.is_header for _, cell in line if cell.columns == 1) for line in body[:1]), default=0)
    return lay_out(columns, len(body), index or 1)


def _with_breaks(grid: Grid) -> Grid:
    """Allow a line break after each underscore in names of columns."""

    def breakable(cell: Cell) -> Cell:
        return replace(cell, markup=cell.markup.replace(UNDERSCORE, f"{UNDERSCORE}\u200b"))

    heads = [[(column, breakable(cell)) for column, cell in line] for line in grid.lines[: grid.heads]]
    return replace(grid, lines=[*heads, *grid.lines[grid.heads :]])


def _printed(grid: Grid, layout: Layout, part: Part, title: str, role: str = "") -> str:
    """Write the columns of one part."""
    # where nothing is said, a first line with an empty one below is a head
    options = ["header"] if grid.heads else ["noheader"]
    shares = part.shares
    if shares is None:
        options.append("autowidth")
    alignments = [">" if each else "<" for each in grid.numeric]
    columns = ",".join(
        f"{alignments[column]}{share}"
        for column, share in zip(part.columns, shares or [""] * len(part.columns), strict=True)
    )
    said = f',role="{role}"' if role else ""
    if grid.heads > 1:
        said += f",heads={grid.heads}"
    # asciidoc knows one row of heads; further ones are rows of header cells
    rows = [
        _row(_within(line, part.columns), alignments, marked=number > 0 or not grid.heads, size=layout.size)
        for number, line in enumerate(grid.lines)
    ]
    table = "\n".join([f'[cols="{columns}",options="{",".join(options)}"{said}]', "|===", *rows, "|==="])
    # said of a block around it: a table that is asked not to break has no space below
    return f"[%unbreakable]\n--\n{title}{table}\n--" if len(grid.lines) - grid.heads <= FEW_ROWS else title + table


def _within(line: Line, columns: tuple[int, ...]) -> Line:
    """Keep what is in some columns; a cell that reaches over several keeps its share of them."""
    kept = []
    for column, cell in line:
        inside = [number for number in range(column, column + cell.columns) if number in columns]
        if inside:
            kept.append((inside[0], replace(cell, columns=len(inside))))
    return kept


def _cells(row: Tag, page: Page) -> Row:
    return [
        Cell(
            markup=_inside(cell, page),
            is_header=cell.name == "th",
            columns=_span(cell, "colspan"),
            rows=_span(cell, "rowspan"),
        )
        for cell in cells_of(row)
    ]


def _inside(cell: Tag, page: Page) -> str:
    markup = tidy("".join(inline(child, page, IN_CELL) for child in cell.children))
    # an empty place, as pandas writes it
    return "" if markup in ("&#160;", "\u00a0") else markup


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name) or "1")
    return max(int(value), 1) if value.isdigit() else 1


def _with_index_names(head: list[Row]) -> list[Row]:
    """Put the names of an index, which pandas gives a row of their own, into the row above."""
    if len(head) < 2:
        return head
    names, above = head[-1], head[-2]
    filled = [number for number, cell in enumerate(names) if cell.text]
    if not filled or filled != list(range(len(filled))) or len(filled) == len(names):
        return head
    blank = len(filled)
    if any(cell.text and cell.columns == 1 for cell in above[:blank]) or any(c.columns > 1 for c in above[:blank]):
        # the row above has names of columns in these places: both are wanted
        return head
    return [*head[:-2], [*names[:blank], *above[blank:]]]


def _width(rows: list[Row]) -> int:
    """Count the columns; a cell that has a row for itself may say that it spans more than there are."""
    width, below = 0, Counter[int]()
    for row in rows:
        column, reached = 0, {each for each, left in below.items() if left > 0}
        for cell in row:
            while column in reached:
                column += 1
            columns = cell.columns if len(row) > 1 or len(rows) == 1 else 1
            for each in range(column, column + columns):
                below[each] = cell.rows
            column += columns
            width = max(width, column)
        below = Counter({each: left - 1 for each, left in below.items()})
    return width


def _placed(rows: list[Row], width: int) -> list[Line]:
    """Find the column that each cell begins in, around those that reach down from rows above; no place is left out."""
    below = [0] * width
    placed = []
    for number, row in enumerate(rows):
        cells = iter(row)
        line = []
        column = 0
        while column < width:
            if below[column]:
                below[column] -= 1
                column += 1
                continue
            cell = next(cells, Cell("", is_header=False))
            room = next((each for each in range(column, width) if below[each]), width) - column
            if cell.columns > room or cell.rows > len(rows) - number:
                cell = replace(cell, columns=min(cell.columns, room), rows=min(cell.rows, len(rows) - number))
            line.append((column, cell))
            below[column : column + cell.columns] = [cell.rows - 1] * cell.columns
            column += cell.columns
        placed.append(line)
    return placed


def _numeric_columns(body: list[Row], width: int) -> list[bool]:
    """Return for each column whether it is of numbers, which go to the right."""
    columns: list[list[Cell]] = [[] for _ in range(width)]
    for line in _placed(body, width):
        for column, cell in line:
            if cell.columns == 1:
                columns[column].append(cell)
    return [_is_numeric(column) for column in columns]


def _is_numeric(cells: list[Cell]) -> bool:
    texts = [cell.text for cell in cells]
    return (
        any(re.search(r"\d", text) for text in texts)
        and all(NUMBER.fullmatch(text) for text in texts)
        and not all(cell.is_header for cell in cells)
    )


def _row(line: Line, alignments: list[str], *, marked: bool, size: float) -> str:
    parts = []
    for column, cell in line:
        span = f"{cell.columns if cell.columns > 1 else ''}{f'.{cell.rows}' if cell.rows > 1 else ''}"
        style = "h" if marked and cell.is_header else ""
        # said for each cell: asciidoctor-pdf loses count of columns below a cell of several rows
        alignment = "^" if cell.columns > 1 else alignments[column]
        text = written(cell.markup)
        if size != NORMAL and text:
            text = f"[.{size_role(size)}]##{text}##"
        parts.append(f"{span + '+' if span else ''}{alignment}{style}|{text}")
    return "\n".join(parts) + "\n"


def size_role(size: float) -> str:
    """Name the theme's role for letters of a size."""
    return f"size-{round(size * 10)}"
