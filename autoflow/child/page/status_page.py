# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The status page: what is in progress, what is wrong, and the state of each date, as far as there is room."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autoflow.child.page.shared import Links, PageRequest, short
from autoflow.dates import days_before
from autoflow.decision import triggers_by_run
from autoflow.model import RecordedAttempt, RecordedNotebook
from autoflow.overview import SIGNS as PLAIN_SIGNS
from autoflow.overview import Facts, Row, calendar, explain, list_age, span
from autoflow.runs import AttemptState, RunState
from autoflow.wording import parameters_text, seconds_text

RECENT_DAYS = 45
"""Days that the calendar shows one by one."""

YEARS_A_TABLE = 4
"""Years of months that stand side by side."""

MOST_YEARS = 12
MOST_FAILURES, MOST_REPORTS, MOST_RUNNING, MOST_TRIGGERS = 8, 10, 50, 200
LONGEST_ERROR = 400

SIGNS = PLAIN_SIGNS | {RunState.SUCCEEDED: "✓", RunState.NOT_AVAILABLE: "·"}

CLASSES = {state: state.value.replace(" ", "-") for state in RunState}


@dataclass(frozen=True)
class Cell:
    """A date or a month of a trigger."""

    sign: str
    kind: str
    """Its class in the style sheet."""
    title: str
    link: str | None = None


@dataclass(frozen=True)
class Months:
    """Some years of the calendar, month by month."""

    years: Sequence[tuple[int, int]]
    """Each with the number of its months."""
    months: Sequence[tuple[int, int]]
    rows: Sequence[Sequence[Cell]]
    """Of each trigger."""


def status_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template, and what is in it."""
    request, reader = page.request, page.reader
    whole = span(page.definitions, reader.listed_dates())
    facts = page.facts(whole)
    rows = list(calendar(facts, *whole)) if whole else []
    # of dates before those that are shown, only this count remains
    totals = Counter(state for row in rows for state in row.states)
    shown = rows[:MOST_TRIGGERS]
    first, last = whole or (None, None)
    failed = _failed_runs(page, facts)
    running = reader.attempts(states=[AttemptState.RUNNING], limit=MOST_RUNNING)
    next_tick = request["next_tick"]
    return "status.html", {
        "is_home": True,
        "doing": request["doing"],
        "next_tick": dt.datetime.fromisoformat(next_tick) if next_tick else None,
        "polled": reader.last_poll(),
        "list_age": list_age(reader.last_poll(), reader.silence(), page.now),
        "problems": [problem["text"] for problem in request["problems"]],
        "running": [_running(page, run) for run in running],
        "failures": [_failure(page, facts, run) for run in failed[:MOST_FAILURES]],
        "more_failures": max(totals[RunState.FAILED] + totals[RunState.GIVEN_UP] - MOST_FAILURES, 0),
        "reports": [_report(page.links, *each) for each in reader.newest_reports(MOST_REPORTS)],
        "latest": _latest(page.links),
        "totals": [(SIGNS[state], CLASSES[state], state.value, totals[state]) for state in RunState if totals[state]],
        "names": [_name(row) for row in shown],
        "left_out": len(rows) - len(shown),
        "first": first,
        "last": last,
        "recent": _recent(page.links, shown, first, last) if first and last else None,
        "history": list(_history(shown, first, last)) if first and last else [],
    }


def _name(row: Row) -> tuple[str, str]:
    return short(row.trigger.workflow_name, 60), short(parameters_text(row.trigger.parameters), 80)


def _running(page: PageRequest, run: RecordedAttempt) -> dict[str, Any]:
    known = {label: text for number, label, text in page.request["progress"] if number == run.run}
    usual = page.reader.durations(run.workflow)
    return {
        "run": run,
        "link": page.links.page(f"runs/{run.run}"),
        "parameters": parameters_text(run.parameters),
        "since": seconds_text(max((page.now - run.started).total_seconds(), 0.0)),
        "usual": seconds_text(usual),
        "notebooks": [_at(notebook, known) for notebook in page.reader.notebooks(run.id)],
    }


def _at(notebook: RecordedNotebook, known: dict[str, str]) -> tuple[str, str]:
    return notebook.label, known.get(notebook.label) or notebook.state.value


def _failed_runs(page: PageRequest, facts: Facts) -> list[RecordedAttempt]:
    """Find the newest attempts that failed and were not made good since."""
    latest, failed = facts.run_history.latest, facts.run_history.failed
    newest_first = sorted(failed, key=lambda key: failed[key].last, reverse=True)
    numbers = [latest[key].run for key in newest_first if latest[key].state == AttemptState.FAILED]
    return [attempt for number in numbers[:MOST_FAILURES] if (attempt := page.reader.attempt(number))]


def _failure(page: PageRequest, facts: Facts, run: RecordedAttempt) -> dict[str, Any]:
    return {
        "run": run,
        "link": page.links.page(f"runs/{run.run}"),
        "parameters": parameters_text(run.parameters),
        "error": short(run.failure or "", LONGEST_ERROR),
        "again": _again(facts, run),
        "view": page.links.view(run.failure.notebook if run.failure else None),
    }


def _again(facts: Facts, run: RecordedAttempt) -> str:
    """Say when a failed run is tried again."""
    if run.workflow not in facts.definitions.workflows:
        return "not retried: its workflow was removed"
    if run.reference_date is None:
        return ""
    for trigger in triggers_by_run(facts.definitions)(run.key, run.reference_date):
        answer = explain(facts, trigger, run.reference_date)
        if answer.state is RunState.GIVEN_UP:
            return "given up"
        if answer.next_try is not None and answer.next_try > facts.now:
            return f"retried at {answer.next_try:%Y-%m-%d %H:%M}"
    return ""


def _report(links: Links, run: RecordedAttempt, label: str, path: str) -> dict[str, Any]:
    return {
        "run": run,
        "label": label,
        "parameters": parameters_text(run.parameters),
        "files": [
            (suffix, link) for suffix in (".pdf", ".html") if (link := links.file(str(Path(path).with_suffix(suffix))))
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


def _recent(links: Links, rows: Sequence[Row], first: dt.date, last: dt.date) -> dict[str, Any]:
    begin = max(first, days_before(last, RECENT_DAYS - 1))
    days = [begin + dt.timedelta(days=number) for number in range((last - begin).days + 1)]
    months = [(month, len(list(group))) for month, group in groupby(f"{day:%Y-%m}" for day in days)]
    return {
        "days": days,
        "months": months,
        "rows": [list(_day_cells(links, number, row, days)) for number, row in enumerate(rows)],
    }


def _day_cells(links: Links, number: int, row: Row, days: Sequence[dt.date]) -> Iterator[Cell]:
    for day in days:
        at = (day - row.first).days
        state, run = row.states[at], row.runs[at]
        yield Cell(
            SIGNS[state],
            CLASSES[state],
            f"{day}: {state.value}",
            links.page(f"why?trigger={number}&date={day}") if run is None else links.page(f"runs/{run}"),
        )


def _history(rows: Sequence[Row], first: dt.date, last: dt.date) -> Iterator[Months]:
    """Put some years side by side, the newest first."""
    begin = max(first.year, last.year - MOST_YEARS + 1)
    for newest in range(last.year, begin - 1, -YEARS_A_TABLE):
        months = [
            (year, month)
            for year in range(max(begin, newest - YEARS_A_TABLE + 1), newest + 1)
            for month in range(1, 13)
            if (first.year, first.month) <= (year, month) <= (last.year, last.month)
        ]
        years = [(year, len(list(group))) for year, group in groupby(year for year, _ in months)]
        yield Months(years, months, [list(_month_cells(row, months, last)) for row in rows])


def _month_cells(row: Row, months: Sequence[tuple[int, int]], last: dt.date) -> Iterator[Cell]:
    for year, month in months:
        start = max(dt.date(year, month, 1), row.first)
        after = dt.date(year + month // 12, month % 12 + 1, 1)
        counts = Counter(
            row.states[(start - row.first).days : (min(after, last + dt.timedelta(days=1)) - row.first).days]
        )
        worst = next(state for state in SIGNS if counts[state])
        found = ", ".join(f"{counts[state]} {state.value}" for state in SIGNS if counts[state])
        yield Cell(SIGNS[worst], CLASSES[worst], f"{year}-{month:02}: {found}")


def workflow_link(links: Links, workflow: str, date: dt.date | None) -> str | None:
    """Return the link to the page that says why; None where there is none."""
    return links.page(f"why?workflow={quote(workflow, safe='')}&date={date}") if date else None
