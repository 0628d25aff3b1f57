# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Executed notebooks as plain JSON: where a failure is, and writing one in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ADDED_BY_PAPERMILL = frozenset({"injected-parameters", "papermill-error-cell-tag"})


def cell_position(cells: Sequence[Mapping[str, Any]], index: int) -> int:
    """Position, counted from 1, that a cell has in the notebook as the analyst wrote it."""
    return sum(ADDED_BY_PAPERMILL.isdisjoint(cell["metadata"].get("tags", ())) for cell in cells[: index + 1])


def executed_with(path: Path) -> Mapping[str, Any]:
    """Read the parameters that an executed notebook was given.

    Raises
    ------
    OSError, ValueError
        When the file is missing or no executed notebook.
    """
    try:
        parameters: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["metadata"]["papermill"][
            "parameters"
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: is not a notebook that papermill has executed") from error
    return parameters


def record_cause(path: Path, exception: str, message: str) -> int | None:
    """Write into an unfinished notebook why it ended, as an error of the cell that was running.

    Returns
    -------
    int or None
        The cell's position as the analyst counts, or None when no cell was running.

    Raises
    ------
    OSError, ValueError
        When the file is missing or no whole notebook, as after a kill in the middle of a write.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for index, cell in enumerate(notebook["cells"]):
        execution = cell["metadata"].get("papermill", {})
        if cell["cell_type"] == "code" and execution.get("status") == "running":
            execution.update(status="failed", exception=True)
            error = {"output_type": "error", "ename": exception, "evalue": message, "traceback": [message]}
            cell["outputs"] = [*cell["outputs"], error]
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")
            return cell_position(notebook["cells"], index)
    return None


def printed(path: Path) -> list[tuple[int, str]]:
    """Read what the cells of an executed notebook printed, by their position as the analyst counts.

    Raises
    ------
    OSError, ValueError
        When the file is missing or no notebook.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = []
    for index, cell in enumerate(cells):
        text = "".join(_printed(output) for output in cell.get("outputs", ()))
        if text.strip():
            found.append((cell_position(cells, index), text))
    return found


def _printed(output: Mapping[str, Any]) -> str:
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}\n"
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return text if isinstance(text, str) else "".join(text)
