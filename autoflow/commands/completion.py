# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow completion``: lets a shell complete commands, options, workflows, notebooks and numbers of runs.

The shell asks AutoFlow itself at each Tab, so that what is in workflows.yml and in the record can be offered.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import argcomplete
import yaml
from argcomplete.completers import FilesCompleter, SuppressCompleter
from argcomplete.shell_integration import shellcode

from autoflow.bounded_file import LARGEST_CONFIG, read_bounded
from autoflow.commands.terminal import print_json
from autoflow.errors import AutoflowError, ExitCode
from autoflow.settings import inputs_named, load_settings
from autoflow.wording import parameters_text

MOST_RUNS = 50

Completer = Callable[..., Mapping[str, str]]
"""Offers words, each with what is said of it where the shell shows that."""


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Print the script of a shell."""
    script = shellcode(["autoflow"], shell=options.shell)
    if options.json:
        print_json(options, {"shell": options.shell, "script": script})
    else:
        print(script)  # noqa: T201
    return ExitCode.OK


def complete(parser: argparse.ArgumentParser) -> None:
    """Offer what may come next, and end the process."""
    for action in _actions(parser):
        if completer := _completer(action):
            action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, default_completer=SuppressCompleter(), always_complete_options=False)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _completer(action: argparse.Action) -> Any:
    if action.choices:
        return None
    if action.metavar in ("RUN", "OLD", "NEW"):
        return _runs if action.metavar == "RUN" else _runs_and_files
    if action.dest == "workflow":
        return _workflows
    if action.dest == "notebook":
        return _notebooks
    return FilesCompleter() if action.metavar in ("FILE", "FILE.py", "DIR", "SOURCE") else None


def _workflows(**_: Any) -> Mapping[str, str]:
    return dict.fromkeys(_defined(), "")


def _notebooks(parsed_args: argparse.Namespace, **_: Any) -> Mapping[str, str]:
    found = _defined().get(getattr(parsed_args, "workflow", None) or "", {})
    return dict.fromkeys(found, "") if isinstance(found, dict) else {}


def _defined() -> dict[str, Any]:
    """Return the notebooks of each workflow, as far as workflows.yml can be read; without all that checks it."""
    inputs = inputs_named(os.environ)
    try:
        text = read_bounded(inputs / "workflows.yml", LARGEST_CONFIG) if inputs else b""
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        return {str(each["name"]): each.get("notebooks") for each in content["workflows"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, yaml.YAMLError):
        return {}


def _runs(**_: Any) -> Mapping[str, str]:
    from autoflow.commands.reading import record
    from autoflow.overview import attempt_word

    try:
        with record(load_settings(os.environ, asks_flowapi=False)) as reader:
            found = reader.attempts(limit=MOST_RUNS)
    except (AutoflowError, OSError):
        return {}
    return {
        str(each.run): f"{each.workflow} {each.reference_date} {parameters_text(each.parameters)}: {attempt_word(each)}"
        for each in reversed(found)
    }


def _runs_and_files(prefix: str, **more: Any) -> Mapping[str, str]:
    return {**_runs(), **dict.fromkeys(FilesCompleter()(prefix, **more), "")}
