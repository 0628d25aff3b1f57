# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What of an executed notebook is in its report: decided by kinds of output and by the tags of cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any

from nbformat import NotebookNode

from autoflow.child.report.html_content import shown_by, shows_text_instead
from autoflow.notebooks import cell_position
from autoflow.notices import Notice

SHOWN_OUTPUTS = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain")

OTHER_PICTURES = ("image/gif", "image/webp", "image/bmp", "image/tiff")

INTERACTIVE = re.compile(r"application/vnd\.(plotly|vega|vegalite|bokehjs|jupyter\.widget)\b.*|application/javascript")
"""Kinds of output that need a browser and a program; beside them stands what they look like on paper, or nothing."""

LOADING = re.compile(r"application/vnd\.bokehjs_load\b.*")
"""What only prepares for what comes."""

OBJECT = re.compile(r"<[\w.]*(Figure|Axes|AxesSubplot|Text|Line2D|Colorbar)\b.*>|\[<matplotlib.*>\]", re.DOTALL)
"""How Python shows a plot's object: no content next to the plot itself."""

DISPLAYED = re.compile(r"<IPython\.core\.display\.\w+ object>")
"""How IPython names what it was to display."""

FORMULA = re.compile(
    r"\$|\\\[|\\\(|\\begin\{(equation|align|gather|multline|eqnarray|aligned|gathered|math|displaymath)\*?\}"
)
"""What LaTeX has to have to be a formula; tables and code in LaTeX are for paper that TeX makes."""

HIDES_CELL = frozenset({"remove-cell", "remove_cell", "hide-cell", "hide_cell"})
HIDES_INPUT = frozenset({"remove-input", "remove_input", "hide-input", "hide_input"})
HIDES_OUTPUT = frozenset({"remove-output", "remove_output", "hide-output", "hide_output"})
SHOWS_INPUT = frozenset({"show-input", "show_input"})


def keep_content(notebook: NotebookNode, *, code: bool) -> list[Notice]:
    """Remove what is no content: cells and outputs that tags hide, errors, warnings on stderr, plots' objects.

    Parameters
    ----------
    code
        Whether the code of cells is shown where no tag says so.

    Returns
    -------
    list of Notice
        What no page can show.
    """
    notices: list[Notice] = []
    cells = []
    for index, cell in enumerate(notebook.cells):
        number = cell_position(notebook.cells, index)
        tags = set(cell.metadata.get("tags", ()))
        if tags & HIDES_CELL or _is_foreign(cell):
            continue
        cells.append(cell)
        cell.metadata["autoflow"] = {"number": number}
        if cell.cell_type != "code":
            continue
        shown = _input(tags, code=code)
        cell.metadata["autoflow"]["input"] = shown
        if shown == "hidden":
            # what nbconvert's own templates look at
            cell.metadata["transient"] = {"remove_source": True}
        notices += _keep_outputs(cell, number) if not tags & HIDES_OUTPUT else []
        if tags & HIDES_OUTPUT:
            cell.outputs = []
    notebook.cells = cells
    return notices


def _is_foreign(cell: NotebookNode) -> bool:
    """Whether a raw cell is written for another format than a report's."""
    kind = cell.metadata.get("raw_mimetype") or cell.metadata.get("format") or ""
    return cell.cell_type == "raw" and kind not in ("", "text/asciidoc")


def _input(tags: set[str], *, code: bool) -> str:
    """Say how code is shown: on every page, folded where pages can be, or nowhere."""
    if tags & HIDES_INPUT:
        return "hidden"
    if tags & SHOWS_INPUT:
        return "shown"
    if tags & {"parameters", "injected-parameters"}:
        return "folded"
    return "shown" if code else "folded"


def _keep_outputs(cell: NotebookNode, number: int) -> list[Notice]:
    has_plot = any(key.startswith("image/") for output in cell.outputs for key in output.get("data", ()))
    cell.outputs = [
        output
        for output in cell.outputs
        if output.output_type != "error"
        and output.get("name") != "stderr"
        and not (has_plot and set(output.get("data", ())) == {"text/plain"} and OBJECT.fullmatch(_text(output)))
    ]
    cell.outputs = list(_with_prints_joined(cell.outputs))
    notices = []
    for output in list(cell.outputs):
        data = output.get("data")
        if data is None:
            continue
        lost = _settle(data)
        if lost:
            notices.append(Notice(number, f"{lost} cannot be in a report; show a picture of it as well"))
            # in its place
            data["text/html"] = f"<p><em>{escape(f'Not in this report: {lost}')}</em></p>"
        if not any(kind in data for kind in SHOWN_OUTPUTS):
            cell.outputs.remove(output)
    return notices


def _with_prints_joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Join what was printed in one go, which kernels send in pieces: a piece may write over the one before."""
    for printed, group in groupby(outputs, lambda output: output.output_type == "stream"):
        first, *others = group
        if printed:
            first.text = "".join(output.text for output in (first, *others))
            yield first
        else:
            yield from (first, *others)


def _settle(data: dict[str, Any]) -> str | None:
    """Leave of the looks of an output those that a page can have, and name what none can have where nothing is left."""
    if any(LOADING.fullmatch(kind) for kind in data):
        data.clear()
        return None
    _replace(data)
    html = data.get("text/html")
    visible, programmed = shown_by(html) if html is not None else (False, False)
    interactive = programmed or any(INTERACTIVE.fullmatch(kind) for kind in data)
    if (interactive and not visible) or DISPLAYED.fullmatch(str(data.get("text/plain", ""))):
        # the text that stands for it is a name in a program
        data.pop("text/plain", None)
    pictured = any(kind.startswith("image/") and kind in SHOWN_OUTPUTS for kind in data)
    if html is not None and (not visible or (interactive and pictured)):
        del data["text/html"]
    latex = data.get("text/latex")
    if latex is not None and not FORMULA.search(latex) and "text/plain" in data:
        del data["text/latex"]
    if any(kind in data for kind in SHOWN_OUTPUTS) or _is_record(data):
        return None
    if interactive:
        return "interactive output"
    kinds = ", ".join(sorted(data))
    # nbconvert would write it into a file
    data.pop("application/pdf", None)
    return f"output of the kind {kinds}" if kinds else None


def _replace(data: dict[str, Any]) -> None:
    """Put looks that a page can have in the place of others."""
    html = data.get("text/html")
    if html is not None and shows_text_instead(html) and "text/plain" in data:
        del data["text/html"]
    if "application/json" in data and DISPLAYED.fullmatch(str(data.get("text/plain", ""))):
        data["text/plain"] = json.dumps(data["application/json"], ensure_ascii=False, indent=1)
    for kind in OTHER_PICTURES:
        if kind in data and "image/png" not in data:
            # they are read by what is in them, and written as PNG
            data["image/png"] = data.pop(kind)


def _is_record(data: dict[str, Any]) -> bool:
    """Whether an output is a note for programs, as scrapbook glues it."""
    return any(kind.startswith(("application/scrapbook", "application/papermill")) for kind in data)


def _text(output: NotebookNode) -> str:
    text: str = output.get("data", {}).get("text/plain", "")
    return text.strip()
