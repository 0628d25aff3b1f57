# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow why``: what becomes of a date, and why."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.health import slots_lines
from autoflow.commands.older_sources import Changed, changed_since, text_of
from autoflow.commands.reading import (
    LEFT_BEHIND,
    definitions_of,
    is_at_work,
    record,
    reports_as_json,
    reports_lines,
    triggers_of,
)
from autoflow.commands.terminal import STYLES, print_json, print_line, print_styled
from autoflow.dates import Hold, ListedDates
from autoflow.decision import Incomplete
from autoflow.definitions import Definitions, Trigger
from autoflow.errors import ExitCode
from autoflow.model import RecordedAttempt, RecordedNotebook, Restatement, RunReader
from autoflow.overview import GOOD, Explanation, Facts, Stale, explain, list_age, run_word, run_words
from autoflow.quality import DAYS, sparkline
from autoflow.runs import AttemptState, RunState, build_run
from autoflow.settings import Settings
from autoflow.system import ask
from autoflow.wording import moment, parameters_text, seconds_text, spans

WAITING = {RunState.DUE, RunState.NOT_AVAILABLE, RunState.WAITING, RunState.HELD, RunState.FAILED}
"""States of which it may matter what else is in progress, and how old the list of dates is."""

PATIENCE = 2.0
"""Seconds until the daemon's answer is no longer waited for."""

STARTS = {RunState.DUE, RunState.RUNNING}
"""States of which it matters how much goes on at a time."""

MOST_LINES = 5
"""Lines about the outcomes of checks."""


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Answer for each trigger of the workflow."""
    definitions = definitions_of(settings)
    triggers = triggers_of(definitions, options.workflow)
    at_work = is_at_work(settings)
    with record(settings) as reader:
        now = utc_now()
        facts = Facts.read(definitions, reader, reader.listed_dates(), now, (options.date, options.date))
        answers = [explain(facts, trigger, options.date) for trigger in triggers]
        daemon = _daemon(settings, answers, options.date)
        if queued := daemon.get("queued"):
            facts = facts.with_queued(queued)
            answers = [explain(facts, trigger, options.date) for trigger in triggers]
        if options.json:
            changed = [_changed(answer, reader, definitions, settings) for answer in answers]
            triggers_told = [_as_json(*each, reader, definitions) for each in zip(answers, changed, strict=True)]
            for told in triggers_told:
                told["left_behind"] = told["state"] is RunState.RUNNING and not at_work
            print_json(options, {"triggers": triggers_told, "slots": daemon.get("slots")})
            return ExitCode.OK
        behind = [] if at_work else [LEFT_BEHIND]
        how_far = {(number, label): text for number, label, text in daemon.get("tasks", ())}
        for number, answer in enumerate(answers):
            if number:
                print_line()
            _print(answer, reader, facts.listed, how_far)
            if answer.state is RunState.RUNNING:
                for line in behind:
                    print_line(f"  {line}")
            _print_changed(answer, _changed(answer, reader, definitions, settings))
        if any(answer.state in WAITING for answer in answers):
            print_line()
            going_on = [*(_under_way(reader) if at_work else ()), *slots_lines(daemon)]
            for line in [*going_on, *list_age(facts.listed.polled, reader.silence(), now)]:
                print_line(line)
            trouble = reader.qa_trouble()
            if trouble and any(hold.check for answer in answers for holds in answer.holds.values() for hold in holds):
                print_line(f"FlowAPI gave no outcomes of QA checks: {trouble}")
    return ExitCode.OK


def _daemon(settings: Settings, answers: Sequence[Explanation], date: dt.date) -> dict[str, Any]:
    """Ask a running daemon how it is and what is queued, where that may matter; empty where it does not answer."""
    if any(answer.state in STARTS for answer in answers):
        with suppress(OSError, ValueError):
            return ask(settings.control_socket, {"queued_on": date.isoformat()}, PATIENCE)
    return {}


def _under_way(reader: RunReader) -> list[str]:
    running = reader.attempts(states=[AttemptState.RUNNING])
    oldest = f"run {running[-1].run} since {moment(running[-1].started)}" if running else ""
    if len(running) > 1:
        return [f"{len(running)} runs are in progress, the oldest: {oldest}"]
    return [f"in progress: {oldest}"] if running else []


def _changed(answer: Explanation, reader: RunReader, definitions: Definitions, settings: Settings) -> Changed:
    """Find the files of a run that has succeeded that are others today."""
    newest = reader.attempt(answer.run) if answer.run is not None and answer.state in GOOD else None
    notebooks = reader.notebooks(newest.id) if newest else []
    return changed_since(notebooks, definitions, answer.trigger.workflow_name, settings.inputs_dir)


def _print_changed(answer: Explanation, changed: Changed) -> None:
    if changed:
        print_line(f"  made with older notebooks: {text_of(changed)}")
    if changed and answer.stale is None:
        print_line(f"  `autoflow rerun {answer.run}` runs it again")


def _print(answer: Explanation, reader: RunReader, listed: ListedDates, how_far: Mapping[tuple[int, str], str]) -> None:
    parameters = parameters_text(answer.trigger.parameters)
    title = f"{answer.trigger.workflow_name} {answer.reference_date}{f' ({parameters})' if parameters else ''}"
    word = run_word(answer.state, stale=answer.is_stale)
    print_styled([(f"{title}: ", "bold"), (run_words(answer.state, stale=answer.is_stale), STYLES[word])])
    newest = reader.attempt(answer.run) if answer.run is not None else None
    notebooks = reader.notebooks(newest.id) if newest else []
    if answer.state is RunState.RUNNING and newest is not None:
        lines = _running(newest, notebooks, how_far)
    else:
        lines = _lines(answer, newest, reader, listed)
    for line in [*lines, *answer.about_accepted]:
        print_line(f"  {line}")


def _running(
    newest: RecordedAttempt, notebooks: list[RecordedNotebook], how_far: Mapping[tuple[int, str], str]
) -> Iterator[str]:
    yield f"run {newest.run}, attempt {newest.attempt}, since {moment(newest.started)}"
    recorded = {notebook.label: str(notebook.state) for notebook in notebooks}
    now = {label: text for (number, label), text in how_far.items() if number == newest.run}
    for label, text in (recorded | now).items():
        yield f"notebook {label}: {text}"


def _lines(
    answer: Explanation, newest: RecordedAttempt | None, reader: RunReader, listed: ListedDates
) -> Iterator[str]:
    if answer.state in GOOD and newest is not None:
        yield _done(newest)
        if newest.missing_dates:
            yield f"made without {spans(newest.missing_dates)}"
        if answer.state is RunState.PROVISIONAL:
            yield answer.reason
        yield from _about_stale(answer)
        if answer.state is RunState.SUCCEEDED:
            yield from answer.held_back
        yield from _about_holds(answer, listed)
        yield from reports_lines(reader.reports_of_run(newest.run), newest)
        return
    yield answer.reason
    yield from _about_holds(answer, listed)
    if answer.state is RunState.DUE and newest is not None and newest.failure is not None:
        yield f"attempt {newest.name}: {newest.failure}"
    if answer.state in (RunState.FAILED, RunState.GIVEN_UP) and newest is not None:
        if newest.failure is not None:
            yield f"run {newest.run}: {newest.failure}"
        yield f"`autoflow show {newest.run}` has the traceback; {_way_to_repair(newest, reader)}"
    if newest is not None:
        yield from _earlier_reports(answer, newest, reader)
    if answer.state is RunState.WAITING:
        elements = answer.trigger.date_stencil.pairs
        for pair, wanted in zip(elements, answer.wanted, strict=True):
            if wanted.missing:
                last = wanted.end - dt.timedelta(days=1)
                days = str(wanted.start) if wanted.start == last else f"{wanted.start} to {last}"
                yield f"stencil element [{pair[0]}, {pair[1]}) wants {days}; missing: {spans(wanted.missing)}"


def _way_to_repair(newest: RecordedAttempt, reader: RunReader) -> str:
    """Say which command runs a failed run again; what it has executed is of no use where its data are others now."""
    anew = spans(sorted({each.date for each in reader.restated_since(newest)}))
    if anew:
        return f"`autoflow rerun {newest.run}` runs all of it again, since data of {anew} were ingested anew"
    return f"`autoflow repair {newest.run}` runs only what failed"


def _earlier_reports(answer: Explanation, newest: RecordedAttempt, reader: RunReader) -> Iterator[str]:
    """Name the reports that stay though a later attempt has not succeeded, and say where their data are old."""
    found = reader.reports_of_run(newest.run)
    made = reader.attempt(newest.run, found.attempt) if found is not None else None
    if found is None or made is None or made.id == newest.id:
        return
    anew = spans(sorted({each.date for each in reader.restated_since(made) if each.cdr_type in answer.cdr_types}))
    since = f", made before data of {anew} were ingested anew" if anew else ""
    yield from reports_lines(found, newest, since)


def _about_holds(answer: Explanation, listed: ListedDates) -> Iterator[str]:
    """Draw what the checks said before, and say what a person can do."""
    drawn = {
        (hold.cdr_type, hold.check, date)
        for date, holds in answer.holds.items()
        for hold in holds
        if hold.check and hold.limit
    }
    for cdr_type, check, date in sorted(drawn)[:MOST_LINES]:
        line, low, high = sparkline(listed.outcomes.of(cdr_type, check), date.toordinal())
        if line:
            yield f"{cdr_type} {check}, {DAYS} days up to {date}: {line} ({low} to {high})"
    if answer.way_to_count:
        yield answer.way_to_count


def _about_stale(answer: Explanation) -> Iterator[str]:
    if answer.stale is None:
        return
    kept = answer.stale.run.kept
    yield f"stale{f' (kept as it is: {kept})' if kept else ''}: {answer.stale}"
    if answer.stale.ways_out:
        yield answer.stale.ways_out


def _done(newest: RecordedAttempt) -> str:
    if newest.attempt == 0:
        return f"run {newest.run}, imported from the Prefect-based AutoFlow, {moment(newest.started)}"
    took = (newest.ended - newest.started).total_seconds() if newest.ended else None
    return f"run {newest.run}, at {moment(newest.ended or newest.started)}, in {seconds_text(took)}"


def _parameters(answer: Explanation, definitions: Definitions) -> Mapping[str, Any]:
    """Give the parameters of a run, be it made or not; those of its trigger where it cannot be."""
    trigger = answer.trigger
    if answer.key is None:
        return {**trigger.parameters, "reference_date": answer.reference_date}
    return build_run(definitions.workflows[trigger.workflow_name], trigger, answer.reference_date).parameters


def _as_json(answer: Explanation, changed: Changed, reader: RunReader, definitions: Definitions) -> dict[str, Any]:
    newest = reader.attempt(answer.run) if answer.run is not None else None
    return {
        "workflow": answer.trigger.workflow_name,
        "parameters": _parameters(answer, definitions),
        "reference_date": answer.reference_date,
        "state": answer.state,
        "reason": answer.reason,
        "run": answer.run,
        "attempt": newest.attempt if newest else None,
        "ended": newest.ended if newest else None,
        "error": str(newest.failure) if newest and newest.failure and newest.state is AttemptState.FAILED else None,
        **reports_as_json(reader.reports_of_run(newest.run) if newest else None),
        "attempts_failed": answer.failures.attempts if answer.failures else 0,
        "next_try": answer.next_try,
        "cdr_types": list(answer.cdr_types),
        "require": answer.require,
        "lacking": {date.isoformat(): types for date, types in answer.lacking.items()},
        "counts_from": {date.isoformat(): time for date, time in answer.counts_from.items()},
        "holds": {date.isoformat(): list(map(_hold_as_json, holds)) for date, holds in answer.holds.items()},
        "accepted": {each.date.isoformat(): {"reason": each.reason, "since": each.since} for each in answer.accepted},
        "stale": None if answer.stale is None else {"kept": answer.stale.run.kept, **stale_as_json(answer.stale)},
        "changed_files": dict(changed),
        "stencil": [
            {
                "element": _element(answer.trigger, number),
                "from": each.start,
                "until": each.end,
                "missing": each.missing,
            }
            for number, each in enumerate(answer.wanted)
        ],
        "missing": answer.missing,
        "late": _late(answer.late),
        "missing_dates": newest.missing_dates if newest else [],
    }


def stale_as_json(stale: Stale) -> dict[str, Any]:
    """Write why a run is stale."""
    return {
        "restatements": list(map(_restatement_as_json, stale.restatements)),
        "same_as": stale.run.same_as,
        "arrived": stale.run.came,
        "held": bool(stale.run.held),
        "no_longer_listed": [{"cdr_type": each.cdr_type, "date": each.date} for each in stale.departures],
    }


def _restatement_as_json(each: Restatement) -> dict[str, Any]:
    """Write what was ingested anew."""
    return {
        "cdr_type": each.cdr_type,
        "date": each.date,
        "seen": each.seen,
        "changes": {check: {"old": old, "new": new} for check, (old, new) in each.changes.items()},
    }


def _hold_as_json(hold: Hold) -> dict[str, Any]:
    return {
        "cdr_type": hold.cdr_type,
        "check": hold.check,
        "outcome": hold.outcome,
        "limit": hold.limit,
        "waits": hold.waits,
        "until": hold.until,
        "reason": hold.override.reason if hold.override else None,
    }


def _late(late: Incomplete | None) -> dict[str, Any] | None:
    if late is None:
        return None
    return {"missing": len(late.missing), "of": late.days, "waits_until": late.waits_until, "unmet": list(late.unmet)}


def _element(trigger: Trigger, number: int) -> list[str | int]:
    return [end if isinstance(end, int) else str(end) for end in trigger.date_stencil.pairs[number]]
