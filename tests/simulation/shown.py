# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is shown has to be what is: plan and tick, and calendar, page, metrics and record; and what goes has to go."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from autoflow.child.page import status_page
from autoflow.child.page.shared import Links, PageRequest
from autoflow.commands import plan
from autoflow.context.context import Context
from autoflow.decision.due import Decision
from autoflow.model.reader import RunReader
from autoflow.model.recorded import RecordedAttempt
from autoflow.model.retention import Removal
from autoflow.overview import Facts, calendar
from autoflow.overview import span as span_of
from autoflow.runs.runs import AttemptState, RunState, key_maker
from tests.simulation.world import DAY, FIRST_DATE

if TYPE_CHECKING:
    from tests.simulation.life import Life


DAYS_BETWEEN_PAGES = 4
"""A page takes longer than all that is simulated of a day."""


def check_plan(life: Life, context: Context, definitions: Any, decision: Decision) -> None:
    """See that `autoflow plan` gives the runs that a tick has just decided on, and that they are in order.

    Raises
    ------
    ViolationError
    """
    read = context.store.read
    running = {attempt.key for attempt in read.attempts(states=[AttemptState.RUNNING])}
    # which files go is checked when they do
    without_files = SimpleNamespace(decide=lambda *_: [])
    with (
        patch.object(plan, "asyncio", SimpleNamespace(run=_driven)),
        patch.object(plan, "Sweeper", lambda *_: without_files),
    ):
        planned = plan._plan(definitions, read, read.listed_dates(), life.clock(), plan.Working(at_work=True)).decision
    for what in ("due", "given_up"):
        ours, theirs = (
            [str(run) for run in getattr(each, what) if run.key not in running] for each in (decision, planned)
        )
        if ours != theirs:
            life.simulation.fail(f"a tick found {what}: {ours}; its plan was {theirs}")


def check_order(life: Life, context: Context, definitions: Any, decision: Decision) -> None:
    """See that runs that are due by dates are in order.

    Raises
    ------
    ViolationError
    """
    read = context.store.read
    newest_first = definitions.order == "newest"
    by_dates = [run for run in decision.due if run.key not in read.requests()]
    places = [
        (-run.workflow.priority, run.reference_date.toordinal() * (-1 if newest_first else 1)) for run in by_dates
    ]
    if places != sorted(places):
        life.simulation.fail(f"due runs are not in order: {[str(run) for run in by_dates]}")


def _driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, within a loop."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value


def check_shown(life: Life, context: Context, attempts: Sequence[RecordedAttempt]) -> None:
    """See that calendar, page and metrics say of each date what the attempts say.

    Raises
    ------
    ViolationError
    """
    definitions, read, now = life.agenda.definitions, context.store.read, life.clock()
    counting: dict[tuple[str, str], list[RecordedAttempt]] = {}
    for attempt in sorted(attempts, key=lambda each: each.id):
        if attempt.superseded is None:
            counting.setdefault(attempt.key, []).append(attempt)
    first, last = FIRST_DATE, life.true().date()
    facts = Facts.read(definitions, read, read.listed_dates(), now, (first, last))
    requests, skips = read.requests(), read.skips().skips
    for row in calendar(facts, first, last):
        key_of, retries = key_maker(row.trigger), definitions.workflows[row.trigger.workflow_name].retries
        for number, (state, run) in enumerate(zip(row.states, row.runs, strict=True)):
            date = first + number * DAY
            try:
                key = key_of(date)
            except ValueError:
                continue
            tried = counting.get(key, [])
            is_skipped = any((skip.workflow, skip.reference_date) == (key[0], date) for skip in skips)
            wanted = None if key in requests or is_skipped else _state_of(tried, retries.attempts)
            if wanted is not None and state is not wanted:
                life.simulation.fail(f"the calendar says {state} of {key[0]} {date}, and the record {wanted}")
            if wanted is None and not tried and state in (RunState.SUCCEEDED, RunState.FAILED, RunState.RUNNING):
                life.simulation.fail(f"the calendar says {state} of {key[0]} {date}, which was never tried")
            if tried and tried[-1].provisional and state not in (RunState.PROVISIONAL, RunState.DUE):
                life.simulation.fail(f"the calendar says {state} of {key[0]} {date}, which is provisional")
            if run != (tried[-1].run if tried else None):
                life.simulation.fail(f"the calendar names run {run} for {key[0]} {date}, and the record {tried}")
    if life.true().day % DAYS_BETWEEN_PAGES == 0:
        _check_page(life, context, facts)
    _check_metrics(life, context)


def _state_of(tried: Sequence[RecordedAttempt], most: int | None) -> RunState | None:
    """Say what a run is that has been tried; None where dates or people decide."""
    if not tried:
        return None
    if tried[-1].provisional:
        return None
    if tried[-1].state in (AttemptState.SUCCEEDED, AttemptState.RUNNING):
        return RunState(tried[-1].state.value)
    failures = sum(each.state is AttemptState.FAILED for each in tried)
    if not failures:
        return None
    return RunState.GIVEN_UP if most is not None and failures >= most else RunState.FAILED


def _check_page(life: Life, context: Context, facts: Facts) -> None:
    """See that the page counts what the calendar shows, and names the runs in progress."""
    request = {"doing": "", "next_tick": None, "problems": [], "progress": []}
    links = Links(context.settings.notebooks_dir, context.settings.reports_dir, None)
    asked = PageRequest(request, context.store.read, facts.definitions, facts.now, links)
    _, page = status_page.status_page(asked)
    span = span_of(facts.definitions, context.store.read, facts.listed, facts.now)
    whole = Facts.read(facts.definitions, context.store.read, facts.listed, facts.now)
    rows = calendar(whole, *span) if span else ()
    words = Counter(word for row in rows for word in row.words)
    counted = Counter(dict.fromkeys(words, 0))
    for _, _, word, number in page["totals"]:
        counted["excluded" if word == "before the start" else word] += number
    if words != counted:
        life.simulation.fail(f"the page counts {page['totals']}, and the calendar {words}")
    if len(page["running"]) < min(len(context.steering.running()), 1):
        life.simulation.fail("the page names no run in progress")


def _check_metrics(life: Life, context: Context) -> None:
    """See that metrics count the attempts that this life has ended."""
    text = life.metrics.text(healthy=True).decode()
    for state in (AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.INTERRUPTED, AttemptState.CANCELLED):
        said = float(text.partition(f'autoflow_attempts{{state="{state}"}} ')[2].partition("\n")[0])
        if said != life.ended[state]:
            life.simulation.fail(f"metrics count {said:g} attempts that {state}, and there were {life.ended[state]}")


def check_removals(life: Life, read: RunReader, removals: Sequence[Removal]) -> None:
    """See that of what goes there is enough left.

    Raises
    ------
    ViolationError
    """
    for workflow in life.world.config["workflows"]:
        keep = workflow.get("keep", {})
        if not keep:
            continue
        made = read.made_by(workflow["name"])
        for kind in ("notebook", "report"):
            amount = keep.get(f"{kind}s")
            going = {
                (each.made.attempt_id, each.made.label)
                for each in removals
                if each.made.succeeded and getattr(each, "notebook" if kind == "notebook" else "reports")
            }
            for each in made:
                if (each.attempt_id, each.label) not in going:
                    continue
                newer = [
                    other
                    for other in made
                    if other.succeeded
                    # what is held and counts stays, and so an older one need not
                    and (each.held or not other.in_use)
                    and (other.label, other.parameters) == (each.label, each.parameters)
                    and (other.reference_date, other.attempt_id) > (each.reference_date, each.attempt_id)
                    and (other.notebook if kind == "notebook" else other.reports)
                    and (other.attempt_id, other.label) not in going
                ]
                if amount is None or not newer or (isinstance(amount, int) and len(newer) < amount):
                    life.simulation.fail(f"a {kind} of {each} goes, with {len(newer)} newer ones ({amount} are kept)")
                if amount == "10d" and life.clock() - each.ended <= dt.timedelta(days=10):
                    life.simulation.fail(f"a {kind} of {each} goes before it is ten days old")


def check_shared(life: Life, context: Context, attempts: Sequence[RecordedAttempt]) -> None:
    """See that what is shared was written by runs that succeeded, whole, and as they wrote it last.

    Raises
    ------
    ViolationError
    """
    sharing = [each for each in life.world.config["workflows"] if "shared" in each["notebooks"]["a"]["parameters"]]
    for place in (context.settings.outputs_dir / "shared").glob("[!.]*") if sharing else ():
        files = place.resolve()
        found = {str(path.relative_to(files)): path.read_text() for path in files.rglob("*.txt")}
        for name, content in found.items():
            number = int(content.split()[2])
            if not _published(life.world.begun.get(number), number, attempts):
                life.simulation.fail(f"{place.name}: {name} holds {content!r}, whose attempt has not succeeded")
            if name != "common.txt" and f"{Path(name).stem} {number}" != content.split(" ", 1)[1]:
                life.simulation.fail(f"{place.name}: {name} holds {content!r}")
        halves = {name.removeprefix("further/") for name in found if name.startswith("further/")}
        if halves != {name for name in found if "/" not in name} - {"common.txt"}:
            life.simulation.fail(f"{place.name}: half of what a run wrote is there: {sorted(found)}")
        _check_newest(life, context, place.name, found, attempts)


def _published(key: tuple[str, str] | None, number: int, attempts: Sequence[RecordedAttempt]) -> bool:
    """Whether an attempt, or one that repaired it, has succeeded; the record of one that failed may be gone since."""
    return any(each.state is AttemptState.SUCCEEDED and each.key == key and each.id >= number for each in attempts)


def _check_newest(
    life: Life, context: Context, name: str, found: Mapping[str, str], attempts: Sequence[RecordedAttempt]
) -> None:
    """See that the newest success of each run is what is there, and that of two at a time the later date has won."""
    if context.shared.directory(name).committing.locked() or not found:
        return
    trigger = next(iter(found.values())).split()[0]
    repaired = life.world.repaired
    good = [
        attempt
        for attempt in sorted(attempts, key=_end)
        if attempt.state is AttemptState.SUCCEEDED and attempt.parameters and str(attempt.parameters["p"]) == trigger
    ]
    for date, attempt in {each.reference_date: each for each in sorted(good, key=lambda each: each.id)}.items():
        content = found.get(f"{date}.txt")
        if content is not None and content.split()[2] != str(attempt.id) and attempt.key not in repaired:
            life.simulation.fail(f"{name}: {date}.txt holds {content!r}, and attempt {attempt.id} succeeded last")
    if "common.txt" in found and not life.world.drawn["clock step"] and repaired.isdisjoint(each.key for each in good):
        winner = _winner(good)
        if winner is not None and found["common.txt"].split()[2] != str(winner.id):
            life.simulation.fail(f"{name}: common.txt holds {found['common.txt']!r}, and {winner.id} was to win")


def _winner(good: Sequence[RecordedAttempt]) -> RecordedAttempt | None:
    """Find whose file is the newest: who began before another's was there gives way to a later date."""
    written: list[RecordedAttempt] = []
    for attempt in good:
        before = written[-1] if written else None
        at_a_time = before is not None and before.key != attempt.key and _end(before) > attempt.started
        if not (at_a_time and before and str(before.reference_date) > str(attempt.reference_date)):
            written.append(attempt)
    return written[-1] if written else None


def _end(attempt: RecordedAttempt) -> dt.datetime:
    return attempt.ended or attempt.started
