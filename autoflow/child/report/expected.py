# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a reader has to find of each cell, by Jupyter's own rendering."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mistune import HTMLRenderer
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from autoflow.child.report.asciidoc import printed
from autoflow.child.report.content import SHOWN_OUTPUTS
from autoflow.child.report.html_content import visible_text
from autoflow.child.report.markdown import reader
from autoflow.child.report.notices import MARK
from autoflow.child.report.pictures import REFERENCE

ON_SCREEN = re.compile(r"^ifndef::backend-pdf\[\]\n.*?^endif::\[\]$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class ExpectedCell:
    """What is expected of one cell."""

    number: int
    text: str
    folded: str
    """What pages that can fold have besides."""
    pictures: tuple[Path, ...]


def expected_cells(
    notebook: NotebookNode, html_texts: Mapping[str, str], asciidoc: str, directory: Path
) -> tuple[ExpectedCell, ...]:
    """Tell what is expected of the cells of a notebook.

    Parameters
    ----------
    html_texts
        What a reader sees of the HTML among outputs.
    asciidoc
        The document, with marks where cells begin; its pictures are in a directory.
    """
    pictures = dict(_pictures(asciidoc, directory))
    cells = []
    for cell in notebook.cells:
        known = cell.metadata["autoflow"]
        code = cell.source if cell.cell_type == "code" else ""
        shown = [*_shown(cell, html_texts), code if known.get("input") == "shown" else ""]
        folded = code if known.get("input") == "folded" else ""
        cells.append(ExpectedCell(known["number"], "\n".join(shown), folded, pictures.get(known["number"], ())))
    return tuple(cells)


def _pictures(asciidoc: str, directory: Path) -> Iterator[tuple[int, tuple[Path, ...]]]:
    parts = MARK.split(ON_SCREEN.sub("", asciidoc))
    for number, part in zip(parts[1::2], parts[2::2], strict=True):
        files = (directory / match.group(2) for match in REFERENCE.finditer(part))
        yield int(number), tuple(file for file in files if file.is_file())


def _shown(cell: NotebookNode, html_texts: Mapping[str, str]) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield markdown_text(cell.source)
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        kind = next((each for each in SHOWN_OUTPUTS if each in data), None)
        if output.output_type == "stream":
            yield printed(output.text)
        elif kind == "text/html":
            yield html_texts.get(data[kind], "")
        elif kind == "text/markdown":
            yield markdown_text(data[kind])
        elif kind == "text/plain":
            yield printed(data[kind])


class _Renderer(IPythonRenderer):
    """Jupyter's own, but for formulas, whose source nobody sees, and for the colours of code."""

    block_code = HTMLRenderer.block_code

    def inline_math(self, *_: object, **__: object) -> str:
        return " "

    def block_math(self, *_: object, **__: object) -> str:
        return " "

    def latex_environment(self, *_: object, **__: object) -> str:
        return " "


@cache
def _reader() -> MarkdownWithMath:
    return reader(_Renderer(escape=False, exclude_anchor_links=True))


def markdown_text(source: str) -> str:
    """Read what Jupyter shows of markdown."""
    return visible_text(_reader().render(source))
