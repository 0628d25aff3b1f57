# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The tables of keys in the docs: ``make key-tables`` writes them anew, from `autoflow.definitions`.

A comment before each table names the keys that it has: ``<!-- keys of Entry: key key ... -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from autoflow.parser import json_schema
from tests.conftest import ROOT

REFERENCE = ROOT / "docs/reference/workflows-yml.md"

TABLE = re.compile(r"(<!-- keys of (\w+): ([\w ]+) -->\n)(?:\|.*\n)*")


def with_tables(text: str) -> str:
    """Return a text with its tables written anew."""
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
    text = " ".join((value.get("description") or inside["description"]).split())
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


if __name__ == "__main__":
    REFERENCE.write_text(with_tables(REFERENCE.read_text()))
