# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told of runs that were made with dates missing: once of each, and when it is final."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autoflow.dates import Hold, ListedDates
from autoflow.decision import finalises, triggers_by_run
from autoflow.definitions import Definitions
from autoflow.messages.same_results import result_text, what_to_do
from autoflow.model import KnownCause, Message, ProvisionalRun, StaleRun
from autoflow.overview import accept_command, held_dates, why_held_back
from autoflow.runs import RunKey
from autoflow.wording import counted, spans

EVENT = "provisional"
MOST_RUNS = 12
"""Runs that one message names."""


@dataclass(frozen=True)
class Circumstances:
    """What else is known of runs that were made with dates missing."""

    changes: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """What those that are final now have changed, in words, by their numbers."""
    same: Mapping[int, StaleRun] = field(default_factory=dict)
    """Those that have the results that they had when dates were missing, and that nobody keeps."""
    listed: ListedDates = field(default_factory=ListedDates)
    """What FlowAPI lists: of the missing dates, those that a check holds are there."""


@dataclass(frozen=True)
class ProvisionalNews:
    """What is to be told and remembered."""

    messages: tuple[Message, ...] = ()
    known: tuple[KnownCause, ...] = ()
    names: frozenset[str] = frozenset()
    """Of what is still so."""
    doubted: frozenset[int] = frozenset()
    """Numbers of the runs of which a message says that they are final, with the results that they had."""


def keys_told(known: Iterable[KnownCause]) -> list[RunKey]:
    """List the runs that people were told of."""
    return [(each.workflow, key) for each in known if each.event == EVENT and each.workflow for key in each.runs]


def provisional_news(
    runs: Sequence[ProvisionalRun],
    known: Mapping[str, KnownCause],
    definitions: Definitions,
    now: dt.datetime,
    around: Circumstances | None = None,
) -> ProvisionalNews:
    """Compare the runs that were made with dates missing with those that people know.

    Parameters
    ----------
    runs
        Those that are provisional now, and what has become of those that people know.
    """
    around, by_workflow = around or Circumstances(), dict[str, list[ProvisionalRun]]()
    for run in runs:
        by_workflow.setdefault(run.workflow, []).append(run)
    messages, memory, names, finals = list[Message](), list[KnownCause](), set[str](), set[int]()
    for workflow, those in by_workflow.items():
        name = json.dumps(["provisional", workflow])
        old = known.get(name)
        told = frozenset(old.runs if old else ())
        new = [run for run in those if run.missing and run.parameters_hash not in told]
        done = [run for run in those if run.is_final and run.parameters_hash in told]
        left = tuple(run.parameters_hash for run in those if not run.is_final)
        holds = _holds(new, definitions, around.listed, now) if new else {}
        messages += [*_made(workflow, new, definitions, holds), *_finished(workflow, done, around)]
        finals.update(run.run for run in done)
        if left:
            names.add(name)
        if left and set(left) != told:
            memory.append(KnownCause(name, EVENT, "made with dates missing", now, now, workflow, left))
    return ProvisionalNews(tuple(messages), tuple(memory), frozenset(names), frozenset(finals & around.same.keys()))


def _holds(
    runs: Sequence[ProvisionalRun], definitions: Definitions, listed: ListedDates, now: dt.datetime
) -> dict[dt.date, list[Hold]]:
    """Find out which of the missing dates are listed, and why they do not count."""
    triggers_of, found = triggers_by_run(definitions), dict[dt.date, list[Hold]]()
    for run in runs[:MOST_RUNS]:
        for trigger in triggers_of((run.workflow, run.parameters_hash), run.reference_date):
            rule = definitions.data_rule(trigger)
            found |= {date: holds for date in run.missing if (holds := listed.why_held(date, rule, now))}
    return dict(sorted(found.items()))


def _made(
    workflow: str,
    runs: Sequence[ProvisionalRun],
    definitions: Definitions,
    holds: Mapping[dt.date, Sequence[Hold]],
) -> Iterator[Message]:
    if not runs:
        return
    triggers_of = triggers_by_run(definitions)
    first = next(triggers_of((workflow, runs[0].parameters_hash), runs[0].reference_date), None)
    again = first is not None and finalises(first)
    lines = [f"{run.reference_date} (run {run.run}): without {spans(run.missing)}" for run in runs[:MOST_RUNS]]
    they = "It" if len(runs) == 1 else "They"
    lines += [*_more(runs), *why_held_back(holds)]
    these = "this date is" if len({date for run in runs for date in run.missing}) == 1 else "these dates are"
    lines += [f"{they} will run again when {these} available."] if again else []
    lines += [f"To let {date} count: {accept_command(workflow, date)}" for date in held_dates(holds)[:1]]
    yield Message(EVENT, f"{workflow}: provisional: {_how_many(runs)}", tuple(lines), workflow, _iso(runs))


def _finished(workflow: str, runs: Sequence[ProvisionalRun], around: Circumstances) -> Iterator[Message]:
    if not runs:
        return
    lines = []
    for run in runs[:MOST_RUNS]:
        if (same := around.same.get(run.run)) is not None:
            lines.append(f"{run.reference_date}: {result_text(same)}")
            continue
        diff = f"autoflow diff {run.run}.{run.attempt} {run.run}.{run.final_attempt}"
        lines += [f"{run.reference_date}: what changed: {diff}"]
        lines += [f"  {line}" for line in around.changes.get(run.run, ())]
    doubted = [around.same[run.run] for run in runs if run.run in around.same]
    which = "" if len(doubted) == len(runs) else f"{len(doubted)} of them "
    but = f", {which}with the same results as before" if doubted else ""
    lines += [*_more(runs), *(what_to_do(doubted) if doubted else [])]
    yield Message(EVENT, f"{workflow}: final: {_how_many(runs)}{but}", tuple(lines), workflow, _iso(runs))


def _more(runs: Sequence[ProvisionalRun]) -> list[str]:
    return [f"and {counted(len(runs) - MOST_RUNS, 'more run')}"] if len(runs) > MOST_RUNS else []


def _how_many(runs: Sequence[ProvisionalRun]) -> str:
    return str(runs[0].reference_date) if len(runs) == 1 else f"{len(runs)} dates"


def _iso(runs: Iterable[ProvisionalRun]) -> tuple[str, ...]:
    return tuple(sorted({run.reference_date.isoformat() for run in runs}))
