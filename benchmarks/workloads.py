# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The work that is measured: two notebooks for each date, the second of which reads the first."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMPORTS = "import flowclient, geopandas, matplotlib.pyplot as plt, pandas as pd, scrapbook as sb"
FIRST_DATE = dt.date(2016, 1, 1)


@dataclass(frozen=True)
class Workload:
    """Two notebooks in a directory, and the dates that they are executed for."""

    inputs: Path
    dates: tuple[str, ...]


def make(directory: Path, dates: int, *, realistic: bool, more_cells: int = 0) -> Workload:
    """Write notebooks, and the workflows.yml that runs them."""
    directory.mkdir(parents=True)
    first = [IMPORTS] if realistic else []
    more = [f"print({number})" for number in range(more_cells)]
    glue = "sb.glue('value', reference_date)" if realistic else "print(reference_date)"
    read = "print(sb.read_notebook(first).scraps['value'].data)" if realistic else "print(len(open(first).read()))"
    write_notebook(directory / "first.ipynb", "reference_date = ''", [*first, glue, *more])
    write_notebook(directory / "second.ipynb", "reference_date = ''; first = ''", [*first, read, *more])
    content: dict[str, Any] = {
        "workflows": [
            {
                "name": "bench",
                "notebooks": {
                    "first": {"filename": "first.ipynb", "parameters": {"reference_date": "reference_date"}},
                    "second": {
                        "filename": "second.ipynb",
                        "parameters": {"reference_date": "reference_date", "first": "first"},
                    },
                },
            }
        ],
        "available_dates_sensor": {"schedule": "0 0 1 1 *", "workflows": [{"workflow_name": "bench"}]},
    }
    # JSON is YAML
    (directory / "workflows.yml").write_text(json.dumps(content))
    days = tuple((FIRST_DATE + dt.timedelta(days=day)).isoformat() for day in range(dates))
    return Workload(directory, days)


def limit(workload: Workload, concurrency: int) -> None:
    """Let so many runs, and notebooks, go on at a time."""
    file = workload.inputs / "workflows.yml"
    content = json.loads(file.read_text())
    content["available_dates_sensor"]["concurrency"] = {"runs": concurrency, "notebooks": concurrency}
    file.write_text(json.dumps(content))


def write_notebook(path: Path, parameters: str, cells: list[str]) -> None:
    sources = [(parameters, ["parameters"]), *((cell, []) for cell in cells)]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"tags": tags},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, (source, tags) in enumerate(sources)
        ],
    }
    path.write_text(json.dumps(notebook))
