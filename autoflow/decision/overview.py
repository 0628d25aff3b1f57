# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which dates are done, which are not, and why: one state for each trigger and date.

Pure functions of what workflows.yml says, what FlowAPI lists and what the record says, for commands,
pages and messages alike. The sensor decides by the same rules.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_

from autoflow.dates import AvailableDates, DataRule, Days, EmptyIntervalError, ListedDates, Require, duration_text
from autoflow.decision.attempts import is_asked_for, is_given_up, is_skipped, next_try
from autoflow.definitions import Definitions, Trigger
from autoflow.model import Failures, Latest, Request, Silence, Skip, Standing
from autoflow.runs import AttemptState, RunKey, RunState, key_maker, keys_of_days
from autoflow.schedule import reference_days, why_excluded
from autoflow.wording import counted

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Situation:
    """All that the state of a date depends on."""

    definitions: Definitions
    listed: ListedDates
    standing: Standing
    now: dt.datetime


@dataclass(frozen=True)
class Row:
    """One trigger, and the state of each date from ``first`` on."""

    trigger: Trigger
    first: dt.date
    states: Sequence[RunState]
    runs: Sequence[int | None]
    """The number of the run, for each of these dates that has one with an attempt that counts."""


@dataclass(frozen=True)
class Wanted:
    """One element of a stencil for a reference date."""

    start: dt.date
    end: dt.date
    """Not in it."""
    missing: tuple[dt.date, ...]


@dataclass(frozen=True)
class Answer:
    """The state of one trigger and date, with all that explains it."""

    trigger: Trigger
    reference_date: dt.date
    state: RunState
    reason: str
    """In words, without the state itself."""
    key: RunKey | None
    """None when the stencil holds no day for this date."""
    run: int | None = None
    """Its number, where it has an attempt that counts."""
    failures: Failures | None = None
    next_try: dt.datetime | None = None
    """When it may be tried again, or at the next tick if that is later."""
    wanted: tuple[Wanted, ...] = ()
    cdr_types: tuple[str, ...] = ()
    require: Require = "any"
    """Whether any of them makes a date count, or only all together."""
    lacking: Mapping[dt.date, tuple[str, ...]] = field(default_factory=dict)
    """The types that keep dates from counting, for those that are missing and the reference date."""
    counts_from: Mapping[dt.date, dt.datetime] = field(default_factory=dict)
    """When dates begin to count that are listed, and only wait for the trigger's lag to be over."""
    skip: Skip | None = None
    request: Request | None = None

    @property
    def missing(self) -> tuple[dt.date, ...]:
        """Dates that the stencil needs and that are not there, in order, each once."""
        return tuple(sorted({date for wanted in self.wanted for date in wanted.missing}))


def available_for(situation: Situation, trigger: Trigger) -> AvailableDates:
    """Give the dates that count for a trigger."""
    return situation.listed.available(situation.definitions.data_rule(trigger), situation.now)


def span(situation: Situation) -> tuple[dt.date, dt.date] | None:
    """Give the first and the last date that there is something to say about; None when there is none."""
    triggers = situation.definitions.triggers
    rules = {situation.definitions.data_rule(trigger) for trigger in triggers}
    # what is listed and does not count yet is of interest too
    types = {name for rule in rules for name in situation.listed.wanted(rule.cdr_types)}
    days = [situation.listed.days.get(name, Days()) for name in types]
    ends = AvailableDates(reduce(or_, days, Days())).ends
    known = [trigger.earliest_date for trigger in triggers if trigger.earliest_date is not None]
    if ends is None:
        return (min(known), max(known)) if known else None
    # with an earliest date for every trigger, what lies before is of no interest
    first = max(ends[0], min(known)) if len(known) == len(triggers) else ends[0]
    return min(first, ends[1]), ends[1]


def calendar(situation: Situation, first: dt.date, last: dt.date, workflow: str | None = None) -> Iterator[Row]:
    """Give the state of each date of a span, both ends in it, for each trigger in the order of the file."""
    available: dict[DataRule, AvailableDates] = {}
    for trigger in situation.definitions.triggers:
        if workflow in (None, trigger.workflow_name):
            rule = situation.definitions.data_rule(trigger)
            if rule not in available:
                available[rule] = available_for(situation, trigger)
            days = list(states(situation, trigger, first, last, available[rule]))
            yield Row(trigger, first, [state for state, _ in days], [run for _, run in days])


def states(
    situation: Situation, trigger: Trigger, first: dt.date, last: dt.date, available: AvailableDates
) -> Iterator[tuple[RunState, int | None]]:
    """Give a trigger's state for each date of a span, and the number of its run; linear in its length."""
    standing = situation.standing
    retries = situation.definitions.workflows[trigger.workflow_name].retries
    days = range(first.toordinal(), last.toordinal() + 1)
    span = Days.joined([(days.start, days.stop)])
    # of ten years one date alone may be asked for, and many times
    complete = frozenset(available.complete(trigger.date_stencil) & span)
    wanted, there = frozenset(reference_days(trigger, span)), frozenset(available.days & span)
    latest, failed, requests, skips = standing.latest, standing.failed, standing.requests, standing.skips
    live = {AttemptState.SUCCEEDED.value: RunState.SUCCEEDED, AttemptState.RUNNING.value: RunState.RUNNING}
    for day, key in zip(days, keys_of_days(trigger, days), strict=True):
        if key is None:
            yield RunState.EXCLUDED, None
            continue
        newest = latest.get(key)
        run = None if newest is None else newest.run
        if newest is not None and newest.state in live:
            yield live[newest.state], run
            continue
        request, failures, skip = requests.get(key), failed.get(key), skips.of(key, dt.date.fromordinal(day))
        if skip is not None and is_skipped(skip, request):
            state = RunState.SKIPPED
        elif request is not None and is_asked_for(request, failures):
            state = RunState.DUE
        elif failures is not None:
            state = RunState.GIVEN_UP if is_given_up(retries, failures) else RunState.FAILED
        elif request is not None:
            state = RunState.DUE
        elif day not in wanted:
            state = RunState.EXCLUDED
        elif day not in there:
            state = RunState.NOT_AVAILABLE
        else:
            state = RunState.DUE if day in complete else RunState.WAITING
        yield state, run


def explain(situation: Situation, trigger: Trigger, reference_date: dt.date) -> Answer:
    """Say what becomes of a trigger and a date, and why."""
    available = available_for(situation, trigger)
    ((state, _),) = states(situation, trigger, reference_date, reference_date, available)
    rule = situation.definitions.data_rule(trigger)
    cdr_types = situation.listed.wanted(rule.cdr_types)
    try:
        key = key_maker(trigger)(reference_date)
        intervals = trigger.date_stencil.intervals(reference_date)
    except EmptyIntervalError as error:
        return Answer(trigger, reference_date, state, str(error), None, cdr_types=cdr_types)
    wanted = tuple(
        Wanted(start, end, tuple(date for date in _dates(start, end - DAY) if date not in available))
        for start, end in intervals
    )
    standing = situation.standing
    newest, failures, request = standing.latest.get(key), standing.failed.get(key), standing.requests.get(key)
    skip = standing.skips.of(key, reference_date)
    retries = situation.definitions.workflows[trigger.workflow_name].retries
    again = next_try(retries, failures) if state is RunState.FAILED and failures is not None else None
    in_want = {reference_date, *(date for each in wanted for date in each.missing)}
    uncounted = sorted(date for date in in_want if date not in available)
    counts_from = {date: situation.listed.counts_from(date, rule) for date in uncounted}
    answer = Answer(
        trigger,
        reference_date,
        state,
        "",
        key,
        run=newest.run if newest else None,
        failures=failures,
        next_try=again,
        wanted=wanted,
        cdr_types=cdr_types,
        require=rule.require,
        lacking={date: lacking for date in uncounted if (lacking := situation.listed.lacking(date, rule))},
        counts_from={date: time for date, time in counts_from.items() if time is not None},
        skip=skip,
        request=request,
    )
    return _with_reason(situation, answer, available, newest)


def why_no_data(situation: Situation, answer: Answer, available: AvailableDates) -> str:
    """Say what keeps a date from having all the data that it needs; empty when nothing does."""
    if answer.reference_date not in available:
        return _why_not_available(situation, answer, available)
    return _why_waiting(answer, available) if answer.missing else ""


def spans(dates: Iterable[dt.date]) -> str:
    """Write dates as people do, those that follow each other as from and to."""
    parts: list[tuple[dt.date, dt.date]] = []
    for date in dates:
        if parts and date == parts[-1][1] + DAY:
            parts[-1] = parts[-1][0], date
        else:
            parts.append((date, date))
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in parts)


def moment(time: dt.datetime) -> str:
    """Write a time to the minute, in UTC."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def list_age(polled: dt.datetime | None, silence: Silence | None, now: dt.datetime) -> list[str]:
    """Say how old FlowAPI's list of dates is, and since when there is no newer one to be had."""
    lines = []
    if polled is not None:
        lines.append(f"dates as FlowAPI listed them at {moment(polled)}, {_ago(now - polled)}")
    if silence is not None:
        lines.append(f"no list from FlowAPI since {moment(silence.since)}: {silence.why}")
    return lines


def _ago(length: dt.timedelta) -> str:
    minutes = max(int(length.total_seconds() // 60), 0)
    for number, unit in ((minutes // 1440, "day"), (minutes // 60, "hour"), (minutes, "minute")):
        if number:
            return f"{counted(number, unit)} ago"
    return "just now"


def _with_reason(situation: Situation, answer: Answer, available: AvailableDates, newest: Latest | None) -> Answer:
    return replace(answer, reason=" ".join(_reasons(situation, answer, available, newest)))


def _reasons(situation: Situation, answer: Answer, available: AvailableDates, newest: Latest | None) -> Iterator[str]:
    trigger, date, state = answer.trigger, answer.reference_date, answer.state
    if state in (RunState.SUCCEEDED, RunState.RUNNING):
        yield f"run {answer.run}"
    elif state is RunState.SKIPPED and answer.skip is not None:
        yield f"since {moment(answer.skip.since)}: {answer.skip.reason}"
    elif state is RunState.EXCLUDED:
        yield why_excluded(trigger, date) or ""
    elif state in (RunState.FAILED, RunState.GIVEN_UP) and answer.failures is not None:
        yield f"failed {counted(answer.failures.attempts, 'time')}, last at {moment(answer.failures.last)};"
        if state is RunState.GIVEN_UP:
            yield "it is out of retries and is not retried until requested"
        elif answer.request is None and (excluded := why_excluded(trigger, date)):
            yield f"it is not retried: {excluded}"
        elif answer.request is None and (date not in available or answer.missing):
            yield f"it is not retried while there is no data for {spans(answer.missing) or date}"
        elif answer.next_try is not None and answer.next_try > situation.now:
            yield f"retried at {moment(answer.next_try)}"
        else:
            yield "retried at the next tick"
    elif state in (RunState.NOT_AVAILABLE, RunState.WAITING):
        yield why_no_data(situation, answer, available)
    elif answer.request is not None:
        verb = "repair" if answer.request.repairs else "run"
        yield f"{verb} requested at {moment(answer.request.asked)}; it goes first"
    else:
        yield "its stencil is complete; it runs at the next tick"
        if newest is not None:
            yield f"(run {newest.run} was {newest.state})"


def _why_not_available(situation: Situation, answer: Answer, available: AvailableDates) -> str:
    date, types = answer.reference_date, f" ({', '.join(answer.cdr_types)})" if answer.cdr_types else ""
    lacking = answer.lacking.get(date, ())
    if situation.listed.polled is None:
        return "FlowAPI has not been polled yet"
    if date in answer.counts_from:
        return f"FlowAPI lists this date, and it {_begin_to_count(answer, [date])}"
    if having := [name for name in answer.cdr_types if name not in lacking]:
        return f"FlowAPI lists data of {' and '.join(having)} for this date, and none of {' and '.join(lacking)} yet"
    if available.ends is None:
        return f"FlowAPI lists no dates{types}"
    first, last = available.ends
    if date > last:
        return f"FlowAPI lists no data for this date yet{types}; the newest date is {last}"
    if date < first:
        return f"FlowAPI lists no data for this date{types}; the first date is {first}"
    return f"FlowAPI lists no data for this date{types}, though it does for later ones, up to {last}"


def _why_waiting(answer: Answer, available: AvailableDates) -> str:
    absent = [date for date in answer.missing if date not in answer.counts_from]
    listed = [date for date in answer.missing if date in answer.counts_from]
    parts = []
    if absent:
        many = len(absent) > 1
        parts.append(f"no data{_of_types(answer, absent)}")
        parts.append(f"if {'these arrive' if many else f'{absent[0]} arrives'} it can run")
        gaps = [date for date in absent if available.ends and date < available.ends[1]]
        if gaps:
            are = "are" if len(gaps) > 1 else "is"
            parts.append(f"{spans(gaps)} {are} older than available dates, and may never arrive")
    if listed:
        then = "" if absent else "; it can run then"
        parts.append(f"FlowAPI lists {spans(listed)}, which {_begin_to_count(answer, listed)}{then}")
    return "; ".join(parts)


def _of_types(answer: Answer, dates: Sequence[dt.date]) -> str:
    """Write for which dates there is no data, and of which CDR types where that differs."""
    if answer.require == "any":
        types = f" (none of {', '.join(answer.cdr_types)})" if len(answer.cdr_types) > 1 else ""
        return f"{types} for {spans(dates)}"
    by_types: dict[tuple[str, ...], list[dt.date]] = {}
    for date in dates:
        by_types.setdefault(answer.lacking.get(date, ()), []).append(date)
    return ", ".join(f" of {' and '.join(types)} for {spans(those)}" for types, those in by_types.items())


def _begin_to_count(answer: Answer, dates: Sequence[dt.date]) -> str:
    """Say from when on dates count that are listed already."""
    last = max(answer.counts_from[date] for date in dates)
    count = "count" if len(dates) > 1 else "counts"
    return f"{count} from {moment(last)} on (lag {duration_text(answer.trigger.lag.total_seconds())})"


def _dates(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield dt.date.fromordinal(ordinal)
