# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``rerun``, ``backfill``, ``repair``, ``skip``, ``accept`` and the like: show what would be done, ask, and do it."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.polling import listed_dates
from autoflow.commands.reading import (
    LEFT_BEHIND,
    attempt_of,
    check_length,
    check_span,
    definitions_of,
    is_at_work,
    left_behind,
    record,
    triggers_of,
    unknown_workflow,
)
from autoflow.commands.terminal import confirm, print_json, print_line, print_table
from autoflow.dates import DataRule, ListedDates, Override
from autoflow.decision import dependent_runs, triggers_by_run
from autoflow.definitions import Definitions, Workflow
from autoflow.errors import AutoflowError, ExitCode
from autoflow.fitting import WHAT_TO_DO, changed_inputs, changed_notebooks, misfit
from autoflow.model import RecordedAttempt, RecordedNotebook, RunReader, StaleMark
from autoflow.notebooks import executed_with
from autoflow.overview import (
    Facts,
    attempt_word,
    calendar,
    explain,
    span,
    stale_runs,
    what_lacks,
    why_not_made_again,
)
from autoflow.runs import AttemptState, Run, RunState, build_run, recorded_run
from autoflow.settings import Settings, load_settings
from autoflow.system import ask
from autoflow.wording import counted, first_few, parameters_text
from autoflow.workflows import left_out, notebooks_of_others, to_make_again, without

MOST_ROWS = 40
LONGEST_ANSWER = 60.0
"""Seconds that a daemon may take to record an order."""

LONGEST_CANCELLATION = 60.0
"""Seconds that a kernel is waited for."""

HEADINGS = {"reference_date": "date", "label": "notebook", "states": "state"}
"""What columns are called whose names in JSON are others."""

WANTED = {
    "failed": {RunState.FAILED, RunState.GIVEN_UP},
    "succeeded": {RunState.SUCCEEDED, RunState.PROVISIONAL},
    "all": {RunState.FAILED, RunState.GIVEN_UP, RunState.SUCCEEDED, RunState.PROVISIONAL},
}


@dataclass(frozen=True)
class Intent:
    """What is to be done, and how people are told of it."""

    order: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    """What it does, one thing a row."""
    question: str
    left_out: tuple[str, ...] = ()
    """What was named and is not done, each with its reason."""
    hint: str = ""
    """What else could be done."""


def rerun(options: argparse.Namespace, settings: Settings) -> Intent:
    """Run again what failed or succeeded, and what depends on it."""
    definitions = definitions_of(settings)
    if options.stale:
        return _rerun_stale(definitions, options, settings)
    if bool(options.runs) == (options.workflow is not None):
        raise AutoflowError("expected run numbers, or --workflow with --from and --to, but not both")
    check_span(options.first, options.last)
    at_work = is_at_work(settings)
    with record(settings, missing_is_empty=True) as reader:
        runs, rows, left_out = (
            _of_numbers(definitions, reader, options.runs, at_work=at_work)
            if options.runs
            else _of_span(definitions, reader, options)
        )
        depending, their_rows, running = _depending(definitions, reader, runs, at_work=at_work)
        rows, their_rows = (
            _say_what_lacks(definitions, reader, *each) for each in ((runs, rows), (depending, their_rows))
        )
    if options.downstream:
        return _to_run([*runs, *depending], [*rows, *their_rows], "run {} again", [*left_out, *running])
    depend = "depends" if len(depending) == 1 else "depend"
    hint = f"{counted(len(depending), 'run')} {depend} on this; --downstream runs what depends on it again, too"
    return replace(_to_run(runs, rows, "run {} again", left_out), hint=hint if depending else "")


def _rerun_stale(definitions: Definitions, options: argparse.Namespace, settings: Settings) -> Intent:
    """Run again what rests on data that were ingested anew, and what depends on that."""
    if options.runs:
        raise AutoflowError("expected run numbers or --stale, but not both; `autoflow rerun RUN` takes stale runs too")
    at_work = is_at_work(settings)
    with record(settings, missing_is_empty=True) as reader:
        stale, now = stale_runs(reader, options.workflow, also_kept=False), utc_now()
        # it would make a worse report of what is there no more, or is held
        why_not = why_not_made_again(definitions, reader, {each.key: each.reference_date for each, _ in stale}, now)
        wanted = [(each, why) for each, why in stale if each.key not in why_not]
        why_not |= {each.key: why.brief for each, why in stale if not each.mark.can_be_made_again}
        left_out = [f"run {each.run}: {why_not[each.key]}" for each, _ in stale if each.key in why_not]
        runs, rows, running = _of_numbers(definitions, reader, [each.run for each, _ in wanted], at_work=at_work)
        depending, their_rows, too = _depending(definitions, reader, runs, at_work=at_work)
        known = {each.key for each, _ in stale}
        more = [(run, row) for run, row in zip(depending, their_rows, strict=True) if run.key not in known]
        why_not = why_not_made_again(definitions, reader, {run.key: run.reference_date for run, _ in more}, now)
        left = [(run, row) for run, row in more if run.key not in why_not]
        said = _say_what_lacks(definitions, reader, [run for run, _ in left], [row for _, row in left])
    notes = {f"run {each.run}": why.brief for each, why in wanted}
    rows = [{**row, "note": notes.get(row["note"], row["note"])} for row in rows]
    left_out += [f"{row['note']}: {why_not[run.key]}" for run, row in more if run.key in why_not]
    their_rows = [
        row if row["note"] == bare["note"] else {**row, "note": f"{row['note']}; waits until they count"}
        for row, (_, bare) in zip(said, left, strict=True)
    ]
    everything = [*runs, *(run for run, _ in left)]
    intent = _to_run(everything, [*rows, *their_rows], "run {} again", [*left_out, *running, *too])
    # nobody has named them: what stops counting meanwhile is waited for
    return replace(intent, order={**intent.order, "automatic": True})


def keep(options: argparse.Namespace, settings: Settings) -> Intent:
    """Leave the reports of stale runs as they are."""
    at_work = is_at_work(settings)
    with record(settings, missing_is_empty=True) as reader:
        stale = {each.run: (each, why) for each, why in stale_runs(reader)}
        newest = {number: attempt_of(reader, number) for number in options.runs}
    known = [stale[number] for number in dict.fromkeys(options.runs) if number in stale]
    rows = [
        {"run": each.run, "reference_date": each.reference_date, "workflow": each.workflow, "note": why.brief}
        for each, why in known
    ]
    left_out = [_why_not_stale(attempt, at_work=at_work) for number, attempt in newest.items() if number not in stale]
    order = {"do": "keep", "runs": [each.run for each, _ in known], "reason": options.reason}
    return Intent(order, tuple(rows), _what_keep_does([each.mark for each, _ in known]), tuple(left_out))


def _why_not_stale(newest: RecordedAttempt, *, at_work: bool) -> str:
    """Say of a run that cannot be kept what it is: one that is made again may be stale when that has ended."""
    run = f"run {newest.run}"
    later = "if it is stale when that is done, it can be kept then"
    if left_behind(newest, at_work=at_work):
        return f"{run}: {LEFT_BEHIND}; {later}"
    if newest.state is AttemptState.RUNNING:
        return f"{run} is running, as attempt {newest.name}; {later}"
    if newest.superseded is not None:
        return f"{run} was requested, and is to be run again; {later}"
    return f"{run} is not stale" + ("" if newest.state is AttemptState.SUCCEEDED else f": {newest.state}")


def _what_keep_does(marks: Sequence[StaleMark]) -> str:
    """Say what becomes of the reports of stale runs that are kept: those that were kept out of latest get there."""
    held = sum(bool(mark.held) for mark in marks)
    others = len(marks) - held
    parts = [f"leave {counted(others, 'stale run')} as {'it is' if others == 1 else 'they are'}"] if others else []
    parts += [f"put into latest the reports of {counted(held, 'run')}, which are kept out of it"] if held else []
    return " and ".join(parts) or "leave stale runs as they are"


Chosen = tuple[list[Run], list[dict[str, Any]], list[str]]
"""Runs, what is shown of each, and why others that were named are left out."""


def _of_span(definitions: Definitions, reader: RunReader, options: argparse.Namespace) -> Chosen:
    """Choose the runs of a span of dates that are in one of some states."""
    triggers_of(definitions, options.workflow)
    listed, now = reader.listed_dates(), utc_now()
    whole = span(definitions, reader, listed, now) or (dt.date.max, dt.date.min)
    first, last = options.first or whole[0], options.last or whole[1]
    check_length(first, last)
    facts = Facts.read(definitions, reader, listed, now, (first, last))
    runs, rows = [], []
    for row in calendar(facts, first, last, options.workflow):
        for days, state in enumerate(row.states):
            if state in WANTED[options.state]:
                run = build_run(definitions.workflows[options.workflow], row.trigger, first + dt.timedelta(days=days))
                latest = facts.run_history.latest[run.key]
                runs.append(run)
                rows.append(_row(run, state.value, f"run {latest.run}"))
    return runs, rows, []


def _running(run: object, number: int, *, at_work: bool) -> str:
    """Say why a run that is recorded as running is not run again."""
    return f"{run}: run {number} is running" if at_work else f"{run}: run {number}: {LEFT_BEHIND}"


def _of_numbers(definitions: Definitions, reader: RunReader, numbers: Iterable[int], *, at_work: bool) -> Chosen:
    """Choose runs by their numbers."""
    runs, rows, left_out = [], [], []
    for number in dict.fromkeys(numbers):
        found = attempt_of(reader, number)
        if found.workflow not in definitions.workflows:
            raise _gone(number, found.workflow, definitions)
        if found.parameters is None:
            raise AutoflowError(
                f"run {number} was imported from the Prefect-based AutoFlow, which recorded no parameters;"
                f" use --workflow {found.workflow} with --from, --to and --state succeeded"
            )
        _check_fit(definitions, found)
        run = recorded_run(definitions.workflows[found.workflow], found.parameters, found.parameters_hash)
        if found.state is AttemptState.RUNNING:
            left_out.append(_running(run, number, at_work=at_work))
        else:
            runs.append(run)
            rows.append(_row(run, attempt_word(found), f"run {number}"))
    return runs, rows, left_out


def _say_what_lacks(
    definitions: Definitions, reader: RunReader, runs: Sequence[Run], rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add to rows which data of their runs do not count now: a rerun takes the place of a report that may have them."""
    listed = reader.listed_dates()
    if listed.polled is None or not runs:
        return [*rows]
    dates = [run.reference_date for run in runs]
    facts = Facts.read(definitions, reader, listed, utc_now(), (min(dates), max(dates)))
    triggers_of, found = triggers_by_run(definitions), []
    for run, row in zip(runs, rows, strict=True):
        trigger = next(triggers_of(run.key, run.reference_date), None)
        lacks = what_lacks(facts, trigger, run.reference_date) if trigger else []
        found.append({**row, "note": "; ".join([row["note"], *lacks])})
    return found


def _depending(definitions: Definitions, reader: RunReader, runs: Sequence[Run], *, at_work: bool) -> Chosen:
    """Find the runs that depend on some, by `after` and `needs`, in order."""
    if not definitions.has_order or not runs:
        return [], [], []
    run_history = reader.run_history()
    spans = {name: reader.span(name) for name in definitions.workflows}
    found, rows, running = [], [], []
    for run in dependent_runs(definitions, run_history, spans, runs):
        latest = run_history.latest[run.key]
        if latest.state == AttemptState.RUNNING:
            running.append(_running(run, latest.run, at_work=at_work))
        else:
            found.append(run)
            rows.append(_row(run, latest.state, f"run {latest.run}, which depends on those above"))
    return found, rows, running


def backfill(options: argparse.Namespace, settings: Settings) -> Intent:
    """Run dates that a trigger is not for, or out of turn: what data they need holds for them too."""
    span = _span(options.first, options.last, "FROM")
    definitions = definitions_of(settings)
    triggers, at_work = triggers_of(definitions, options.workflow), is_at_work(settings)
    runs, rows, left_out, excluded = [], [], [], 0
    with record(settings, missing_is_empty=True) as reader:
        facts = Facts.read(
            definitions, reader, listed_dates(reader, definitions), utc_now(), (options.first, options.last)
        )
    for trigger in triggers:
        for date in span:
            answer = explain(facts, trigger, date)
            where = f"{date} {parameters_text(trigger.parameters)}".rstrip()
            if answer.state is RunState.RUNNING and not at_work:
                left_out.append(f"{where}: {LEFT_BEHIND}")
            elif answer.state in (
                RunState.SUCCEEDED,
                RunState.PROVISIONAL,
                RunState.RUNNING,
                RunState.NOT_AVAILABLE,
                RunState.WAITING,
                RunState.SKIPPED,
            ):
                left_out.append(f"{where}: {answer.state}: {answer.reason}")
            elif answer.key is None or answer.skip is not None:
                left_out.append(f"{where}: {answer.reason}")
            elif answer.no_data and answer.state is not RunState.DUE:
                left_out.append(f"{where}: {answer.no_data}")
            else:
                excluded += answer.state is RunState.EXCLUDED
                run = build_run(definitions.workflows[options.workflow], trigger, date)
                runs.append(run)
                rows.append(_row(run, answer.state.value, answer.reason))
    overridden = f", {excluded} of which the triggers exclude" if excluded else ""
    return _to_run(runs, rows, f"run {{}}{overridden}", left_out)


def repair(options: argparse.Namespace, settings: Settings) -> Intent:
    """Run again only what failed, and what depends on it."""
    definitions, at_work = definitions_of(settings), is_at_work(settings)
    with record(settings) as reader:
        found = attempt_of(reader, options.run)
        if left_behind(found, at_work=at_work):
            raise AutoflowError(f"run {found.run}: {LEFT_BEHIND}")
        recorded = {notebook.label: notebook for notebook in reader.notebooks(found.id)}
        run = _repairable(definitions, found, recorded)
        if anew := reader.restated_since(found):
            raise _not_repaired(found, f"data were ingested anew since it began ({anew[0]})")
        run, others = _with_others(definitions, reader, run)
    workflow, rows = run.workflow, []
    again = to_make_again(workflow.dependencies(), recorded.values())
    for notebook in workflow.notebooks:
        before = recorded.get(notebook.label)
        state = before.state.value if before else "not started"
        kept = before is not None and before.executed and before.notebook and Path(before.notebook).is_file()
        if kept and before and (why := _changed_inputs(workflow, before, found, others)):
            raise _not_repaired(found, why)
        plan = "used again" if kept and notebook.label not in again else "executed"
        rows.append({"label": notebook.label, "state": state, "plan": plan})
    rows = _with_dependents(workflow.dependencies(), rows)
    if all(row["plan"] == "used again" for row in rows):
        question = f"make the missing reports of {run}"
    else:
        question = f"execute {sum(row['plan'] == 'executed' for row in rows)} of {len(rows)} notebooks of {run}"
    order = {"do": "run", "runs": [_order_of(run)], "repairs": found.run}
    return Intent(order, tuple(rows), question)


def _with_others(definitions: Definitions, reader: RunReader, run: Run) -> tuple[Run, Mapping[str, Any]]:
    """Leave out of a run what ``when`` does, and find what stands for notebooks of other runs, as its next attempt."""
    absent = left_out(reader, run)
    run = without(run, absent)
    trigger = next(triggers_by_run(definitions)(run.key, run.reference_date), None)
    return run, {**notebooks_of_others(reader, run, trigger.needs if trigger else ()), **absent}


def _repairable(definitions: Definitions, found: RecordedAttempt, recorded: Iterable[str]) -> Run:
    """Return the run of an attempt, with the workflow as it is now, where it can be repaired."""
    workflow = definitions.workflows.get(found.workflow)
    if workflow is None:
        raise _gone(found.run, found.workflow, definitions)
    if found.parameters is None or found.state is AttemptState.SUCCEEDED:
        raise AutoflowError(f"run {found.run} succeeded and needs no repair; `autoflow rerun` runs it again")
    if found.state is AttemptState.RUNNING:
        raise AutoflowError(f"run {found.run} is running")
    _check_fit(definitions, found)
    if why := changed_notebooks(workflow, recorded):
        raise _not_repaired(found, why)
    return recorded_run(workflow, found.parameters, found.parameters_hash)


def cancel(options: argparse.Namespace, settings: Settings) -> Intent:
    """End a run that is running."""
    at_work = is_at_work(settings)
    with record(settings) as reader:
        found = attempt_of(reader, options.run)
    if left_behind(found, at_work=at_work):
        not_again = f"; `autoflow skip {found.workflow} {found.reference_date}` keeps it from that"
        raise AutoflowError(f"run {found.run}: {LEFT_BEHIND}{not_again}")
    if found.state is not AttemptState.RUNNING:
        raise AutoflowError(f"run {found.run} is not running: {attempt_word(found)}")
    row = {
        "run": found.run,
        "reference_date": found.reference_date,
        "workflow": found.workflow,
        "parameters": found.parameters,
    }
    return Intent(
        {"do": "cancel", "run": found.run, "reason": options.reason},
        (row,),
        "stop this run, and do not retry it until requested",
    )


def skip(options: argparse.Namespace, settings: Settings) -> Intent:
    """Leave dates out."""
    return _skipping(options, settings, "skip", options.reason)


def unskip(options: argparse.Namespace, settings: Settings) -> Intent:
    """Take skipped dates in again."""
    return _skipping(options, settings, "unskip", None)


def _span(first: dt.date, last: dt.date, name: str) -> list[dt.date]:
    """List the dates that a command is about; people call the first of them by a name."""
    if first > last:
        raise AutoflowError(f"{first} comes after {last}; {name} must not be later than TO")
    check_length(first, last)
    return [first + dt.timedelta(days=days) for days in range((last - first).days + 1)]


def _skipping(options: argparse.Namespace, settings: Settings, do: str, reason: str | None) -> Intent:
    span = _span(options.first, options.last or options.first, "DATE")
    definitions = definitions_of(settings)
    triggers = triggers_of(definitions, options.workflow)
    with record(settings, missing_is_empty=True) as reader:
        facts = Facts.read(definitions, reader, reader.listed_dates(), utc_now(), (span[0], span[-1]))
    dates, rows, left_out = [], [], []
    skips = [each for each in facts.run_history.skips.skips if each.workflow == options.workflow]
    # a run that was cancelled is not all of its date, and another reason takes the place of the one before
    done = {each.reference_date for each in skips if not each.parameters_hash and each.reason == reason}
    undone = {*span} - {each.reference_date for each in skips}
    for date in span:
        if date in (done if do == "skip" else undone):
            left_out.append(f"{date}: {'already skipped for this reason' if do == 'skip' else 'not skipped'}")
            continue
        dates.append(date.isoformat())
        states = {explain(facts, trigger, date).state.value for trigger in triggers}
        rows.append({"reference_date": date, "workflow": options.workflow, "states": sorted(states)})
    count = counted(len(dates), "date")
    order = {"do": do, "workflow": options.workflow, "dates": dates, "reason": reason}
    return Intent(order, tuple(rows), f"{do} {count} of {options.workflow}", tuple(left_out))


def accept(options: argparse.Namespace, settings: Settings) -> Intent:
    """Let dates of data count, whatever QA checks say."""
    return _overriding(options, settings, "accept", options.reason)


def hold(options: argparse.Namespace, settings: Settings) -> Intent:
    """Keep dates of data from counting."""
    return _overriding(options, settings, "hold", options.reason)


def unhold(options: argparse.Namespace, settings: Settings) -> Intent:
    """Leave dates of data to QA checks again."""
    return _overriding(options, settings, "unhold", None)


def _overriding(options: argparse.Namespace, settings: Settings, do: str, reason: str | None) -> Intent:
    span = _span(options.first, options.last or options.first, "DATE")
    definitions = definitions_of(settings)
    rules = [definitions.data_rule(trigger) for trigger in triggers_of(definitions, options.workflow)]
    with record(settings, missing_is_empty=True) as reader:
        listed = reader.listed_dates()
    dates, rows, left_out = [], [], []
    for date in span:
        override = listed.overrides.get((options.workflow, date))
        if override is None if do == "unhold" else override is not None and _says(override, do, reason):
            left_out.append(f"{date}: {ALREADY[do]}")
            continue
        dates.append(date.isoformat())
        # what people have decided, and what checks say whatever that is
        notes = [str(override)] if override else []
        notes += _holding(replace(listed, overrides={}), date, rules, do)
        rows.append({"reference_date": date, "workflow": options.workflow, "note": "; ".join(notes)})
    count = counted(len(dates), "date")
    order = {"do": do, "workflow": options.workflow, "dates": dates, "reason": reason}
    question = QUESTIONS[do].format(f"{count} of data", options.workflow)
    return Intent(order, tuple(rows), question, tuple(left_out))


def _says(override: Override, do: str, reason: str | None) -> bool:
    return override.accepted == (do == "accept") and override.reason == reason


def _holding(listed: ListedDates, date: dt.date, rules: Sequence[DataRule], do: str) -> Iterator[str]:
    """Say what checks hold a date, or that accepting it now is for later: nothing holds it, or it has not come."""
    now = utc_now()
    holds = dict.fromkeys(str(hold) for rule in rules for hold in listed.why_held(date, rule, now))
    yield from holds
    lacking = [listed.lacking(date, rule) for rule in rules]
    if not any(date in dates for dates in listed.by_type.values()):
        yield f"FlowAPI does not list it now; {WHEN_LISTED[do]}"
    elif do == "accept" and all(lacking):
        yield f"FlowAPI lists no data of {first_few(lacking[0])} for it, which are needed as well"
    elif do == "accept" and not holds:
        later = "will not hold it later either" if any(rule.quality for rule in rules) else "are not asked for"
        yield f"no QA check holds it now; QA checks {later}"


ALREADY = {
    "accept": "already accepted for this reason",
    "hold": "already held for this reason",
    "unhold": "neither accepted nor held",
}

WHEN_LISTED = {
    "accept": "when it does, QA checks will not hold it",
    "hold": "when it does, the date will not count",
    "unhold": "when it does, QA checks will say whether it counts",
}

QUESTIONS = {
    "accept": "let {} count for {}, whatever QA checks say",
    "hold": "keep {} from counting for {}",
    "unhold": "leave {} for {} to QA checks again",
}

INTENTS = {
    "rerun": rerun,
    "backfill": backfill,
    "repair": repair,
    "cancel": cancel,
    "skip": skip,
    "unskip": unskip,
    "accept": accept,
    "hold": hold,
    "unhold": unhold,
    "keep": keep,
}


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Show what would be done, ask, and have it done: by the AutoFlow that runs, or here."""
    intent = INTENTS[options.command](options, settings)
    if not options.json:
        _print(intent)
    if not intent.rows:
        if options.json:
            print_json(options, _as_json(intent, 0, None))
        else:
            print_line("nothing to do")
        return ExitCode.OK
    confirm(f"{intent.question[0].upper()}{intent.question[1:]}?", options, _as_json(intent, 0, None))
    return _carry_out(intent, settings, options)


def _carry_out(intent: Intent, settings: Settings, options: argparse.Namespace) -> ExitCode:
    try:
        described = ask(settings.control_socket)
    except (OSError, ValueError):
        return _carry_out_here(intent, settings, options)
    try:
        answered = ask(settings.control_socket, intent.order, patience=LONGEST_ANSWER)
    except (OSError, ValueError) as error:
        raise AutoflowError(
            f"the running AutoFlow (pid {described['pid']}) received the request but did not respond ({error});"
            " `autoflow runs` and `autoflow why` show whether it was recorded"
        ) from None
    if "error" in answered:
        raise AutoflowError(answered["error"])
    who = f"the running AutoFlow (pid {described['pid']})"
    if intent.order["do"] == "cancel":
        _wait_for_end(settings, intent.order["run"])
    if options.json:
        print_json(options, _as_json(intent, answered["done"], described["pid"]))
    elif intent.order["do"] == "run":
        print_line(f"{who} runs {counted(answered['done'], 'run')} next; `autoflow runs` shows the progress")
    else:
        print_line(f"done by {who}")
    return ExitCode.OK


def _carry_out_here(intent: Intent, settings: Settings, options: argparse.Namespace) -> ExitCode:
    if intent.order["do"] == "cancel":
        raise AutoflowError(
            f"run {intent.order['run']} cannot be reached: no AutoFlow responds at {settings.control_socket};"
            " a run that a crash interrupted is retried at the next start"
        )
    from autoflow.app import carry_out_here
    from autoflow.log_writer import log_writer
    from autoflow.progress import progress_for
    from autoflow.signal_guard import guard

    guard(ExitCode.RUN_FAILED)
    if intent.order["do"] == "run":
        # what runs here has to know where FlowAPI is
        settings = load_settings(os.environ)
    code = carry_out_here(settings, os.environ, progress_for(log_writer()), intent.order)
    if options.json:
        print_json(options, _as_json(intent, len(intent.rows), None), code)
    elif intent.order["do"] != "run":
        print_line("done")
    return code


def _wait_for_end(settings: Settings, number: int) -> None:
    """Wait until a run's kernels have ended and its end is recorded."""
    end = time.monotonic() + LONGEST_CANCELLATION
    while time.monotonic() < end:
        with record(settings) as reader:
            if attempt_of(reader, number).state is not AttemptState.RUNNING:
                return
        time.sleep(0.2)
    raise AutoflowError(f"run {number} was told to stop, but is still running after {LONGEST_CANCELLATION:g} s")


def _print(intent: Intent) -> None:
    print_table([_shown(row) for row in intent.rows[:MOST_ROWS]], right=("run",))
    if len(intent.rows) > MOST_ROWS:
        print_line(f"... and {len(intent.rows) - MOST_ROWS} more")
    if intent.left_out:
        print_line(f"not included: {counted(len(intent.left_out), 'date')}")
        for reason in intent.left_out[:10]:
            print_line(f"  {reason}")
        if len(intent.left_out) > 10:
            print_line(f"  ... and {len(intent.left_out) - 10} more")
    if intent.hint:
        print_line(intent.hint)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row for people, with the headings that they know."""
    words = {**row, **({"parameters": parameters_text(row["parameters"])} if "parameters" in row else {})}
    if "states" in row:
        words["states"] = ", ".join(row["states"])
    return {HEADINGS.get(name, name): value for name, value in words.items()}


def _as_json(intent: Intent, done: int, pid: int | None) -> dict[str, Any]:
    shown = {"would": intent.question, "rows": intent.rows, "left_out": intent.left_out, "hint": intent.hint}
    return {**shown, "done": done, "by_pid": pid}


def _to_run(runs: list[Run], rows: list[dict[str, Any]], question: str, left_out: Iterable[str] = ()) -> Intent:
    order = {"do": "run", "runs": [_order_of(run) for run in runs]}
    return Intent(order, tuple(rows), question.format(counted(len(runs), "date")), tuple(left_out))


def _order_of(run: Run) -> dict[str, Any]:
    return {"workflow": run.workflow.name, "parameters": run.parameters, "hash": run.parameters_hash}


def _row(run: Run, state: str, note: str) -> dict[str, Any]:
    return {
        "reference_date": run.reference_date,
        "workflow": run.workflow.name,
        "parameters": run.parameters,
        "state": state,
        "note": note,
    }


def _with_dependents(dependencies: Mapping[str, set[str]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let what depends on a notebook that is executed be executed too."""
    plans = {row["label"]: row["plan"] for row in rows}
    for _ in rows:
        for label, read in dependencies.items():
            if any(plans[each] == "executed" for each in read):
                plans[label] = "executed"
    return [{**row, "plan": plans[row["label"]]} for row in rows]


def _gone(number: int, workflow: str, definitions: Definitions) -> AutoflowError:
    error = unknown_workflow(workflow, definitions.workflows)
    return AutoflowError(f"run {number} belongs to a workflow that is no longer in workflows.yml: {error}")


def _check_fit(definitions: Definitions, found: RecordedAttempt) -> None:
    if why := misfit(definitions, found.workflow, found.parameters or {}):
        raise AutoflowError(f"run {found.run} ({found.workflow} {found.reference_date}): {why}; {WHAT_TO_DO}")


def _changed_inputs(
    workflow: Workflow, before: RecordedNotebook, found: RecordedAttempt, others: Mapping[str, Any]
) -> str | None:
    """Say how a notebook that would be used again differs from what workflows.yml has now."""
    try:
        executed = executed_with(Path(before.notebook or ""))
    except (OSError, ValueError):
        return f"{before.notebook} is no longer an executed notebook"
    return changed_inputs(workflow, before.label, executed, found.parameters or {}, others)


def _not_repaired(found: RecordedAttempt, why: str) -> AutoflowError:
    return AutoflowError(
        f"run {found.run} cannot be repaired: {why}; `autoflow rerun {found.run}` runs all of it again"
    )
