# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Why a date is what it is, in words for people."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoflow.dates import AvailableDates, EmptyIntervalError, Hold, Override, Require, duration_text
from autoflow.decision import Incomplete, finalises, incomplete, is_asked_for, triggers_by_run
from autoflow.definitions import Definitions, Trigger
from autoflow.history import Failures, Request, RunHistory, Skip
from autoflow.model import RecordedAttempt, RunReader, Silence
from autoflow.overview.states import Facts, Stale, verdict_of
from autoflow.runs import RunKey, RunState, key_maker
from autoflow.schedule import why_excluded
from autoflow.wording import counted, first_few, length_text, moment, spans

DAY = dt.timedelta(days=1)

MOST_HOLDS, MOST_ACCEPTED = 5, 5
"""Held dates whose reasons are told, and accepted ones."""


@dataclass(frozen=True)
class StencilElement:
    """One element of a stencil for a reference date."""

    start: dt.date
    end: dt.date
    """Not in it."""
    missing: tuple[dt.date, ...]


@dataclass(frozen=True)
class Explanation:
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
    wanted: tuple[StencilElement, ...] = ()
    cdr_types: tuple[str, ...] = ()
    require: Require = "any"
    """Whether any of them makes a date count, or only all together."""
    lacking: Mapping[dt.date, tuple[str, ...]] = field(default_factory=dict)
    """The types that keep dates from counting, for those that are missing and the reference date."""
    counts_from: Mapping[dt.date, dt.datetime] = field(default_factory=dict)
    """When dates begin to count that are listed, and only wait for the trigger's lag to be over."""
    holds: Mapping[dt.date, Sequence[Hold]] = field(default_factory=dict)
    """Why dates that are listed do not count, for those that are missing and the reference date."""
    accepted: Sequence[Override] = ()
    """What people have decided of dates that it uses, which count whatever QA checks say."""
    stale: Stale | None = None
    """Where it has succeeded with data that were ingested anew since."""
    skip: Skip | None = None
    request: Request | None = None
    late: Incomplete | None = None
    """What is missing for windows that need not be complete; None where nothing is, or they have to be."""
    no_data: str = ""
    """What keeps the date from having all the data that it needs, in words; empty when nothing does."""

    @property
    def is_stale(self) -> bool:
        """Whether its run is stale, and nobody keeps it as it is."""
        return self.stale is not None and self.stale.run.kept is None

    @property
    def about_accepted(self) -> list[str]:
        """Which dates count since somebody has decided so, in words, the first few of many."""
        lines = [f"data of {each.date} {each}" for each in self.accepted]
        more = [f"data of {len(lines) - MOST_ACCEPTED} more dates accepted"] if len(lines) > MOST_ACCEPTED else []
        return [*lines[:MOST_ACCEPTED], *more]

    @property
    def missing(self) -> tuple[dt.date, ...]:
        """Dates that the stencil needs and that are not there, in order, each once."""
        return tuple(sorted({date for wanted in self.wanted for date in wanted.missing}))

    @property
    def held_back(self) -> list[str]:
        """Why dates that are listed do not count, in words."""
        return why_held_back(self.holds)

    @property
    def way_to_count(self) -> str:
        """What a person can do to let the first of the held dates count; empty where none is held."""
        workflow = self.trigger.workflow_name
        for date in held_dates(self.holds):
            accept = f"`{accept_command(workflow, date)}` lets"
            if self.holds[date][0].override is None:
                return f"{accept} the data of {date} count"
            unhold = f"`autoflow unhold {shlex.quote(workflow)} {date}`"
            return f"{unhold} leaves the data of {date} to QA checks again; {accept} them count"
        return ""


def explain(facts: Facts, trigger: Trigger, reference_date: dt.date) -> Explanation:
    """Say what becomes of a trigger and a date, and why."""
    available = facts.available(trigger)
    verdict, run = verdict_of(facts, trigger, reference_date)
    rule = facts.definitions.data_rule(trigger)
    cdr_types = facts.listed.wanted(rule.cdr_types)
    try:
        key = key_maker(trigger)(reference_date)
        intervals = trigger.date_stencil.intervals(reference_date)
    except EmptyIntervalError as error:
        holds = facts.why_held(trigger, [reference_date])
        answer = Explanation(trigger, reference_date, verdict.state, "", None, cdr_types=cdr_types, holds=holds)
        return replace(answer, reason="; ".join([str(error), *answer.held_back]))
    wanted = _wanted(intervals, available)
    in_want = {reference_date, *(date for each in wanted for date in each.missing)}
    uncounted = sorted(date for date in in_want if date not in available)
    holds = facts.why_held(trigger, uncounted)
    counts_from = {date: facts.listed.counts_from(date, rule) for date in uncounted if date not in holds}
    answer = Explanation(
        trigger,
        reference_date,
        verdict.state,
        "",
        key,
        run=run,
        failures=facts.run_history.failed.get(key),
        next_try=verdict.retry_at,
        wanted=wanted,
        cdr_types=cdr_types,
        require=rule.require,
        lacking={date: lacking for date in uncounted if (lacking := facts.listed.lacking(date, rule))},
        counts_from={date: time for date, time in counts_from.items() if time is not None},
        holds=holds,
        stale=Stale(facts.stale[run], intervals, facts.changes) if run is not None and run in facts.stale else None,
        skip=facts.run_history.skips.of(key, reference_date),
        request=facts.run_history.requests.get(key),
    )
    late = incomplete(trigger, reference_date, available)
    answer = replace(answer, late=late, no_data=_why_no_data(facts, answer, available))
    return replace(answer, reason=_reason(facts, answer), accepted=_accepted(facts, answer))


def what_lacks(facts: Facts, trigger: Trigger, reference_date: dt.date) -> list[str]:
    """Say which data that a run would use do not count now, and why they are held; nothing where all count."""
    available = facts.available(trigger)
    if reference_date.toordinal() in available.complete(trigger.date_stencil):
        return []
    answer = explain(facts, trigger, reference_date)
    # without all of its windows a run is made though its reference date itself is not there
    needed = [*answer.missing, *([] if trigger.late or reference_date in available else [reference_date])]
    holds = {date: answer.holds[date] for date in sorted({*needed}) if date in answer.holds}
    absent = spans(sorted({*needed} - holds.keys()))
    return [*why_held_back(holds), *([f"no data that count for {absent}"] if absent else [])]


def until_final(definitions: Definitions, reader: RunReader, run: RecordedAttempt, now: dt.datetime) -> list[str]:
    """Say whether and when a provisional run is made again, and what a person can do for that; nothing of others."""
    date = run.reference_date
    if not run.provisional or run.superseded is not None or date is None:
        return []
    trigger = next(triggers_by_run(definitions)(run.key, date), None)
    if trigger is None:
        return ["it will not run again: no trigger in workflows.yml is for it any more"]
    answer = explain(Facts.read(definitions, reader, reader.listed_dates(), now, (date, date)), trigger, date)
    return [answer.reason, *([answer.way_to_count] if answer.way_to_count else [])]


def _wanted(intervals: Sequence[tuple[dt.date, dt.date]], available: AvailableDates) -> tuple[StencilElement, ...]:
    return tuple(
        StencilElement(start, end, tuple(date for date in _dates(start, end - DAY) if date not in available))
        for start, end in intervals
    )


def _accepted(facts: Facts, answer: Explanation) -> list[Override]:
    """Find what people have accepted of the dates of a run."""
    decided = facts.listed.overrides.values()
    accepted = [each for each in decided if each.accepted and each.workflow == answer.trigger.workflow_name]
    date = answer.reference_date
    return [
        each
        for each in accepted
        if each.date == date or any(wanted.start <= each.date < wanted.end for wanted in answer.wanted)
    ]


def why_due(run_history: RunHistory, key: RunKey, lacking: Incomplete | None = None) -> str:
    """Say why a run is started, in words.

    Parameters
    ----------
    lacking
        What it is started without.
    """
    request, failures, newest = run_history.requests.get(key), run_history.failed.get(key), run_history.latest.get(key)
    if request is not None and is_asked_for(request, failures):
        return f"{'repair' if request.repairs else 'run'} requested at {moment(request.asked)}"
    if failures is not None:
        return f"{_how_failed(failures)}; due for a retry{_with_what(lacking)}"
    if newest is not None and newest.state == RunState.PROVISIONAL:
        return f"run {newest.run} was provisional, and no date is missing now"
    if newest is not None:
        return f"run {newest.run} was {newest.state}{_with_what(lacking)}"
    return f"new{_with_what(lacking)}" if lacking else "new, and its stencil is complete"


def _with_what(lacking: Incomplete | None) -> str:
    return f", with {lacking.share}" if lacking else ""


def _how_failed(failures: Failures) -> str:
    return f"failed {counted(failures.attempts, 'time')}, last at {moment(failures.last)}"


def list_age(polled: dt.datetime | None, silence: Silence | None, now: dt.datetime) -> list[str]:
    """Say how old FlowAPI's list of dates is, and since when there is no newer one to be had."""
    lines = []
    if polled is not None:
        lines.append(f"dates as FlowAPI listed them at {moment(polled)}, {_ago(now - polled)}")
    if silence is not None:
        lines.append(f"no list from FlowAPI since {moment(silence.since)}: {silence.why}")
    return lines


def _ago(length: dt.timedelta) -> str:
    seconds = length.total_seconds()
    return f"{length_text(seconds, whole=True)} ago" if seconds >= 60 else "just now"


def _reason(facts: Facts, answer: Explanation) -> str:
    """Say why it is what it is; whatever that is, of data that are held it is said why."""
    reason = " ".join(_reasons(facts, answer))
    return "; ".join([reason, *(each for each in answer.held_back if each not in reason)])


def _reasons(facts: Facts, answer: Explanation) -> Iterator[str]:
    trigger, date, state = answer.trigger, answer.reference_date, answer.state
    if state in (RunState.SUCCEEDED, RunState.RUNNING):
        yield f"run {answer.run}"
        if answer.stale is not None:
            kept = f" (kept as it is: {answer.stale.run.kept})" if answer.stale.run.kept else ""
            yield f"is stale{kept}: {answer.stale}"
    elif state is RunState.PROVISIONAL:
        yield _why_provisional(answer)
    elif state is RunState.SKIPPED and answer.skip is not None:
        yield f"since {moment(answer.skip.since)}: {answer.skip.reason}"
    elif state is RunState.EXCLUDED:
        why = why_excluded(trigger, date) or ""
        yield (
            f"{why}; it is requested, and waits for its data"
            if answer.request is not None and answer.request.waits
            else why
        )
    elif state in (RunState.FAILED, RunState.GIVEN_UP) and answer.failures is not None:
        yield f"{_how_failed(answer.failures)}; {_when_retried(facts, answer)}"
    elif state in (RunState.NOT_AVAILABLE, RunState.WAITING, RunState.HELD):
        others = facts.waits_for(trigger, date)
        if answer.no_data:
            yield f"{answer.no_data}{_of_late(answer.late, facts.now)}{';' if others else ''}"
        if others:
            yield _why_held(others)
        elif answer.request is not None and not answer.no_data:
            yield "it waits for requested runs that it depends on"
    elif answer.key is not None:
        yield f"{why_due(facts.run_history, answer.key, answer.late)}; it {_when(facts, answer, answer.key)}"


def _when_retried(facts: Facts, answer: Explanation) -> str:
    """Say when a run that has failed is tried again, or why it is not."""
    if answer.state is RunState.GIVEN_UP:
        return "it is out of retries and is not retried until requested"
    if answer.request is not None and answer.request.waits:
        return "it is requested, and waits for its data"
    if answer.next_try is None:
        excluded = why_excluded(answer.trigger, answer.reference_date)
        no_data = f" while there is no data for {spans(answer.missing) or answer.reference_date}"
        why = excluded or (answer.no_data if answer.holds else "")
        return f"it is not retried{f': {why}' if why else no_data}"
    return f"retried at {moment(answer.next_try)}" if answer.next_try > facts.now else "retried at the next tick"


def _when(facts: Facts, answer: Explanation, key: RunKey) -> str:
    """Say when a run starts that is due."""
    if key not in facts.queued:
        return "goes first" if answer.request is not None else "runs at the next tick"
    ahead = facts.queued[key]
    before = "many runs go" if ahead is None else counted(ahead, "run goes", "runs go")
    return f"is queued, {before} before it" if ahead != 0 else "is the next to start"


def _why_provisional(answer: Explanation) -> str:
    """Say whether and when a run that was made with dates missing is made again."""
    made = f"run {answer.run} was made with dates missing"
    if not finalises(answer.trigger):
        return f"{made}; it will not run again when they arrive (finalise: false)"
    if answer.skip is not None:
        return f"{made}; it will not run again, skipped since {moment(answer.skip.since)}: {answer.skip.reason}"
    if not answer.missing:
        return made
    are = "is" if len(answer.missing) == 1 else "are"
    return f"{made}; it will run again when {spans(answer.missing)} {are} available"


def _of_late(late: Incomplete | None, now: dt.datetime) -> str:
    """Say when a run is made though dates are missing, or why it is not."""
    if late is None:
        return ""
    if late.unmet:
        return f"; {late.share}, too many to run without them: {'; '.join(late.unmet)}"
    if late.waits_until <= now:
        return f"; {late.share}"
    return f"; {late.share}; runs from {moment(late.waits_until)} on with what there is"


def _why_held(others: Sequence[tuple[str, dt.date]]) -> str:
    """Name the first few of the runs that a run waits for."""
    names = first_few([f"{workflow} {date}" for workflow, date in others])
    return f"it waits for {counted(len(others), 'run')}: {names} (`autoflow why` explains each)"


def _why_no_data(facts: Facts, answer: Explanation, available: AvailableDates) -> str:
    missing = [date for date in answer.missing if date not in answer.holds]
    if answer.reference_date not in available and answer.reference_date not in answer.holds:
        return _why_not_available(facts, answer, available)
    parts = answer.held_back
    return "; ".join([*parts, *([_why_waiting(answer, available, missing)] if missing else [])])


def held_dates(holds: Mapping[dt.date, Sequence[Hold]]) -> list[dt.date]:
    """Leave out, of dates that do not count, those that only wait for outcomes."""
    return [date for date, those in holds.items() if not all(hold.waits for hold in those)]


def accept_command(workflow: str, date: dt.date) -> str:
    """Write the command that lets a date count."""
    return f"autoflow accept {shlex.quote(workflow)} {date} --reason TEXT"


def _how_held(holds: Sequence[Hold]) -> str:
    """Say whether somebody holds a date, or what of the checks does."""
    words = ", and ".join(map(str, holds))
    return words if holds[0].override is not None else f"held: {words}"


def why_held_back(holds: Mapping[dt.date, Sequence[Hold]]) -> list[str]:
    """Say why dates do not count although they are listed."""
    held = held_dates(holds)
    waiting = [date for date in holds if date not in held]
    parts = [f"{date} is {_how_held(holds[date])}" for date in held]
    if len(parts) > MOST_HOLDS:
        parts = [*parts[:MOST_HOLDS], f"{len(parts) - MOST_HOLDS} more dates are held"]
    if waiting:
        checks = list(dict.fromkeys(f"{hold.cdr_type} {hold.check}" for date in waiting for hold in holds[date]))
        untils = [hold.until for date in waiting for hold in holds[date]]
        until = f", and waits for them until {moment(max(filter(None, untils)))}" if all(untils) else ""
        word = "do not count yet, and have" if len(waiting) > 1 else "does not count yet, and has"
        parts.append(f"{spans(waiting)} {word} no outcomes of {first_few(checks, 2)}{until}")
    return parts


def _why_not_available(facts: Facts, answer: Explanation, available: AvailableDates) -> str:
    date, types = answer.reference_date, f" ({', '.join(answer.cdr_types)})" if answer.cdr_types else ""
    lacking = answer.lacking.get(date, ())
    if facts.listed.polled is None:
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


def _why_waiting(answer: Explanation, available: AvailableDates, missing: Sequence[dt.date]) -> str:
    absent = [date for date in missing if date not in answer.counts_from]
    listed = [date for date in missing if date in answer.counts_from]
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


def _of_types(answer: Explanation, dates: Sequence[dt.date]) -> str:
    """Write for which dates there is no data, and of which CDR types where that differs."""
    if answer.require == "any":
        types = f" (none of {', '.join(answer.cdr_types)})" if len(answer.cdr_types) > 1 else ""
        return f"{types} for {spans(dates)}"
    by_types: dict[tuple[str, ...], list[dt.date]] = {}
    for date in dates:
        by_types.setdefault(answer.lacking.get(date, ()), []).append(date)
    return ", ".join(f" of {' and '.join(types)} for {spans(those)}" for types, those in by_types.items())


def _begin_to_count(answer: Explanation, dates: Sequence[dt.date]) -> str:
    """Say from when on dates count that are listed already."""
    last = max(answer.counts_from[date] for date in dates)
    count = "count" if len(dates) > 1 else "counts"
    return f"{count} from {moment(last)} on (lag {duration_text(answer.trigger.lag.total_seconds())})"


def _dates(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield dt.date.fromordinal(ordinal)
