# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where the time of a notebook goes, from AutoFlow's record and from what papermill wrote into the notebooks."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

PHASES = (
    "job starts, libraries included",
    "kernel starts",
    "cells",
    "between cells",
    "kernel stops, notebook is written",
    "job ends, outputs get their names, record",
)


def phases(outputs: Path) -> Iterator[dict[str, float]]:
    """Yield the seconds of each phase, for each notebook that was executed.

    Parameters
    ----------
    outputs
        Outputs of an AutoFlow that has ended, its record among them.
    """
    with closing(sqlite3.connect(f"file:{outputs / 'autoflow.db'}?mode=ro", uri=True)) as record:
        rows = record.execute("SELECT started, ended, notebook FROM notebooks WHERE state = 'succeeded'").fetchall()
    for started, ended, path in rows:
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
        whole = notebook["metadata"]["papermill"]
        cells = [cell["metadata"]["papermill"] for cell in notebook["cells"] if "papermill" in cell["metadata"]]
        spans = [(_moment(cell["start_time"]), _moment(cell["end_time"])) for cell in cells if cell.get("end_time")]
        first, last = min(start for start, _ in spans), max(end for _, end in spans)
        in_cells = sum(end - start for start, end in spans)
        yield dict(
            zip(
                PHASES,
                (
                    _moment(whole["start_time"]) - _moment(started),
                    first - _moment(whole["start_time"]),
                    in_cells,
                    last - first - in_cells,
                    _moment(whole["end_time"]) - last,
                    _moment(ended) - _moment(whole["end_time"]),
                ),
                strict=True,
            )
        )


def _moment(text: str) -> float:
    moment = dt.datetime.fromisoformat(text)
    # papermill's have no time zone and are UTC
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
