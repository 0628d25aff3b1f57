# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The manifest of a report: what it was made of, so that a reader can trust it, and repeat it."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoflow.comparison import compared, read_executed
from autoflow.files import file_hash
from autoflow.notebooks import OWN_METADATA

MOST_VALUES = 100
"""Glued values that a manifest shows as they were and are."""

SCRAP = "application/scrapbook.scrap.json+json"
QUERY_NAME = re.compile(r"query_?ids?", re.IGNORECASE)


def write_manifest(
    path: Path, known: Mapping[str, Any], reports: list[dict[str, Any]], files: Mapping[str, str | None]
) -> str:
    """Write a manifest beside its reports.

    Parameters
    ----------
    known
        What the daemon knows of the run; ``notebooks`` has a mapping with ``executed``, a path, for each.
    reports
        What is known of each report.
    files
        Paths of the template and the theme, by these names; None for AutoFlow's own.

    Returns
    -------
    str
        What was written.
    """
    content = {
        **known,
        **_before(known),
        "notebooks": [_notebook(notebook) for notebook in known.get("notebooks", ())],
        "reports": reports,
        **{
            name: {"file": Path(file).name, "sha256": file_hash(Path(file))} if file else None
            for name, file in files.items()
        },
        "python": platform.python_version(),
        "packages": _packages(),
    }
    # names of files that are not UTF-8 are written as JSON escapes them
    text = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace").decode()
    path.write_text(text, encoding="utf-8")
    return text


def _before(known: Mapping[str, Any]) -> dict[str, Any]:
    """Say what has changed since the notebook was executed with dates missing, where it was."""
    before = known.get("provisional_before")
    if before is None:
        return {}
    executed, old = {each["label"]: each["executed"] for each in known["notebooks"]}, Path(before["executed"])
    try:
        changes = compared(read_executed(old), read_executed(Path(executed[known["notebook"]])))
    except (OSError, ValueError):
        # it has been removed since, or is none any more
        said = None
    else:
        values = [{"name": each.name, "old": each.old, "new": each.new} for each in changes.values[:MOST_VALUES]]
        tables = sum(len(each.cells) for each in changes.tables)
        said = {"values": values, "table_cells": tables, "texts": len(changes.texts), "pictures": len(changes.pictures)}
    return {"provisional_before": {**before, "executed": old.name, "changes": said}}


def _packages() -> dict[str, str]:
    """List what is installed, by the names of its records: reading them all takes 0.3 s."""
    records = {record.stem for directory in sys.path for record in Path(directory).glob("*.dist-info")}
    parted = (record.rpartition("-") for record in sorted(records, key=str.lower))
    return {name: version for name, _, version in parted}


def _notebook(notebook: Mapping[str, Any]) -> dict[str, Any]:
    executed = Path(notebook["executed"])
    content = json.loads(executed.read_text(encoding="utf-8"))
    kernel = content["metadata"].get(OWN_METADATA, {}).get("kernel")
    return {
        **notebook,
        "executed": executed.name,
        "executed_sha256": file_hash(executed),
        "query_ids": _query_ids(content),
        **({"kernel": kernel} if kernel else {}),
    }


def _query_ids(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what a notebook has glued under names such as ``query_id``."""
    scraps = [output.get("data", {}).get(SCRAP) for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return {scrap["name"]: scrap["data"] for scrap in scraps if scrap and QUERY_NAME.search(str(scrap.get("name")))}
