# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The page of a month: each date of each trigger, and all reports of the month; served, and as a file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from autoflow import __version__
from autoflow.child.page.grid import CLASSES, SIGNS, Reports, day_grid, month_span, months_of
from autoflow.child.page.shared import MONTHS, TEMPLATES, Links, NotFoundError, PageRequest, short
from autoflow.overview import Row, calendar
from autoflow.runs import RunState
from autoflow.wording import parameters_text

MONTH = re.compile(r"(\d{4})-(\d{2})")

MOST_LISTED = 400
"""Reports that are listed one by one, though the table leads to most of them."""

MOST_AT_ONCE = 12
"""Pages of months that are made as files at a time."""

STAMP = re.compile(r'<meta name="autoflow-stamp" content="([0-9a-f]+)">')
HEAD_BYTES = 2_000


@dataclass(frozen=True)
class Month:
    """A month of the calendar."""

    name: str
    first: dt.date
    last: dt.date
    rows: Sequence[Row]
    stamp: str = ""
    """What is another once there is something new to say."""


def month_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template of a month's page, and what is in it.

    Raises
    ------
    NotFoundError
        When there is nothing to say of such a month.
    """
    whole = page.span
    names = names_of(whole)
    name = page.request["month"]
    if whole is None or name not in names:
        known = f"; there are {names[0]} to {names[-1]}" if names else ""
        raise NotFoundError(f"There are no dates in this month{known}.")
    first, last = within(name, *whole)
    month = Month(name, first, last, list(calendar(page.facts((first, last)), first, last)))
    return month_values(page, month, names)


def month_values(page: PageRequest, month: Month, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the template of a month's page, and what is in it."""
    days = [month.first + dt.timedelta(days=each) for each in range((month.last - month.first).days + 1)]
    reports = page.reader.reports_between(month.first, month.last)
    at = names.index(month.name)
    beside = {"before": names[at - 1] if at else None, "after": names[at + 1] if at + 1 < len(names) else None}
    counts = {state: sum(row.states.count(state) for row in month.rows) for state in SIGNS}
    return "month.html", {
        "month": month.name,
        "stamp": month.stamp,
        "grid": day_grid(page.links, month.rows, days, reports),
        "signs": [(SIGNS[state], CLASSES[state], state.value) for state in SIGNS if counts[state]],
        "totals": [(SIGNS[state], CLASSES[state], state.value, number) for state, number in counts.items() if number],
        "reports": list(_reports(page.links, month, days, _beside_grid(month, reports))),
        "are_all": _are_all(reports),
        **{name: (other, page.links.month(other)) if other else None for name, other in beside.items()},
    }


def _are_all(reports: Reports) -> bool:
    return sum(map(len, reports.values())) <= MOST_LISTED


def _beside_grid(month: Month, reports: Reports) -> Reports:
    """Leave out, of very many reports, those that the table leads to."""
    if _are_all(reports):
        return reports
    done = {
        run
        for row in month.rows
        for state, run in zip(row.states, row.runs, strict=True)
        if state is RunState.SUCCEEDED and run is not None
    }
    return {run: found for run, found in reports.items() if run not in done or len(found) > 1}


def _reports(
    links: Links, month: Month, days: Sequence[dt.date], reports: Reports
) -> Iterator[tuple[dt.date, list[dict[str, Any]]]]:
    """Give the reports of each day that has any, the newest day first."""
    for day in reversed(days):
        found = []
        for row in month.rows:
            run = row.runs[(day - row.first).days]
            files = [
                (label, link) for label, path in reports.get(run or 0, ()) if (link := links.report(path)) is not None
            ]
            if files:
                text = parameters_text(row.trigger.parameters)
                name = {"workflow": short(row.trigger.workflow_name, 60), "parameters": short(text, 80)}
                found.append({**name, "run": run, "link": links.page(f"runs/{run}"), "files": files})
        if found:
            yield day, found


def within(name: str, first: dt.date, last: dt.date) -> tuple[dt.date, dt.date]:
    """Return the days of a month that are in a span."""
    year, _, month = name.partition("-")
    begin, end = month_span(int(year), int(month))
    return max(begin, first), min(end, last)


def names_of(whole: tuple[dt.date, dt.date] | None) -> list[str]:
    """Name the months of a span, the oldest first."""
    return [f"{year}-{month:02}" for year, month in months_of(*whole)] if whole else []


def all_months(page: PageRequest) -> list[Month]:
    """Read all months, the newest first, each with what tells whether its file is as things are."""
    if page.span is None:
        return []
    made = page.reader.months_of_reports()
    style = sha256("".join(path.read_text() for path in sorted(TEMPLATES.iterdir())).encode()).hexdigest()
    names = names_of(page.span)
    found = []
    for at, name in enumerate(names):
        first, last = within(name, *page.span)
        rows = [_cut(row, first, last) for row in page.calendar]
        # a month has links to the ones before and after it
        about = (__version__, style, page.definitions.timezone, made.get(name), at == 0, at == len(names) - 1, last)
        found.append(Month(name, first, last, rows, _stamp(page, rows, about)))
    return found[::-1]


def _cut(row: Row, first: dt.date, last: dt.date) -> Row:
    start, stop = (first - row.first).days, (last - row.first).days + 1
    return replace(row, first=first, states=row.states[start:stop], runs=row.runs[start:stop])


def _stamp(page: PageRequest, rows: Sequence[Row], about: tuple[object, ...]) -> str:
    said = [
        (row.trigger.workflow_name, parameters_text(row.trigger.parameters), ",".join(row.states), row.runs)
        for row in rows
    ]
    name = page.request.get("name")
    return sha256(repr((name, about, said)).encode(errors="backslashreplace")).hexdigest()[:32]


def stale(page: PageRequest, months: Sequence[Month]) -> list[Month]:
    """Find the months whose files are not there, or say what has changed since."""
    directory = page.links.reports_dir / MONTHS
    return [month for month in months if _stamp_of(directory / f"{month.name}.html") != month.stamp]


def _stamp_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = STAMP.search(file.read(HEAD_BYTES).decode(errors="replace"))
    except OSError:
        return ""
    return found[1] if found else ""
