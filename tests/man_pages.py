# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Man pages made from the parsers: ``make man`` writes ``autoflow.1``, and one for each command, into build/man."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from autoflow import __version__
from autoflow.cli import EPILOG, build_parser
from autoflow.settings import VARIABLES
from tests.conftest import ROOT

PLACE = ROOT / "build" / "man" / "man1"


def pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    parser = build_parser()
    (commands,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    summaries = {each.dest: each.help or "" for each in commands._choices_actions}
    first = "run workflows of Jupyter notebooks for each new date of data"
    made = {"autoflow.1": "\n".join([*_page("autoflow", first, parser), *_overview(summaries)])}
    for name, command in commands.choices.items():
        lines = [*_page(f"autoflow-{name}", summaries[name], command), *_examples(command), *_see("autoflow")]
        made[f"autoflow-{name}.1"] = "\n".join(lines)
    return {name: f"{text}\n" for name, text in made.items()}


def _page(name: str, summary: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f'.TH {name.upper()} 1 "" "AutoFlow {__version__}" "AutoFlow"'
    yield f".SH NAME\n{_text(name)} \\- {_text(summary)}"
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    yield f".SH SYNOPSIS\n{_text(usage)}"
    yield f".SH DESCRIPTION\n{_text(parser.description or '')}"
    shown = [each for each in parser._actions if not isinstance(each, argparse._SubParsersAction)]
    for title, actions in (
        ("ARGUMENTS", [each for each in shown if not each.option_strings]),
        ("OPTIONS", [each for each in shown if each.option_strings]),
    ):
        if actions:
            yield f".SH {title}"
        for action in actions:
            yield f".TP\n{_called(action)}\n{_text((action.help or '').replace('%%', '%')) or '.br'}"


def _called(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    words = f"\\fI{_text(str(value))}\\fR"
    if not action.option_strings:
        return words
    options = ", ".join(f"\\fB{_text(option)}\\fR" for option in action.option_strings)
    return options if action.nargs == 0 else f"{options} {words}"


def _overview(summaries: dict[str, str]) -> Iterator[str]:
    yield ".SH COMMANDS"
    for name, summary in summaries.items():
        yield f".TP\n\\fB{_text(name)}\\fR\n{_text(summary)}"
    yield ".SH ENVIRONMENT"
    for variable in VARIABLES:
        yield f".TP\n\\fB{_text(variable.name)}\\fR\n{_text(variable.meaning.replace('`', ''))}"
    yield f".SH EXIT STATUS\n.nf\n{_text(EPILOG.partition('exit codes:')[2].strip(chr(10)))}\n.fi"
    yield from _see(*(f"autoflow-{name}" for name in summaries))


def _examples(parser: argparse.ArgumentParser) -> Iterator[str]:
    lines = (parser.epilog or "").splitlines()[1:]
    yield ".SH EXAMPLES\n.nf\n" + "\n".join(_text(line.strip()) for line in lines) + "\n.fi"


def _see(*names: str) -> Iterator[str]:
    *others, last = (f".BR {_text(name)} (1)" for name in names)
    yield "\n".join([".SH SEE ALSO", *(f"{each}," for each in others), last])


def _text(text: str) -> str:
    """Write a text so that nothing in it is markup."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n"))


def write(place: Path) -> None:
    """Write all pages."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (place / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(PLACE)
    print(f"{PLACE}: {len(pages())} pages; look at one with: man -l {PLACE / 'autoflow.1'}")  # noqa: T201
