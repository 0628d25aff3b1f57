# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates are done and which are not: one state for each trigger and date.

Pure functions of what workflows.yml says, what FlowAPI lists and what the record says, for commands and
pages alike. The rule itself is in `autoflow.decision`, where a tick asks too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import islice
from operator import or_
from typing import Self, TypeVar

from autoflow.dates import EVERY_DAY, AvailableDates, DataRule, Days, EmptyIntervalError, Hold, ListedDates
from autoflow.decision import (
    SETTLED,
    Order,
    Verdict,
    days_complete,
    days_ready,
    finalises,
    held_requests,
    judge,
    kept_by_holds,
    ready_days,
    with_waiting_requests,
)
from autoflow.definitions import Definitions, Trigger
from autoflow.history import RunHistory
from autoflow.model import (
    Departure,
    RecordedAttempt,
    Restatement,
    RunReader,
    StaleMark,
    StaleRun,
    weightiest_first,
)
from autoflow.overview.words import GOOD, run_word
from autoflow.runs import AttemptState, RunKey, RunState, key_maker, keys_of_days
from autoflow.schedule import reference_days
from autoflow.wording import KEPT_OUT, first_few, same_results_text, spans

Span = tuple[dt.date, dt.date]
"""The first and the last date."""

Word = TypeVar("Word", bound=str)
Change = TypeVar("Change", Restatement, Departure)

WAITS = Verdict(RunState.WAITING)

NO_RUN = Verdict(RunState.EXCLUDED)
"""Of a date that the stencil holds no day for; there may be very many."""


@dataclass(frozen=True)
class DataChanges:
    """What has become of data since runs used them."""

    restatements: Sequence[Restatement] = ()
    departures: Sequence[Departure] = ()

    @classmethod
    def read(cls, reader: RunReader, marks: Iterable[StaleMark]) -> Self:
        """Read as much as some stale runs may have used."""
        first = min((mark.restatement for mark in marks if mark.restatement is not None), default=None)
        return cls([] if first is None else reader.restatements(first), reader.departures())


@dataclass(frozen=True)
class Stale:
    """A run that has succeeded with data that were ingested anew since, or are there no more, and these."""

    run: StaleMark
    windows: Sequence[tuple[dt.date, dt.date]]
    """The dates that it used, half-open."""
    since: DataChanges
    """All that has changed, whoever used it."""

    @cached_property
    def restatements(self) -> Sequence[Restatement]:
        """The dates that it used and that were ingested anew."""
        first = self.run.restatement
        return [] if first is None else self._used([each for each in self.since.restatements if each.id >= first])

    @cached_property
    def departures(self) -> Sequence[Departure]:
        """The dates that it used and that are listed no more."""
        first = self.run.departure
        return [] if first is None else self._used([each for each in self.since.departures if each.id >= first])

    def _used(self, changes: Iterable[Change]) -> list[Change]:
        there = [each for each in changes if any(start <= each.date < end for start, end in self.windows)]
        types = self.run.cdr_types and json.loads(self.run.cdr_types)
        # a trigger that names other types since has marked it by these
        return [each for each in there if types is None or each.cdr_type in types] or there

    def __str__(self) -> str:
        """Say what has changed of its data, and what came of that."""
        mark, parts = self.run, []
        if mark.restatement is not None:
            parts.append(f"data were ingested anew: {first_few(weightiest_first(self.restatements), between='; ')}")
        if mark.departure is not None:
            parts.append(f"data are no longer listed: {first_few(self.departures, between='; ')}")
        if mark.same_as is not None:
            # what was ingested anew is said already
            other = mark._replace(restatement=None).other_data
            parts.append(same_results_text(mark.same_as, other, doubted=mark.is_doubted))
        return "; ".join([*parts, *([KEPT_OUT] if mark.held else [])])

    @property
    def brief(self) -> str:
        """Say it in few words: which dates, and not what has changed of them."""
        mark, parts = self.run, []
        if mark.restatement is not None:
            parts.append(f"data of {_few_dates(e.date for e in self.restatements)} ingested anew")
        parts += [f"data of {_few_dates(mark.came)} arrived since"] if mark.came else []
        parts += [f"made without {_few_dates(mark.left)}"] if mark.left else []
        if mark.departure is not None:
            parts.append(f"data of {_few_dates(e.date for e in self.departures)} no longer listed")
        if mark.same_as is not None:
            parts.append(f"same results as attempt {mark.same_as}")
        parts += ["kept out of latest"] if mark.held else []
        return "; ".join([*parts, *([f"kept as it is: {mark.kept}"] if mark.kept else [])])

    @property
    def ways_out(self) -> str:
        """Say what a person can do about it; empty where somebody has said that the report stays as it is."""
        mark = self.run
        if mark.kept is not None:
            return ""
        doubted = mark.is_doubted
        again = f"{'when the cache has been reset, ' if doubted else ''}`autoflow rerun {mark.run}` runs it again; "
        right = "if its results are right, " if doubted else ""
        does = "puts its reports into latest" if mark.held else "leaves it as it is"
        return f"{again if mark.can_be_made_again else ''}{right}`autoflow keep {mark.run} --reason TEXT` {does}"


def _few_dates(dates: Iterable[dt.date]) -> str:
    return first_few(spans(sorted(set(dates))).split(", "))


def stale_runs(
    reader: RunReader, workflow: str | None = None, limit: int | None = None, *, also_kept: bool = True
) -> list[tuple[StaleRun, Stale]]:
    """Read which runs are stale, the oldest first, and why."""
    runs = reader.stale(workflow, limit, also_kept=also_kept)
    since = DataChanges.read(reader, [run.mark for run in runs])
    return [(run, Stale(run.mark, run.windows, since)) for run in runs]


def stale_text(reader: RunReader, run: RecordedAttempt) -> tuple[str, str]:
    """Say why an attempt is stale, and what can be done about it; empty where it is not, or counts no more."""
    mark = reader.stale_mark(run.id) if run.state is AttemptState.SUCCEEDED else None
    if mark is None:
        return "", ""
    if run.superseded is not None:
        if mark.same_as is None:
            return "", ""
        same = same_results_text(mark.same_as, mark.other_data, doubted=mark.is_doubted)
        return f"{same}{'; its reports were kept out of latest' if mark.held else ''}", ""
    ranges = (run.parameters or {}).get("date_ranges", ())
    windows = [(dt.date.fromisoformat(start), dt.date.fromisoformat(end)) for start, end in ranges]
    kept = f"kept as it is: {mark.kept}; " if mark.kept else ""
    stale = Stale(mark, windows, DataChanges.read(reader, [mark]))
    return f"{kept}{stale}", stale.ways_out


@dataclass(frozen=True)
class Facts:
    """All that the state of a date depends on.

    Raises
    ------
    ValueError
        When some runs wait for others, and ``order`` does not say which.
    """

    definitions: Definitions
    listed: ListedDates
    run_history: RunHistory
    now: dt.datetime
    order: Order = field(default_factory=Order)
    stale: Mapping[int, StaleMark] = field(default_factory=dict)
    """Runs that have succeeded with data that were ingested anew since, or are there no more, by their numbers."""
    changes: DataChanges = field(default_factory=DataChanges)
    """What has become of the data of these."""
    queued: Mapping[RunKey, int | None] = field(default_factory=dict)
    """Runs that a running AutoFlow has found due and not started yet, and how many it starts before each."""

    def __post_init__(self) -> None:
        if self.definitions.has_order and len(self.order.ready) != len(self.definitions.triggers):
            raise ValueError("some runs wait for others: their order is among the facts")

    @classmethod
    def read(
        cls,
        definitions: Definitions,
        reader: RunReader,
        listed: ListedDates,
        now: dt.datetime,
        span: Span | None = None,
    ) -> Self:
        """Read from the record what decides the states of a span of dates, both ends in it, or of all dates."""
        order = Order.read(definitions, listed, now, reader.run_history)
        marks = reader.stale_marks(span)
        changes = DataChanges.read(reader, marks.values())
        run_history = with_waiting_requests(
            definitions, reader.run_history(*span or ()), listed, now, reader.good_among
        )
        return cls(definitions, listed, run_history, now, order, marks, changes)

    def with_queued(self, queued: Iterable[tuple[str, str, int | None]]) -> Self:
        """Add what a running AutoFlow says of its queue: workflows, hashes of parameters, how many go before each."""
        return replace(self, queued={(workflow, parameters): ahead for workflow, parameters, ahead in queued})

    @cached_property
    def held_requests(self) -> Mapping[RunKey, dt.date]:
        """The requested runs that wait for other requested runs, with their dates."""
        return held_requests(self.definitions, self.run_history)

    def available(self, trigger: Trigger) -> AvailableDates:
        """Return the dates that count for a trigger."""
        return self._of_rule[self.definitions.data_rule(trigger)][0]

    def held_data(self, trigger: Trigger) -> Days:
        """Return the listed dates that do not count for a trigger, since QA checks or people keep them from it."""
        return self._of_rule[self.definitions.data_rule(trigger)][1]

    def there(self, trigger: Trigger) -> Days:
        """Return the dates that count for a trigger, or would if QA checks and people let them."""
        return self._of_rule[self.definitions.data_rule(trigger)][2]

    @cached_property
    def _of_rule(self) -> Mapping[DataRule, tuple[AvailableDates, Days, Days]]:
        """The dates that count by each rule, those that are held, and all that are there; triggers have few rules."""
        rules, listed, now = set(map(self.definitions.data_rule, self.definitions.triggers)), self.listed, self.now
        return {rule: (listed.available(rule, now), listed.held(rule, now), listed.there(rule, now)) for rule in rules}

    def why_held(self, trigger: Trigger, dates: Iterable[dt.date]) -> dict[dt.date, list[Hold]]:
        """Say why some of the dates do not count for a trigger though they are listed."""
        kept, rule = self.there(trigger) - self.available(trigger).days, self.definitions.data_rule(trigger)
        return {date: self.listed.why_held(date, rule, self.now) for date in dates if date.toordinal() in kept}

    def held(self, trigger: Trigger) -> Days:
        """Find the days whose runs wait for other runs."""
        if not self.order.ready:
            return Days()
        return self.order.held(self.definitions, self.definitions.triggers.index(trigger))

    def waits_for(self, trigger: Trigger, date: dt.date) -> list[tuple[str, dt.date]]:
        """Name the runs that a run waits for, by workflow and date."""
        if not self.order.ready:
            return []
        return self.order.waits_for(self.definitions, self.definitions.triggers.index(trigger), date)


@dataclass(frozen=True)
class Row:
    """One trigger, and the state of each date from ``first`` to ``last``."""

    trigger: Trigger
    first: dt.date
    last: dt.date
    days: Mapping[RunState, Days]
    """The dates of each state."""
    numbers: Mapping[int, int]
    """The numbers of the runs that have an attempt that counts, by the ordinals of their dates."""
    stale: Days = field(default_factory=Days)
    """The dates whose runs are stale, and that nobody keeps as they are."""

    @property
    def span(self) -> range:
        return range(self.first.toordinal(), self.last.toordinal() + 1)

    @cached_property
    def states(self) -> Sequence[RunState]:
        """The state of each date."""
        return _by_day(self.span, self.days, RunState.EXCLUDED)

    @property
    def days_by_word(self) -> Mapping[str, Days]:
        """The dates of which the same word is said."""
        if not self.stale:
            # of ten years of many triggers there are very many months without
            return dict[str, Days](self.days.items())
        found = dict[str, Days]()
        for state, days in self.days.items():
            for those, stale in ((days & self.stale, True), (days - self.stale, False)):
                if those:
                    word = run_word(state, stale=stale)
                    found[word] = found.get(word, Days()) | those
        return found

    @cached_property
    def words(self) -> Sequence[str]:
        """What is said of each date in a word."""
        return _by_day(self.span, self.days_by_word, RunState.EXCLUDED)

    @cached_property
    def runs(self) -> Sequence[int | None]:
        """The number of the run of each date, where it has one."""
        return [*map(self.numbers.get, self.span)]

    def between(self, first: dt.date, last: dt.date) -> Row:
        """Leave the dates of a shorter span, both ends in it."""
        among = Days.joined([(first.toordinal(), last.toordinal() + 1)])
        days = {state: left for state, days in self.days.items() if (left := days & among)}
        first, last = max(first, self.first), min(last, self.last)
        return Row(self.trigger, first, last, days, self.numbers, self.stale & among if self.stale else self.stale)

    def count(self) -> Counter[str]:
        """Count the dates by what is said of them in a word."""
        return Counter({word: len(days) for word, days in self.days_by_word.items()})


def _by_day(span: range, days: Mapping[Word, Days], otherwise: Word) -> list[Word]:
    """Write out, day by day, what some days have in common."""
    found = [otherwise] * len(span)
    for word, those in days.items():
        for begin, end in those.stretches:
            found[begin - span.start : end - span.start] = [word] * (end - begin)
    return found


def span(definitions: Definitions, reader: RunReader, listed: ListedDates, now: dt.datetime) -> Span | None:
    """Return the first and the last date that there is something to say about; None when there is none.

    That is listed dates, those that are due without being listed, and those of runs and requests that a trigger is for.
    """
    due = AvailableDates(reduce(or_, ready_days(definitions, listed, now), Days())).ends
    dates = [date for ends in (_listed_span(definitions, listed), due) if ends is not None for date in ends]
    dates += _dates_of_runs(definitions, reader, *((min(dates), max(dates)) if dates else (dt.date.max, dt.date.min)))
    return (min(dates), max(dates)) if dates else None


def _dates_of_runs(definitions: Definitions, reader: RunReader, first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Find the first date up to one and the last date from one on that triggers have runs of, and all of requests."""
    makers = [key_maker(trigger) for trigger in definitions.triggers]

    def is_of_trigger(date: dt.date, keys: Container[RunKey]) -> bool:
        for key_of in makers:
            with suppress(EmptyIntervalError):
                if key_of(date) in keys:
                    return True
        return False

    oldest = reader.keys_by_date(dt.date.min, first, newest_first=False)
    newest = reader.keys_by_date(last, dt.date.max, newest_first=True)
    for by_date in (oldest, newest):
        yield from islice((date for date, keys in by_date if is_of_trigger(date, keys)), 1)
    for key, request in reader.requests().items():
        date = request.reference_date
        if not first <= date <= last and is_of_trigger(date, [key]):
            yield date


def _listed_span(definitions: Definitions, listed: ListedDates) -> Span | None:
    triggers = definitions.triggers
    rules = {definitions.data_rule(trigger) for trigger in triggers}
    # what is listed and does not count yet is of interest too
    types = {name for rule in rules for name in listed.wanted(rule.cdr_types)}
    days = [listed.days.get(name, Days()) for name in types]
    ends = AvailableDates(reduce(or_, days, Days())).ends
    known = [trigger.earliest_date for trigger in triggers if trigger.earliest_date is not None]
    if ends is None:
        return (min(known), max(known)) if known else None
    # with an earliest date for every trigger, what lies before is of no interest
    first = max(ends[0], min(known)) if len(known) == len(triggers) else ends[0]
    return min(first, ends[1]), ends[1]


def calendar(facts: Facts, first: dt.date, last: dt.date, workflow: str | None = None) -> Iterator[Row]:
    """Yield the state of each date of a span, both ends in it, for each trigger in the order of the file."""
    stale = frozenset(number for number, mark in facts.stale.items() if mark.kept is None)
    span = Days.joined([(first.toordinal(), last.toordinal() + 1)])
    for trigger in facts.definitions.triggers:
        if workflow not in (None, trigger.workflow_name):
            continue
        by_dates = _states_by_dates(facts, trigger, span)
        numbers, found = dict[int, int](), dict[RunState, list[int]]()
        looked_at = facts.run_history.known(trigger.workflow_name) & span
        for day, verdict, number in _verdicts(facts, trigger, looked_at, by_dates):
            found.setdefault(verdict.state, []).append(day)
            if number is not None:
                numbers[day] = number
        states = {*by_dates, *found}
        days = {state: (by_dates.get(state, Days()) - looked_at) | Days.of(found.get(state, ())) for state in states}
        days = {state: those for state, those in days.items() if those}
        yield Row(trigger, first, last, days, numbers, _stale_days(days, numbers, stale))


def _stale_days(days: Mapping[RunState, Days], numbers: Mapping[int, int], stale: frozenset[int]) -> Days:
    """Find the dates whose runs are stale; most triggers have none."""
    if stale.isdisjoint(numbers.values()):
        return Days()
    good = reduce(or_, (those for state, those in days.items() if state in GOOD), Days())
    return Days.of(day for day, number in numbers.items() if number in stale) & good


def verdict_of(facts: Facts, trigger: Trigger, date: dt.date) -> tuple[Verdict, int | None]:
    """Say what a trigger's run for a date is, and give its number."""
    day = Days.of([date.toordinal()])
    ((_, verdict, number),) = _verdicts(facts, trigger, day, _states_by_dates(facts, trigger, day))
    return verdict, number


def _states_by_dates(facts: Facts, trigger: Trigger, span: Days) -> dict[RunState, Days]:
    """Divide dates by what the runs of a trigger are, as far as dates and definitions alone say."""
    available = facts.available(trigger)
    # with ends of two kinds, a stencil may hold no day for some reference dates
    wanted = reference_days(trigger, trigger.date_stencil.complete(AvailableDates(EVERY_DAY).days, span))
    ready = wanted & days_ready(trigger, available, facts.now)
    held = (wanted & kept_by_holds(trigger, available, facts.held_data(trigger))) - ready
    due = ready - facts.held(trigger)
    others = wanted - held - due
    # where waiting for dates is over, the reference date itself may be none that is there
    waiting = others & (facts.there(trigger) | ready)
    return {
        RunState.EXCLUDED: span - wanted,
        RunState.HELD: held,
        RunState.DUE: due,
        RunState.WAITING: waiting,
        RunState.NOT_AVAILABLE: others - waiting,
    }


def _runs_of_others(facts: Facts, trigger: Trigger, excluded: Days) -> Set[RunKey]:
    """Find the runs for days that a trigger excludes which are those of another one: there, they are told of."""
    return {
        key
        for other in facts.definitions.triggers
        if other is not trigger and other.workflow_name == trigger.workflow_name
        if other.parameters == trigger.parameters
        for stretch in reference_days(other, excluded).stretches
        for key in keys_of_days(other, range(*stretch))
        if key is not None
    }


def _verdicts(
    facts: Facts, trigger: Trigger, days: Days, by_dates: Mapping[RunState, Days]
) -> Iterator[tuple[int, Verdict, int | None]]:
    """Say of some days what a trigger's run is, and give its number; each is looked at by itself.

    Parameters
    ----------
    by_dates
        What they are by dates and definitions alone: see `_states_by_dates`.
    """
    run_history, latest = facts.run_history, facts.run_history.latest
    retries = facts.definitions.workflows[trigger.workflow_name].retries
    # of ten years one date alone may be asked for, and many times
    held = facts.held_requests
    plain = {day: state for state, those in by_dates.items() for day in those & days}
    complete = days_complete(trigger, facts.available(trigger), by_dates[RunState.DUE] & days)
    again = complete if finalises(trigger) else Days()
    of_others = _runs_of_others(facts, trigger, by_dates[RunState.EXCLUDED] & days)
    for stretch in days.stretches:
        for day, key in zip(range(*stretch), keys_of_days(trigger, range(*stretch)), strict=True):
            if key is None or key in of_others:
                yield day, NO_RUN, None
                continue
            newest = latest.get(key)
            # most of ten years are done: these are quick
            if newest is not None and newest.state in SETTLED and key not in held:
                yield day, SETTLED[newest.state], newest.run
                continue
            is_kept = newest is not None and newest.state == RunState.PROVISIONAL and day not in again
            state = RunState.WAITING if is_kept else plain[day]
            verdict = judge(run_history, key, dt.date.fromordinal(day), state, retries)
            yield day, WAITS if key in held else verdict, None if newest is None else newest.run
