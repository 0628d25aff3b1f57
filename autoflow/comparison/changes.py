# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What differs between two executed notebooks, in words and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from itertools import zip_longest
from math import isnan
from typing import Any

from autoflow.comparison.content import Cell, Content, Table
from autoflow.wording import counted

NUMBER = re.compile(
    r"[-+\N{MINUS SIGN}]?(?:\d[\d,\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
)


@dataclass(frozen=True)
class Change:
    """Something that has another value, or is on one side only."""

    name: str
    old: Any = None
    new: Any = None
    only: str | None = None
    """``old`` or ``new``, where it is on that side only."""


@dataclass(frozen=True)
class TableChange:
    """How a table differs; ``cells`` are named ``row, column``."""

    where: str
    """Its cell, or the name by which it was glued."""
    rows_removed: tuple[str, ...] = ()
    rows_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_added: tuple[str, ...] = ()
    cells: tuple[tuple[str, str, str, str], ...] = ()
    """Row, column, and what was and is there."""
    compared: int = 0
    """Cells that both have."""


@dataclass(frozen=True)
class TextChange:
    """Lines of a cell's text that differ, as in a unified diff."""

    cell: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class NotebookChanges:
    """All that differs between two executions of a notebook."""

    parameters: tuple[Change, ...] = ()
    values: tuple[Change, ...] = ()
    tables: tuple[TableChange, ...] = ()
    texts: tuple[TextChange, ...] = ()
    pictures: tuple[int, ...] = ()
    """Cells whose pictures differ."""
    printed: tuple[TextChange, ...] = ()
    """What cells print, which is no result."""
    code: tuple[int, ...] = ()
    """Cells whose code differs, or that only one of the two has, by their position in the new one where it is there."""

    def __bool__(self) -> bool:
        """Whether the results differ; other parameters, code or printed lines alone are no difference."""
        return bool(self.values or self.tables or self.texts or self.pictures)


def compared(old: Content, new: Content, tolerance: float = 0.0) -> NotebookChanges:
    """Compare two executed notebooks.

    Parameters
    ----------
    tolerance
        Fraction of a number by which another may differ from it and count as the same.
    """
    pairs = list(_paired(old.cells, new.cells))
    frames = [
        _table_change(before, after, f"glued {name}", tolerance)
        for name, before in old.values.items()
        if isinstance(before, Table) and isinstance(after := new.values.get(name), Table)
    ]
    shown = [change for one, other in pairs for change in _table_changes(one, other, tolerance)]
    texts = [_text_change(_place(*pair), (pair[0].text, pair[1].text), tolerance) for pair in pairs]
    printed = [_text_change(_place(*pair), (pair[0].printed, pair[1].printed), tolerance) for pair in pairs]
    return NotebookChanges(
        parameters=tuple(filter(_says_something, _changes(old.parameters, new.parameters, 0.0))),
        values=tuple(_changes(old.values, new.values, tolerance)),
        tables=tuple(filter(None, [*frames, *shown])),
        texts=tuple(filter(None, texts)),
        pictures=tuple(_place(one, other) for one, other in pairs if one.pictures != other.pictures),
        printed=tuple(filter(None, printed)),
        code=tuple(_place(one, other) for one, other in pairs if one.source != other.source),
    )


def number_of(value: Any) -> float | None:
    """Read a number, also one that is written with separators or a percent sign; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str) and NUMBER.fullmatch(text := value.strip().removesuffix("%").rstrip()):
        return _read(text)
    return None


def difference(old: Any, new: Any) -> float | None:
    """Return by how much a number has grown; None where there are no two numbers."""
    one, other = number_of(old), number_of(new)
    return None if one is None or other is None else other - one


def percent(old: Any, new: Any) -> float | None:
    """Return by how many hundredths of itself a number has grown; None where that has no meaning, as of percentages."""
    one, grown = number_of(old), difference(old, new)
    return None if grown is None or not one or str(old).rstrip().endswith("%") else 100 * grown / abs(one)


def _read(text: str) -> float:
    return float(re.sub(r"[^\d.eE+-]", "", text.replace("\N{MINUS SIGN}", "-")))


def _same(old: Any, new: Any, tolerance: float) -> bool:
    one, other = number_of(old), number_of(new)
    if one is None or other is None or isinstance(old, str) != isinstance(new, str):
        return type(old) is type(new) and bool(old == new)
    return one == other or (isnan(one) and isnan(other)) or abs(other - one) <= tolerance * max(abs(one), abs(other))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float) -> Iterator[Change]:
    before, after = dict(_leaves(old)), dict(_leaves(new))
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change(name, old=before[name], only="old")
        elif name not in before:
            yield Change(name, new=after[name], only="new")
        elif not _same(before[name], after[name], tolerance):
            yield Change(name, before[name], after[name])


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a value consists of, each with the way to it: ``totals.calls[3]``."""
    if isinstance(value, Mapping) and (value or not name):
        for key, each in value.items():
            yield from _leaves(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, f"{name}[{index}]")
    elif isinstance(value, Table):
        yield name, f"{counted(len(value.rows), 'row')} of {counted(len(value.columns), 'column')}"
    else:
        yield name, value


def _says_something(change: Change) -> bool:
    """Leave out the paths of executed notebooks, which are others in each run."""
    return not (str(change.old).endswith(".ipynb") and str(change.new).endswith(".ipynb"))


def _place(old: Cell, new: Cell) -> int:
    """Return the position of a cell, in the new notebook if it is there."""
    return new.position or old.position


def _paired(old: Sequence[Cell], new: Sequence[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Pair cells by their ids, and those that have none in common in their order."""
    ids = {cell.name for cell in old} & {cell.name for cell in new} - {None}
    named = {cell.name: cell for cell in old if cell.name in ids}
    rest = iter([cell for cell in old if cell.name not in ids])
    nothing = Cell(0, None, "")
    for cell in new:
        yield (named[cell.name] if cell.name in ids else next(rest, nothing)), cell
    for cell in rest:
        yield cell, nothing


def _table_changes(old: Cell, new: Cell, tolerance: float) -> Iterator[TableChange | None]:
    pairs = list(zip_longest(old.tables, new.tables, fillvalue=Table((), {})))
    for number, (one, other) in enumerate(pairs, 1):
        where = f"cell {_place(old, new)}" + (f", table {number}" if len(pairs) > 1 else "")
        yield _table_change(one, other, where, tolerance)


def _table_change(old: Table, new: Table, where: str, tolerance: float) -> TableChange | None:
    old, new = _with_labels(old, new)
    rows = [row for row in old.rows if row in new.rows]
    columns = [column for column in old.columns if column in new.columns]
    places = {column: (old.columns.index(column), new.columns.index(column)) for column in columns}
    cells = tuple(
        (row, column, before, after)
        for row in rows
        for column, (one, other) in places.items()
        if not _same_text(before := old.rows[row][one], after := new.rows[row][other], tolerance)
    )
    change = TableChange(
        where,
        rows_removed=tuple(row for row in old.rows if row not in new.rows),
        rows_added=tuple(row for row in new.rows if row not in old.rows),
        columns_removed=tuple(column for column in old.columns if column not in new.columns),
        columns_added=tuple(column for column in new.columns if column not in old.columns),
        cells=cells,
        compared=len(rows) * len(columns),
    )
    differs = cells or change.rows_removed or change.rows_added or change.columns_removed or change.columns_added
    return change if differs else None


def _with_labels(old: Table, new: Table) -> tuple[Table, Table]:
    """Identify rows without names by the first column that tells them apart, whatever their order."""
    if not (old.numbered and new.numbered):
        return old, new
    for column in old.columns:
        if column in new.columns:
            keys = [[row[table.columns.index(column)] for row in table.rows.values()] for table in (old, new)]
            if all(len(set(each)) == len(each) and all(number_of(value) is None for value in each) for each in keys):
                first, second = (
                    replace(table, rows=dict(zip(each, table.rows.values(), strict=True)))
                    for table, each in zip((old, new), keys, strict=True)
                )
                return first, second
    return old, new


def _text_change(cell: int, texts: tuple[str, str], tolerance: float) -> TextChange | None:
    before, after = (text.splitlines() for text in texts)
    if len(before) == len(after) and all(_same_text(*pair, tolerance) for pair in zip(before, after, strict=True)):
        return None
    lines = [line.rstrip("\n") for line in unified_diff(before, after, n=0, lineterm="")][2:]
    return TextChange(cell, tuple(line for line in lines if not line.startswith("@@")))


def _same_text(old: str, new: str, tolerance: float) -> bool:
    """Compare texts; with a tolerance, numbers in them as numbers."""
    if old == new:
        return True
    if not tolerance or NUMBER.sub("0", old) != NUMBER.sub("0", new):
        return False
    numbers = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    return all(_same(_read(one), _read(other), tolerance) for one, other in numbers)
