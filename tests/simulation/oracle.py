# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What has to hold, told in other and plainer ways than AutoFlow decides by."""

from __future__ import annotations

import calendar as months
import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from hashlib import md5
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoflow.context.context import Context
from autoflow.history import Request
from autoflow.model.recorded import RecordedAttempt
from autoflow.model.retention import Sweeper
from autoflow.naming import MANIFEST
from autoflow.runs.runs import AttemptState
from tests.simulation import late, shown
from tests.simulation.late import deadline
from tests.simulation.quality import Editions, restating_of, trusted
from tests.simulation.world import DAY

if TYPE_CHECKING:
    from tests.simulation.life import Life

PAUSES = {"10m": dt.timedelta(minutes=10), "1h": dt.timedelta(hours=1), "3h": dt.timedelta(hours=3), "1d": DAY}

LAGS = {None: dt.timedelta(), "6h": dt.timedelta(hours=6), "2d": 2 * DAY}

LONGEST_BETWEEN_TICKS = 4 * DAY

SETTLED = 5 * DAY
"""What has been listed for so long has had a tick, and its retries."""


def check(life: Life, context: Context) -> None:
    """Check what has to hold at any time.

    Raises
    ------
    ViolationError
    """
    simulation = life.simulation
    if simulation.defect:
        simulation.fail(f"AutoFlow logged a defect of its own: {simulation.defect}")
    concurrency = life.world.config["available_dates_sensor"].get("concurrency", {})
    at_a_time = concurrency.get("notebooks", concurrency.get("most", 16))
    if simulation.observed.most_at_a_time > at_a_time:
        simulation.fail(f"{simulation.observed.most_at_a_time} notebooks went on at a time, {at_a_time} may")
    room = life.world.config["available_dates_sensor"].get("pools", {}).get("queries", 0)
    if simulation.observed.most_in_pool > room:
        simulation.fail(f"{simulation.observed.most_in_pool} notebooks of a pool went on at a time")
    if simulation.observed.unfit:
        simulation.fail(simulation.observed.unfit[0])
    runs = context.store.read.attempts()
    good = Counter(run.key for run in runs if run.state is AttemptState.SUCCEEDED and run.superseded is None)
    if twice := [key for key, count in good.items() if count > 1]:
        simulation.fail(f"more than one success that counts: {twice}")
    check_attempts(life, context, runs)
    check_starts(life, context, runs)
    check_files(life, context)
    check_notifications(life)
    check_departures(life, context)
    shown.check_shown(life, context, runs)
    shown.check_shared(life, context, runs)


def check_attempts(life: Life, context: Context, runs: list[RecordedAttempt]) -> None:
    """See that nothing is tried again after it has succeeded."""
    by_key: dict[tuple[str, str], list[RecordedAttempt]] = {}
    for run in sorted(runs, key=lambda run: run.id):
        by_key.setdefault(run.key, []).append(run)
    for key, attempts in by_key.items():
        counting = [run for run in attempts if run.superseded is None]
        for before, after in pairwise(attempts):
            if before.provisional and after.missing_dates and key not in life.world.requested:
                life.simulation.fail(f"attempt {after.name} was made with dates missing, as attempt {before.name} was")
        for before, after in pairwise(counting):
            if before.state is AttemptState.SUCCEEDED:
                life.simulation.fail(f"attempt {after.name} was started though attempt {before.name} has succeeded")
        if len({run.attempt for run in attempts}) != len(attempts):
            life.simulation.fail(f"{key}: two attempts have the same number")


def check_starts(life: Life, context: Context, runs: list[RecordedAttempt]) -> None:
    """See that no run began before its data was there, or though it is to be skipped."""
    world, asked = life.world, life.world.asked
    if world.drawn["clock step"]:
        # times that were recorded with a wrong clock prove nothing
        return
    if life.simulation.began_at_the_earliest is None:
        life.simulation.began_at_the_earliest = {
            key: since for _, _, key, since in possible(world.config, world.arrivals, world.editions, 0)
        }
    since_of = life.simulation.began_at_the_earliest
    check_provisional(life, runs)
    for run in runs:
        if run.missing_dates or run.reference_date is None:
            continue
        if any((run.workflow, day) in world.accepted for day in days_of(run.parameters or {}, run.reference_date)):
            continue
        if run.key in since_of and run.key not in asked and run.started < since_of[run.key]:
            life.simulation.fail(f"attempt {run.name} began before all its data was there, at {since_of[run.key]}")
    for skip in context.store.read.skips().skips:
        for run in runs:
            is_of = run.workflow == skip.workflow and run.reference_date == skip.reference_date
            if is_of and not skip.parameters_hash and run.started > skip.since and run.key not in asked:
                life.simulation.fail(f"attempt {run.name} began though its date was skipped at {skip.since}")


def check_provisional(life: Life, runs: list[RecordedAttempt]) -> None:
    """See that runs with dates missing were made when waiting was over, and had what they must."""
    for trigger, windows_of in late.provisional(life.world.config, ranges_of):
        for run in runs:
            is_of = run.parameters and run.parameters["p"] == trigger["parameters"]["p"]
            if not run.missing_dates or not is_of or run.reference_date is None or run.key in life.world.asked:
                continue
            windows = windows_of(run.reference_date)
            needed = [day for _, days in windows for day in days]
            if not set(run.missing_dates) <= set(needed):
                life.simulation.fail(f"attempt {run.name} is without {run.missing_dates}, which it does not need")
            if run.started < late.deadline(trigger, run.reference_date, needed):
                life.simulation.fail(f"attempt {run.name} did not wait for {run.missing_dates}")
            if why := late.complaint(trigger, windows, lambda day: day not in run.missing_dates):  # noqa: B023
                life.simulation.fail(f"attempt {run.name} was made without {run.missing_dates}: {why}")


def check_files(life: Life, context: Context) -> None:
    """See that what the record names is there, and that what is there is named."""
    outputs = str(context.settings.outputs_dir)
    there = set(_outputs(context))
    named: set[str] = set()
    under_way = False
    # as a person would look: the record's own questions ask for one run at a time
    rows = context.store._connection.execute(
        "SELECT run, attempts.state, notebook, report FROM notebooks JOIN attempts ON id = attempt_id"
    )
    for run_id, state, *paths in rows:
        under_way |= state == AttemptState.RUNNING
        for full in (f"{outputs}/{path}" for path in paths if path is not None):
            named.add(full)
            if state != AttemptState.RUNNING and full not in there and not _is_half_removed(life, context, full):
                life.simulation.fail(f"run {run_id} names {full}, which is not there")
    if under_way:
        return
    if dangling := [str(link) for link in (context.settings.reports_dir / "latest").glob("*") if not link.exists()]:
        life.simulation.fail(f"what latest leads to is not there: {dangling}")
    manifests = {path.rpartition(".")[0] + MANIFEST for path in named}
    if unnamed := there - named - manifests:
        life.simulation.fail(f"{sorted(unnamed)} are named by nothing in the record")


def _is_half_removed(life: Life, context: Context, file: str) -> bool:
    """Whether a crash came between the removal of a file and its record; the next sweep finds it again."""
    if not life.world.drawn["crash in a file"] or life.true() > life.world.quiet_from + DAY:
        return False
    directories = context.settings.notebooks_dir, context.settings.reports_dir
    removals = Sweeper(context.store.read, directories).decide(life.agenda.definitions.workflows, life.clock())
    return any(file == str(path) for removal in removals for path in removal.files)


def _outputs(context: Context) -> Iterator[str]:
    for directory in (context.settings.notebooks_dir, context.settings.reports_dir):
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith((".ipynb", ".pdf", ".json")) and not entry.name.startswith("."):
                    yield entry.path


def check_notifications(life: Life) -> None:
    """See that nobody is told the same twice while it lasts."""
    if life.world.drawn["crash"] or life.world.drawn["crash in a file"] or life.world.drawn["clock step"]:
        # what was sent just before a crash is sent again, rather than not at all
        return
    told: dict[tuple[str, str], str] = {}
    for when, event, content in life.simulation.observed.sent:
        if event in ("failed", "given_up"):
            before = told.get((event, content))
            # who asks for a run again is told again how it went
            if before is not None and not any(before < asked < when for asked in life.world.asked_at):
                life.simulation.fail(f"people were told twice, at {before} and at {when}: {content}")
            told[event, content] = when
        elif event == "recovered":
            told.clear()


def check_end(life: Life, context: Context) -> None:
    """Check after days in which all was well: each date that can run has run.

    Raises
    ------
    ViolationError
    """
    check(life, context)
    check_stale(life, context)
    check_finals(life, context)
    latest: dict[tuple[str, str], RecordedAttempt] = {}
    attempts: Counter[tuple[str, str]] = Counter()
    for run in sorted(context.store.read.attempts(), key=lambda run: run.id):
        if run.superseded is None:
            latest[run.key] = run
            attempts[run.key] += run.state is AttemptState.FAILED
    allowed = {
        workflow["name"]: workflow.get("retries", {}).get("attempts") for workflow in life.world.config["workflows"]
    }
    excused = _waiting(life, latest, context.store.read.requests().values())
    for key in context.store.read.requests():
        begun = key in latest and (attempts[key] or latest[key].state is AttemptState.RUNNING)
        if not begun and key not in excused:
            life.simulation.fail(f"{key} was asked for and was never run")
    for workflow, date, key, since in possible(life.world.config, life.world.arrivals, life.world.editions):
        if since + SETTLED > life.true():
            continue
        run = latest.get(key)
        if key in excused and (run is None or run.missing_dates or run.state is not AttemptState.SUCCEEDED):
            # what is provisional waits like all others to be made final
            continue
        if run is None:
            life.simulation.fail(
                f"{workflow} {date} was never run, though its data has been there for {SETTLED.days} days"
            )
        if run.missing_dates and run.state is AttemptState.SUCCEEDED and key not in _kept(life):
            life.simulation.fail(f"{workflow} {date} was made without {run.missing_dates}, and not again with them")
        given_up = allowed[workflow] is not None and attempts[key] >= allowed[workflow]
        trying = run.state is not AttemptState.SUCCEEDED and life.true() - (run.ended or run.started) < SETTLED
        if not (run.state is AttemptState.SUCCEEDED or given_up or trying):
            life.simulation.fail(f"{workflow} {date} is {run.state} since {run.ended}, and not tried again")


def check_finals(life: Life, context: Context) -> None:
    """See that nothing rests on a provisional run that is final now."""
    world, triggers = life.world, life.world.config["available_dates_sensor"]["workflows"]
    if world.drawn["clock step"]:
        return
    good: dict[tuple[int, dt.date], list[RecordedAttempt]] = {}
    for run in sorted(context.store.read.attempts(states=[AttemptState.SUCCEEDED]), key=lambda run: run.id):
        for number, trigger in enumerate(triggers):
            if run.reference_date and run.parameters and run.parameters["p"] == trigger["parameters"]["p"]:
                good.setdefault((number, run.reference_date), []).append(run)
    skipped = {(skip.workflow, skip.reference_date) for skip in context.store.read.skips().skips}
    for (number, date), attempts in good.items():
        for before, final in pairwise(attempts):
            if not before.missing_dates or final.missing_dates or final.ended is None:
                continue
            world.drawn["final run"] += 1
            _check_compared(life, context, before, final)
            for (other, day), (*_, newest) in good.items():
                rests = _rests_on(triggers[other], day, triggers[number], date) and newest.superseded is None
                if not rests or newest.started >= final.ended or (newest.workflow, day) in skipped:
                    continue
                world.drawn["run that rests on a final one"] += 1
                if life.true() - final.ended >= SETTLED:
                    life.simulation.fail(f"attempt {newest.name} rests on {before.name}, and {final.name} is final")


def _check_compared(life: Life, context: Context, before: RecordedAttempt, final: RecordedAttempt) -> None:
    """See that what a final run shows was compared with what the provisional one shows."""
    world, ended = life.world, final.ended or life.true()
    if any(since < ended and final.started < until for since, until in world.full_disks):
        # there was no room to compare anything in
        return
    # what is still there was there when it was made
    there = {each.label for each in context.store.read.notebooks(before.id) if each.notebook}
    for each in context.store.read.notebooks(final.id):
        if each.notebook and each.label in there:
            world.drawn["final run with the results of the provisional one"] += bool(world.compared.get(each.notebook))
            if each.notebook not in world.compared:
                life.simulation.fail(f"attempt {final.name} is final: {each.label} was not compared with {before.name}")


def _rests_on(trigger: Mapping[str, Any], date: dt.date, other: Mapping[str, Any], day: dt.date) -> bool:
    """Whether a run of a trigger, as it is written, comes after one of another, or needs it."""
    if trigger is other:
        return "after" in trigger and day < date
    return any(
        is_needed(need, other) and any(start <= day < end for start, end in ranges_of(need["dates"], date))
        for need in trigger.get("needs", ())
    )


def _kept(life: Life) -> set[tuple[str, str]]:
    """Give the runs that are not made again when the dates that they were made without are there."""
    sensor = life.world.config["available_dates_sensor"]
    keeping = [each for each in sensor["workflows"] if each.get("late", {}).get("finalise") is False]
    config = {**life.world.config, "available_dates_sensor": {**sensor, "workflows": keeping}}
    return {key for _, _, key, _ in possible(config, life.world.arrivals, life.world.editions)}


def check_stale(life: Life, context: Context) -> None:
    """See that the runs are stale whose data were seen to be others after they began, and that no others are."""
    world = life.world
    sensor = world.config["available_dates_sensor"]
    marked = context.store.read.stale()
    same = {each.attempt_id for each in marked if each.mark.same_as is not None}
    # what has the results of other data stays known as such when its data are ingested anew once more
    anew = ((each, each.mark.restatement if each.mark.same_as is None else each.mark.later) for each in marked)
    stale = {each.attempt_id for each, restatement in anew if restatement is not None}
    for run in context.store.read.attempts(states=[AttemptState.SUCCEEDED]):
        if run.superseded is None:
            _check_same(life, context, run, is_marked=run.id in same)
    if world.drawn["clock step"]:
        return
    restating = restating_of(sensor)
    for run in context.store.read.attempts(states=[AttemptState.SUCCEEDED]):
        trigger = next(
            (each for each in sensor["workflows"] if run.parameters and each["parameters"]["p"] == run.parameters["p"]),
            None,
        )
        if (
            run.superseded is not None
            or trigger is None
            or (trigger.get("quality") == [] and not sensor.get("restatement"))
        ):
            continue
        types = trigger.get("cdr_types") or sensor.get("cdr_types") or list(world.arrivals)
        times = list(world.told.changes_of(run, types)) if restating else []
        if any(dt.timedelta() <= run.started - time < SETTLED or life.true() - time < SETTLED for time in times):
            # what is recorded at a poll may have been seen at one before, whose end a crash took
            continue
        is_stale = any(time > run.started for time in times)
        world.drawn["stale run"] += is_stale
        if (run.id in stale) != (is_stale and restating == "tell"):
            # what a check holds now is not made again with it
            counts = run.key in {key for _, _, key, _ in possible(world.config, world.arrivals, world.editions)}
            if restating == "rerun" and is_stale and (run.key in context.store.read.requests() or not counts):
                continue
            life.simulation.fail(f"attempt {run.name} {'is' if run.id in stale else 'is not'} stale: {times}")


def check_departures(life: Life, context: Context) -> None:
    """See that runs are marked whose dates have left the list since, and that no others are."""
    world, told = life.world, life.world.told
    sensor = world.config["available_dates_sensor"]
    marked = {each.attempt_id for each in context.store.read.stale() if each.mark.departure is not None}
    away = told.left.values()
    if marked and not away and told.quiet_polls > 1:
        life.simulation.fail(f"attempts {sorted(marked)} are marked, though no date is away")
    if world.drawn["clock step"] or restating_of(sensor) is None or sensor.get("restatement") is None:
        return
    for run in context.store.read.attempts(states=[AttemptState.SUCCEEDED]) if away else ():
        trigger = next(
            (each for each in sensor["workflows"] if (run.parameters or {})["p"] == each["parameters"]["p"]), {}
        )
        types = trigger.get("cdr_types") or sensor.get("cdr_types") or list(world.arrivals)
        used = any(time > run.started for time in told.departures_of(run, types))
        if used and run.superseded is None and told.quiet_polls > 1:
            world.drawn["run of a date that left"] += 1
            if run.id not in marked:
                life.simulation.fail(f"attempt {run.name} used a date that left, and is not marked")


def _check_same(life: Life, context: Context, run: RecordedAttempt, *, is_marked: bool) -> None:
    """See that a run is marked that shows what it showed before a restatement, and that its reports are held back."""
    notebooks = context.store.read.notebooks(run.id)
    answers = [life.world.compared.get(each.notebook or "") for each in notebooks]
    is_same = True in answers and False not in answers
    life.world.drawn["run with the results of before"] += is_same
    # what keep has removed is not known any more
    if all(each.notebook for each in notebooks) and is_marked != is_same:
        life.simulation.fail(f"attempt {run.name}: {answers} of its results are the same, and its mark says otherwise")
    rule = life.world.config["available_dates_sensor"].get("restatement")
    if is_marked and isinstance(rule, dict):
        latest = {link.resolve() for link in (life.world.outputs / "reports" / "latest").glob("*")}
        if shown := [each.report for each in notebooks if each.report and Path(each.report).resolve() in latest]:
            life.simulation.fail(f"attempt {run.name} is to be kept out of latest, which has {shown}")


def _waiting(
    life: Life, latest: Mapping[tuple[str, str], RecordedAttempt], requests: Collection[Request]
) -> set[tuple[str, str]]:
    """Give the runs that wait for others, which have to be done or have a reason of their own."""
    sensor, arrivals = life.world.config["available_dates_sensor"], life.world.arrivals
    runs: dict[int, dict[dt.date, tuple[str, str]]] = {}
    for number, trigger in enumerate(sensor["workflows"]):
        alone = {**life.world.config, "available_dates_sensor": {**sensor, "workflows": [trigger]}}
        runs[number] = {date: key for _, date, key, _ in possible(alone, arrivals, life.world.editions)}
        # people may ask for a run whatever its data are, and others wait for it then
        runs[number] |= {
            run.reference_date: run.key
            for run in (*latest.values(), *requests)
            if run.workflow == trigger["workflow_name"]
            and (run.parameters or {}).get("p") == trigger["parameters"]["p"]
        }
    done = {key for key, run in latest.items() if run.state is AttemptState.SUCCEEDED}
    waiting = set()
    for number, trigger in enumerate(sensor["workflows"]):
        for date, key in runs[number].items():
            if "after" in trigger and any(day < date and each not in done for day, each in runs[number].items()):
                waiting.add(key)
            for need in trigger.get("needs", ()):
                theirs = [n for n, each in enumerate(sensor["workflows"]) if is_needed(need, each)]
                for start, end in ranges_of(need["dates"], date):
                    days = [start + more * DAY for more in range((end - start).days)]
                    if any(runs[each].get(day) not in done for each in theirs for day in days):
                        waiting.add(key)
    return waiting


def possible(
    config: Mapping[str, Any], arrivals: Mapping[str, Mapping[dt.date, Any]], editions: Editions, listing: int = -1
) -> Iterator[tuple[str, dt.date, tuple[str, str], dt.datetime]]:
    """Give all that can run some day, and since when, from workflows.yml as it is written.

    Of a date that leaves the list and returns, the return counts; with ``listing`` 0, when it was first there.
    """
    sensor = config["available_dates_sensor"]
    for trigger in sensor["workflows"]:
        types = trigger.get("cdr_types") or sensor.get("cdr_types") or list(arrivals)
        lag = LAGS[trigger.get("lag")]
        needs_all = trigger.get("require", sensor.get("require")) == "all"
        asked = trigger.get("quality", sensor.get("quality"))

        def since(date: dt.date) -> dt.datetime | None:
            times = [arrivals[name][date][listing][0] for name in types if date in arrivals[name]]  # noqa: B023
            if asked:  # noqa: B023
                times = trusted(arrivals, editions, types, date, listing)  # noqa: B023
            # what is there at the first poll ever is taken to have appeared when its day was over
            over = dt.datetime.combine(date, dt.time(), dt.UTC) + DAY
            # it has appeared when a poll has seen it, which may be days after it was there
            seen = lag and lag + LONGEST_BETWEEN_TICKS  # noqa: B023
            listed = [max(time, over + lag) if listing == 0 else time + seen for time in times]  # noqa: B023
            if not listed or (needs_all and len(listed) < len(types)):  # noqa: B023
                return None
            return max(listed) if needs_all else min(listed)  # noqa: B023

        for date in sorted({date for name in types for date in arrivals[name]}):
            ranges = ranges_of(trigger.get("date_stencil", [0]), date)
            if any(start >= end for start, end in ranges) or not is_for(trigger, date):
                continue
            needed = [start + number * DAY for start, end in ranges for number in range((end - start).days)]
            times = [since(each) for each in (date, *needed)]
            if "late" in trigger and None not in times[1:]:
                # the reference date need not be there when waiting is over
                ends = deadline(trigger, date, needed)
                times[0] = min(times[0] or ends, ends)
            if None not in times:
                parameters = {
                    **trigger["parameters"],
                    "reference_date": date.isoformat(),
                    "date_ranges": [[start.isoformat(), end.isoformat()] for start, end in ranges],
                }
                text = json.dumps(parameters, sort_keys=True, default=str)
                name = trigger["workflow_name"]
                key = name, md5(text.encode(), usedforsecurity=False).hexdigest()
                yield name, date, key, max(time for time in times if time is not None)


def days_of(parameters: Mapping[str, Any], date: dt.date) -> set[dt.date]:
    """Give the days whose data a run uses."""
    intervals = [
        (dt.date.fromisoformat(f"{start}"), dt.date.fromisoformat(f"{end}"))
        for start, end in parameters.get("date_ranges", ())
    ]
    return {date, *(start + number * DAY for start, end in intervals for number in range((end - start).days))}


def is_needed(need: Mapping[str, Any], trigger: Mapping[str, Any]) -> bool:
    """Whether a trigger, as it is written, makes the runs that are needed."""
    is_of = need["workflow"] == trigger["workflow_name"]
    return is_of and need.get("parameters", trigger["parameters"]) == trigger["parameters"]


def ranges_of(stencil: list[Any], date: dt.date) -> list[tuple[dt.date, dt.date]]:
    """Give the intervals of a stencil, as it is written, around a date."""
    return [_range(element, date) for element in stencil]


def _range(element: Any, date: dt.date) -> tuple[dt.date, dt.date]:
    def day(end: Any) -> dt.date:
        if isinstance(end, str):
            return _first_day(end, date)
        return end if isinstance(end, dt.date) else date + end * DAY

    if isinstance(element, list):
        return day(element[0]), day(element[1])
    if isinstance(element, dict):
        return day(element["from"]), day(element["to"])
    return day(element), day(element) + DAY


def _first_day(name: str, date: dt.date) -> dt.date:
    """Give the first day of a week or month, or of the one before."""
    start = date - date.weekday() * DAY if name.startswith("week") else date.replace(day=1)
    if not name.endswith("-1"):
        return start
    return start - 7 * DAY if name.startswith("week") else (start - DAY).replace(day=1)


def is_for(trigger: Mapping[str, Any], date: dt.date) -> bool:
    """Whether a trigger, as it is written, is for a date."""
    last_of_month = date.day == months.monthrange(date.year, date.month)[1]
    matches = {
        None: True,
        "* * mon": date.weekday() == 0,
        "*/2 * *": date.day % 2 == 1,
        "L * *": last_of_month,
    }[trigger.get("dates")]
    return (
        matches
        and trigger.get("earliest_date", date) <= date <= trigger.get("latest_date", date)
        and date not in trigger.get("exclude", ())
    )
