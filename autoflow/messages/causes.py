# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are to be told: one message for each cause, and one when it is over.

What is wrong now is found in the record and among the conditions; compared with what people know, it gives
the news. Pure functions: times are arguments, so a restart tells nothing twice.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoflow.dates import Days, Hold, ListedDates
from autoflow.decision import Verdict, judge, triggers_by_run
from autoflow.definitions import Definitions, Retries, Trigger
from autoflow.history import RunHistory
from autoflow.messages.content import SUBJECT_LENGTH, parted
from autoflow.messages.data_changes import EVENT as RESTATED
from autoflow.messages.data_changes import MOST_DATES, bounded_spans, data_changes, name_of
from autoflow.messages.provisional import EVENT as PROVISIONAL
from autoflow.messages.provisional import Circumstances, ProvisionalNews, provisional_news
from autoflow.messages.same_results import NAME as SAME_RESULTS
from autoflow.messages.same_results import same_results_news
from autoflow.model import (
    Departure,
    FailedRun,
    KnownCause,
    Message,
    ProvisionalRun,
    Restatement,
    StaleGroup,
    StaleRun,
    UsedChange,
)
from autoflow.overview import accept_command
from autoflow.runs import Failure, RunState, key_maker
from autoflow.schedule import why_excluded
from autoflow.wording import counted, first_few, length_text, moment

GATHER = dt.timedelta(minutes=5)
"""How long failures of a tick in progress are gathered before people are told; at its end they are at once."""

PATIENCE = dt.timedelta(minutes=10)
"""How long a condition has to last before it is trouble."""

MOST_HELD = 400
"""The newest held dates of a trigger, which people are told of."""

FIRST_LINES = 6
"""Lines of an exception's message that a message shows."""

TOKEN_CONDITION = "token"  # noqa: S105  # a name
UNTOLD_CONDITIONS = ("given up", "messages", "no dates of ", "old files")
"""How those begin that are told as something else, that the messenger cannot tell, or that may be as they should."""


@dataclass(frozen=True)
class Snapshot:
    """All that decides what is wrong now."""

    definitions: Definitions
    now: dt.datetime
    failing: Sequence[FailedRun] = ()
    run_history: RunHistory = field(default_factory=RunHistory)
    listed: ListedDates = field(default_factory=ListedDates)
    changes: Sequence[UsedChange] = ()
    """What was ingested anew, or has left FlowAPI's list, of data that runs had used."""
    stale: Sequence[StaleGroup] = ()
    """The runs that had used those of them that people do not know of."""
    same: Sequence[StaleRun] = ()
    """Those that were run again, and have the same results."""
    restatements: Sequence[Restatement] = ()
    departures: Sequence[Departure] = ()
    """The dates of these."""
    provisional: Sequence[ProvisionalRun] = ()
    """Runs that were made with dates missing, and those that people know to have been."""
    final_changes: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """What those of them that are final have changed, in words, by their numbers."""
    late: Sequence[Days] = ()
    """Days of each trigger that are late, in their order."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    over: Collection[str] = ()
    """Names of conditions that are known to be over."""
    working: bool = False
    """Whether a tick is in progress: then only its failures are of interest, and nothing is over yet."""
    most_failing: int | None = None
    """How many failing runs of a workflow were looked at, at most."""


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong, whatever number of dates and ticks it concerns."""

    name: str
    event: str
    what: str
    since: dt.datetime
    message: Message
    pause: dt.timedelta = dt.timedelta()
    """How long it has to last before people are told."""
    workflow: str | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class CauseChanges:
    """What is to be told and remembered."""

    messages: tuple[Message, ...] = ()
    known: tuple[KnownCause, ...] = ()
    over: tuple[str, ...] = ()
    due: dt.datetime | None = None
    """When to look again for something that has not lasted long enough yet."""


def current(snapshot: Snapshot) -> list[FailedRun]:
    """Leave out failed runs that nothing asks for any more, and those that are skipped."""
    triggers_of, workflows = triggers_by_run(snapshot.definitions), snapshot.definitions.workflows

    def is_wanted(run: FailedRun) -> bool:
        """Say whether a trigger wants it, whatever data there are."""
        date = run.reference_date
        return any(why_excluded(trigger, date) is None for trigger in triggers_of(run.key, date))

    return [
        run
        for run in snapshot.failing
        if run.workflow in workflows
        and _verdict(snapshot, run).state is not RunState.SKIPPED
        and (run.key in snapshot.run_history.requests or is_wanted(run))
    ]


def _verdict(snapshot: Snapshot, run: FailedRun) -> Verdict:
    """Say what a failed run is, as far as data are there for it."""
    workflow = snapshot.definitions.workflows.get(run.workflow)
    retries = workflow.retries if workflow else Retries()
    return judge(snapshot.run_history, run.key, run.reference_date, RunState.DUE, retries)


@dataclass(frozen=True)
class FailureGroup:
    """Failed runs of a workflow that failed in the same place with the same exception."""

    name: str
    runs: Sequence[FailedRun]
    """In order of their dates."""
    retry_at: dt.datetime | None
    """When the first of them may be tried again; None when that is at once, or never."""
    given_up: int
    """How many of them are out of retries."""

    @property
    def workflow(self) -> str:
        return self.runs[0].workflow

    @property
    def failure(self) -> Failure:
        """What became of the newest date."""
        return self.runs[-1].failure

    @property
    def since(self) -> dt.datetime:
        return min(run.ended for run in self.runs)

    @property
    def what(self) -> str:
        exception = self.failure.exception or "failed"
        return f"{exception} in {self.failure.label}" if self.failure.label else self.failure.message

    @property
    def dates(self) -> str:
        """Say which dates they are, and where these are many, only of the first ones."""
        return _dates(self.runs)[0]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """What a person may type next, each with what it is for."""
        return commands_for(self.runs)


def failure_groups(snapshot: Snapshot, runs: Iterable[FailedRun]) -> list[FailureGroup]:
    """Group failed runs by where they failed and with what."""
    groups: dict[str, list[FailedRun]] = {}
    for run in runs:
        failure = run.failure
        name = _name("failed", run.workflow, failure.label, failure.cell, failure.exception)
        groups.setdefault(name, []).append(run)
    return [FailureGroup(name, group, *_prospects(snapshot, group)) for name, group in groups.items()]


def failures(snapshot: Snapshot, runs: Iterable[FailedRun]) -> Iterator[Cause]:
    """Find what failed runs have in common."""
    looked_at = Counter(run.workflow for run in snapshot.failing)
    for each in failure_groups(snapshot, runs):
        workflow, group, what = each.workflow, each.runs, each.what
        lines = [*str(each.failure).splitlines()[:FIRST_LINES], "", each.dates]
        lines += [_what_next(snapshot, group), *_commands(group)]
        more = " or more" if snapshot.most_failing is not None and looked_at[workflow] >= snapshot.most_failing else ""
        message = Message(
            "failed", f"{workflow}: failed for {_how_many(group)}{more}: {what}", tuple(lines), workflow, _iso(group)
        )
        pause = GATHER if snapshot.working else dt.timedelta()
        yield Cause(each.name, "failed", what, each.since, message, pause, workflow, _hashes(group))


def given_up(snapshot: Snapshot, runs: Iterable[FailedRun]) -> dict[str, list[FailedRun]]:
    """Find the failed runs that have had all their attempts, by workflow."""
    found: dict[str, list[FailedRun]] = {}
    for run in runs:
        if _verdict(snapshot, run).state is RunState.GIVEN_UP:
            found.setdefault(run.workflow, []).append(run)
    return found


def late(snapshot: Snapshot) -> Iterator[Cause]:
    """Find what should have come or been done by now."""
    notify, definitions = snapshot.definitions.notify, snapshot.definitions
    newest = newest_appearance(snapshot.listed, definitions)
    if notify.no_new_date is not None and newest is not None:
        appeared, date = newest
        if snapshot.now - appeared >= dt.timedelta(seconds=notify.no_new_date):
            what = f"no new date for {length_text(notify.no_new_date)}"
            polled = f"FlowAPI was last polled at {moment(snapshot.listed.polled)}." if snapshot.listed.polled else ""
            lines = (f"The newest date is {date}; the last new date appeared at {moment(appeared)}.", polled)
            yield Cause(_name("late"), "late", what, appeared, Message("late", what, lines, dates=(str(date),)))
    by_workflow: dict[str, Days] = {}
    for trigger, days in zip(definitions.triggers, snapshot.late, strict=False):
        if days:
            by_workflow[trigger.workflow_name] = by_workflow.get(trigger.workflow_name, Days()) | days
    for workflow, days in by_workflow.items():
        dates = [dt.date.fromordinal(day) for day in days]
        what = f"not done within {length_text(notify.not_done_after or 0)}"
        number = str(dates[0]) if len(dates) == 1 else f"{len(dates)} dates"
        lines = (f"Dates: {bounded_spans(dates)}", f"Why: autoflow why {_shell(workflow)} {dates[0]}")
        message = Message("late", f"{workflow}: late: {number} {what}", lines, workflow, tuple(map(str, dates)))
        yield Cause(_name("late", workflow), "late", what, snapshot.now, message, workflow=workflow)


def _data_changes(snapshot: Snapshot) -> Iterator[Cause]:
    """Find the data that were ingested anew, or left the list, though runs had used them."""
    groups = [each for each in snapshot.stale if each.workflow in snapshot.definitions.workflows]
    for name, what, since, lines, dates in data_changes(groups, snapshot.restatements, snapshot.departures):
        yield Cause(name, RESTATED, what, since, Message(RESTATED, what, lines, dates=dates))


def troubles(snapshot: Snapshot) -> Iterator[Cause]:
    """Find what keeps AutoFlow itself from its work, and what the token's end is about to."""
    for condition, text in snapshot.conditions.items():
        what, *lines = parted(text)
        if condition == TOKEN_CONDITION:
            # each warning has words of its own: so many days are left
            yield Cause(_name("token", text), "token", what, snapshot.now, Message("token", what, tuple(lines)))
        elif not condition.startswith(UNTOLD_CONDITIONS):
            name = _name("trouble", condition)
            yield Cause(name, "trouble", what, snapshot.now, Message("trouble", what, tuple(lines)), PATIENCE)


def not_done(definitions: Definitions, unsettled: Sequence[Days], run_history: RunHistory) -> list[Days]:
    """Leave out, of each trigger's days that have not succeeded, what is skipped and what is given up."""
    return [
        _not_done(trigger, definitions.workflows[trigger.workflow_name].retries, days, run_history)
        for trigger, days in zip(definitions.triggers, unsettled, strict=False)
    ]


def _not_done(trigger: Trigger, retries: Retries, days: Days, run_history: RunHistory) -> Days:
    key_of = key_maker(trigger)
    dates = map(dt.date.fromordinal, days & run_history.told.get(trigger.workflow_name, Days()))
    states = ((date, judge(run_history, key_of(date), date, RunState.DUE, retries).state) for date in dates)
    return days - Days.of(date.toordinal() for date, state in states if state in (RunState.SKIPPED, RunState.GIVEN_UP))


def newest_appearance(listed: ListedDates, definitions: Definitions) -> tuple[dt.datetime, dt.date] | None:
    """Return the time at which a date last appeared, and the newest date; None when there is none."""
    rules = map(definitions.data_rule, definitions.triggers)
    names = {name for rule in rules for name in listed.wanted(rule.cdr_types)}
    dates = [item for name in names for item in listed.by_type.get(name, {}).items()]
    return (max(appeared for _, appeared in dates), max(date for date, _ in dates)) if dates else None


def next_late(listed: ListedDates, definitions: Definitions, now: dt.datetime) -> dt.datetime | None:
    """Return the next time at which something may be late."""
    notify = definitions.notify
    appearances = {appeared for dates in listed.by_type.values() for appeared in dates.values()}
    limits = [limit for limit in (notify.no_new_date, notify.not_done_after) if limit is not None]
    times = [appeared + dt.timedelta(seconds=limit) for appeared in appearances for limit in limits]
    if notify.not_done_after is not None:
        limit = dt.timedelta(seconds=notify.not_done_after)
        # with a lag, a date could not be run from when it appeared on
        rules = {definitions.data_rule(trigger) for trigger in definitions.triggers}
        counting = (listed.next_to_count(rule, now - limit) for rule in rules)
        times += [time + limit for time in counting if time is not None]
    return min((time for time in times if time > now), default=None)


def _beginnings(
    causes: Iterable[Cause], known: Mapping[str, KnownCause], snapshot: Snapshot
) -> tuple[list[Message], list[KnownCause], list[dt.datetime]]:
    """Return what is told for the first time, what is remembered, and when causes will have lasted long enough."""
    messages: list[Message] = []
    remembered: list[KnownCause] = []
    waiting: list[dt.datetime] = []
    now = snapshot.now
    for cause in causes:
        old = known.get(cause.name)
        if cause.event not in snapshot.definitions.notify.events or (old is not None and old.told is not None):
            continue
        # not in the future: the clock may have been set back
        since = min(old.since if old else cause.since, now)
        ripe = since + cause.pause <= now
        if ripe:
            messages.append(cause.message)
        else:
            waiting.append(since + cause.pause)
        if ripe or old is None or since < old.since:
            told = now if ripe else None
            remembered.append(KnownCause(cause.name, cause.event, cause.what, since, told, cause.workflow, cause.runs))
    return messages, remembered, waiting


def _provisional(snapshot: Snapshot, known: Mapping[str, KnownCause]) -> ProvisionalNews:
    """Find what is told of runs with dates missing, and of those that are final now."""
    around = Circumstances(snapshot.final_changes, {each.run: each for each in snapshot.same}, snapshot.listed)
    return provisional_news(snapshot.provisional, known, snapshot.definitions, snapshot.now, around)


def _made_again(
    snapshot: Snapshot, known: Mapping[str, KnownCause], made: ProvisionalNews
) -> tuple[list[Message], list[KnownCause]]:
    """Tell of runs with dates missing, and of those that were made again with the results that they had: each once."""
    events = snapshot.definitions.notify.events
    messages, remembered = ([*made.messages], [*made.known]) if PROVISIONAL in events else ([], [])
    if RESTATED in events:
        doubted = made.doubted if PROVISIONAL in events else ()
        same, memory = same_results_news(snapshot.same, known.get(SAME_RESULTS), snapshot.now, doubted)
        messages += same
        remembered += memory
    return messages, remembered


def news(
    snapshot: Snapshot,
    known: Mapping[str, KnownCause],
    succeeded: Callable[[str, Iterable[str], dt.datetime], Sequence[dt.date]],
) -> CauseChanges:
    """Compare what is wrong with what people know.

    Parameters
    ----------
    known
        What people know, or have yet to be told, by name.
    succeeded
        Gives the dates of those runs of a workflow that have succeeded since a moment.
    """
    events, runs = snapshot.definitions.notify.events, current(snapshot)
    causes = list(failures(snapshot, runs))
    if not snapshot.working:
        causes += [*late(snapshot), *_data_changes(snapshot), *troubles(snapshot)]
    messages, remembered, waiting = _beginnings(causes, known, snapshot)
    over: list[KnownCause] = []
    if not snapshot.working:
        ends = given_up(snapshot, runs)
        if "given_up" in events:
            told_now = {run for each in remembered if each.told is not None for run in each.runs}
            for workflow, group in ends.items():
                more, memory = _giving_up(snapshot, workflow, group, known.get(_name("given_up", workflow)), told_now)
                messages += more
                remembered += memory
        holds = held(snapshot)
        if "held" in events:
            for hold in holds:
                more, memory = _holding(snapshot, hold, known.get(hold.name))
                messages += more
                remembered += memory
        made = _provisional(snapshot, known)
        more, memory = _made_again(snapshot, known, made)
        messages += more
        remembered += memory
        present = {cause.name for cause in causes} | {_name("given_up", workflow) for workflow in ends} | made.names
        present |= {hold.name for hold in holds} | {SAME_RESULTS for _ in snapshot.same}
        present |= {name_of(each) for each in snapshot.changes}
        over = [each for each in known.values() if each.name not in present and _is_over(each, snapshot, runs)]
        messages += [message for message in _endings(over, snapshot, succeeded) if message.event in events]
    return CauseChanges(
        tuple(messages), tuple(remembered), tuple(each.name for each in over), min(waiting, default=None)
    )


def _giving_up(
    snapshot: Snapshot, workflow: str, group: Sequence[FailedRun], old: KnownCause | None, told_now: Collection[str]
) -> tuple[list[Message], list[KnownCause]]:
    """Tell of each run once that it is given up; what is told as failed at this moment says so itself."""
    before, hashes = old.runs if old else (), _hashes(group)
    if set(before) == set(hashes):
        return [], []
    name, what = _name("given_up", workflow), "given up"
    memory = [KnownCause(name, "given_up", what, snapshot.now, old.told if old else snapshot.now, workflow, hashes)]
    new = [run for run in group if run.parameters_hash not in before and run.parameters_hash not in told_now]
    if not new:
        return [], memory
    reasons = list(dict.fromkeys(str(run.failure).splitlines()[0] for run in new))
    lines = (*reasons[:3], "", *_dates(new), _what_next(snapshot, new), *_commands(new))
    return [Message("given_up", f"{workflow}: given up: {_how_many(new)}", lines, workflow, _iso(new))], memory


@dataclass
class HeldData:
    """Dates of data that a check holds, of whichever CDR types and for whichever workflows."""

    name: str
    check: str
    holds: dict[dt.date, dict[str, Hold]] = field(default_factory=dict)
    """What was found, by CDR type."""
    decided: set[dt.date] = field(default_factory=set)
    """Dates that it would hold, if somebody had not decided of them: who knows of them need not be told once more."""
    workflows: dict[str, None] = field(default_factory=dict)


def held(snapshot: Snapshot) -> list[HeldData]:
    """Find the dates that QA checks hold; not those that people hold, nor new ones that wait for outcomes."""
    found: dict[str, HeldData] = {}
    definitions, by_checks = snapshot.definitions, replace(snapshot.listed, overrides={})
    for rule in dict.fromkeys(map(definitions.data_rule, definitions.triggers)):
        days = by_checks.held(rule, snapshot.now) if rule.quality else Days()
        for date in [dt.date.fromordinal(day) for day in days][-MOST_HELD:]:
            for hold in by_checks.why_held(date, rule, snapshot.now):
                if hold.check and not hold.waits:
                    name = _name("held", hold.check)
                    group = found.setdefault(name, HeldData(name, hold.check))
                    if (rule.workflow, date) in snapshot.listed.overrides:
                        group.decided.add(date)
                    else:
                        group.holds.setdefault(date, {})[hold.cdr_type] = hold
                        group.workflows[rule.workflow] = None
    return list(found.values())


def _holding(snapshot: Snapshot, held: HeldData, old: KnownCause | None) -> tuple[list[Message], list[KnownCause]]:
    """Tell of each date once that a check holds it."""
    before = old.runs if old else ()
    dates = tuple(sorted({*map(str, held.holds), *({*map(str, held.decided)} & {*before})}))
    if set(before) == set(dates):
        return [], []
    since = old.since if old else snapshot.now
    memory = [KnownCause(held.name, "held", held.check, since, snapshot.now, None, dates)]
    new = {date: _outcomes(held.holds[date]) for date in sorted(held.holds) if str(date) not in before}
    if not new:
        return [], memory
    first, workflow = min(new), next(iter(held.workflows))
    alone = len(new) == 1
    what = f"{first} is held: {new[first]}"
    fits = alone and len(what) <= SUBJECT_LENGTH
    if not fits:
        types = dict.fromkeys(cdr_type for date in new for cdr_type in held.holds[date])
        what = f"{f'{first} is' if alone else f'{len(new)} dates are'} held by {', '.join(types)} {held.check}"
    lines = [] if fits else [f"{date}: {outcomes}" for date, outcomes in list(new.items())[:MOST_DATES]]
    lines += [f"... and {len(new) - MOST_DATES} more"] if len(new) > MOST_DATES else []
    lines.append(f"{'It does' if alone else 'They do'} not count for {first_few(list(held.workflows), MOST_DATES)}.")
    lines.append(f"Details: autoflow why {_shell(workflow)} {first}")
    lines.append(f"To let {'it' if alone else 'one'} count: {accept_command(workflow, first)}")
    return [Message("held", what, tuple(lines), dates=tuple(map(str, new)))], memory


def _outcomes(holds: Mapping[str, Hold]) -> str:
    """Say what a check has found, and name the CDR types together of which that is the same."""
    by_words: dict[str, list[str]] = {}
    for cdr_type, hold in holds.items():
        by_words.setdefault(str(replace(hold, cdr_type="")).strip(), []).append(cdr_type)
    return "; ".join(f"{', '.join(types)} {words}" for words, types in by_words.items())


def _is_over(known: KnownCause, snapshot: Snapshot, runs: Iterable[FailedRun]) -> bool:
    if known.event == "trouble":
        # after a restart no condition is there: one is over when something has said so
        return str(json.loads(known.name)[1]) in snapshot.over
    if known.event == "token":
        return True if TOKEN_CONDITION in snapshot.conditions else TOKEN_CONDITION in snapshot.over
    if known.event == "failed":
        # a run that fails in another place now has not recovered
        failing = {run.parameters_hash for run in runs if run.workflow == known.workflow}
        return failing.isdisjoint(known.runs)
    return True


def _endings(
    over: Iterable[KnownCause],
    snapshot: Snapshot,
    succeeded: Callable[[str, Iterable[str], dt.datetime], Sequence[dt.date]],
) -> Iterator[Message]:
    recovered: dict[str, list[KnownCause]] = {}
    for each in over:
        if each.told is None:
            continue
        if each.event in ("failed", "given_up") and each.workflow is not None:
            recovered.setdefault(each.workflow, []).append(each)
        elif each.event == "late" and each.workflow is not None:
            yield Message("late", f"{each.workflow}: no dates are late now", (), each.workflow)
        elif each.event == "late":
            newest = newest_appearance(snapshot.listed, snapshot.definitions)
            date = newest[1] if newest else None
            yield Message("late", f"new dates have appeared; the newest is {date}", dates=(str(date),) if date else ())
        elif each.event == "trouble":
            yield Message("trouble", f"over: {each.what}", (f"It lasted from {moment(each.since)} on.",))
    for workflow, causes in recovered.items():
        hashes = {parameters_hash for each in causes for parameters_hash in each.runs}
        dates = succeeded(workflow, sorted(hashes), min(each.told for each in causes if each.told))
        whats = dict.fromkeys(each.what for each in causes if each.event == "failed")
        if dates:
            number = str(dates[0]) if len(dates) == 1 else f"{len(dates)} dates"
            lines = (f"Dates: {bounded_spans(dates)}", *(f"It was: {what}" for what in whats))
            yield Message("recovered", f"{workflow}: recovered: {number}", lines, workflow, tuple(map(str, dates)))
        elif all(_is_skipped(snapshot, workflow, parameters_hash) for parameters_hash in hashes):
            lines = tuple(f"It was: {what}" for what in whats)
            yield Message("recovered", f"{workflow}: the failed runs are skipped now", lines, workflow)


def _is_skipped(snapshot: Snapshot, workflow: str, parameters_hash: str) -> bool:
    for run in snapshot.failing:
        if run.key == (workflow, parameters_hash):
            return _verdict(snapshot, run).state is RunState.SKIPPED
    return False


def _prospects(snapshot: Snapshot, group: Sequence[FailedRun]) -> tuple[dt.datetime | None, int]:
    """Say when the first of some runs may be tried again, and how many of them are out of retries."""
    verdicts = [_verdict(snapshot, run) for run in group]
    times = [verdict.retry_at for verdict in verdicts if verdict.retry_at is not None]
    return min(times, default=None), sum(verdict.state is RunState.GIVEN_UP for verdict in verdicts)


def _what_next(snapshot: Snapshot, group: Sequence[FailedRun]) -> str:
    retries = snapshot.definitions.workflows[group[0].workflow].retries
    retry_at, ended = _prospects(snapshot, group)
    attempts = counted(retries.attempts or 0, "attempt")
    if ended == len(group):
        return f"Given up after {attempts}; to retry: autoflow rerun {group[-1].run}"
    also = f" {ended} given up after {attempts}." if ended else ""
    return f"Retry: {f'from {moment(retry_at)} on' if retry_at else 'immediately'}.{also}"


def _commands(group: Sequence[FailedRun]) -> list[str]:
    return [f"{what}: {command}" for what, command in commands_for(group)]


def commands_for(group: Sequence[FailedRun]) -> list[tuple[str, str]]:
    """Give the commands that tell more of some failed runs, each with what it is for."""
    many = [("All", f"autoflow runs --workflow {_shell(group[0].workflow)} --state failed")]
    return [("Details", f"autoflow show {group[-1].run}"), *(many if len(group) > 1 else [])]


def _dates(group: Sequence[FailedRun]) -> list[str]:
    dates = sorted({run.reference_date for run in group})
    runs = f" ({len(group)} runs)" if len(group) > len(dates) else ""
    return [f"{'Date' if len(dates) == 1 else f'{len(dates)} dates'}: {bounded_spans(dates)}{runs}"]


def _how_many(group: Sequence[FailedRun]) -> str:
    dates = {run.reference_date for run in group}
    return str(min(dates)) if len(dates) == 1 else f"{len(dates)} dates"


def _hashes(group: Iterable[FailedRun]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.parameters_hash for run in group))


def _iso(group: Iterable[FailedRun]) -> tuple[str, ...]:
    return tuple(sorted({run.reference_date.isoformat() for run in group}))


def _name(*parts: object) -> str:
    return json.dumps(parts)


def _shell(word: str) -> str:
    return word if word.replace("_", "").replace("-", "").isalnum() else "'" + word.replace("'", "'\\''") + "'"
