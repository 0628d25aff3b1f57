# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which cell of a notebook a warning about its report is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from autoflow.notices import Notice

MARK = re.compile(r"^//autoflow-cell (\d+)$", re.MULTILINE)
"""The comment in asciidoc where what a cell shows begins; `config/asciidoc_extended.tpl` writes it."""

LINE = re.compile(r"\bline (\d+)\b")


def as_json(notices: Iterable[Notice]) -> list[dict[str, Any]]:
    """Return notices as JSON, each once."""
    ordered = sorted(dict.fromkeys(notices), key=lambda notice: (notice.cell is None, notice.cell or 0))
    return [asdict(notice) for notice in ordered]


def placed(message: str, asciidoc: str) -> Notice:
    """Find the cell that a message of asciidoctor's about one of its lines is about."""
    match = LINE.search(message)
    if match is None:
        return Notice(None, message)
    above = "\n".join(asciidoc.split("\n")[: int(match.group(1))])
    cells = MARK.findall(above) or MARK.findall(asciidoc)[:1]
    return Notice(int(cells[-1]) if cells else None, message)


def cells_with(words: Iterable[str], texts: Mapping[int, str]) -> list[int]:
    """List the cells in whose text one of some words is."""
    wanted = list(words)
    return [cell for cell, text in texts.items() if any(word in text for word in wanted)]
