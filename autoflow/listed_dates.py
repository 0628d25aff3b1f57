# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The dates that FlowAPI lists: for which CDR types, and since when."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoflow.date_stencil import AvailableDates, as_date
from autoflow.definitions import CDR_TYPES
from autoflow.errors import AutoflowError
from autoflow.wording import shown


@dataclass(frozen=True)
class ListedDates:
    """What FlowAPI listed at the last good poll.

    ``by_type`` has the dates of each CDR type, each with the time of the poll that first listed it.
    ``polled`` is None when there was no poll yet.
    """

    by_type: Mapping[str, Mapping[dt.date, dt.datetime]] = field(default_factory=dict)
    polled: dt.datetime | None = None

    def wanted(self, cdr_types: Iterable[str] | None) -> tuple[str, ...]:
        """Name the CDR types that count; None means all that are listed."""
        return tuple(self.by_type) if cdr_types is None else tuple(cdr_types)

    def available(self, cdr_types: Iterable[str] | None) -> AvailableDates:
        """Give the dates that have data for any of the types."""
        by_type = {name: self.by_type.get(name, {}) for name in self.wanted(cdr_types)}
        listed = {name: [date.isoformat() for date in sorted(dates)] for name, dates in by_type.items()}
        return AvailableDates((date for dates in by_type.values() for date in dates), listed)

    def as_of(self, moment: dt.datetime) -> ListedDates:
        """Leave out the dates that appeared after a moment."""
        return ListedDates(
            {
                name: {date: appeared for date, appeared in dates.items() if appeared <= moment}
                for name, dates in self.by_type.items()
            },
            self.polled,
        )

    def until(self, last: dt.date) -> ListedDates:
        """Leave out the dates after a day, as if it were that day."""
        return ListedDates(
            {
                name: {date: appeared for date, appeared in dates.items() if date <= last}
                for name, dates in self.by_type.items()
            },
            self.polled,
        )


def listed_at(answer: Mapping[str, Iterable[str]], moment: dt.datetime) -> ListedDates:
    """Take FlowAPI's answer: ISO dates by CDR type, all of them first listed now."""
    return ListedDates(
        {name: {dt.date.fromisoformat(date): moment for date in dates} for name, dates in answer.items()}, moment
    )


def read_dates_file(path: Path, moment: dt.datetime) -> ListedDates:
    """Read a recorded list of available dates.

    Parameters
    ----------
    path
        FlowAPI's answer as JSON (dates by CDR type), or one ISO date a line, which then counts for every
        type; empty lines and what follows a ``#`` do not count.

    Raises
    ------
    AutoflowError
        Naming the line or key, what was found and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AutoflowError(f"{path}: is not UTF-8 text; expected a recorded list of dates") from None
    except OSError as error:
        raise AutoflowError(f"{path}: can not be read ({error.strerror}); --dates names a file") from None
    if text.lstrip().startswith(("{", "[")):
        return listed_at(_answer_in(path, text), moment)
    dates = []
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        if written:
            dates.append(_iso(written, f"{path}:{number}"))
    return listed_at(dict.fromkeys(CDR_TYPES, dates), moment)


def _answer_in(path: Path, text: str) -> dict[str, list[str]]:
    try:
        answer: Any = json.loads(text)
    except ValueError as error:
        raise AutoflowError(f"{path}: is not valid JSON ({error})") from None
    if isinstance(answer, dict) and isinstance(answer.get("available_dates"), dict):
        answer = answer["available_dates"]
    if isinstance(answer, list):
        answer = dict.fromkeys(CDR_TYPES, answer)
    found: dict[str, list[str]] = {}
    for name, dates in answer.items():
        if not isinstance(dates, list):
            raise AutoflowError(f"{path}: {name}: found {shown(dates)}, expected a list of dates such as 2016-01-01")
        found[name] = [_iso(date, f"{path}: {name}") for date in dates]
    return found


def _iso(written: Any, where: str) -> str:
    date = as_date(written)
    if date is None:
        raise AutoflowError(f"{where}: found {shown(written)}, expected a date such as 2016-01-01")
    return date.isoformat()
