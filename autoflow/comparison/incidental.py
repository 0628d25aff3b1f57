# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is another in each execution of a notebook, and says nothing: addresses, names drawn by lot, when it was."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

SCRAP = re.compile(r"application/scrapbook\.scrap\.\w+\+json")
"""Kind of output that scrapbook keeps a glued value in, whatever it is encoded as."""

WIDGET = "application/vnd.jupyter.widget-view+json"

ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
DRAWN_ANEW = re.compile(r"<metadata>.*?</metadata>|\b[A-Za-z]+[0-9a-f]{10}\b", re.DOTALL)
"""What matplotlib writes into each SVG differently: when it was drawn, and names that it draws by lot."""

DRAWN_BY_LOT = re.compile(r"\bT_[0-9a-f]{5}|(?<![0-9a-f])[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}(?![0-9a-f])")
"""Names in HTML that pandas, folium and plotly draw by lot; those of folium follow an underscore."""

TIME = re.compile(r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?:\d*)(Z|[+-]\d\d:?\d\d)?")

ROUNDED = dt.timedelta(minutes=1)
"""What the time of an execution may be written without."""

Span = tuple[dt.datetime, dt.datetime]


def without_incidentals(kind: str, content: Any) -> str:
    """Write down what an output of a kind shows, without what it has anew in each execution, but for times."""
    if isinstance(content, list):
        content = "".join(map(str, content))
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    if kind == "image/svg+xml":
        text = DRAWN_ANEW.sub("", text)
    return text if kind.startswith("image/") else DRAWN_BY_LOT.sub("", ADDRESS.sub("0x...", text))


def span_of(notebook: Mapping[str, Any]) -> Span | None:
    """Read from when to when a notebook was executed."""
    made = notebook["metadata"].get("papermill", {})
    try:
        first, last = (dt.datetime.fromisoformat(made[name]) for name in ("start_time", "end_time"))
    except (KeyError, TypeError, ValueError):
        return None
    # papermill writes UTC, without a zone in some of its versions
    first, last = (time if time.tzinfo else time.replace(tzinfo=dt.UTC) for time in (first, last))
    return first - ROUNDED, last + ROUNDED


def without_times(text: str, span: Span | None) -> str:
    """Leave out the times at which a notebook was executed; those in data are others."""
    return TIME.sub(lambda found: "(time)" if _is_within(found, span) else found[0], text) if span else text


def _is_within(found: re.Match[str], span: Span) -> bool:
    try:
        time = dt.datetime.fromisoformat(f"{found[1]} {found[2]}{found[3] or ''}")
    except ValueError:
        return False
    # without a zone, it may be written in that of the machine, or in UTC
    read = [time] if time.tzinfo else [time.astimezone(), time.replace(tzinfo=dt.UTC)]
    return any(span[0] <= each <= span[1] for each in read)
