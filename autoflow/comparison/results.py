# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether a notebook that was executed again has the very results that it had: of what it shows, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from autoflow.comparison.incidental import SCRAP, WIDGET, span_of, without_incidentals, without_times


def same_results(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool | None:
    """Compare what two executions of a notebook show: glued values, tables, figures and other results of cells.

    What they print is no result, nor is a time at which the execution went on, such as "made at".

    Parameters
    ----------
    old, new
        The executed notebooks, as JSON.

    Returns
    -------
    bool or None
        None where neither shows anything.
    """
    one, other = [*_results(old)], [*_results(new)]
    return one == other if one or other else None


def _results(notebook: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    span = span_of(notebook)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if result := _result(output.get("data", {})):
                yield tuple(without_times(text, span) for text in result)


def _result(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what is shown of an output that may be shown in several ways; nothing of what is no result."""
    for kind, content in data.items():
        if SCRAP.fullmatch(kind):
            # the rest of it is how scrapbook keeps it
            return "glued", str(content.get("name")), json.dumps(content.get("data"), sort_keys=True)
    if WIDGET in data:
        return ()
    # text is what stands for all else where nothing else can be shown
    rich = {kind: content for kind, content in data.items() if kind != "text/plain"} or data
    return tuple(text for kind in sorted(rich) for text in (kind, without_incidentals(kind, rich[kind])))
