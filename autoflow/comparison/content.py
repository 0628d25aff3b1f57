# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What an executed notebook says: the values that it glued, and the tables, texts and pictures of its cells.

These are its results, as in `autoflow.comparison.results`: what cells print is none, nor is when it was executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoflow.comparison.incidental import (
    ADDRESS,
    SCRAP,
    WIDGET,
    Span,
    span_of,
    without_incidentals,
    without_times,
)
from autoflow.notebooks import cell_position

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

LEVELS = " / "


@dataclass(frozen=True)
class Table:
    """A table as it is shown: the texts of its cells by the labels of row and column."""

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    numbered: bool = False
    """Whether the rows have no labels of their own, but their numbers."""


@dataclass(frozen=True)
class Cell:
    """What a cell shows."""

    position: int
    """As the analyst counts, from 1."""
    name: str | None
    """Its id, which stays the same when other cells are put before it."""
    source: str
    text: str = ""
    """What it shows as text."""
    printed: str = ""
    """What it prints, which is no result, and the error that it ended with."""
    tables: tuple[Table, ...] = ()
    pictures: tuple[str, ...] = ()
    """A hash of each, and of figures that one can interact with."""


@dataclass(frozen=True)
class Content:
    """What an executed notebook says."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    """What it glued, by name; a data frame is a `Table`."""
    cells: tuple[Cell, ...] = ()


def read_executed(path: Path) -> Content:
    """Read an executed notebook.

    Raises
    ------
    OSError, ValueError
        When the file is missing or no notebook.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    try:
        cells = notebook["cells"]
        parameters = notebook["metadata"].get("papermill", {}).get("parameters", {})
        outputs, span = [output for cell in cells for output in cell.get("outputs", ())], span_of(notebook)
        values = {name: _timeless(value, span) for name, value in filter(None, map(_glued, outputs))}
        read = [_cell(cell, cell_position(cells, index), span) for index, cell in enumerate(cells) if _is_code(cell)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: is not a notebook") from error
    return Content(parameters, values, tuple(read))


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", ())


def _glued(output: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Read a value that scrapbook has left in an output."""
    scrap = next((value for kind, value in output.get("data", {}).items() if SCRAP.fullmatch(kind)), None)
    if scrap is None or scrap.get("data") is None:
        return None
    if scrap.get("encoder") not in ("pandas", "arrow"):
        return scrap["name"], scrap["data"]
    return scrap["name"], _frame(scrap)


def _frame(scrap: Mapping[str, Any]) -> Any:
    """Read a data frame as the table that it would be shown as; what cannot be read is its bytes."""
    # hardly any notebook glues one, and it takes long to import
    with suppress(Exception):
        from scrapbook.encoders import registry
        from scrapbook.scraps import Scrap

        frame = registry.decode(Scrap(scrap["name"], scrap["data"], scrap["encoder"])).data
        return next(iter(_tables(_soup(frame.to_html(max_rows=None, max_cols=None)))))
    return scrap["data"]


def _timeless(value: Any, span: Span | None) -> Any:
    """Leave the times of its execution out of a value, wherever they are in it."""
    return value if isinstance(value, Table) else json.loads(without_times(json.dumps(value), span))


def _cell(cell: Mapping[str, Any], position: int, span: Span | None) -> Cell:
    texts: list[str] = []
    printed: list[str] = []
    tables: list[Table] = []
    pictures: list[str] = []
    for output in cell.get("outputs", ()):
        data = {kind: _read(kind, content, span) for kind, content in output.get("data", {}).items()}
        if any(map(SCRAP.fullmatch, data)):
            continue
        shown = [_digest(content) for kind, content in data.items() if _is_figure(kind)]
        pictures += shown[:1]
        if "text/html" in data:
            soup = _soup(data["text/html"])
            if not shown:
                pictures += _drawn_by_scripts(soup)
            for hidden in soup(["style", "script"]):
                hidden.decompose()
            tables += _tables(soup)
            for table in soup.find_all("table"):
                table.decompose()
            texts.append("\n".join(soup.stripped_strings))
        elif output["output_type"] == "error":
            printed.append(f"{output['ename']}: {output['evalue']}")
        elif output["output_type"] == "stream":
            printed += [_joined(output["text"])] if output["name"] == "stdout" else []
        elif not shown and WIDGET not in data:
            texts.append(data.get("text/markdown", data.get("text/plain", "")))
    # where an object lies in memory says nothing
    text, lines = ("\n".join(each for each in some if each.strip()) for some in (texts, printed))
    return Cell(
        position,
        cell.get("id"),
        _joined(cell["source"]),
        text,
        ADDRESS.sub("0x...", lines),
        tuple(tables),
        tuple(pictures),
    )


def _read(kind: str, content: Any, span: Span | None) -> str:
    """Read what an output shows, without what is another in each execution."""
    return without_times(without_incidentals(kind, content), span)


def _is_figure(kind: str) -> bool:
    """Whether an output is drawn, by whatever draws figures that one can interact with."""
    return not kind.startswith("text/") and kind != WIDGET


def _drawn_by_scripts(soup: BeautifulSoup) -> list[str]:
    """Digest what draws a figure in HTML, such as a map."""
    parts = [script.string or "" for script in soup.find_all("script")]
    parts += [str(frame.get("srcdoc") or "") for frame in soup.find_all("iframe")]
    return [_digest("".join(parts))] if any(parts) else []


def _digest(content: str) -> str:
    return sha256("".join(content.split()).encode()).hexdigest()


def _soup(text: str) -> BeautifulSoup:
    from bs4 import BeautifulSoup

    return BeautifulSoup(text, "html.parser")


def _tables(soup: BeautifulSoup) -> Iterator[Table]:
    """Read the tables that do not lie in another."""
    for table in soup.find_all("table"):
        if table.find_parent("table") is None:
            yield _table(table)


def _table(table: Tag) -> Table:
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    grid = _grid(rows)
    is_head = [row.find_parent("thead") is not None or not row.find("td") for row in rows]
    head = [line for line, heads in zip(grid, is_head, strict=True) if heads]
    body = [(row, line) for row, line, heads in zip(rows, grid, is_head, strict=True) if not heads]
    width = max(map(len, grid), default=0)
    # of a row that spans several, the cells of the label may be those of the row above
    labels = max((sum(cell.name == "th" for cell in row.find_all(["th", "td"])) for row, _ in body), default=0)
    columns = [
        LEVELS.join(dict.fromkeys(line[column] for line in head if column < len(line) and line[column]))
        for column in range(labels, width)
    ]
    names = _distinct(LEVELS.join(line[:labels]) for _, line in body)
    numbered = not labels or names == [str(number) for number in range(len(body))]
    if numbered:
        names = [f"row {number}" for number, _ in enumerate(body, 1)]
    cells = ((*line[labels:], *[""] * (width - len(line))) for _, line in body)
    return Table(tuple(_distinct(columns)), dict(zip(names, cells, strict=True)), numbered)


def _grid(rows: list[Tag]) -> list[list[str]]:
    """Write a cell that spans rows or columns into each place that it covers."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}
    for row in rows:
        line: list[str] = []
        for cell in row.find_all(["th", "td"], recursive=False):
            _take_hanging(line, hanging)
            text = " ".join(cell.get_text(" ").split())
            for _ in range(_span(cell, "colspan")):
                if (below := _span(cell, "rowspan") - 1) > 0:
                    hanging[len(line)] = below, text
                line.append(text)
        _take_hanging(line, hanging)
        grid.append(line)
    return grid


def _take_hanging(line: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    """Put in what hangs down from the rows above."""
    while (column := len(line)) in hanging:
        left, text = hanging.pop(column)
        line.append(text)
        if left > 1:
            hanging[column] = left - 1, text


def _span(cell: Tag, name: str) -> int:
    text = str(cell.get(name) or "1")
    return min(max(int(text), 1), 10_000) if text.isdigit() and len(text) < 9 else 1


def _distinct(names: Iterator[str] | list[str]) -> list[str]:
    """Number names that are there several times."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)
