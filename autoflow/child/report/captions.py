# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Captions and alternative texts that a notebook gives to its pictures and tables, in metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from nbformat import NotebookNode

from autoflow.child.report.asciidoc import literal

PICTURES = ("image/svg+xml", "image/png", "image/jpeg")

TABLE = re.compile(r"<table\b[^>]*>(?!\s*<caption)", re.IGNORECASE)


def put_captions(notebook: NotebookNode) -> None:
    """Give each picture and table the caption and the alternative text that there is for it.

    A cell's metadata may have ``caption`` and ``alt``: a text for the first picture or table that it
    shows, or a list of them. So may the metadata of an output, as in ``display(figure, metadata={"caption": ...})``,
    for itself. Where a picture has a caption alone, that is its alternative text too.
    """
    for cell in notebook.cells:
        captions, alternatives = _texts(cell.metadata.get("caption")), _texts(cell.metadata.get("alt"))
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            kind = (output.get("metadata", {}).get("autoflow") or {}).get("kind")
            table = TABLE.search(data.get("text/html", ""))
            if not table and not kind:
                continue
            caption = str(output.metadata.get("caption") or next(captions, ""))
            alternative = str(output.metadata.get("alt") or next(alternatives, ""))
            if table:
                _caption_table(data, table, caption)
            elif kind:
                _caption_picture(output, kind, caption, alternative)


def _texts(said: Any) -> Iterator[str]:
    return iter([str(each) for each in (said if isinstance(said, list) else [said]) if each])


def _caption_table(data: dict[str, Any], table: re.Match[str], caption: str) -> None:
    if caption:
        html = data["text/html"]
        data["text/html"] = f"{html[: table.end()]}<caption>{escape(caption)}</caption>{html[table.end() :]}"


def _caption_picture(output: NotebookNode, kind: str, caption: str, alternative: str) -> None:
    noted = output.metadata["autoflow"]
    own = output.metadata.get(kind)
    given = alternative or (str(own["alt"]) if isinstance(own, dict) and own.get("alt") else "") or caption
    if caption:
        noted["title"] = f".{literal(caption)}\n"
    if given:
        noted["attributes"] = re.sub(r'^"[^"]*"', lambda _: f'"{literal(given)}"', noted["attributes"])
