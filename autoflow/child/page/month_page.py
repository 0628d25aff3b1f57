# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The page of a month: each date of each trigger, and all reports of the month; served, and as a file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

from autoflow import __version__
from autoflow.child.page.grid import Reports, counted_cells, day_grid, month_span
from autoflow.child.page.shared import MONTHS, TEMPLATES, Links, NotFoundError, PageRequest, short
from autoflow.overview import GOOD, Row, calendar
from autoflow.wording import parameters_text

MOST_LISTED = 400
"""Reports that are listed one by one, though the table leads to most of them."""

MOST_AT_ONCE = 24
"""Pages of months that are made as files at a time."""

STAMP = re.compile(r'<meta name="autoflow-stamp" content="([0-9a-f]+)">')
HEAD_BYTES = 2_000


@dataclass(frozen=True)
class Month:
    """A month of the calendar."""

    name: str
    days: Sequence[dt.date]
    """Those that there is something to say about."""
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
    names, name = page.months, page.request["month"]
    if name not in names:
        known = f"; there are {names[0]} to {names[-1]}" if names else ""
        raise NotFoundError(f"There are no dates in this month{known}.")
    days = within(name, page.span)
    rows = list(calendar(page.facts((days[0], days[-1])), days[0], days[-1])) if days else []
    return month_values(page, Month(name, days, rows))


def month_values(page: PageRequest, month: Month) -> tuple[str, dict[str, Any]]:
    """Return the template of a month's page, and what is in it."""
    names = page.months
    reports = page.reader.reports_between(*month_span(*_numbers(month.name)))
    at = names.index(month.name)
    beside = {"before": names[at - 1] if at else None, "after": names[at + 1] if at + 1 < len(names) else None}
    return "month.html", {
        "month": month.name,
        "stamp": month.stamp,
        "grid": day_grid(page.links, month.rows, month.days, reports) if month.rows else None,
        "totals": counted_cells(month.rows),
        "reports": list(_reports(page.links, _beside_grid(month, reports))),
        "are_all": _are_all(reports),
        **{name: (other, page.links.month(other)) if other else None for name, other in beside.items()},
    }


def _are_all(reports: Reports) -> bool:
    return sum(len(each.paths) for each in reports.values()) <= MOST_LISTED


def _beside_grid(month: Month, reports: Reports) -> Reports:
    """Leave out, of very many reports, those that the table leads to."""
    if _are_all(reports):
        return reports
    done = {
        run
        for row in month.rows
        for state, run in zip(row.states, row.runs, strict=True)
        if state in GOOD and run is not None
    }
    return {run: found for run, found in reports.items() if run not in done or len(found.paths) > 1}


def _reports(links: Links, reports: Reports) -> Iterator[tuple[dt.date, list[dict[str, Any]]]]:
    """Give the reports of each day that has any, the newest day first, also of what has no trigger any more."""
    in_order = sorted(reports.values(), key=lambda each: (each.workflow, each.run))
    newest_first = sorted(in_order, key=lambda each: each.reference_date, reverse=True)
    for day, group in groupby(newest_first, key=lambda each: each.reference_date):
        found = []
        for each in group:
            if reports_there := links.reports_of(each):
                name = {"workflow": short(each.workflow, 60), "parameters": short(parameters_text(each.parameters), 80)}
                link = links.page(f"runs/{each.run}")
                found.append({**name, "run": each.run, "link": link, **reports_there})
        if found:
            yield day, found


def _numbers(name: str) -> tuple[int, int]:
    year, _, month = name.partition("-")
    return int(year), int(month)


def within(name: str, span: tuple[dt.date, dt.date] | None) -> list[dt.date]:
    """Return the days of a month that are in a span."""
    begin, end = month_span(*_numbers(name))
    first, last = span or (dt.date.max, dt.date.min)
    return [dt.date.fromordinal(day) for day in range(max(begin, first).toordinal(), min(end, last).toordinal() + 1)]


def all_months(page: PageRequest) -> list[Month]:
    """Read all months, the newest first, each with what tells whether its file is as things are."""
    style = sha256("".join(path.read_text() for path in sorted(TEMPLATES.iterdir())).encode()).hexdigest()
    names, made, found = page.months, page.reader.months_of_reports(), []
    for at, name in enumerate(names):
        days = within(name, page.span)
        rows = [row.between(days[0], days[-1]) for row in page.calendar] if days else []
        # a month has links to the ones before and after it
        beside = names[max(at - 1, 0)], names[min(at + 1, len(names) - 1)]
        about = (__version__, style, page.definitions.timezone, made.get(name), beside, days[:1], days[-1:])
        found.append(Month(name, days, rows, _stamp(page, rows, about)))
    return found[::-1]


def _stamp(page: PageRequest, rows: Sequence[Row], about: tuple[object, ...]) -> str:
    said = [
        (row.trigger.workflow_name, parameters_text(row.trigger.parameters), ",".join(row.words), row.runs)
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
