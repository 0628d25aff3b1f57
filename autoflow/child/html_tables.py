# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""HTML tables, as pandas shows its frames, to asciidoc tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bs4 import BeautifulSoup, Tag

from autoflow.child.asciidoc import literal
from autoflow.child.table_layout import FEW_ROWS, NORMAL, Layout, Part, lay_out, measure

NUMBER = re.compile(
    r"[-+\u2212]?[\d.,\s\u00a0\u202f]*\d[\d.,]*([eE][-+]?\d+)?\s?(%|‰)?|nan|NaN|None|<NA>|inf|-inf|…|\.\.\.|"
)
"""What a column of numbers may hold, signs for missing ones and the frame's ellipsis among them."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    is_header: bool
    columns: int = 1
    rows: int = 1


Row = list[Cell]
Line = list[tuple[int, Cell]]
"""A row, with the column that each cell begins in."""


def html_to_asciidoc(html: str) -> str | None:
    """Convert HTML that holds tables; None when it holds none."""
    soup = BeautifulSoup(html, "html.parser")
    for unseen in soup(["style", "script"]):
        unseen.decompose()
    blocks = []
    for element in soup.find_all(["table", "p"]):
        if element.find_parent("table"):
            continue
        text = element.get_text(" ", strip=True)
        if element.name == "table":
            blocks.append(_table(element))
        elif text:
            # what pandas says below a frame that it cut short
            blocks.append(f"[.small]#{literal(text)}#")
    return "\n\n".join(blocks) if soup.find("table") else None


def _table(table: Tag) -> str:
    head = [_cells(row) for section in table.find_all("thead") for row in section.find_all("tr")]
    body = [_cells(row) for row in table.find_all("tr") if not row.find_parent("thead")]
    head = _with_index_names(head)
    if not head and body and all(cell.is_header for cell in body[0]):
        head, body = body[:1], body[1:]
    width = max((sum(cell.columns for cell in row) for row in [*head, *body]), default=0)
    if not width:
        return ""
    numeric = _numeric_columns(body, width)
    lines = _placed([*head, *body], width)
    layout = _layout(lines, len(head), numeric)
    if layout != _layout(breakable := _with_breaks(lines, len(head)), len(head), numeric):
        lines, layout = breakable, _layout(breakable, len(head), numeric)
    caption = table.find("caption")
    title = f".{_title(caption.get_text(' ', strip=True))}\n" if caption and caption.get_text(strip=True) else ""
    everything = Part(tuple(range(width)), None)
    whole = Layout(NORMAL, sideways=False, parts=(everything,))
    if layout == whole:
        return _printed(lines, len(head), numeric, whole, everything, title)
    printed = [
        _printed(lines, len(head), numeric, layout, part, "" if number else title, role="on-paper")
        for number, part in enumerate(layout.parts)
    ]
    pages = "\n\n".join(printed)
    if layout.sideways:
        pages = f"[page-layout=landscape]\n<<<\n\n{pages}\n\n[page-layout=portrait]\n<<<"
    # a page of HTML scrolls, so that what is printed in parts can stay in one
    role = "on-screen" if len(layout.parts) > 1 else "wide" if layout.sideways else "fine"
    screen = _printed(lines, len(head), numeric, whole, everything, title, role=role)
    if len(layout.parts) > 1:
        screen += "\n\n" + "\n\n".join(printed)
    return f"ifdef::backend-pdf[]\n{pages}\nendif::[]\nifndef::backend-pdf[]\n{screen}\nendif::[]"


def _layout(lines: list[Line], heads: int, numeric: list[bool]) -> Layout:
    """Measure what is in each column, cells that reach over several left out."""
    width = len(numeric)
    names: list[list[str]] = [[] for _ in range(width)]
    texts: list[list[str]] = [[] for _ in range(width)]
    for number, line in enumerate(lines):
        for column, cell in line:
            if cell.columns == 1:
                (names if number < heads else texts)[column].append(cell.text)
    columns = [measure(names[column], texts[column], numeric=numeric[column]) for column in range(width)]
    body = lines[heads:]
    index = min((sum(cell.is_header for _, cell in line if cell.columns == 1) for line in body[:1]), default=0)
    return lay_out(columns, len(body), index or 1)


def _with_breaks(lines: list[Line], heads: int) -> list[Line]:
    """Let the names of columns break after an underscore."""
    return [
        [
            (column, replace(cell, text=cell.text.replace("_", "_\u200b")) if number < heads else cell)
            for column, cell in line
        ]
        for number, line in enumerate(lines)
    ]


def _printed(
    lines: list[Line], heads: int, numeric: list[bool], layout: Layout, part: Part, title: str, role: str = ""
) -> str:
    """Write the columns of one part."""
    options = ["header"] if heads else []
    shares = part.shares
    if shares is None:
        options.append("autowidth")
    alignments = [">" if each else "<" for each in numeric]
    columns = ",".join(
        f"{alignments[column]}{share}"
        for column, share in zip(part.columns, shares or [""] * len(part.columns), strict=True)
    )
    said = f',role="{role}"' if role else ""
    # asciidoc knows one row of heads; further ones are rows of header cells
    rows = [
        _row(_within(line, part.columns), alignments, marked=number > 0 or not heads, size=layout.size)
        for number, line in enumerate(lines)
    ]
    table = "\n".join([f'[cols="{columns}",options="{",".join(options)}"{said}]', "|===", *rows, "|==="])
    # said of a block around it: a table that is asked not to break has no space below
    return f"[%unbreakable]\n--\n{title}{table}\n--" if len(lines) - heads <= FEW_ROWS else title + table


def _within(line: Line, columns: tuple[int, ...]) -> Line:
    """Keep what is in some columns; a cell that reaches over several keeps its share of them."""
    kept = []
    for column, cell in line:
        inside = [number for number in range(column, column + cell.columns) if number in columns]
        if inside:
            kept.append((inside[0], replace(cell, columns=len(inside))))
    return kept


def _cells(row: Tag) -> Row:
    return [
        Cell(
            text=cell.get_text(" ", strip=True).replace("\u00a0", " ").strip(),
            is_header=cell.name == "th",
            columns=_span(cell, "colspan"),
            rows=_span(cell, "rowspan"),
        )
        for cell in row.find_all(["td", "th"])
    ]


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


def _placed(rows: list[Row], width: int) -> list[Line]:
    """Find the column that each cell begins in, around those that reach down from rows above."""
    below = [0] * width
    placed = []
    for row in rows:
        cells = iter(row)
        line = []
        column = 0
        while column < width:
            if below[column]:
                below[column] -= 1
                column += 1
                continue
            cell = next(cells, None)
            if cell is None:
                break
            line.append((column, cell))
            below[column : column + cell.columns] = [cell.rows - 1] * cell.columns
            column += cell.columns
        placed.append(line)
    return placed


def _numeric_columns(body: list[Row], width: int) -> list[bool]:
    """Tell for each column whether it is of numbers, which go to the right."""
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
        text = literal(cell.text)
        if size != NORMAL and text:
            text = f"[.{size_role(size)}]##{text}##"
        parts.append(f"{span + '+' if span else ''}{alignment}{style}|{text}")
    return "\n".join(parts) + "\n"


def size_role(size: float) -> str:
    """Name the theme's role for letters of a size."""
    return f"size-{round(size * 10)}"


def _title(text: str) -> str:
    return literal(text) or "Table"
