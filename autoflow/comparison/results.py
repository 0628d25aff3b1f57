# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether a notebook that was executed again has the very results that it had: of what it shows, byte by byte."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from autoflow.comparison.content import ADDRESS, DRAWN_ANEW, SCRAP

DRAWN_BY_LOT = re.compile(r"\bT_[0-9a-f]{5}|\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")
"""Names in HTML that pandas, folium and plotly draw by lot."""

TIME = re.compile(r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?:\d*)(Z|[+-]\d\d:?\d\d)?")

WIDGET = "application/vnd.jupyter.widget-view+json"

ROUNDED = dt.timedelta(minutes=1)
"""What the time of an execution may be written without."""


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
    span = _span(notebook)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if result := _result(output.get("data", {})):
                yield tuple(_without_times(text, span) for text in result)


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
    return tuple(text for kind in sorted(rich) for text in (kind, _text(kind, rich[kind])))


def _text(kind: str, content: Any) -> str:
    if isinstance(content, list):
        content = "".join(map(str, content))
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    if kind == "image/svg+xml":
        text = DRAWN_ANEW.sub("", text)
    return text if kind.startswith("image/") else DRAWN_BY_LOT.sub("", ADDRESS.sub("0x...", text))


Span = tuple[dt.datetime, dt.datetime]


def _span(notebook: Mapping[str, Any]) -> Span | None:
    """Read from when to when a notebook was executed."""
    made = notebook["metadata"].get("papermill", {})
    try:
        first, last = (dt.datetime.fromisoformat(made[name]) for name in ("start_time", "end_time"))
    except (KeyError, TypeError, ValueError):
        return None
    # papermill writes UTC, without a zone in some of its versions
    first, last = (time if time.tzinfo else time.replace(tzinfo=dt.UTC) for time in (first, last))
    return first - ROUNDED, last + ROUNDED


def _without_times(text: str, span: Span | None) -> str:
    """Leave out the times at which a notebook was executed; those in data are others."""
    return TIME.sub(lambda found: "" if _is_within(found, span) else found[0], text) if span else text


def _is_within(found: re.Match[str], span: Span) -> bool:
    try:
        time = dt.datetime.fromisoformat(f"{found[1]} {found[2]}{found[3] or ''}")
    except ValueError:
        return False
    # without a zone, it may be written in that of the machine, or in UTC
    read = [time] if time.tzinfo else [time.astimezone(), time.replace(tzinfo=dt.UTC)]
    return any(span[0] <= each <= span[1] for each in read)
