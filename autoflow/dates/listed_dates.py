# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The dates that FlowAPI lists: for which CDR types, and since when."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import and_, or_
from pathlib import Path
from typing import Any, Literal, get_args

from autoflow.bounded_file import LARGEST_DATES, read_bounded
from autoflow.dates.date_stencil import AvailableDates, as_date
from autoflow.dates.days import Days, Stretch
from autoflow.errors import AutoflowError
from autoflow.quality import Breach, Check, Outcomes
from autoflow.wording import moment as moment_text
from autoflow.wording import shown

CdrType = Literal["calls", "sms", "mds", "topups"]

CDR_TYPES: tuple[CdrType, ...] = get_args(CdrType)

DAY = dt.timedelta(days=1)
BEGINNING, END = (moment.replace(tzinfo=dt.UTC) for moment in (dt.datetime.min, dt.datetime.max))


Require = Literal["any", "all"]


@dataclass(frozen=True)
class DataRule:
    """Which dates count as having data, in stencils and as reference dates."""

    cdr_types: tuple[str, ...] | None = None
    """None is every type that FlowAPI lists."""
    require: Require = "any"
    """Whether any of the types is enough, or all must have a date."""
    lag: dt.timedelta = dt.timedelta()
    """How long after it appeared a date begins to count."""
    quality: tuple[Check, ...] = ()
    """What the outcomes of QA checks have to be like."""
    workflow: str = ""
    """The workflow, whose dates people may have accepted or held."""


@dataclass(frozen=True)
class Override:
    """What somebody has decided of a date of a workflow's data, whatever QA checks say."""

    workflow: str
    date: dt.date
    accepted: bool
    """False: it is held."""
    reason: str
    since: dt.datetime

    def __str__(self) -> str:
        return f"{'accepted' if self.accepted else 'held'} since {moment_text(self.since)}: {self.reason}"


@dataclass(frozen=True)
class Hold:
    """Why a date that is listed does not count."""

    cdr_type: str = ""
    check: str = ""
    outcome: str | None = None
    limit: str = ""
    """What was expected, in words; empty when there is no outcome yet."""
    waits: bool = False
    """Whether it only waits for an outcome, as is usual for a new date."""
    until: dt.datetime | None = None
    """When it counts even without an outcome."""
    override: Override | None = None
    """Where somebody holds it."""

    def __str__(self) -> str:
        if self.override is not None:
            return str(self.override)
        if not self.limit:
            until = f", and waits for it until {moment_text(self.until)}" if self.until else ""
            return f"{self.cdr_type} {self.check} has no outcome yet{until}"
        outcome = "null" if self.outcome is None else self.outcome or "empty"
        return f"{self.cdr_type} {self.check} is {outcome}, expected {self.limit}"


@dataclass(frozen=True)
class ListedDates:
    """What FlowAPI listed at the last good poll.

    ``by_type`` has the dates of each CDR type, each with the time of the poll that first listed it; a type
    that had dates once and is gone has none. ``polled`` is None when there was no poll yet. What was listed
    when ``watched_since`` or before had appeared at an unknown time.
    """

    by_type: Mapping[str, Mapping[dt.date, dt.datetime]] = field(default_factory=dict)
    polled: dt.datetime | None = None
    watched_since: dt.datetime | None = None
    outcomes: Outcomes = field(default_factory=Outcomes)
    """What QA checks say of dates."""
    overrides: Mapping[tuple[str, dt.date], Override] = field(default_factory=dict)
    """What people have decided, by workflow and date."""

    def wanted(self, cdr_types: Iterable[str] | None) -> tuple[str, ...]:
        """Name the CDR types that count; None means all that are listed."""
        return tuple(self.by_type) if cdr_types is None else tuple(cdr_types)

    @cached_property
    def days(self) -> Mapping[str, Days]:
        """The days that are listed for each CDR type."""
        return {name: Days.of(date.toordinal() for date in dates) for name, dates in self.by_type.items()}

    def available(self, rule: DataRule, now: dt.datetime) -> AvailableDates:
        """Return the dates that count as having data."""
        there, (held, waiting) = self.there(rule, now), self._untrusted(rule, now)
        return AvailableDates(there - held - waiting if held or waiting else there)

    def held(self, rule: DataRule, now: dt.datetime) -> Days:
        """Return the dates that would count, if QA checks, or people, did not keep them from it."""
        held, _ = self._untrusted(rule, now)
        return self.there(rule, now) & held if held else held

    def there(self, rule: DataRule, now: dt.datetime) -> Days:
        """Return the dates that count, or would if QA checks and people let them."""
        days = [self._counting(name, rule.lag, now) for name in self.wanted(rule.cdr_types)]
        # of the calendar's last day nothing can be made, whoever lets it count
        return AvailableDates(reduce(and_ if rule.require == "all" else or_, days, *() if days else [Days()])).days

    def _untrusted(self, rule: DataRule, now: dt.datetime) -> tuple[Days, Days]:
        """Return the dates that are held, and those that only wait for outcomes."""
        held, waiting, empty = Days(), Days(), Days()
        for name in self.wanted(rule.cdr_types) if rule.quality else ():
            days = self.days.get(name, empty)
            for check in rule.quality:
                if check.is_for(name):
                    judged = self.outcomes.judged(check, name)
                    held |= days & Days(judged.failed)
                    missing = days - Days(judged.answered)
                    if check.on_missing == "hold":
                        held |= missing
                    elif isinstance(check.on_missing, dt.timedelta):
                        waiting |= missing - self._counting(name, check.on_missing, now)
                    elif check.on_missing == "wait":
                        waiting |= missing
        if self.overrides:
            decided = [each for each in self.overrides.values() if each.workflow == rule.workflow]
            accepted = Days.of(each.date.toordinal() for each in decided if each.accepted)
            held = (held - accepted) | Days.of(each.date.toordinal() for each in decided if not each.accepted)
            waiting -= accepted
        return held, waiting - held

    def why_held(self, date: dt.date, rule: DataRule, now: dt.datetime) -> list[Hold]:
        """Say what keeps a listed date from counting, be it nothing."""
        override = self.overrides.get((rule.workflow, date))
        if override is not None:
            return [] if override.accepted else [Hold(override=override)]
        names = [name for name in self.wanted(rule.cdr_types) if date in self.by_type.get(name, {})]
        pairs = [(check, name) for name in names for check in rule.quality if check.is_for(name)]
        return [hold for check, name in pairs if (hold := self._hold(date, name, check, now)) is not None]

    def _hold(self, date: dt.date, cdr_type: str, check: Check, now: dt.datetime) -> Hold | None:
        found = self.outcomes.breach(check, cdr_type, date.toordinal())
        if found is None or (found == "absent" and check.on_missing == "pass"):
            return None
        if isinstance(found, Breach):
            return Hold(cdr_type, check.check, *found)
        until = None
        if isinstance(check.on_missing, dt.timedelta):
            appeared = self._appeared(date, self.by_type[cdr_type][date])
            until = appeared + min(check.on_missing, END - appeared)
            if until <= now:
                return None
        return Hold(cdr_type, check.check, waits=check.on_missing != "hold", until=until)

    def listed(self, cdr_types: Iterable[str] | None) -> dict[str, list[str]]:
        """Return the ISO dates of each of the CDR types, whatever else they lack to count."""
        return {
            name: [date.isoformat() for date in sorted(self.by_type.get(name, ()))] for name in self.wanted(cdr_types)
        }

    def lacking(self, date: dt.date, rule: DataRule) -> tuple[str, ...]:
        """Name the CDR types that do not have a date and would have to, or of which one would have to."""
        wanted = self.wanted(rule.cdr_types)
        lacking = tuple(name for name in wanted if date not in self.by_type.get(name, ()))
        return lacking if rule.require == "all" or lacking == wanted else ()

    def counts_from(self, date: dt.date, rule: DataRule) -> dt.datetime | None:
        """Say since when a date counts, or from when on it will; None when too few types have it."""
        appeared = [
            self._appeared(date, self.by_type[name][date])
            for name in self.wanted(rule.cdr_types)
            if date in self.by_type.get(name, ())
        ]
        if not appeared or self.lacking(date, rule):
            return None
        last = max(appeared) if rule.require == "all" else min(appeared)
        return last + min(rule.lag, END - last)

    def next_to_count(self, rule: DataRule, now: dt.datetime) -> dt.datetime | None:
        """Say when the next of the dates begins to count that only wait for the lag to be over."""
        if not rule.lag:
            return None
        waiting = self.available(replace(rule, lag=dt.timedelta()), now).days - self.available(rule, now).days
        times = (self.counts_from(dt.date.fromordinal(day), rule) for day in waiting)
        return min((time for time in times if time is not None), default=None)

    def as_of(self, moment: dt.datetime) -> ListedDates:
        """Leave out the dates that appeared after a moment."""
        by_type = {
            name: {date: appeared for date, appeared in dates.items() if appeared <= moment}
            for name, dates in self.by_type.items()
        }
        return replace(self, by_type=by_type)

    def until(self, last: dt.date, moment: dt.datetime) -> ListedDates:
        """Leave out the dates after a day, as if it were a moment of that day.

        Of a date that was first listed later it is not known when it would have appeared by then.
        """
        by_type = {
            name: {
                date: listed if listed <= moment else min(_over(date), moment)
                for date, listed in dates.items()
                if date <= last
            }
            for name, dates in self.by_type.items()
        }
        return replace(self, by_type=by_type)

    @cached_property
    def _listings(self) -> Mapping[str, Sequence[tuple[dt.datetime, Days]]]:
        """The days of each CDR type that were first listed together, the newest first."""
        listings = {}
        for name, dates in self.by_type.items():
            together: dict[dt.datetime, list[int]] = {}
            for date, listed in dates.items():
                together.setdefault(listed, []).append(date.toordinal())
            listings[name] = [(listed, Days.of(together[listed])) for listed in sorted(together, reverse=True)]
        return listings

    def _counting(self, cdr_type: str, lag: dt.timedelta, now: dt.datetime) -> Days:
        if not lag or cdr_type not in self.by_type:
            return self.days.get(cdr_type, Days())
        latest = now - min(lag, now - BEGINNING)
        # what was there from the start appeared when its day was over
        not_over = Days(((latest.astimezone(dt.UTC).date().toordinal(), dt.date.max.toordinal() + 1),))
        too_new: list[Stretch] = []
        for listed, days in self._listings[cdr_type]:
            if listed <= latest:
                break
            too_new += (days & not_over if self._is_from_the_start(listed) else days).stretches
        return self.days[cdr_type] - Days.joined(too_new)

    def _appeared(self, date: dt.date, listed: dt.datetime) -> dt.datetime:
        """Say when a date appeared: what was there from the start, when its day was over."""
        return min(listed, _over(date)) if self._is_from_the_start(listed) else listed

    def _is_from_the_start(self, listed: dt.datetime) -> bool:
        return self.watched_since is not None and listed <= self.watched_since


def _over(date: dt.date) -> dt.datetime:
    """Return the moment at which a day is over."""
    return dt.datetime.combine(min(date, dt.date.max - DAY) + DAY, dt.time(), dt.UTC)


def listed_at(answer: Mapping[str, Iterable[str]], moment: dt.datetime) -> ListedDates:
    """Take FlowAPI's answer: ISO dates by CDR type, all of them first listed now."""
    by_type = {name: dict.fromkeys(map(dt.date.fromisoformat, dates), moment) for name, dates in answer.items()}
    # as in the record: a type without dates is not told from one that is not listed
    by_type = {name: dates for name, dates in by_type.items() if dates}
    return ListedDates(by_type, moment, moment)


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
        text = read_bounded(path, LARGEST_DATES).decode("utf-8")
    except UnicodeDecodeError:
        raise AutoflowError(f"{path}: is not UTF-8 text; expected a recorded list of dates") from None
    except OSError as error:
        raise AutoflowError(f"{path}: cannot be read ({error.strerror}); --dates names a file") from None
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
