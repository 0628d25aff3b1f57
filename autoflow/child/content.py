# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What of an executed notebook is in its report: decided by kinds of output and by the tags of cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from bs4 import BeautifulSoup
from nbformat import NotebookNode

from autoflow.child.html_tables import html_to_asciidoc
from autoflow.notebooks import cell_position

SHOWN_OUTPUTS = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain")

INTERACTIVE = re.compile(r"application/vnd\.(plotly|vega|vegalite|bokehjs|jupyter\.widget)\b.*|application/javascript")
"""Kinds of output that need a browser and a program; beside them stands what they look like on paper, or nothing."""

PROGRAM = re.compile(r"<(script|iframe|canvas|video|audio|object|embed)\b", re.IGNORECASE)

BLOCK = re.compile(r"^(p|div|br|hr|li|ul|ol|h[1-6]|tr|td|th|table|pre|blockquote|section|summary|dt|dd|figure)$")

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


def keep_content(notebook: NotebookNode, *, code: bool) -> list[str]:
    """Take out what is no content: cells and outputs that tags hide, errors, warnings on stderr, plots' objects.

    Parameters
    ----------
    code
        Whether the code of cells is shown where no tag says so.

    Returns
    -------
    list of str
        Warnings of outputs that no page can show.
    """
    warnings = []
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
        warnings += _keep_outputs(cell, number) if not tags & HIDES_OUTPUT else []
        if tags & HIDES_OUTPUT:
            cell.outputs = []
    notebook.cells = cells
    return warnings


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


def _keep_outputs(cell: NotebookNode, number: int) -> list[str]:
    has_plot = any(key.startswith("image/") for output in cell.outputs for key in output.get("data", ()))
    cell.outputs = [
        output
        for output in cell.outputs
        if output.output_type != "error"
        and output.get("name") != "stderr"
        and not (has_plot and set(output.get("data", ())) == {"text/plain"} and OBJECT.fullmatch(_text(output)))
    ]
    cell.outputs = list(_with_prints_joined(cell.outputs))
    warnings = []
    for output in list(cell.outputs):
        data = output.get("data")
        if data is None:
            continue
        _settle(data)
        if data.pop("autoflow/lost", None):
            warnings.append(
                f"cell {number} shows something interactive, which no report can hold; show a picture of it as well"
            )
        elif data and not any(kind in data for kind in SHOWN_OUTPUTS) and not _is_record(data):
            warnings.append(f"cell {number} has output of a kind that no report can hold: {', '.join(sorted(data))}")
        if not any(kind in data for kind in SHOWN_OUTPUTS):
            cell.outputs.remove(output)
    return warnings


def _with_prints_joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Join what was printed in one go, which kernels send in pieces: a piece may write over the one before."""
    for printed, group in groupby(outputs, lambda output: output.output_type == "stream"):
        first, *others = group
        if printed:
            first.text = "".join(output.text for output in (first, *others))
            yield first
        else:
            yield from (first, *others)


def _settle(data: dict[str, Any]) -> None:
    """Leave HTML and LaTeX only where a page can show them, or where there is nothing else."""
    html = data.get("text/html")
    is_table = html is not None and html_to_asciidoc(html) is not None
    programmed = html is not None and not is_table and PROGRAM.search(html) is not None
    interactive = programmed or any(INTERACTIVE.fullmatch(kind) for kind in data)
    if (interactive and not is_table) or DISPLAYED.fullmatch(str(data.get("text/plain", ""))):
        # the text that stands for it is a name in a program
        data.pop("text/plain", None)
    if html is not None and not is_table:
        others = any(kind in data for kind in SHOWN_OUTPUTS[1:])
        if others or programmed or not visible_text(html):
            del data["text/html"]
    latex = data.get("text/latex")
    if latex is not None and not FORMULA.search(latex) and "text/plain" in data:
        del data["text/latex"]
    if interactive and not any(kind in data for kind in SHOWN_OUTPUTS):
        data["autoflow/lost"] = True


def _is_record(data: dict[str, Any]) -> bool:
    """Whether an output is a note for programs, as scrapbook glues it."""
    return any(kind.startswith(("application/scrapbook", "application/papermill")) for kind in data)


def visible_text(html: str) -> str:
    """Read the text of HTML that a browser would show."""
    soup = BeautifulSoup(html, "html.parser")
    for unseen in soup(["style", "script", "template"]):
        unseen.decompose()
    for block in soup.find_all(BLOCK):
        block.insert_before("\n")
        block.append("\n")
    return soup.get_text().strip()


def _text(output: NotebookNode) -> str:
    text: str = output.get("data", {}).get("text/plain", "")
    return text.strip()
