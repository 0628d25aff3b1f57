# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A notebook's file as far as workflows.yml depends on it: its kernel, and its parameters."""

from __future__ import annotations

import ast
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoflow.bounded_file import LARGEST_NOTEBOOK, read_bounded

ALWAYS_INSTALLED = "python3"
"""The kernel that comes with ipykernel, which AutoFlow brings."""


@dataclass(frozen=True)
class NotebookFile:
    """What is written in a notebook."""

    kernel: str | None
    language: str | None
    has_parameters_cell: bool
    parameters: frozenset[str] | None
    """Names that the cell tagged ``parameters`` defines; None when they can not be told."""


def read_notebook(path: Path) -> NotebookFile:
    """Read a notebook.

    Raises
    ------
    ValueError
        When the file is no notebook of format 4, in words for a person.
    OSError
        When it can not be read.
    """
    try:
        content: Any = json.loads(read_bounded(path, LARGEST_NOTEBOOK).decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("is no notebook: it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no notebook: its JSON breaks at line {error.lineno} ({error.msg})") from None
    except (RecursionError, ValueError):
        raise ValueError("is no notebook: its JSON is nested too deeply, or has too long a number") from None
    version = content.get("nbformat") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise ValueError("is no notebook: it has no nbformat")
    if version != 4:
        raise ValueError(f"is a notebook of format {version}, expected format 4; save it in a current Jupyter")
    if not isinstance(content.get("cells"), list):
        raise ValueError("is no notebook: it has no cells")
    metadata = _mapping(content.get("metadata"))
    kernel = _mapping(metadata.get("kernelspec"))
    language = _text(_mapping(metadata.get("language_info")).get("name")) or _text(kernel.get("language"))
    source = _parameters_cell(content["cells"])
    return NotebookFile(
        kernel=_text(kernel.get("name")),
        language=language,
        has_parameters_cell=source is not None,
        parameters=_assigned(source) if source is not None and language in (None, "python") else None,
    )


def kernel_is_installed(name: str) -> bool:
    """Whether Jupyter would find a kernel of this name."""
    if name.lower() == ALWAYS_INSTALLED:
        return True
    # only notebooks of another kernel pay for this import
    from jupyter_core.paths import jupyter_path

    return any(
        spec.parent.name.lower() == name.lower()
        for directory in jupyter_path("kernels")
        for spec in Path(directory).glob("*/kernel.json")
    )


def _parameters_cell(cells: list[Any]) -> str | None:
    """Find the source of the first cell tagged ``parameters``."""
    for cell in map(_mapping, cells):
        tags = _mapping(cell.get("metadata")).get("tags")
        if isinstance(tags, list) and "parameters" in tags:
            source = cell.get("source")
            return "".join(map(str, source)) if isinstance(source, list) else str(source)
    return None


def _assigned(source: str) -> frozenset[str] | None:
    """Collect the names that Python code assigns to; None when it does not parse."""
    try:
        with warnings.catch_warnings():
            # an odd escape in somebody's text is not for AutoFlow to complain of
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # perhaps IPython's own syntax: it can not be told
        return None
    return frozenset(
        node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
