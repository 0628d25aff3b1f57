# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Try a template on a small notebook, so that a mistake in it is found before a report is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from autoflow.child.report.report import Content, to_asciidoc


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Render a template.

    Parameters
    ----------
    request
        ``template``: its path.

    Raises
    ------
    ReportError
        Naming the line of the template, and what is wrong.
    """
    new = nbformat.v4
    table = "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
    outputs = [
        new.new_output("stream", name="stdout", text="printed"),
        new.new_output("display_data", {"text/markdown": "**shown**", "text/plain": "shown"}),
        new.new_output("execute_result", {"text/html": table, "text/plain": "a 1"}, execution_count=1),
    ]
    cells = [new.new_markdown_cell("# Title\n\nText"), new.new_code_cell("code", outputs=outputs, execution_count=1)]
    # what markdown becomes is of no interest here
    to_asciidoc(new.new_notebook(cells=cells), Content({}, {table: table}, {}, [], str), request["template"], workspace)
    return {}
