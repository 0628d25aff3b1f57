# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""HTML tables, as pandas shows its frames, to asciidoc tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag

NUMBER = re.compile(
    r"[-+\u2212]?[\d.,\s\u00a0\u202f]*\d[\d.,]*([eE][-+]?\d+)?\s?(%|‰)?|nan|NaN|None|<NA>|inf|-inf|…|\.\.\.|"
)
"""What a column of numbers may hold, signs for missing ones and the frame's ellipsis among them."""

MOST_COLUMNS_TO_FIT = 8
"""Up to so many columns are as wide as their text; more share the width of the page."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    is_header: bool
    columns: int = 1
    rows: int = 1


Row = list[Cell]


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


def literal(text: str) -> str:
    """Write text so that asciidoc takes none of it for markup."""
    flat = " ".join(text.split())
    if re.fullmatch(r"[\w\s.,%/()'€$°-]*", flat) and not re.search(r"__|--|\.\.\.|\([CRT]M?\)", flat):
        return flat
    return "pass:c[" + flat.replace("]", "\\]") + "]"


def _table(table: Tag) -> str:
    head = [_cells(row) for section in table.find_all("thead") for row in section.find_all("tr")]
    body = [_cells(row) for row in table.find_all("tr") if not row.find_parent("thead")]
    head = _with_index_names(head)
    if not head and body and all(cell.is_header for cell in body[0]):
        head, body = body[:1], body[1:]
    width = max((sum(cell.columns for cell in row) for row in [*head, *body]), default=0)
    if not width:
        return ""
    alignments = _alignments(body, width)
    options = ["header"] if head else []
    if width <= MOST_COLUMNS_TO_FIT:
        options.append("autowidth")
    attributes = [f'cols="{",".join(alignments)}"', f'options="{",".join(options)}"']
    caption = table.find("caption")
    title = [f".{_title(caption.get_text(' ', strip=True))}"] if caption and caption.get_text(strip=True) else []
    # asciidoc knows one row of heads; further ones are rows of header cells
    lines = enumerate(_placed([*head, *body], width))
    rows = [_row(line, alignments, marked=number > 0 or not head) for number, line in lines]
    return "\n".join([*title, f"[{','.join(attributes)}]", "|===", *rows, "|==="])


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


def _placed(rows: list[Row], width: int) -> list[list[tuple[int, Cell]]]:
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


def _alignments(body: list[Row], width: int) -> list[str]:
    """Tell for each column whether it is of numbers, which go to the right."""
    columns: list[list[Cell]] = [[] for _ in range(width)]
    for line in _placed(body, width):
        for column, cell in line:
            if cell.columns == 1:
                columns[column].append(cell)
    return [">" if _is_numeric(column) else "<" for column in columns]


def _is_numeric(cells: list[Cell]) -> bool:
    texts = [cell.text for cell in cells]
    return (
        any(re.search(r"\d", text) for text in texts)
        and all(NUMBER.fullmatch(text) for text in texts)
        and not all(cell.is_header for cell in cells)
    )


def _row(line: list[tuple[int, Cell]], alignments: list[str], *, marked: bool) -> str:
    parts = []
    for column, cell in line:
        span = f"{cell.columns if cell.columns > 1 else ''}{f'.{cell.rows}' if cell.rows > 1 else ''}"
        style = "h" if marked and cell.is_header else ""
        # said for each cell: asciidoctor-pdf loses count of columns below a cell of several rows
        alignment = "^" if cell.columns > 1 else alignments[column]
        text = literal(cell.text).replace("|", "\\|")
        parts.append(f"{span + '+' if span else ''}{alignment}{style}|{text}")
    return "\n".join(parts) + "\n"


def _title(text: str) -> str:
    return literal(text).lstrip(".") or "Table"
