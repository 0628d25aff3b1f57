# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The status page: how all is, the state of each date, what fails, what is in progress, and the reports."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autoflow.child.page.failures import MOST_CAUSES, failing, shown_failures
from autoflow.child.page.grid import (
    LINKED_BYTES,
    Cell,
    Grid,
    counted_cells,
    day_grid,
    month_cell,
    month_counts,
    newest_days,
)
from autoflow.child.page.health_line import batch_text, health_line
from autoflow.child.page.shared import REPORT_SUFFIXES, Links, PageRequest
from autoflow.model import RecordedAttempt, RecordedNotebook, StaleSummary
from autoflow.overview import Row, list_age, stale_runs
from autoflow.runs import AttemptState, RunState
from autoflow.wording import parameters_text, seconds_text

FEWEST_DAYS, MOST_DAYS = 7, 62
"""Days that the table of dates has, by how many triggers there are."""

GRID_BYTES = 200_000
"""What the table of dates may take, where the fewest days do not take more."""

MOST_REPORTS, MOST_RUNNING, MOST_STALE, MOST_TRIGGERS = 10, 50, 10, 200

ASIDE = (RunState.NOT_AVAILABLE, RunState.EXCLUDED, RunState.SKIPPED)
"""Words for dates that nothing is done about: they are counted apart from the others."""


def status_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template, and what is in it."""
    request, reader = page.request, page.reader
    whole, rows = page.span, page.calendar
    found = failing(page)
    running = reader.attempts(states=[AttemptState.RUNNING], limit=MOST_RUNNING)
    worked = reader.worked(running, page.now)
    summary = reader.stale_summary()
    return "status.html", {
        "is_home": True,
        "is_file": page.links.base is None,
        "refresh": 0 if page.links.base is None or request.get("still") else 15 if running else 60,
        "health": health_line(page, found, summary),
        # what a file says has to be true for longer
        "doing": request["doing"] if page.links.base is not None else "",
        "batch": batch_text(page, [(run.workflow, worked[run.id]) for run in running]),
        "next_tick": _moment(request["next_tick"]),
        "written_by": _moment(request.get("written_by")),
        "polled": reader.last_poll(),
        "list_age": list_age(reader.last_poll(), reader.silence(), page.now),
        "running": [_running(page, run) for run in running],
        "failures": shown_failures(page, found),
        "more_failures": max(len(found.groups) - MOST_CAUSES, 0),
        **_stale(page, summary),
        "reports": [_report(page, *each) for each in reader.newest_reports(MOST_REPORTS)],
        "latest": _latest(page.links),
        "totals": counted_cells(rows),
        "aside": counted_cells(rows, ASIDE),
        "left_out": max(len(rows) - MOST_TRIGGERS, 0),
        "recent": _recent(page, rows[:MOST_TRIGGERS], whole),
        "years": _years(page),
    }


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _elapsed(page: PageRequest, run: RecordedAttempt) -> float:
    return max((page.now - run.started).total_seconds(), 0.0)


def _running(page: PageRequest, run: RecordedAttempt) -> dict[str, Any]:
    known = {label: text for number, label, text in page.request["progress"] if number == run.run}
    usual = page.reader.durations(run.workflow)
    return {
        "run": run,
        "link": page.links.page(f"runs/{run.run}"),
        "workflow_link": page.workflow(run.workflow),
        "parameters": parameters_text(run.parameters),
        "since": seconds_text(_elapsed(page, run)),
        "usual": seconds_text(usual),
        "notebooks": [_at(notebook, known) for notebook in page.reader.notebooks(run.id)],
    }


def _at(notebook: RecordedNotebook, known: dict[str, str]) -> tuple[str, str]:
    return notebook.label, known.get(notebook.label) or notebook.state.value


def _stale(page: PageRequest, summary: StaleSummary | None) -> dict[str, Any]:
    """Show the first of the stale runs that nobody keeps as they are, and count the others."""
    if summary is None:
        return {"stale": [], "more_stale": 0}
    rows = [
        {
            "run": run.run,
            "link": page.links.page(f"runs/{run.run}"),
            "workflow": run.workflow,
            "workflow_link": page.workflow(run.workflow),
            "parameters": parameters_text(run.parameters),
            "date": run.reference_date,
            "why": why.brief,
        }
        for run, why in stale_runs(page.reader, limit=MOST_STALE, also_kept=False)
    ]
    return {"stale": rows, "more_stale": summary.runs - len(rows)}


def _report(page: PageRequest, run: RecordedAttempt, label: str, path: str) -> dict[str, Any]:
    return {
        "run": run,
        "label": label,
        "parameters": parameters_text(run.parameters),
        "workflow_link": page.workflow(run.workflow),
        "files": [
            (suffix, link)
            for suffix in REPORT_SUFFIXES
            if (link := page.links.file(str(Path(path).with_suffix(suffix))))
        ],
    }


def _latest(links: Links) -> list[tuple[str, str]]:
    """List the links that always lead to the newest report."""
    try:
        found = sorted(path for path in (links.reports_dir / "latest").iterdir() if path.suffix in (".pdf", ".html"))
    except OSError:
        return []
    named = ((path.name, links.file(str(path))) for path in found[:MOST_TRIGGERS] if not path.name.startswith("."))
    return [(name, link) for name, link in named if link]


def _recent(page: PageRequest, rows: Sequence[Row], whole: tuple[dt.date, dt.date] | None) -> Grid | None:
    """Show the newest days, as many as there is room for in a page that has a sensible size."""
    if whole is None or not rows:
        return None
    days = newest_days(*whole, MOST_DAYS)
    reports = page.reader.reports_between(days[-FEWEST_DAYS:][0], days[-1])
    paths = [Path(path).name for found in reports.values() for path in found.paths.values()]
    length = LINKED_BYTES + (sum(map(len, paths)) // len(paths) if paths else 0)
    number = max(FEWEST_DAYS, min(MOST_DAYS, GRID_BYTES // (length * len(rows))))
    days = days[-number:]
    return day_grid(page.links, rows, days, page.reader.reports_between(days[0], days[-1]))


def _years(page: PageRequest) -> list[tuple[int, list[Cell | None]]]:
    """Put months side by side and years below each other, the newest first."""
    years: dict[int, list[Cell | None]] = {}
    for name in page.months:
        year, month = (int(part) for part in name.split("-"))
        counts = sum((month_counts(row, year, month) for row in page.calendar), Counter[str]())
        years.setdefault(year, [None] * 12)[month - 1] = month_cell(counts, name, page.links.month(name))
    return sorted(years.items(), reverse=True)


def workflow_link(links: Links, workflow: str, date: dt.date | None) -> str | None:
    """Return the link to the page that says why; None where there is none."""
    return links.page(f"why?workflow={quote(workflow, safe='')}&date={date}") if date else None
