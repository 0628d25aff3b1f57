# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The page of a workflow: its triggers, its notebooks, how long it takes, its dates, its reports and its runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import quote

from autoflow.child.page.drawing import SLOW, Length, durations, graph, marked
from autoflow.child.page.grid import Cell, day_grid, month_cell, month_counts, months_of, newest_days
from autoflow.child.page.runs_page import attempt_row
from autoflow.child.page.shared import Links, NotFoundError, PageRequest, short
from autoflow.definitions import Workflow
from autoflow.model import WantedAttempts
from autoflow.overview import Row, calendar
from autoflow.wording import counted, length_text, parameters_text, seconds_text, shown

RECENT_DAYS, RECENT_RUNS = 45, 15
MOST_LENGTHS, MOST_SLOW, MOST_DECIDED = 400, 5, 20

MOST_YEARS, YEARS_A_TABLE = 12, 4
"""Years of months that are shown, and that stand side by side."""


@dataclass(frozen=True)
class Months:
    """Some years of the calendar, month by month."""

    years: Sequence[tuple[int, int]]
    """Each with the number of its months."""
    months: Sequence[tuple[int, int]]
    rows: Sequence[Sequence[Cell]]
    """Of each trigger."""


def workflow_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template, and what is in it.

    Raises
    ------
    NotFoundError
        When there is no such workflow.
    """
    name = page.request["workflow"]
    workflow = page.definitions.workflows.get(name)
    if workflow is None:
        raise NotFoundError(f"There is no workflow {shown(name)} in workflows.yml.")
    whole = page.span
    rows = list(calendar(page.facts(whole), *whole, workflow=name)) if whole else []
    lengths = marked(
        [
            Length(run, started, seconds, page.links.page(f"runs/{run}"))
            for run, started, seconds in page.reader.lengths(name, MOST_LENGTHS)
        ]
    )
    attempts = page.reader.page_of_attempts(WantedAttempts(name), None, RECENT_RUNS)
    usual = page.reader.durations(name)
    return "workflow.html", {
        "workflow": name,
        "facts": [*_facts(workflow), *([("Usually takes", seconds_text(usual))] if usual is not None else [])],
        "graph": graph(workflow.dependencies()),
        "notebooks": [(each.label, each.filename) for each in workflow.notebooks],
        "lengths": durations(lengths, page.zone) if lengths else None,
        "number": len(lengths),
        "slow": sorted((each for each in lengths if each.slow), key=lambda each: -each.seconds)[:MOST_SLOW],
        "slow_factor": f"{SLOW:g}",
        "triggers": [short(parameters_text(row.trigger.parameters) or "its trigger", 80) for row in rows],
        **_dates(page, rows, whole),
        **_decided(page, name),
        "attempts": [attempt_row(page, attempt) for attempt in attempts],
        "all_runs": page.links.page(f"runs?workflow={quote(name, safe='')}"),
    }


def _facts(workflow: Workflow) -> Iterator[tuple[str, str]]:
    retries = workflow.retries
    attempts = counted(retries.attempts, "attempt") if retries.attempts else "until it succeeds"
    yield "Notebooks", str(len(workflow.notebooks))
    yield "Retries", f"{attempts}, from {length_text(retries.pause)} on"
    if workflow.timeout:
        yield "Time-out", length_text(workflow.timeout)
    if workflow.concurrency is not None:
        yield "At a time", counted(workflow.concurrency, "run")
    if workflow.priority:
        yield "Priority", str(workflow.priority)


def _dates(page: PageRequest, rows: Sequence[Row], whole: tuple[dt.date, dt.date] | None) -> dict[str, Any]:
    if not whole or not rows:
        return {"grid": None, "history": [], "reports": []}
    days = newest_days(*whole, RECENT_DAYS)
    reports = page.reader.reports_between(days[0], days[-1])
    # the number of a trigger in the file is what the page of a date is asked by
    numbers = [page.definitions.triggers.index(row.trigger) for row in rows]
    names = [parameters_text(row.trigger.parameters) for row in rows]
    listed = []
    for day in reversed(days):
        runs = [row.runs[(day - row.first).days] for row in rows]
        found = [
            {**there, "of": name if len(rows) > 1 else ""}
            for name, run in zip(names, runs, strict=True)
            if run is not None and (there := page.links.reports_of(reports.get(run)))
        ]
        if found:
            listed.append((day, found))
    return {
        "grid": day_grid(page.links, rows, days, reports, numbers),
        "history": list(history(page.links, rows, *whole)),
        "reports": listed,
    }


def _decided(page: PageRequest, name: str) -> dict[str, Any]:
    """Say which dates of data people have accepted or held, and why, the newest dates first."""
    decided = [each for (workflow, _), each in page.reader.overrides().items() if workflow == name][::-1]
    shown = [(each.date, str(each)) for each in decided[:MOST_DECIDED]]
    return {"decided": shown, "more_decided": len(decided) - len(shown)}


def history(links: Links, rows: Sequence[Row], first: dt.date, last: dt.date) -> Iterator[Months]:
    """Put some years side by side, the newest first."""
    begin = max(first.year, last.year - MOST_YEARS + 1)
    for newest in range(last.year, begin - 1, -YEARS_A_TABLE):
        oldest = max(begin, newest - YEARS_A_TABLE + 1)
        months = [each for each in months_of(first, last) if oldest <= each[0] <= newest]
        years = [(year, len(list(group))) for year, group in groupby(year for year, _ in months)]
        yield Months(years, months, [_month_cells(links, row, months) for row in rows])


def _month_cells(links: Links, row: Row, months: Sequence[tuple[int, int]]) -> list[Cell]:
    names = [f"{year}-{month:02}" for year, month in months]
    return [
        month_cell(month_counts(row, *month), name, links.month(name))
        for month, name in zip(months, names, strict=True)
    ]
