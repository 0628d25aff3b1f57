# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the reference in the docs has from the code: ``make reference`` writes it anew.

A comment stands before each part: ``<!-- keys of Entry: key key ... -->`` before a table of keys of workflows.yml, from
`autoflow.definitions`; ``<!-- settings -->`` before the table of environment variables, from `autoflow.settings`;
``<!-- config.toml -->`` before that file; and ``<!-- commands -->`` before all that the parsers know.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from autoflow.cli import build_parser
from autoflow.parser import json_schema
from autoflow.settings import VARIABLES
from tests.conftest import ROOT

REFERENCE = ROOT / "docs" / "reference"

SETTINGS = re.compile(r"(<!-- settings -->\n)(?:\|.*\n)*")
CONFIG = re.compile(r"(<!-- config.toml -->\n).*?(?=<!-- end of config.toml -->)", re.DOTALL)
COMMANDS = re.compile(r"(<!-- commands -->\n).*?(?=<!-- end of the commands -->)", re.DOTALL)
WRITE = "../how-to/write-a-notebook.md"
LINKS = {
    "Reports": "../how-to/design-a-report.md",
    "Warm kernels": "../concepts/warm-kernels.md",
    "Files between notebooks and between runs": f"{WRITE}#files-between-notebooks-and-between-runs",
    "Secrets of notebooks": f"{WRITE}#secrets-of-notebooks",
    "Late data": "../how-to/weekly-monthly-late.md#late-data",
    "Concurrency": "../how-to/concurrency.md",
    "Pools": "../how-to/pools.md",
    "Workers": "../how-to/workers.md",
    "Quality of data": "../how-to/quality.md",
    "Restatement": "../how-to/restatement.md",
    "Notifications": "../how-to/notifications.md",
}
"""Where to look for what texts refer to as ``see "Title"``; an editor that shows them has no links."""

TABLE = re.compile(r"(<!-- keys of (\w+): ([\w ]+) -->\n)(?:\|.*\n)*")


def written_anew(text: str) -> str:
    """Return a page with what it has from the code as the code has it now."""
    text = SETTINGS.sub(lambda match: match[1] + "".join(_settings()), text)
    config = (ROOT / "config" / "config.toml").read_text()
    text = CONFIG.sub(lambda match: f"{match[1]}\n```toml\n{config}```\n\n", text)
    text = COMMANDS.sub(lambda match: match[1] + "".join(_commands()), text)
    return with_tables(text)


def with_tables(text: str) -> str:
    """Return a text with its tables of keys written anew."""
    entries = json_schema()["$defs"]

    def table(match: re.Match[str]) -> str:
        rows = [row for key in match[3].split() for row in _rows(entries, entries[match[2]], key)]
        return match[1] + "".join(
            f"| {' | '.join(row)} |\n" for row in [("key", "default", "meaning"), ("---",) * 3, *rows]
        )

    return TABLE.sub(table, text)


def keys_in(text: str) -> dict[str, set[str]]:
    """Return the keys that the tables of a text have, by the names of their entries."""
    found: dict[str, set[str]] = {}
    for match in TABLE.finditer(text):
        found.setdefault(match[2], set()).update(match[3].split())
    return found


def _rows(entries: dict[str, Any], entry: dict[str, Any], key: str) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of a key and of the keys inside of its value."""
    value = entry["properties"][key]
    inside = entries.get(_first(value, "$ref").rpartition("/")[2], {})
    text = _linked(" ".join((value.get("description") or inside["description"]).split()))
    choices = [f"`{choice}`" for choice in _first(value.get("items", value), "enum")]
    if any(choice not in text for choice in choices):
        text += f" {'Any' if _first(value, 'items') else 'One'} of {', '.join(choices)}."
    yield f"`{key}`", _default(entry, key), text
    for name in inside.get("properties", ()):
        for _, *row in _rows(entries, inside, name):
            yield f"`{key}.{name}`", *row


def _first(value: dict[str, Any], keyword: str) -> Any:
    """Return what a keyword of a schema says of a value, or of one of the kinds that it may be of."""
    kinds = [value, *value.get("anyOf", ()), *(kind.get("items", {}) for kind in value.get("anyOf", ()))]
    return next((kind[keyword] for kind in kinds if keyword in kind), "")


def _default(entry: dict[str, Any], key: str) -> str:
    if key in entry.get("required", ()):
        return "required"
    default = entry["properties"][key].get("default")
    if default in (None, [], {}):
        return ""
    words = default if isinstance(default, list) and isinstance(default[0], str) else [default]
    return ", ".join(f"`{word if isinstance(word, str) else json.dumps(word)}`" for word in words)


def _linked(text: str) -> str:
    return re.sub(r'see "([^"]+)"', lambda match: f"see [{match[1]}]({LINKS[match[1]]})", text)


def _settings() -> Iterator[str]:
    """Yield the table of environment variables."""
    yield "| environment variable | default | meaning |\n| --- | --- | --- |\n"
    for variable in VARIABLES:
        default = f"`{variable.default}`" if variable.default else "required" if variable.is_required else ""
        yield f"| `{variable.name}` | {default} | {_linked(variable.meaning)} |\n"


def _commands() -> Iterator[str]:
    """Yield how `autoflow` itself and then each command is called."""
    parser = build_parser()
    yield from _command("autoflow", parser)
    subparsers = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in subparsers.choices.items():
        yield from _command(f"autoflow {name}", command)


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = [
        action
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
    ]
    yield f"\n### {name}\n\n{parser.description}\n\n"
    yield f"```text\n{' '.join((name, *_usage(actions)))}\n```\n\n"
    if parser.epilog and parser.epilog.startswith("examples:"):
        lines = (line.strip() for line in parser.epilog.splitlines()[1:])
        yield "".join(["```console\n", *(f"$ {line}\n" for line in lines), "```\n\n"])
    yield "| argument | |\n| --- | --- |\n"
    for action in actions:
        called = ", ".join(f"`{_called(action, option)}`" for option in action.option_strings or ("",))
        yield f"| {called} | {_meaning(action)} |\n"


def _usage(actions: Iterable[argparse.Action]) -> Iterator[str]:
    actions = list(actions)
    if any(action.option_strings and not action.required for action in actions):
        yield "[OPTIONS]"
    for action in actions:
        if action.option_strings and not action.required:
            continue
        text = _called(action, "".join(action.option_strings[-1:]))
        yield {"?": f"[{text}]", "*": f"[{text} ...]"}.get(str(action.nargs), text)


def _called(action: argparse.Action, option: str) -> str:
    if action.nargs == 0:
        return option
    value = action.metavar or action.dest.upper()
    return f"{option} {value}".strip()


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%%", "%")
    sentences = [text[:1].upper() + text[1:] + "."] if text else []
    if action.choices:
        sentences.append(f"One of {', '.join(f'`{choice}`' for choice in action.choices)}.")
    return " ".join(sentences)


if __name__ == "__main__":
    for page in sorted(REFERENCE.glob("*.md")):
        page.write_text(written_anew(page.read_text()))
