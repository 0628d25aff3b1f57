# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a final run has changed, against the provisional one before it, as the manifests of its reports say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autoflow.bounded_file import read_bounded
from autoflow.model import RecordedNotebook
from autoflow.naming import MANIFEST
from autoflow.wording import CACHE_DOUBT, counted, shortened

LARGEST_MANIFEST = 16_000_000
MOST_VALUES = 10
"""Values of one notebook that people are shown; the manifest has more."""


def final_changes(notebooks: Iterable[RecordedNotebook]) -> list[str]:
    """Say in words which glued values differ, and how much else does, one thing a line; nothing of other runs."""
    made = [each for each in notebooks if each.report]
    several = len(made) > 1
    return [
        f"{each.label}: {line}" if several else line
        for each in made
        for line in _lines(_before(Path(each.report or "")))
    ]


def _before(report: Path) -> dict[str, Any]:
    """Read how it was before; nothing where it was no provisional run then, or nobody knows any more."""
    try:
        found = json.loads(read_bounded(report.with_suffix(MANIFEST), LARGEST_MANIFEST))["provisional_before"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(before: dict[str, Any]) -> Iterator[str]:
    if before.get("same_results") is True:
        yield "no result is different: glued values, tables and figures are the same"
        return
    changes = before.get("changes")
    if not isinstance(changes, dict):
        return
    values = changes.get("values") or []
    for each in values[:MOST_VALUES]:
        yield f"{shortened(str(each['name']))}: {_value(each['old'])} -> {_value(each['new'])}"
    more = [
        (len(values) - MOST_VALUES, "more value", ""),
        (changes.get("table_cells") or 0, "cell of tables", "cells of tables"),
        (changes.get("texts") or 0, "text", ""),
        (changes.get("pictures") or 0, "picture", ""),
    ]
    others = [counted(number, one, several) for number, one, several in more if number > 0]
    if others:
        yield f"{'also different' if values else 'different'}: {', '.join(others)}"
    elif changes and not values:
        yield "no result is different"
    if len(others) == 1 and not values and changes.get("texts"):
        # such as how many days there are, which FlowMachine knows nothing of
        yield f"no glued value, table or figure is different: {CACHE_DOUBT}"


def _value(value: Any) -> str:
    return "nothing" if value is None else f"{value:,}" if type(value) is int else shortened(str(value))
