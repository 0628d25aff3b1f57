# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dates in a table: triggers down and days across, or years down and months across."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from autoflow.child.page.shared import Links, short
from autoflow.dates import days_before
from autoflow.model import RunReports
from autoflow.overview import GOOD, STALE, Row, run_words
from autoflow.overview import SIGNS as PLAIN_SIGNS
from autoflow.runs import RunState
from autoflow.wording import parameters_text

SIGNS = PLAIN_SIGNS | {RunState.SUCCEEDED: "✓", RunState.NOT_AVAILABLE: "·"}

CLASSES = {word: word.replace(" ", "-") for word in SIGNS}

BEFORE_START = "before-start"
"""What dates before the first one of a trigger are called in the style sheet; nothing is said of each of them."""

LINKED_BYTES = 90
"""Bytes that a cell takes, beside its link."""

WIDE_ENOUGH = 3
"""Days of a month whose name needs so much room."""

Reports = Mapping[int, RunReports]
"""Of runs, by their numbers."""


@dataclass(frozen=True)
class Cell:
    """A date of a trigger, or a month."""

    sign: str
    kind: str
    """Its class in the style sheet."""
    title: str
    link: str | None = None


@dataclass(frozen=True)
class GridRow:
    """A trigger."""

    workflow: str
    parameters: str
    link: str | None
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Heading:
    """What stands above the days of a month."""

    month: str
    text: str
    number: int


@dataclass(frozen=True)
class Grid:
    """Triggers, and their states day by day."""

    days: Sequence[dt.date]
    headings: Sequence[Heading]
    rows: Sequence[GridRow]


def day_grid(
    links: Links, rows: Sequence[Row], days: Sequence[dt.date], reports: Reports, numbers: Sequence[int] = ()
) -> Grid:
    """Make the table of some days, which follow each other.

    Parameters
    ----------
    numbers
        Those of the triggers in the file, where they are not those of the rows.
    """
    by_month = [(month, list(group)) for month, group in groupby(days, key=lambda day: f"{day:%Y-%m}")]
    headings = [
        Heading(month, f"{group[0]:%b %Y}" if len(group) >= WIDE_ENOUGH else f"{group[0]:%b}", len(group))
        for month, group in by_month
    ]
    return Grid(
        days,
        headings,
        [
            GridRow(
                short(row.trigger.workflow_name, 60),
                short(parameters_text(row.trigger.parameters), 80),
                links.workflow(row.trigger.workflow_name),
                list(_day_cells(links, number, row, days, reports)),
            )
            for number, row in zip(numbers or range(len(rows)), rows, strict=True)
        ],
    )


def _day_cells(links: Links, number: int, row: Row, days: Sequence[dt.date], reports: Reports) -> Iterator[Cell]:
    for day in days:
        at = (day - row.first).days
        state, run, word = row.states[at], row.runs[at], row.words[at]
        if state is RunState.EXCLUDED and is_before_start(row, day):
            yield Cell("", BEFORE_START, "")
            continue
        link = _report_of(links, run, day, reports) if state in GOOD and run is not None else None
        title = f"{day}: {run_words(state, stale=word == STALE)}{', report' if link else ''}"
        if run is not None and run in reports and reports[run].kept_out:
            title += f"; {'a newer one' if reports[run].paths else 'its report'} is kept out of latest"
        if link is None:
            link = links.page(f"why?trigger={number}&date={day}" if run is None else f"runs/{run}")
        yield Cell(SIGNS[word], CLASSES[word], title, link)


def _report_of(links: Links, run: int, day: dt.date, reports: Reports) -> str | None:
    """Return the link to a run's report, or where it has several to what lists them."""
    made = reports.get(run)
    found = [link for _, link in links.reports(made.paths)] if made else []
    if len(found) <= 1:
        return found[0] if found else None
    month = links.month(f"{day:%Y-%m}")
    listed = links.page(f"runs/{made.attempt_name}" if made and made.kept_out else f"runs/{run}")
    return listed or (f"{month}#run{run}" if month else found[0])


def is_before_start(row: Row, day: dt.date) -> bool:
    """Whether a date comes before the first one that a trigger is for."""
    return row.trigger.earliest_date is not None and day < row.trigger.earliest_date


def newest_days(first: dt.date, last: dt.date, number: int) -> list[dt.date]:
    """List the newest days of a span, so many at most."""
    begin = max(first, days_before(last, number - 1))
    return [begin + dt.timedelta(days=each) for each in range((last - begin).days + 1)]


def months_of(first: dt.date, last: dt.date) -> list[tuple[int, int]]:
    """List the months of a span, both ends in it."""
    return [
        (year, month)
        for year in range(first.year, last.year + 1)
        for month in range(1, 13)
        if (first.year, first.month) <= (year, month) <= (last.year, last.month)
    ]


def month_span(year: int, month: int) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a month."""
    after = dt.date(year + month // 12, month % 12 + 1, 1) if (year, month) < (dt.MAXYEAR, 12) else dt.date.max
    return dt.date(year, month, 1), after if after == dt.date.max else after - dt.timedelta(days=1)


def month_counts(row: Row, year: int, month: int) -> Counter[str]:
    """Count a trigger's dates in a month by what is said of them in a word."""
    begin, end = month_span(year, month)
    return row.between(begin, end).count()


def counted_cells(rows: Sequence[Row], words: Iterable[str] = SIGNS) -> list[tuple[str, str, str, int]]:
    """Give sign, class in the style sheet, word and number of the cells, those before the start of a trigger apart."""
    before = _before_start(rows)
    counts = sum((row.count() for row in rows), Counter[str]()) - Counter({RunState.EXCLUDED: before})
    found = [(SIGNS[word], CLASSES[word], word, counts[word]) for word in words if counts[word]]
    return [*found, *([("", BEFORE_START, "before the start", before)] if before else [])]


def _before_start(rows: Sequence[Row]) -> int:
    """Count the excluded dates before the first one of their trigger."""
    earliest = [(row, row.trigger.earliest_date) for row in rows]
    return sum(
        row.between(row.first, first - dt.timedelta(days=1)).count()[RunState.EXCLUDED]
        for row, first in earliest
        if first is not None and first > row.first
    )


def month_cell(counts: Mapping[str, int], name: str, link: str | None = None) -> Cell:
    """Make the cell of a month: the worst of its dates is seen, and all are counted."""
    worst = next((word for word in SIGNS if counts.get(word)), RunState.EXCLUDED)
    found = ", ".join(f"{counts[word]:,} {word}" for word in SIGNS if counts.get(word))
    return Cell(SIGNS[worst], CLASSES[worst], f"{name}: {found or 'nothing'}", link)
