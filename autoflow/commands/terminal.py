# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What commands print: tables and colours on a terminal, plain columns in a pipe, JSON for scripts."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoflow.errors import AutoflowError

STYLES = {
    "done": "green",
    "success": "green",
    "failed": "bold red",
    "given up": "bold white on red",
    "running": "bold blue",
    "waiting": "yellow",
    "due": "cyan",
    "interrupted": "magenta",
    "not available": "bright_black",
    "excluded": "bright_black",
}
"""Colours of states of dates and of attempts."""

PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""


def on_terminal() -> bool:
    return sys.stdout.isatty()


def width() -> int:
    """Give the columns that there are."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def print_line(text: str = "", style: str = "") -> None:
    """Print a line as it is."""
    if style and on_terminal():
        from rich.text import Text

        _console().print(Text(text, style))
    else:
        print(_printable(text))  # noqa: T201


def print_json(value: Any) -> None:
    """Print a value as JSON; dates and times are ISO text."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=_iso)
    print()  # noqa: T201


def print_table(rows: Sequence[Mapping[str, Any]], *, right: Iterable[str] = ()) -> None:
    """Print rows with the same keys, which are the headings; a state is coloured on a terminal."""
    if not rows:
        return
    if on_terminal():
        _print_rich(rows, frozenset(right))
        return
    headings = list(rows[0])
    texts = [headings, *([_cell(row[heading]) for heading in headings] for row in rows)]
    widths = [max(len(line[column]) for line in texts) for column in range(len(headings))]
    for line in texts:
        cells = [
            text.rjust(size) if heading in right else text.ljust(size)
            for heading, text, size in zip(headings, line, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())  # noqa: T201


def print_styled(parts: Iterable[tuple[str, str]]) -> None:
    """Print one line of pieces, each with its style."""
    if on_terminal():
        from rich.text import Text

        _console().print(Text.assemble(*parts), no_wrap=True, overflow="crop")
    else:
        print("".join(text for text, _ in parts).rstrip())  # noqa: T201


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether to go on.

    Raises
    ------
    AutoflowError
        When the answer is not yes, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise AutoflowError("nothing was done: there is no terminal to ask on; add --yes to do it without asking")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise AutoflowError("nothing was done")


def _print_rich(rows: Sequence[Mapping[str, Any]], right: frozenset[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in rows[0]:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value), STYLES.get(str(value), "")) for value in row.values()))
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _cell(value: Any) -> str:
    return "" if value is None else _printable(str(value))


def _printable(text: str) -> str:
    """Show what would move the cursor or change colours as its escape: names come from files."""
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
