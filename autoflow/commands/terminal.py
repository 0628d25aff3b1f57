# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What commands print: tables and colours on a terminal, plain columns in a pipe, JSON for scripts."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoflow.commands.answer import Streamed, answer, as_text, in_pieces
from autoflow.commands.tables import HEADING, table_lines
from autoflow.errors import ExitCode, NotConfirmedError, Problem
from autoflow.wording import printable

STYLES = {
    "succeeded": "green",
    "provisional": "bold yellow",
    "stale": "bold magenta",
    "failed": "bold red",
    "given up": "bold white on red",
    "running": "bold blue",
    "waiting": "yellow",
    "held": "bold yellow",
    "due": "cyan",
    "interrupted": "magenta",
    "cancelled": "magenta",
    "not available": "bright_black",
    "excluded": "bright_black",
    "skipped": "bright_black",
}
"""Colours of the words for runs and attempts."""

PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""

NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps words on one line of a terminal; a pipe gets a plain space."""


def on_terminal() -> bool:
    return sys.stdout.isatty()


def width() -> int:
    """Return the columns that there are."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def print_line(text: str = "", style: str = "") -> None:
    """Print a line as it is; on a terminal it is broken between words, and never in a path."""
    if on_terminal():
        from rich.text import Text

        for line in text.split("\n"):
            indent = " " * (len(line) - len(line.lstrip()))
            broken = textwrap.wrap(
                _printable(line),
                width(),
                subsequent_indent=f"{indent}  ",
                break_long_words=False,
                break_on_hyphens=False,
                replace_whitespace=False,
                drop_whitespace=bool(line.strip()),
            )
            _console().print(Text("\n".join(broken) or "", style), soft_wrap=True)
    else:
        print(_printable(text))  # noqa: T201


def print_json(
    options: argparse.Namespace,
    content: Mapping[str, Any],
    code: int = ExitCode.OK,
    errors: Iterable[Problem] = (),
) -> None:
    """Print what a command has found as JSON, for scripts."""
    whole = answer(options.command, code, content, errors)
    if any(isinstance(each, Streamed) for each in content.values()):
        sys.stdout.writelines(in_pieces(whole, sys.stdout.encoding))
        print()  # noqa: T201
    else:
        print(as_text(whole, sys.stdout.encoding))  # noqa: T201


def print_table(rows: Sequence[Mapping[str, Any]], *, right: Iterable[str] = ()) -> None:
    """Print rows with the same keys, which are the headings; a state is coloured on a terminal."""
    if not rows:
        return
    if on_terminal():
        _print_laid_out(rows, frozenset(right))
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


def print_styled(parts: Iterable[tuple[str, str]], *, whole: bool = True) -> None:
    """Print one line of pieces, each with its style; where it is too long, break it or else cut it."""
    if on_terminal():
        from rich.text import Text

        safe = [(_printable(text), style) for text, style in parts]
        _console().print(Text.assemble(*safe), no_wrap=not whole, overflow="fold" if whole else "crop")
    else:
        line = "".join(text for text, _ in parts).replace(NO_BREAK, " ")
        print(_printable(line).rstrip())  # noqa: T201


def confirm(question: str, options: argparse.Namespace, shown: Mapping[str, Any] | None = None) -> None:
    """Ask whether to go on; with ``--json`` there is nobody to ask, and what is ``shown`` would be done.

    Raises
    ------
    NotConfirmedError
        When the answer is not yes, or there is nobody to ask.
    """
    if options.yes:
        return
    if options.json:
        raise NotConfirmedError("not confirmed: --json needs --yes", shown or {})
    if not sys.stdin.isatty():
        raise NotConfirmedError("not confirmed: there is no terminal to ask on; add --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotConfirmedError("not confirmed: nothing was done")


def _print_laid_out(rows: Sequence[Mapping[str, Any]], right: frozenset[str]) -> None:
    from rich.text import Text

    texts = [{heading: _cell(value) for heading, value in row.items()} for row in rows]
    console = _console()
    for line in table_lines(texts, width(), right):
        styled = [(text, "bold" if of == HEADING else STYLES.get(text.strip(), "")) for text, of in line]
        # what cannot be made narrower is left to the terminal to break
        console.print(Text.assemble(*styled), soft_wrap=True)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _cell(value: Any) -> str:
    return "" if value is None else _printable(str(value))


def _printable(text: str) -> str:
    """Escape what would move the cursor or change colours: names come from files."""
    return printable(text, keep=f"\n\t{NO_BREAK}")
