# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The history of runs: attempts, the newest first, as far as they are asked for, a page at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from autoflow.child.page.shared import NotFoundError, PageRequest, short
from autoflow.model import RecordedAttempt, WantedAttempts
from autoflow.runs import AttemptState, RunState
from autoflow.wording import parameters_text, seconds_text, shown

PAGE = 50
"""Attempts on a page."""

STATES = (*(state.value for state in AttemptState), RunState.PROVISIONAL.value)

FILTERS = ("workflow", "state", "first", "last")
LARGEST_ID = 10**15

MESSAGE = 200


def runs_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template, and what is in it.

    Raises
    ------
    NotFoundError
        When what is asked for cannot be read, and what was expected.
    """
    asked = {name: page.request.get(name, "").strip() for name in FILTERS}
    before = _number(page.request.get("before", ""))
    found = page.reader.page_of_attempts(_wanted(asked), before, PAGE + 1)
    attempts, more = found[:PAGE], len(found) > PAGE
    return "runs.html", {
        "asked": asked,
        "filtered": any(asked.values()),
        "workflows": sorted({*page.reader.workflows(), *page.definitions.workflows}),
        "states": STATES,
        "attempts": [attempt_row(page, attempt) for attempt in attempts],
        "older": _link(page, asked, attempts[-1].id) if more else None,
        "newest": _link(page, asked, None) if before is not None else None,
    }


def attempt_row(page: PageRequest, attempt: RecordedAttempt) -> dict[str, Any]:
    """Return an attempt as a row of a table."""
    ended = attempt.ended if attempt.attempt else None
    return {
        "run": attempt,
        "link": page.links.page(f"runs/{attempt.name}"),
        "workflow_link": page.workflow(attempt.workflow),
        "parameters": parameters_text(attempt.parameters),
        "took": seconds_text((ended - attempt.started).total_seconds()) if ended else "",
        "error": short(attempt.failure or "", MESSAGE),
    }


def _wanted(asked: Mapping[str, str]) -> WantedAttempts:
    if asked["state"] and asked["state"] not in STATES:
        raise NotFoundError(f"There is no state {shown(asked['state'])}; expected one of {', '.join(STATES)}.")
    dates = _date(asked["first"]), _date(asked["last"])
    return WantedAttempts(asked["workflow"] or None, asked["state"] or None, *dates)


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise NotFoundError(f"{shown(text)} is no date; expected one such as 2016-01-01.") from None


def _number(text: str) -> int | None:
    return min(int(text), LARGEST_ID) if text.isascii() and text.isdecimal() else None


def _link(page: PageRequest, asked: Mapping[str, str], before: int | None) -> str | None:
    values = {name: value for name, value in asked.items() if value}
    query = urlencode({**values, **({"before": before} if before is not None else {})})
    return page.links.page(f"runs?{query}" if query else "runs")
