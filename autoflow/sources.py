# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What reports are made of besides data: notebooks, modules beside them, templates and static files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from autoflow.definitions import Notebook
from autoflow.files import file_hash
from autoflow.notebooks import read_content

Sources = Mapping[str, str]
"""Hashes of files by their paths below the inputs directory."""

LENGTH = 16
"""Hexadecimal digits of a hash: they only tell whether a file is another one."""

IMPORTS = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^#;\n]+))", re.MULTILINE)
RUNS = re.compile(r"""^[ \t]*%run[ \t]+(?:-\w+[ \t]+)*["']?([^\s"'#]+)""", re.MULTILINE)
"""Lines of Python and of IPython that bring in other files; code with IPython's own syntax does not parse as Python."""


def sources_of(inputs: Path, notebook: Notebook) -> Sources:
    """Hash what the results of a notebook, and its reports, are made of besides data.

    These are the notebook, the modules beside it that it imports, what it reads of the inputs directory, and what its
    reports are made with. Files that are not there are left out. Of notebooks the outputs do not count.
    """
    files = {inputs / notebook.filename, *modules_of(inputs / notebook.filename), *static_files(inputs, notebook.reads)}
    return {**_hashes(inputs, files), **form_of(inputs, notebook)}


def form_of(inputs: Path, notebook: Notebook) -> Sources:
    """Hash what the reports of a notebook are made with: templates, themes, a logo."""
    names = [name for output in notebook.outputs for name in (output.template, output.theme)]
    return _hashes(inputs, {inputs / name for name in (*names, notebook.sheet.logo) if name})


def changes(old: Sources, new: Sources) -> dict[str, str]:
    """Say of each file that differs whether it has changed, is new, or is gone."""
    return {
        name: "gone" if name not in new else "new" if name not in old else "changed"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }


def modules_of(notebook: Path) -> set[Path]:
    """Find the modules beside a notebook that it imports or runs, and those beside it that these import."""
    directory, found, left = notebook.parent, set[Path](), [notebook]
    while left:
        text = _code(left.pop())
        new = {path for name in _named(text) for path in _module(directory, name)}
        new |= {path for name in RUNS.findall(text) if (path := _run(directory, name)) is not None}
        left += new - found
        found |= new
    return found - {notebook}


def static_files(inputs: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Find what `reads` names of the inputs directory; files of a run, or that runs share, are in other places."""
    for pattern in patterns:
        yield from filter(_is_file, inputs.glob(pattern.removeprefix("inputs_dir/") or pattern))


def _named(text: str) -> Iterator[str]:
    """Name the modules that code imports, without what is below them."""
    for name, names in IMPORTS.findall(text):
        for each in (name or names).split(","):
            # `import` may stand in a text too, before anything
            yield each.strip().partition(" ")[0].partition(".")[0]


def _module(directory: Path, name: str) -> list[Path]:
    """Find the files of a module or package; relative imports, with an empty name, are of packages found already."""
    package = directory / name
    if name and package.is_dir():
        return list(filter(_is_file, package.rglob("*.py")))
    module = directory / f"{name}.py"
    return [module] if name and _is_file(module) else []


def _run(directory: Path, name: str) -> Path | None:
    """Find what ``%run`` names, as IPython does."""
    for each in (name, f"{name}.py"):
        path = Path(os.path.normpath(directory / each))
        if path.suffix in (".py", ".ipynb") and _is_file(path):
            return path
    return None


def _code(path: Path) -> str:
    """Return the code in a notebook or module; nothing where it cannot be read."""
    try:
        if path.suffix != ".ipynb":
            return path.read_text(encoding="utf-8")
        cells = read_content(path)["cells"]
    except (OSError, ValueError):
        return ""
    return "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # nobody is let in there
        return False


def _hashes(inputs: Path, files: Iterable[Path]) -> dict[str, str]:
    found = {}
    for path in sorted(files):
        # of files elsewhere there is no telling by what name they will be known
        if path.is_relative_to(inputs) and (said := _hash(path)):
            found[path.relative_to(inputs).as_posix()] = said[:LENGTH]
    return found


def _hash(path: Path) -> str:
    """Hash a file as far as it matters; empty where it cannot be read."""
    try:
        return _notebook_hash(path) if path.suffix == ".ipynb" else file_hash(path)
    except OSError:
        # why it cannot be read is for its execution to say
        return ""


def _notebook_hash(path: Path) -> str:
    """Hash what would be executed or shown: saving a notebook after it was tried changes outputs, counts and ids."""
    try:
        content = read_content(path)
    except ValueError:
        return file_hash(path)
    cells = [
        [cell["cell_type"], cell["source"], cell["metadata"].get("tags", []), cell.get("attachments")]
        for cell in content["cells"]
    ]
    kernel = content["metadata"].get("kernelspec", {}).get("name")
    return sha256(json.dumps([kernel, cells], sort_keys=True).encode()).hexdigest()
