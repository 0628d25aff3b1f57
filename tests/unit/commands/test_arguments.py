# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What can be typed: every example of the help, what was an option before, and how the help looks."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from autoflow.cli import build_parser, options_of
from autoflow.commands.examples import EXAMPLES

LINES = [(name, line) for name, examples in EXAMPLES.items() for line, _ in examples]


def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return dict(action.choices)


@pytest.mark.parametrize(("name", "line"), LINES, ids=[line for _, line in LINES])
def test_examples_are_understood(name: str, line: str) -> None:
    # as far as the shell gives it to autoflow
    inside = re.sub(r'^eval "\$\((.*)\)"$', r"\1", line)
    program, *arguments = shlex.split(inside.partition(" | ")[0].partition(" > ")[0])
    assert (program, options_of(arguments).command) == ("autoflow", name)


def test_every_command_has_examples_and_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert commands().keys() == EXAMPLES.keys()
    for name, parser in commands().items():
        shown = parser.format_help()
        assert all(line in shown for line, _ in EXAMPLES[name])


@pytest.mark.parametrize(
    ("option", "as_command"),
    [
        ("", "serve"),
        ("--now", "serve --now"),
        ("--run-once", "once"),
        ("--check", "check"),
        ("--health", "health"),
        ("--alive", "health --alive"),
    ],
)
def test_what_was_an_option_is_the_command_of_today(option: str, as_command: str) -> None:
    before, now = (options_of(line.split()) for line in (option, as_command))
    assert before.command == now.command
    for name in ("at_once", "alive_is_enough", "json"):
        assert getattr(before, name, False) == getattr(now, name, False)


@pytest.mark.parametrize("reason", ["", "  ", "\t\n"])
@pytest.mark.parametrize(
    "command", ["cancel 1", "skip w 2016-01-01", "keep 1", "accept w 2016-01-01", "hold w 2016-01-01"]
)
def test_a_reason_without_words_is_refused(command: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options_of([*command.split(), "--reason", reason])
    assert f"argument --reason: found {reason!r}, expected why, in words" in capsys.readouterr().err
    assert options_of([*command.split(), "--reason", f" a holiday{reason}"]).reason == "a holiday"
