# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The second line against FlowAPI's token in a file: found in whatever guise, and the file refused."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autoflow.executed_notebook import cell_position
from autoflow.redaction import SHORTEST_SECRET

SHORTEST_SIGNATURE = 20
"""Characters from which on a token's last part is looked for on its own; it is what makes the token valid."""

BETWEEN = re.compile(r"\x1b\[[0-9;]*m|[^A-Za-z0-9+/=._%-]")
"""What may stand between pieces of a token: white space, quotes, commas, colours."""


@dataclass(frozen=True)
class TokenScan:
    """Finds a token in text: as it is, percent-encoded, in base64 or hexadecimal, and in pieces."""

    guises: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, token: str | None) -> TokenScan:
        """Prepare to look for a token; None and what is too short to be one are not looked for."""
        token = (token or "").strip()
        if len(token) < SHORTEST_SECRET:
            return cls()
        parts = token.split(".")
        secrets = [token, parts[-1]] if len(parts) == 3 and len(parts[-1]) >= SHORTEST_SIGNATURE else [token]
        guises = [guise for secret in secrets for guise in _guises(secret)]
        return cls(tuple(dict.fromkeys([*guises, *(BETWEEN.sub("", guise) for guise in guises)])))

    def is_in(self, text: str) -> bool:
        """Whether a text holds the token, also with other characters between its own."""
        if not self.guises:
            return False
        return any(guise in text for guise in self.guises) or any(map(BETWEEN.sub("", text).__contains__, self.guises))

    def cell_in(self, notebook: Mapping[str, Any]) -> int | None:
        """Find the cell with the token, by its position as the analyst counts; 0 is outside of all cells."""
        cells = notebook["cells"]
        for index, cell in enumerate(cells):
            if any(map(self.is_in, _texts_of(cell))):
                return cell_position(cells, index)
        rest = {key: value for key, value in notebook.items() if key != "cells"}
        return 0 if self.is_in(json.dumps(rest, ensure_ascii=False)) else None


@dataclass(frozen=True)
class Leak:
    """A token in an executed notebook."""

    cell: int | None
    """Position as the analyst counts; None is outside of all cells."""

    def __str__(self) -> str:
        where = f"what cell {self.cell} shows" if self.cell else "its metadata"
        return (
            f"FlowAPI's token is in {where}; the executed notebook is not kept: change the cell so that it is not shown"
        )


def refuse_leak(path: Path, token: str | None) -> Leak | None:
    """Remove an executed notebook that holds a token, and say where it was; None when it holds none."""
    scan = TokenScan.of(token)
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        cell = scan.cell_in(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        # not a whole notebook: then all of it is one text
        cell = 0 if scan.is_in(text) else None
    if cell is None:
        return None
    path.unlink()
    return Leak(cell or None)


def _guises(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield secret.encode().hex()
    yield secret[::-1]
    for offset in range(3):
        # the text that is encoded with it may begin one or two bytes before; the ends differ with what is beside
        padding = b"\0" * offset
        encoded = base64.b64encode(padding + secret.encode()).decode().rstrip("=")
        core = encoded[(0, 2, 3)[offset] : -1]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _texts_of(cell: Mapping[str, Any]) -> Iterator[str]:
    """Give the texts of a cell, what was printed in pieces as one."""
    yield _joined(cell.get("source", ""))
    streams: dict[str, list[str]] = {}
    everything = []
    for output in cell.get("outputs", ()):
        if "text" in output:
            streams.setdefault(output.get("name", ""), []).append(_joined(output["text"]))
        for kind, content in output.get("data", {}).items():
            text = _joined(content) if isinstance(content, (str, list)) else json.dumps(content, ensure_ascii=False)
            yield text
            if not kind.startswith("image/"):
                everything.append(text)
        yield "\n".join([output.get("ename", ""), output.get("evalue", ""), *output.get("traceback", ())])
        yield json.dumps(output.get("metadata", {}), ensure_ascii=False)
    for pieces in streams.values():
        yield "".join(pieces)
    yield "".join(everything)
    yield json.dumps([cell.get("metadata", {}), cell.get("attachments", {})], ensure_ascii=False)


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)
