# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow diff``: what differs between the executed notebooks of two runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from autoflow.commands.arguments import run_and_attempt
from autoflow.commands.reading import attempt_of, record
from autoflow.commands.terminal import print_json, print_line, print_table
from autoflow.comparison import Change, NotebookChanges, TableChange, compared, difference, percent, read_executed
from autoflow.errors import AutoflowError, ExitCode
from autoflow.model import RecordedAttempt, RunReader, open_for_reading
from autoflow.overview import attempt_word
from autoflow.settings import Places, Settings
from autoflow.wording import counted, shortened

MOST_ROWS = 20
"""Values, cells of a table, or lines of a text that are printed of one notebook."""

RECORD = "autoflow.db"


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    name: str
    notebooks: Mapping[str, Path]
    """Executed notebooks by label; of a notebook alone by the name of its file."""
    alone: bool = False


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Compare, print what differs, and say whether anything does."""
    old, new = _side(options.old, settings), _side(options.new, settings)
    pairs, missing = _paired(old, new)
    changes = {label: compared(_read(one), _read(other), options.tolerance) for label, one, other in pairs}
    differs = bool(missing) or any(changes.values())
    code = ExitCode.RUN_FAILED if differs else ExitCode.OK
    if options.json:
        print_json(options, _as_json(old, new, changes, missing, differs=differs), code)
        return code
    print_line(f"old: {old.name}\nnew: {new.name}")
    for label, where in missing.items():
        print_line(f"\nnotebook {label}: only in the {where} one", "bold")
    for label, change in changes.items():
        _print(label, change, len(changes) > 1, options.all)
    print_line(f"\n{_summary(changes.values(), missing)}")
    return code


def _side(named: str, settings: Settings) -> Side:
    """Find the executed notebooks of a run, of a directory of outputs, or one alone."""
    if numbers := run_and_attempt(named):
        with record(settings) as reader:
            return _of_run(reader, attempt_of(reader, *numbers), "")
    path = Path(named)
    if path.is_dir():
        return _of_directory(path)
    if path.suffix == ".ipynb" and path.is_file():
        return Side(str(path), {path.stem.split("__")[0]: path}, alone=True)
    raise AutoflowError(
        f"{named}: found nothing of that name; expected a run number as shown by `autoflow runs`, the outputs of"
        " `autoflow try`, or an executed notebook"
    )


def _of_directory(path: Path) -> Side:
    if not (path / RECORD).is_file():
        raise AutoflowError(f"{path}: has no {RECORD}; expected the outputs of `autoflow try`, or of AutoFlow")
    reader = open_for_reading(path / RECORD, Places.below(path.absolute()))
    try:
        newest = reader.attempts(limit=1)
        if not newest:
            raise AutoflowError(f"{path}: nothing has been run there yet")
        return _of_run(reader, newest[0], f"{path}: ")
    finally:
        reader.close()


def _of_run(reader: RunReader, found: RecordedAttempt, where: str) -> Side:
    notebooks = {each.label: Path(each.notebook) for each in reader.notebooks(found.id) if each.notebook}
    name = f"{where}attempt {found.name} ({found.workflow} {found.reference_date}, {attempt_word(found)})"
    if not notebooks:
        raise AutoflowError(f"{name} has no executed notebooks")
    return Side(name, notebooks)


def _paired(old: Side, new: Side) -> tuple[list[tuple[str, Path, Path]], dict[str, str]]:
    """Pair the notebooks of both sides; one alone is compared with that of the same file."""
    if old.alone or new.alone:
        return [_paired_alone(old, new)], {}
    both = [(label, path, new.notebooks[label]) for label, path in old.notebooks.items() if label in new.notebooks]
    missing = {label: "old" for label in old.notebooks if label not in new.notebooks}
    missing |= {label: "new" for label in new.notebooks if label not in old.notebooks}
    return both, missing


def _paired_alone(old: Side, new: Side) -> tuple[str, Path, Path]:
    single, several = (old, new) if old.alone else (new, old)
    ((stem, path),) = single.notebooks.items()
    found = dict(several.notebooks)
    if len(found) > 1:
        found = {label: each for label, each in found.items() if each.name.split("__")[0] == stem}
    if len(found) != 1:
        raise AutoflowError(
            f"{several.name}: which notebook is to be compared with {path.name}? There are"
            f" {shortened(', '.join(several.notebooks))}; name an executed notebook instead of the run"
        )
    ((label, other),) = found.items()
    return (label, path, other) if old.alone else (label, other, path)


def _read(path: Path) -> Any:
    try:
        return read_executed(path)
    except OSError as error:
        raise AutoflowError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise AutoflowError(f"{path}: is not an executed notebook ({error})") from error


def _print(label: str, change: NotebookChanges, several: bool, everything: bool) -> None:
    most = None if everything else MOST_ROWS
    if not change and not change.parameters and not change.code and not change.printed:
        return
    if several:
        print_line(f"\nnotebook {label}", "bold")
    for title, rows in (("parameters", change.parameters), ("glued values", change.values)):
        if rows:
            print_line(f"\n{title}", "bold")
            _print_changes([_row(each) for each in rows], most)
    for table in change.tables:
        print_line(f"\ntable, {table.where}: {_table_words(table)}", "bold")
        _print_changes([_row(Change(f"{row}, {column}", old, new)) for row, column, old, new in table.cells], most)
    for title, texts in (("text", change.texts), ("printed, which is no result", change.printed)):
        for text in texts:
            print_line(f"\n{title}, cell {text.cell}", "bold")
            for line in text.lines[:most]:
                print_line(line)
            _print_more(len(text.lines), most)
    if change.pictures:
        print_line(f"\npictures differ: {_cells(change.pictures)}", "bold")
    if change.code:
        print_line(f"\ncode differs: {_cells(change.code)}")


def _print_changes(rows: list[dict[str, Any]], most: int | None) -> None:
    empty = {key for key in rows[0] if not any(row[key] for row in rows[:most])} if rows else set()
    shown = [{key: value for key, value in row.items() if key not in empty} for row in rows[:most]]
    print_table(shown, right=("old", "new", "difference", "percent"))
    _print_more(len(rows), most)


def _print_more(number: int, most: int | None) -> None:
    if most is not None and number > most:
        print_line(f"... and {number - most} more; --all shows them")


def _row(change: Change) -> dict[str, Any]:
    grown, hundredths = difference(change.old, change.new), percent(change.old, change.new)
    return {
        "name": change.name,
        "old": "(absent)" if change.only == "new" else shortened(str(change.old)),
        "new": "(absent)" if change.only == "old" else shortened(str(change.new)),
        "difference": "" if grown is None else f"{grown:+,.6g}{' points' if str(change.old).endswith('%') else ''}",
        "percent": "" if hundredths is None else f"{hundredths:+,.3g} %",
    }


def _table_words(table: TableChange) -> str:
    parts = [f"{len(table.cells):,} of {counted(table.compared, 'cell')} changed"] if table.cells else []
    for kind, removed, added in (
        ("row", table.rows_removed, table.rows_added),
        ("column", table.columns_removed, table.columns_added),
    ):
        for names, where in ((removed, "old"), (added, "new")):
            if names:
                parts.append(f"{counted(len(names), kind)} only in the {where} one ({shortened(', '.join(names))})")
    return ", ".join(parts)


def _cells(positions: Iterable[int]) -> str:
    numbers = list(positions)
    return f"{'cell' if len(numbers) == 1 else 'cells'} {', '.join(map(str, numbers))}"


def _summary(changes: Iterable[NotebookChanges], missing: Mapping[str, str]) -> str:
    found = list(changes)
    parts = [
        counted(number, noun)
        for noun, number in (
            ("glued value", sum(len(each.values) for each in found)),
            ("table", sum(len(each.tables) for each in found)),
            ("text", sum(len(each.texts) for each in found)),
            ("picture", sum(len(each.pictures) for each in found)),
            ("notebook on one side only", len(missing)),
        )
        if number
    ]
    if parts:
        return f"different: {', '.join(parts)}"
    printed = sum(len(each.printed) for each in found)
    but = f"; {counted(printed, 'cell prints', 'cells print')} something else" if printed else ""
    return f"no differences in glued values, tables, texts and pictures{but}"


def _as_json(
    old: Side, new: Side, changes: Mapping[str, NotebookChanges], missing: Mapping[str, str], *, differs: bool
) -> dict[str, Any]:
    return {
        "old": old.name,
        "new": new.name,
        "differs": differs,
        "only_in": missing,
        "notebooks": [
            {
                "label": label,
                **asdict(change),
                "parameters": [_as_numbers(each) for each in change.parameters],
                "values": [_as_numbers(each) for each in change.values],
                "tables": [_table_as_json(each) for each in change.tables],
            }
            for label, change in changes.items()
        ],
    }


def _as_numbers(change: Change) -> dict[str, Any]:
    sides = {key: value for key, value in (("old", change.old), ("new", change.new)) if change.only in (None, key)}
    numbers = {"difference": difference(change.old, change.new), "percent": percent(change.old, change.new)}
    # from what is no number there is no difference
    known = {key: number if number is not None and isfinite(number) else None for key, number in numbers.items()}
    return {"name": change.name, **sides, **known}


def _table_as_json(table: TableChange) -> dict[str, Any]:
    cells = [
        {"row": row, "column": column, **_as_numbers(Change("", old, new))} for row, column, old, new in table.cells
    ]
    for cell in cells:
        del cell["name"]
    return {**asdict(table), "cells": cells}
