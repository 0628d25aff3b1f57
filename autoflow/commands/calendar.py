# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow calendar``: dates across, triggers down."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from autoflow.clock import utc_now
from autoflow.commands.answer import Streamed
from autoflow.commands.reading import (
    LONGEST_SPAN,
    check_length,
    check_span,
    definitions_of,
    is_at_work,
    record,
    triggers_of,
)
from autoflow.commands.terminal import NO_BREAK, STYLES, print_json, print_line, print_styled, width
from autoflow.dates import ListedDates, days_before
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, ExitCode
from autoflow.overview import SIGNS, STALE, Facts, Row, calendar, span
from autoflow.runs import RunState
from autoflow.settings import Settings
from autoflow.wording import moment, parameters_text

MARKED_DAYS = (1, 5, 10, 15, 20, 25)
STEPS = ("day", "week", "month", "year")
SHORTEST_ROW = 14
"""Columns of dates that there are at least, however long the names."""


@dataclass(frozen=True)
class Columns:
    """The columns of a calendar: a span of dates, both ends in it, in steps."""

    first: dt.date
    last: dt.date
    step: str

    @property
    def most(self) -> int:
        """How many there may be."""
        days = (self.last - self.first).days + 1
        return {"day": days, "week": days // 7 + 2, "month": days // 30 + 2, "year": 0}[self.step]

    @cached_property
    def spans(self) -> Sequence[tuple[dt.date, dt.date]]:
        """The first and the last date of each column."""
        days = range(self.first.toordinal(), self.last.toordinal() + 1)
        columns = (list(dates) for _, dates in groupby(map(dt.date.fromordinal, days), self._place))
        return [(dates[0], dates[-1]) for dates in columns]

    def _place(self, date: dt.date) -> tuple[int, ...]:
        if self.step == "week":
            return date.isocalendar()[:2]
        return {"day": (date.toordinal(),), "month": (date.year, date.month), "year": (date.year,)}[self.step]


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Show the calendar."""
    if options.csv and options.json:
        raise AutoflowError("--csv and --json cannot be combined; choose one")
    definitions = definitions_of(settings)
    if options.workflow is not None:
        triggers_of(definitions, options.workflow)
    at_work = is_at_work(settings)
    with record(settings) as reader:
        listed, now = reader.listed_dates(), utc_now()
        whole = span(definitions, reader, listed, now)
        if whole is None and (options.first is None or options.last is None):
            raise AutoflowError(
                "there are no dates to show yet: FlowAPI has not been polled; --from and --to name some"
            )
        start, end = whole or (options.first, options.last)
        first, last = options.first or start, options.last or max(end, options.first or end)
        check_span(first, last)
        if options.first is None and options.last is None:
            # FlowAPI may list dates of any time
            first = max(first, days_before(last, LONGEST_SPAN - 1))
        check_length(first, last)
        names = _names(definitions, options.workflow, width() - 2 - (last - first).days - 1)
        room = max(width() - max(map(len, names), default=0) - 2, SHORTEST_ROW)
        step = options.by or "day"
        if not (options.csv or options.json or options.by):
            if options.first is None and options.last is None:
                first = max(first, days_before(last, room - 1))
            step = next((step for step in STEPS if Columns(first, last, step).most <= room), "year")
        facts = Facts.read(definitions, reader, listed, now, (first, last))
    rows = calendar(facts, first, last, options.workflow)
    if options.csv:
        _print_csv(rows)
    elif options.json:
        print_json(options, {"triggers": Streamed(_as_json(row) for row in rows)})
    else:
        totals = _print(facts.listed, rows, names, Columns(first, last, step))
        if totals[RunState.RUNNING] and not at_work:
            print_line("AutoFlow is not running: what is shown as running ended with it; its next start tries it again")
    return ExitCode.OK


def _names(definitions: Definitions, workflow: str | None, spare: int) -> list[str]:
    """Name the rows, at length if all the dates leave that much to spare."""
    longest = max(width() // 3, 20, spare)
    names = []
    for trigger in definitions.triggers:
        if workflow in (None, trigger.workflow_name):
            name = f"{trigger.workflow_name} {parameters_text(trigger.parameters)}".rstrip()
            if len(name) > longest:
                name = " ".join([trigger.workflow_name, *map(str, trigger.parameters.values())])
            if len(name) > longest:
                # what tells triggers apart is at the end more often than not
                half = longest // 2
                name = f"{name[: longest - half - 1]}…{name[-half:]}"
            names.append(name)
    return names


def _print(listed: ListedDates, rows: Iterable[Row], names: Sequence[str], columns: Columns) -> Counter[str]:
    """Print it, and return how many dates each word is said of."""
    margin = max(map(len, names), default=0) + 2
    for line in _axis([first for first, _ in columns.spans], columns.step):
        print_line(" " * margin + line, "bright_black")
    total = Counter[str]()
    for name, row in zip(names, rows, strict=True):
        total.update(row.count())
        cells = [(name.ljust(margin), "")]
        cells += [(SIGNS[word], STYLES[word]) for word in _worst(row, columns)]
        print_styled(cells, whole=False)
    print_line()
    # a word and its number are not to be parted at the end of a line
    legend = [
        (SIGNS[word], STYLES[word], f" {word} {total[word]}".replace(" ", NO_BREAK)) for word in SIGNS if total[word]
    ]
    print_styled([piece for sign, style, words in legend for piece in ((sign, style), (f"{words}   ", ""))])
    each = {
        "day": "",
        "week": ", one column per week",
        "month": ", one column per month",
        "year": ", one column per year",
    }
    polled = f", dates as listed at {moment(listed.polled)}" if listed.polled else ""
    print_line(f"{columns.first} to {columns.last}{each[columns.step]}{polled}", "bright_black")
    return total


def _axis(starts: Sequence[dt.date], step: str) -> Iterator[str]:
    """Write the dates above the columns: a line of months or years, and for days one of days."""
    pattern = "%Y-%m" if step in ("day", "week") else "%Y"
    labels = [start.strftime(pattern) for start in starts]
    begins = [column for column in range(len(labels)) if column == 0 or labels[column] != labels[column - 1]]
    if step != "year" and len(begins) > 1 and begins[1] <= len(labels[0]):
        # the rest of a month is too short for its name
        begins = begins[1:]
    yield _marks((column, labels[column]) for column in begins)
    if step == "day":
        yield _marks((column, str(start.day)) for column, start in enumerate(starts) if start.day in MARKED_DAYS)


def _marks(marks: Iterable[tuple[int, str]]) -> str:
    """Write each mark above its column, as far as the one before leaves room."""
    line = ""
    for column, mark in marks:
        if len(line) <= column:
            line = line.ljust(column) + f"{mark} "
    return line.rstrip()


def _worst(row: Row, columns: Columns) -> Iterator[str]:
    """Yield what is said of each column in a word; of several days, of the worst of them."""
    if columns.step == "day":
        yield from row.words
        return
    order = list(SIGNS)
    for first, last in columns.spans:
        yield min(row.between(first, last).days_by_word, key=order.index)


def _print_csv(rows: Iterator[Row]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(["workflow", "parameters", "reference_date", "state", "run", "stale"])
    for row in rows:
        name, parameters = row.trigger.workflow_name, parameters_text(row.trigger.parameters)
        for days, (state, run, word) in enumerate(zip(row.states, row.runs, row.words, strict=True)):
            stale = STALE if word == STALE else ""
            writer.writerow([name, parameters, row.first + dt.timedelta(days=days), state.value, run, stale])


def _as_json(row: Row) -> dict[str, object]:
    dates = (row.first + dt.timedelta(days=days) for days in range(len(row.states)))
    return {
        "workflow": row.trigger.workflow_name,
        "parameters": dict(row.trigger.parameters),
        "states": {date.isoformat(): state for date, state in zip(dates, row.states, strict=True)},
        "stale": [dt.date.fromordinal(day) for day in row.days_by_word.get(STALE, ())],
    }
