# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A notebook's file as far as workflows.yml depends on it: its kernel, and its parameters."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoflow.bounded_file import LARGEST_NOTEBOOK, read_bounded
from autoflow.notebooks.token_scan import WEB_TOKEN
from autoflow.wording import shown

ALWAYS_INSTALLED = "python3"
"""The kernel that comes with ipykernel, which AutoFlow brings."""


OF_EXECUTIONS = ("papermill", "execution")
"""What executions write into the metadata of cells."""

OWN_METADATA = "autoflow"
"""Under which name AutoFlow adds to the metadata of executed notebooks."""

NOTEBOOK_METADATA: dict[str, type] = {
    "kernelspec": dict,
    "language_info": dict,
    "title": str,
    "authors": list,
    "orig_nbformat": int,
    "widgets": dict,
}
CELL_METADATA: dict[str, type] = {"name": str, "format": str, "collapsed": bool, "jupyter": dict, "deletable": bool}
"""Types that the format demands."""

FLOWCLIENT = re.compile(r"^\s*(?:import\s(?:.*,\s*)?|from\s+)flowclient\b", re.MULTILINE)
"""How a cell of Python imports flowclient."""

JSON_DATA = re.compile(r"application/(.*\+)?json$")
"""Kinds of data in attachments that need not be text."""


@dataclass(frozen=True)
class NotebookFile:
    """What is written in a notebook."""

    kernel: str | None
    language: str | None
    has_parameters_cell: bool
    parameters: frozenset[str] | None
    """Names that the cell tagged ``parameters`` defines; None when they cannot be told."""
    token_cell: int | None = None
    """The first cell whose source has something in it that looks like a token."""
    imports_flowclient: bool = False


def read_notebook(path: Path) -> NotebookFile:
    """Read a notebook as far as workflows.yml depends on it.

    Raises
    ------
    ValueError
        When it cannot be executed as a notebook, in words for a person.
    OSError
        When it cannot be read.
    """
    content = read_content(path)
    metadata = content["metadata"]
    kernel = _mapping(metadata.get("kernelspec"))
    language = _text(_mapping(metadata.get("language_info")).get("name")) or _text(kernel.get("language"))
    source = _parameters_cell(content["cells"])
    return NotebookFile(
        kernel=_text(kernel.get("name")),
        language=language,
        has_parameters_cell=source is not None,
        parameters=_assigned(source) if source is not None and language in (None, "python") else None,
        token_cell=next((n for n, cell in enumerate(content["cells"], 1) if WEB_TOKEN.search(cell["source"])), None),
        imports_flowclient=any(
            cell["cell_type"] == "code" and FLOWCLIENT.search(cell["source"]) for cell in content["cells"]
        ),
    )


def read_content(path: Path) -> dict[str, Any]:
    """Read a notebook so that it can be executed: what is amiss and does not matter is mended.

    Both who checks a notebook and who executes it read it by this, and so agree on what is one.

    Returns
    -------
    dict
        A valid notebook of format 4, without outputs.

    Raises
    ------
    ValueError
        When it cannot be executed as a notebook, in words for a person.
    OSError
        When it cannot be read.
    """
    try:
        # some editors begin a file with a mark
        content: Any = json.loads(read_bounded(path, LARGEST_NOTEBOOK).decode("utf-8-sig"))
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise ValueError("is not a notebook: it is not UTF-8 text") from None
    except UnicodeEncodeError:
        raise ValueError("is not a notebook: it contains half of a surrogate pair (\\ud800 to \\udfff)") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not a notebook: its JSON breaks at line {error.lineno} ({error.msg})") from None
    except (RecursionError, ValueError):
        raise ValueError("is not a notebook: its JSON is nested too deeply, or has too long a number") from None
    version = content.get("nbformat") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError("is not a notebook: it has no nbformat")
    if version in (2, 3):
        content = _of_format_3(content)
    elif version != 4:
        raise ValueError(f"is a notebook of format {version}, expected format 4; save it in a current Jupyter")
    if not isinstance(content.get("cells"), list):
        raise ValueError("is not a notebook: it has no cells")
    cells = [_mended_cell(cell, number) for number, cell in enumerate(content["cells"], 1)]
    minor = content.get("nbformat_minor")
    if not isinstance(minor, int) or isinstance(minor, bool) or minor < 0:
        minor = 4
    _give_ids(cells, wanted=minor >= 5)
    metadata = _of_known_types(_mapping(content.get("metadata")), NOTEBOOK_METADATA)
    metadata.pop("papermill", None)
    if isinstance(name := metadata.get("kernelspec", {}).get("name"), str):
        metadata["kernelspec"] = {"display_name": name, **metadata["kernelspec"]}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def _of_format_3(content: dict[str, Any]) -> dict[str, Any]:
    """Give a notebook of format 2 or 3 the shape of format 4."""
    cells = []
    for sheet in content.get("worksheets") or ():
        for cell in _mapping(sheet).get("cells") or ():
            if not isinstance(cell, dict):
                cells.append(cell)
                continue
            kind, source = cell.get("cell_type"), cell.get("input" if "input" in cell else "source")
            if kind == "heading":
                kind, source = "markdown", f"{'#' * _level(cell.get('level'))} {_joined(source)}"
            kind = "markdown" if kind == "html" else kind
            cells.append({"cell_type": kind, "metadata": cell.get("metadata"), "source": source})
    return {"cells": cells, "metadata": content.get("metadata")}


def _level(level: Any) -> int:
    return level if isinstance(level, int) and 1 <= level <= 6 else 1


def _mended_cell(cell: Any, number: int) -> dict[str, Any]:
    """Return a cell as format 4 has it, without its outputs.

    Raises
    ------
    ValueError
        Naming the cell, where it cannot be known what is meant.
    """
    if not isinstance(cell, dict):
        raise ValueError(f"has no cell where cell {number} should be: found {shown(cell)}")
    kind, source = cell.get("cell_type"), _joined("" if cell.get("source") is None else cell["source"])
    if kind not in ("code", "markdown", "raw"):
        raise ValueError(f"has a cell {number} of the type {shown(kind)}, expected code, markdown or raw")
    if source is None:
        raise ValueError(f"has a cell {number} whose source is {shown(cell['source'])}, expected text or its lines")
    metadata = cell.get("metadata")
    if not isinstance(metadata, dict | None):
        raise ValueError(f"has a cell {number} whose metadata are {shown(metadata)}, expected a mapping")
    # what an earlier execution said of itself
    metadata = {name: value for name, value in (metadata or {}).items() if name not in OF_EXECUTIONS}
    tags = metadata.pop("tags", None)
    tags = [tags] if isinstance(tags, str) else tags
    if not (tags is None or (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags))):
        raise ValueError(f"has a cell {number} whose tags are {shown(tags)}, expected a list of texts")
    if tags:
        metadata["tags"] = list(dict.fromkeys(tags))
    mended = {
        "cell_type": kind,
        "metadata": _of_known_types(metadata, CELL_METADATA),
        "source": source,
        "id": cell.get("id"),
    }
    if kind == "code":
        return {**mended, "outputs": [], "execution_count": None}
    attachments = cell.get("attachments")
    if not isinstance(attachments, dict | None) or not all(
        isinstance(each, dict) for each in (attachments or {}).values()
    ):
        raise ValueError(f"has a cell {number} whose attachments are {shown(attachments)}, expected a mapping")
    for name, contents in (attachments or {}).items():
        for kind_of_data, data in contents.items():
            if not JSON_DATA.match(kind_of_data) and not _is_text(data):
                raise ValueError(
                    f"has a cell {number} whose attachment {shown(name)} has {shown(data)} as {shown(kind_of_data)},"
                    " expected text"
                )
    return {**mended, "attachments": attachments} if attachments else mended


def _is_text(value: Any) -> bool:
    """Whether a value is a text, or the lines of one."""
    lines = value if isinstance(value, list) else [value]
    return all(isinstance(line, str) for line in lines)


def _of_known_types(metadata: dict[str, Any], types: Mapping[str, type]) -> dict[str, Any]:
    """Leave out of metadata what the format says to be of another type: it changes nothing in what is executed."""
    return {name: value for name, value in metadata.items() if isinstance(value, types.get(name, object))}


def _give_ids(cells: list[dict[str, Any]], *, wanted: bool) -> None:
    """Give each cell an id of its own where the format has them, its own one where that can be kept."""
    taken: set[str] = set()
    for number, cell in enumerate(cells):
        own = cell.pop("id")
        if wanted:
            usable = isinstance(own, str) and re.fullmatch(r"[\w-]{1,64}", own, re.ASCII) and own not in taken
            cell["id"] = own if usable else f"cell-{number}-{'x' * len(cells)}"[:64]
            taken.add(cell["id"])


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


def installed_kernels() -> dict[str, str]:
    """Find the kernels that Jupyter would find, and their languages, by name."""
    from jupyter_client.kernelspec import KernelSpecManager

    specifications = KernelSpecManager().get_all_specs()
    return {name: str(each["spec"].get("language", "")) for name, each in sorted(specifications.items())}


def _parameters_cell(cells: list[Any]) -> str | None:
    """Find the source of the first cell tagged ``parameters``."""
    return next((cell["source"] for cell in cells if "parameters" in cell["metadata"].get("tags", ())), None)


def _assigned(source: str) -> frozenset[str] | None:
    """Collect the names that Python code assigns to; None when it does not parse."""
    try:
        with warnings.catch_warnings():
            # an odd escape in a user's text is not worth a warning
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # perhaps IPython's own syntax: it cannot be told
        return None
    return frozenset(
        node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _joined(text: Any) -> str | None:
    """Return a text that may come as lines; None when it is none."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "".join(text)
    return text if isinstance(text, str) else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
