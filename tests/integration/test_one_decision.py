# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""All that starts, shows or tells of runs says the same of them, whatever is in the record."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import datetime as dt
import io
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from autoflow import cli
from autoflow.app import open_context
from autoflow.child.page.grid import BEFORE_START, SIGNS
from autoflow.child.page.month_page import month_page
from autoflow.child.page.run_page import why_page
from autoflow.child.page.shared import Links, PageRequest
from autoflow.child.page.status_page import status_page
from autoflow.context.context import Context
from autoflow.dates.date_stencil import EmptyIntervalError
from autoflow.dates.listed_dates import ListedDates, Override
from autoflow.definitions import Definitions, Workflow
from autoflow.history import Skip
from autoflow.messages.causes import Snapshot, current, given_up
from autoflow.model.reader import RunReader
from autoflow.model.recorded import RecordedAttempt
from autoflow.model.store import RunStore
from autoflow.overview.explanation import Explanation, explain
from autoflow.overview.states import Facts, calendar
from autoflow.overview.words import GOOD, run_word, run_words
from autoflow.overview.words import SIGNS as PLAIN_SIGNS
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.quality.outcomes import blocks_of
from autoflow.runs.runs import AttemptState, Failure, Run, RunKey, RunState, build_run, recorded_run
from autoflow.schedule.cadence import why_excluded
from autoflow.sensor.executor import Executor
from autoflow.sensor.restatements import mark_departed
from autoflow.sensor.sensor import tick
from autoflow.settings.settings import load_settings
from autoflow.web.metrics import Metrics
from autoflow.web.page_cache import DaemonState, PageCache
from tests.answers import answer_of
from tests.conftest import ROOT

FIRST = dt.date(2016, 1, 1)
DAYS = [FIRST + dt.timedelta(days=day) for day in range(5)]
STEP = dt.timedelta(minutes=3)
"""Between two things that happen: no multiple of it is the end of a pause."""

WORKFLOWS: dict[str, Any] = {
    "workflows": [
        {
            "name": name,
            "notebooks": {"glues": {"filename": "glues.ipynb", "parameters": {each: each for each in parameters}}},
            **retries,
        }
        for name, parameters, retries in (
            ("gives_up", ("reference_date", "unit"), {"retries": {"attempts": 2}}),
            ("never_does", ("reference_date",), {}),
            ("waits", ("reference_date",), {}),
            ("need_not_wait", ("reference_date",), {"retries": {"attempts": 2}}),
            ("rests_on_it", ("reference_date",), {}),
        )
    ],
    "available_dates_sensor": {
        "schedule": "0 0 1 1 *",
        "workflows": [
            {"workflow_name": "gives_up", "parameters": {"unit": "admin2"}, "date_stencil": [[-1, 1]]},
            {
                "workflow_name": "gives_up",
                "parameters": {"unit": "admin3"},
                "exclude": ["2016-01-03"],
                "after": "previous",
            },
            {
                "workflow_name": "never_does",
                "earliest_date": "2016-01-02",
                "require": "all",
                "cdr_types": ["calls", "sms"],
            },
            {
                "workflow_name": "waits",
                "date_stencil": [["2016-01-02", 1]],
                "needs": [{"workflow": "never_does", "dates": [[-1, 1]]}],
            },
            {
                "workflow_name": "need_not_wait",
                # such a date need not be listed itself
                "earliest_date": "2016-01-01",
                "latest_date": "2016-01-05",
                "date_stencil": [{"from": -1, "to": 1, "at_least": 1}],
                "late": {"after": "1d"},
                "after": "previous",
            },
            {
                "workflow_name": "rests_on_it",
                "earliest_date": "2016-01-01",
                "latest_date": "2016-01-05",
                "date_stencil": [{"from": -2, "to": 1, "require_last": True}],
                "late": {"after": "36h", "at_least": "40%", "finalise": False},
                "needs": [{"workflow": "need_not_wait"}],
            },
        ],
    },
}

OLDER = 4
"""Triggers that seeds drew for before there were runs with dates missing."""

NOTHING = {RunState.EXCLUDED, RunState.NOT_AVAILABLE, RunState.SKIPPED}
"""States of dates that need not be shown where nothing is listed."""

WHAT = ["failed"] * 5 + ["asked"] * 2 + ["repair", "succeeded", "interrupted", "running", "skip", "unskip"]


@dataclass
class World:
    """An AutoFlow about to tick."""

    context: Context
    definitions: Definitions
    environment: dict[str, str]
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def read(self) -> RunReader:
        return self.context.store.read

    def typed(self, *arguments: str) -> Any:
        """Give the JSON that a command prints."""
        return answer_of(self.printed(*arguments, "--json"), code=0)

    def printed(self, *arguments: str) -> str:
        """Give what a command prints."""
        printed = io.StringIO()
        with patch.dict(os.environ, self.environment), contextlib.redirect_stdout(printed):
            assert cli.main(arguments) == 0
        return printed.getvalue()

    def answers(self) -> dict[tuple[int, dt.date], Explanation]:
        """Explain each date of each trigger."""
        facts = Facts.read(self.definitions, self.read, self.read.listed_dates(), self.now)
        return {
            (number, day): explain(facts, trigger, day)
            for number, trigger in enumerate(self.definitions.triggers)
            for day in DAYS
        }

    def tick(self) -> list[RunKey]:
        """Tick, and give what would be started if there were a slot for each run, in order."""

        async def ticked() -> list[RunKey]:
            stop = asyncio.Event()
            stop.set()
            executor = Executor(self.context, stop)
            await tick(self.context, self.definitions, executor)
            return [run.key for run in executor.waiting]

        async def listed(*_: object) -> dict[str, list[str]]:
            return {
                name: [day.isoformat() for day in dates] for name, dates in self.read.listed_dates().by_type.items()
            }

        async def judged(*_: object) -> ListedDates:
            return self.read.listed_dates()

        with (
            patch("autoflow.sensor.sensor.ask_flowapi", listed),
            patch("autoflow.sensor.sensor.poll_quality", judged),
        ):
            return asyncio.run(ticked())


@contextlib.contextmanager
def world(seed: int) -> Iterator[World]:
    chance = Random(seed)
    calls, sms = ([f"{day}" for day in DAYS if chance.random() > 0.15] for _ in range(2))
    # the newest dates may never have been listed, or are no more since there are runs
    ends = Random(f"{seed} ends")
    never, since = ends.choice([(0, 0), (0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1)])
    calls, sms = (_without_newest(dates, never) for dates in (calls, sms))
    happenings = [
        (chance.choice(WHAT), chance.randrange(4), chance.choice(DAYS)) for _ in range(chance.randrange(5, 50))
    ]
    late = Random(f"{seed} late")
    happenings += [
        (late.choice([*WHAT, *["provisional"] * 5]), late.randrange(OLDER, OLDER + 2), late.choice(DAYS))
        for _ in range(late.randrange(15))
    ]
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        inputs = Path(directory) / "inputs"
        inputs.mkdir()
        sensor = WORKFLOWS["available_dates_sensor"]
        quality = {"check": "count_msisdns", "at_least": 10, "on_missing": ("pass", "wait", "hold")[seed % 3]}
        (inputs / "workflows.yml").write_text(
            yaml.safe_dump({**WORKFLOWS, "available_dates_sensor": {**sensor, "quality": quality}})
        )
        shutil.copy(ROOT / "tests" / "notebooks" / "glues.ipynb", inputs)
        environment = {
            "AUTOFLOW_INPUTS_DIR": str(inputs),
            "AUTOFLOW_OUTPUTS_DIR": f"{directory}/outputs",
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "FLOWAPI_TOKEN": TOKEN,
        }
        definitions = read_definitions(inputs / "workflows.yml")
        with open_context(load_settings(environment), environment, Progress()) as context:
            made = World(context, definitions, environment)
            moment = made.now - STEP * (len(happenings) + 1)
            context.store.record_poll({"calls": calls, "sms": sms}, moment)
            outcomes = {day: chance.choice(["5", "50", "50", "50"]) for day in calls if chance.random() > 0.1}
            context.store.record_outcomes({"calls": {"count_msisdns": blocks_of(outcomes)}}, moment)
            overrides = [
                Override("gives_up", chance.choice(DAYS), chance.random() < 0.6, "so", moment) for _ in range(3)
            ]
            context.store.override(overrides)
            for what, number, day in happenings:
                moment += STEP
                trigger = definitions.triggers[number]
                # for the first day, one of the stencils holds no day
                with contextlib.suppress(EmptyIntervalError):
                    run = build_run(definitions.workflows[trigger.workflow_name], trigger, day)
                    happen(context.store, what, run, moment)
            if since:
                listed = {
                    name: _without_newest(dates, never + since) for name, dates in (("calls", calls), ("sms", sms))
                }
                context.store.record_poll(listed, moment)
                asyncio.run(mark_departed(context, definitions, asyncio.Event()))
            data_change(context.store, Random(f"{seed} data"), moment + STEP)
            yield made


def _without_newest(dates: list[str], number: int) -> list[str]:
    return [date for date in dates if date <= f"{DAYS[-1 - number]}"]


def data_change(store: RunStore, chance: Random, now: dt.datetime) -> None:
    """Let data be ingested anew that some runs used; somebody keeps some of these, and others show what they showed."""
    for rows in ("5", "6"):
        store.record_outcomes({"calls": {"count_added_rows": blocks_of({f"{FIRST}": rows})}}, now)
    good = [each for each in store.read.attempts(states=[AttemptState.SUCCEEDED]) if each.superseded is None]
    for attempt in good:
        what = chance.choice(["nothing", "stale", "stale", "kept", "made again", "kept out"])
        if what == "nothing":
            continue
        store.mark_stale([attempt.key], 1, now)
        if what == "kept":
            store.keep([attempt.run], "so", now)
        elif what != "stale":
            again = build_run_of(attempt)
            store.ask_for([again], now)
            newest = store.begin(again, now, attempt.missing_dates)
            store.note_same_results(newest, attempt.id, now, hold=what == "kept out")
            store.finish(newest, AttemptState.SUCCEEDED, now)
    store.marked(1)


def build_run_of(attempt: RecordedAttempt) -> Run:
    assert attempt.parameters is not None
    return recorded_run(Workflow(attempt.workflow, ()), attempt.parameters, attempt.parameters_hash)


def happen(store: RunStore, what: str, run: Run, now: dt.datetime) -> None:
    """Let something happen to a run, as far as it can."""
    newest = next(iter(store.read.attempts(key=run.key, limit=1)), None)
    is_live = newest is not None and newest.state in ("running", "succeeded") and not newest.superseded
    if what == "skip":
        store.skip([Skip(run.workflow.name, run.reference_date, "", "no flights", now)])
    elif what == "unskip":
        store.unskip(run.workflow.name, [run.reference_date])
    elif what == "asked":
        store.ask_for([run], now)
    elif what == "repair":
        if newest and newest.state is AttemptState.FAILED:
            store.ask_for([run], now, newest.attempt)
    elif not is_live or newest.provisional:
        attempt = store.begin(run, now, [run.reference_date] if what == "provisional" else ())
        if what != "running":
            state = AttemptState("succeeded" if what == "provisional" else what)
            store.finish(attempt, state, now, Failure("no") if what == "failed" else None)


# a token without an end, of nobody
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmFseXN0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM"


# with 142, a run in progress is of the same date as one of another trigger that has succeeded
@pytest.mark.parametrize("seed", [*range(25), 142])
def test_calendar_why_pages_plan_tick_metrics_and_notifications_agree(seed: int) -> None:
    with world(seed) as made:
        answers, triggers = made.answers(), made.definitions.triggers
        states = {place: answer.state for place, answer in answers.items()}

        # the calendar, in the command and by itself
        shown = made.typed("calendar", "--from", f"{DAYS[0]}", "--to", f"{DAYS[-1]}")["triggers"]
        assert states == {
            (number, dt.date.fromisoformat(date)): state
            for number, row in enumerate(shown)
            for date, state in row["states"].items()
        }
        assert_words_agree(made, answers)
        assert_all_is_shown(made, answers)
        # the pages
        assert_pages_agree(made, answers)
        # what the tick starts is what the plan says, and what the calendar says
        planned = [(run["workflow"], run["parameters"]) for run in made.typed("plan")["runs"]]
        started = made.tick()
        by_key = {answer.key: answer for answer in answers.values() if answer.key is not None}
        assert [(key[0], parameters_of(made, by_key[key])) for key in started] == planned
        assert sorted(started) == sorted(
            key
            for key, answer in by_key.items()
            if answer.state is RunState.DUE
            or (answer.state is RunState.FAILED and answer.next_try is not None and answer.next_try <= made.now)
        )
        held = {key[0] for key, answer in by_key.items() if answer.state is RunState.HELD}
        assert made.typed("plan")["held"].keys() == held
        # the metrics after it
        pages = PageCache(made.context, lambda: DaemonState(made.now, made.definitions))
        found = {
            metric.name: metric.samples[0].value for metric in gauges(Metrics(made.context, pages)) if metric.samples
        }
        assert found["autoflow_due_runs"] == len(started)
        assert found["autoflow_waiting_dates"] == Counter(states.values())[RunState.WAITING]
        for (name, state), number in dates_in(Metrics(made.context, pages)).items():
            keys = [answer.key for answer in answers.values() if answer.state == state and answer.key is not None]
            assert number == sum(key[0] == name for key in keys), (name, state)
        stale = Counter(answer.trigger.workflow_name for answer in answers.values() if answer.is_stale)
        assert of_metric("autoflow_stale_runs", made, "workflow") == {
            name: stale[name] for name in made.definitions.workflows
        }
        # what people are told of
        snapshot = Snapshot(
            made.definitions,
            made.now,
            failing=made.read.failing(made.definitions.workflows, 1000),
            run_history=made.read.history(),
        )
        runs = current(snapshot)
        wanted = {
            answer.key: answer.state
            for (number, day), answer in answers.items()
            if answer.key in made.read.requests() or why_excluded(triggers[number], day) is None
        }
        failed = {key for key, state in wanted.items() if state in (RunState.FAILED, RunState.GIVEN_UP)}
        assert failed <= {run.key for run in runs}
        assert RunState.SKIPPED not in {by_key[run.key].state for run in runs}
        told = {run.key for group in given_up(snapshot, runs).values() for run in group}
        assert told == {key for key, state in wanted.items() if state is RunState.GIVEN_UP}


def assert_words_agree(made: World, answers: dict[tuple[int, dt.date], Explanation]) -> None:
    """See that what is said of a date, in a letter, a word or more, is the same wherever it is said."""
    triggers, span = made.definitions.triggers, ("--from", f"{DAYS[0]}", "--to", f"{DAYS[-1]}")
    words = {place: run_word(answer.state, stale=answer.is_stale) for place, answer in answers.items()}
    shown = made.typed("calendar", *span)["triggers"]
    assert {
        (number, day): "stale" if f"{day}" in row["stale"] else row["states"][f"{day}"]
        for number, row in enumerate(shown)
        for day in DAYS
    } == words
    rows = list(csv.DictReader(io.StringIO(made.printed("calendar", *span, "--csv"))))
    assert [row["stale"] or row["state"] for row in rows] == list(words.values())
    _, _, *lines, _, legend, _ = made.printed("calendar", *span).splitlines()
    letters = [line[-len(DAYS) :] for line in lines]
    assert letters == ["".join(PLAIN_SIGNS[words[number, day]] for day in DAYS) for number in range(len(triggers))]
    counted = Counter("".join(letters))
    assert legend.split("   ") == [
        f"{sign} {word} {counted[sign]}" for word, sign in PLAIN_SIGNS.items() if counted[sign]
    ]
    attempts = made.typed("runs", "--last", "999")["attempts"]
    newest = {attempt["run"]: attempt for attempt in reversed(attempts) if attempt["superseded"] is None}
    for place, answer in answers.items():
        if answer.state in GOOD:
            found = newest[answer.run]
            assert (found["state"], found["is_stale"]) == (answer.state, answer.is_stale), place
            assert found["parameters"] == parameters_of(made, answer)
    marked = {each["run"]: each for each in made.typed("stale")["runs"]}
    assert {run for run, each in marked.items() if each["kept"] is None} == {
        run for run, attempt in newest.items() if attempt["is_stale"]
    }
    for run, each in marked.items():
        same = ("parameters", "same_as", "held")
        assert [each[key] for key in same] == [newest[run][key] for key in same]
    for answer in (answer for (_, day), answer in answers.items() if day == DAYS[2]):
        told = made.typed("why", answer.trigger.workflow_name, f"{DAYS[2]}")["triggers"]
        (said,) = [each for each in told if each["parameters"] == parameters_of(made, answer)]
        assert (said["state"], said["run"]) == (answer.state, answer.run)
        assert bool(said["stale"] and said["stale"]["kept"] is None) == answer.is_stale
        plain = run_words(answer.state, stale=answer.is_stale)
        assert f" {DAYS[2]}: {plain}\n" in re.sub(
            r" \(.*\): ", ": ", made.printed("why", answer.trigger.workflow_name, f"{DAYS[2]}")
        )


def assert_all_is_shown(made: World, answers: dict[tuple[int, dt.date], Explanation]) -> None:
    """See that whoever asks for no dates is shown all that there is something to say of."""
    told = {place for place, answer in answers.items() if answer.state not in NOTHING}
    shown = made.typed("calendar")["triggers"]
    assert told <= {(number, dt.date.fromisoformat(date)) for number, row in enumerate(shown) for date in row["states"]}
    rows = list(csv.DictReader(io.StringIO(made.printed("calendar", "--csv"))))
    assert {(row["reference_date"], row["run"]) for row in rows if row["run"]} == {
        (f"{day}", f"{answer.run}") for (_, day), answer in answers.items() if answer.run is not None
    }
    *_, legend, _ = made.printed("calendar").splitlines()
    counted = Counter(run_word(answers[place].state, stale=answers[place].is_stale) for place in told)
    for word, number in counted.items():
        assert f"{PLAIN_SIGNS[word]} {word} {number}" in legend.split("   ")


def of_metric(name: str, made: World, label: str) -> dict[str, float]:
    pages = PageCache(made.context, lambda: DaemonState(made.now, made.definitions))
    (metric,) = [each for each in gauges(Metrics(made.context, pages)) if each.name == name]
    return {sample.labels[label]: sample.value for sample in metric.samples}


def dates_in(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["workflow"], sample.labels["state"]): sample.value
        for metric in gauges(metrics)
        if metric.name == "autoflow_dates"
        for sample in metric.samples
    }


def gauges(metrics: Metrics) -> Iterator[Any]:
    metrics.text(healthy=True)
    return metrics.gauges()


def parameters_of(made: World, answer: Explanation) -> dict[str, Any]:
    workflow = made.definitions.workflows[answer.trigger.workflow_name]
    return dict(build_run(workflow, answer.trigger, answer.reference_date).parameters)


def assert_pages_agree(made: World, answers: dict[tuple[int, dt.date], Explanation]) -> None:
    request = {"next_tick": None, "doing": "", "problems": [], "progress": [], "workflow": ""}
    links = Links(Path("/n"), Path("/r"), "./")

    def page(maker: Any, **asked: Any) -> dict[str, Any]:
        return maker(PageRequest({**request, **asked}, made.read, made.definitions, made.now, links))[1]

    words = {place: run_word(answer.state, stale=answer.is_stale) for place, answer in answers.items()}
    status = page(status_page)
    told = {place for place, answer in answers.items() if answer.state not in NOTHING}
    if status["recent"] is None:
        assert not told
    else:
        cells = {
            (number, day): cell
            for number, row in enumerate(status["recent"].rows)
            for day, cell in zip(status["recent"].days, row.cells, strict=True)
        }
        assert told <= cells.keys()
        for (number, day), cell in cells.items():
            if cell.kind == BEFORE_START:
                assert answers[number, day].state is RunState.EXCLUDED
                assert day < made.definitions.triggers[number].earliest_date
            else:
                assert cell.sign == SIGNS[words[number, day]]
                assert cell.title.partition(",")[0].partition(";")[0] == f"{day}: {answers[number, day].state}"
        kinds = Counter(cell.kind for cell in cells.values())
        assert {kind: number for _, kind, _, number in status["totals"]} == kinds
        for number, row in enumerate(page(month_page, month="2016-01")["grid"].rows):
            assert [cell.sign for cell in row.cells] == [cells[number, day].sign for day in status["recent"].days]
    for day in DAYS[::2]:
        for number in range(len(made.definitions.triggers)):
            (said,) = page(why_page, date=f"{day}", trigger=f"{number}")["answers"]
            answer = answers[number, day]
            assert (said["state"], said["reason"]) == (run_words(answer.state, stale=answer.is_stale), answer.reason)
            assert said["sign"] == SIGNS[words[number, day]]
    rows = calendar(Facts.read(made.definitions, made.read, made.read.listed_dates(), made.now), DAYS[0], DAYS[-1])
    runs = {(number, day): run for number, row in enumerate(rows) for day, run in zip(DAYS, row.runs, strict=True)}
    assert runs == {place: answer.run for place, answer in answers.items()}
