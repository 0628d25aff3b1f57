# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What was made with provisional results is made again when these are final: record, decision, no kernel."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from autoflow.app import open_context
from autoflow.context.context import Context
from autoflow.decision import with_waiting_requests
from autoflow.definitions import Definitions
from autoflow.history import Skip
from autoflow.model.finals import FinalRun
from autoflow.model.store import Attempt
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.runs.runs import AttemptState, Failure, Run, build_run
from autoflow.sensor.finals import follow_finals, follow_for_others
from autoflow.settings.settings import load_settings
from autoflow.workflows.replaced import Replaced
from tests.conftest import Deployment, Typed

WORKFLOWS = """
workflows:
  - {name: monthly, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}
  - {name: yearly, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}
  - {name: above, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}
available_dates_sensor:
  schedule: "0 6 * * *"
  workflows:
    - workflow_name: monthly
      dates: "L * *"
      date_stencil: [{from: month, to: month+1, at_least: 60%}]
      late: {after: 5d}
    - workflow_name: yearly
      dates: "L * *"
      needs: [{workflow: monthly}]
    - workflow_name: above
      dates: "L * *"
      needs: [{workflow: yearly}]
"""
JANUARY, FEBRUARY = dt.date(2016, 1, 31), dt.date(2016, 2, 29)
MISSING = (dt.date(2016, 1, 3),)
START = dt.datetime(2016, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def context(deployment: Deployment) -> Iterator[Context]:
    deployment.write(WORKFLOWS, "glues")
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs)
    with open_context(settings, deployment.environment, Progress()) as context:
        minutes = iter(range(10_000))
        # time goes on a minute whenever somebody looks
        yield replace(context, now=lambda: START + dt.timedelta(minutes=next(minutes)))


def definitions_of(context: Context) -> Definitions:
    return read_definitions(context.settings.workflows_file)


def a_run(context: Context, workflow: str, date: dt.date = JANUARY) -> Run:
    definitions = definitions_of(context)
    (trigger,) = (each for each in definitions.triggers if each.workflow_name == workflow)
    return build_run(definitions.workflows[workflow], trigger, date)


def begin(context: Context, workflow: str, date: dt.date = JANUARY, missing: Sequence[dt.date] = ()) -> Attempt:
    return context.store.begin(a_run(context, workflow, date), context.now(), missing)


def succeed(context: Context, *attempts: Attempt) -> None:
    for attempt in attempts:
        context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())


def requested(context: Context) -> list[str]:
    return sorted(key[0] for key in context.store.read.requests())


def follow(context: Context) -> list[str]:
    asyncio.run(follow_finals(context, definitions_of(context), asyncio.Event()))
    return requested(context)


@pytest.mark.parametrize(
    ("late", "says"),
    [
        ("{after: 5d}", "; it will run again when 2016-01-03 is available"),
        ("{after: 5d, finalise: false}", "; it will not run again when they arrive (finalise: false)"),
    ],
)
def test_a_provisional_run_that_is_shown_says_whether_it_will_run_again(
    context: Context, deployment: Deployment, typed: Typed, late: str, says: str
) -> None:
    deployment.write(WORKFLOWS.replace("{after: 5d}", late), "glues")
    context.store.record_poll({"calls": [f"2016-01-{day:02}" for day in range(1, 32) if day != 3]}, START)
    succeed(context, begin(context, "monthly", missing=MISSING))
    assert f"\nrun 1 was made with dates missing{says}\n" in typed("show", "1").answer
    (row,) = typed("rerun", "1", "--json").json()["rows"]
    assert row["note"] == "run 1; no data that count for 2016-01-03"
    # while nobody can know, it says where that will be told
    deployment.write("workflows: nothing", "glues")
    assert "\n`autoflow why monthly 2016-01-31` says whether it will run again\n" in typed("show", "1").answer


def test_what_was_made_with_provisional_results_is_asked_for_once_they_are_final(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "yearly"), begin(context, "above"), begin(context, "yearly", FEBRUARY))
    assert follow(context) == []
    final = begin(context, "monthly")
    assert follow(context) == []
    succeed(context, final)
    assert follow(context) == ["above", "yearly"]
    assert {request.reference_date for request in context.store.read.requests().values()} == {JANUARY}
    assert context.store.read.finals() == []
    # made again, they are not asked for once more; nor by another attempt at what is final
    succeed(context, begin(context, "yearly"), begin(context, "above"))
    context.store.ask_for([a_run(context, "monthly")], context.now())
    succeed(context, begin(context, "monthly"))
    assert follow(context) == []


def test_a_trigger_that_is_back_has_its_runs_made_again_that_need_what_became_final_meanwhile(
    context: Context, deployment: Deployment
) -> None:
    def look() -> list[str]:
        asyncio.run(follow_for_others(context, definitions_of(context), asyncio.Event()))
        return follow(context)

    assert look() == []
    succeed(context, begin(context, "monthly", missing=MISSING), begin(context, "monthly", FEBRUARY))
    succeed(context, begin(context, "yearly"), begin(context, "above"), begin(context, "yearly", FEBRUARY))
    alone, _, _ = WORKFLOWS.partition("    - workflow_name: yearly")
    deployment.write(alone, "glues")
    assert look() == []
    succeed(context, begin(context, "monthly"))
    assert (look(), context.store.read.finals()) == ([], [])
    deployment.write(WORKFLOWS, "glues")
    assert look() == ["above", "yearly"]
    assert {request.reference_date for request in context.store.read.requests().values()} == {JANUARY}
    succeed(context, begin(context, "yearly"), begin(context, "above"))
    # what was made after that is as good as it was
    deployment.write(alone, "glues")
    assert look() == []
    deployment.write(WORKFLOWS, "glues")
    assert look() == []


def test_a_run_that_is_provisional_once_more_changes_nothing(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "yearly"))
    succeed(context, begin(context, "monthly", missing=MISSING))
    assert follow(context) == []


def test_what_is_in_progress_is_asked_for_when_it_has_ended(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    in_progress = begin(context, "yearly")
    succeed(context, begin(context, "monthly"))
    assert follow(context) == []
    assert [each.workflow for each in context.store.read.finals()] == ["monthly"]
    succeed(context, in_progress)
    assert follow(context) == ["yearly"]
    assert context.store.read.finals() == []


def test_what_began_with_final_results_stays(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "monthly"))
    succeed(context, begin(context, "yearly"))
    assert follow(context) == []


@pytest.mark.parametrize("how", ["skipped", "unordered", "gone"])
def test_what_is_skipped_or_does_not_depend_any_more_stays(
    context: Context, deployment: Deployment, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "yearly"))
    succeed(context, begin(context, "monthly"))
    if how == "skipped":
        context.store.skip([Skip("yearly", JANUARY, "", "as it is", START)])
    elif how == "unordered":
        text = WORKFLOWS.replace("      needs: [{workflow: monthly}]\n", "")
        deployment.write(text.replace("      needs: [{workflow: yearly}]\n", ""), "glues")
    else:
        deployment.write(WORKFLOWS.replace("monthly", "other"), "glues")
    assert follow(context) == []
    assert context.store.read.finals() == []
    left = "not made again with what they depend on: yearly 2016-01-31: skipped since "
    assert (left in caplog.text) if how == "skipped" else caplog.text == ""


def test_what_is_held_is_requested_and_waits_until_it_counts(context: Context) -> None:
    context.store.record_poll({"calls": [f"2016-01-{day:02}" for day in range(1, 32)]}, START)
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "yearly"))
    order = {"do": "hold", "workflow": "yearly", "dates": ["2016-01-31"], "reason": "truncated"}
    assert context.steering.carry_out(order, context.now()) == {"done": 1}
    succeed(context, begin(context, "monthly"))
    assert follow(context) == ["yearly"]

    def waiting() -> list[str]:
        definitions, read = definitions_of(context), context.store.read
        listed, now = read.listed_dates(), context.now()
        run_history = with_waiting_requests(definitions, read.history(), listed, now, read.good_among)
        return [each.workflow for each in run_history.requests.values() if each.waits]

    assert waiting() == ["yearly"]
    context.steering.carry_out({**order, "do": "unhold"}, context.now())
    assert waiting() == []


def test_a_crash_between_the_two_writes_asks_for_nothing_twice(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "yearly"))
    succeed(context, begin(context, "monthly"))
    finals: list[FinalRun] = context.store.read.finals()
    assert follow(context) == ["yearly"]
    with context.store.read.connection as connection:
        connection.execute("INSERT INTO finals VALUES (?)", (finals[0].attempt_id,))
    asked = context.store.read.requests()
    assert follow(context) == ["yearly"]
    assert context.store.read.requests() == asked


def test_what_failed_before_a_run_was_provisional_does_not_count_against_the_final_one(context: Context) -> None:
    for _ in range(2):
        context.store.finish(begin(context, "monthly"), AttemptState.FAILED, context.now(), Failure("no"))
    succeed(context, begin(context, "monthly", missing=MISSING))
    context.store.finish(begin(context, "monthly"), AttemptState.FAILED, context.now(), Failure("no"))
    failures = context.store.read.failures(a_run(context, "monthly").key)
    assert failures is not None
    assert failures.attempts == 1


def note_same(context: Context, attempt: Attempt, *, hold: bool = True) -> Replaced:
    """Do what follows where an attempt shows what the one before it showed."""
    replaced = Replaced.of(context, attempt, missing_of(context, attempt))
    assert replaced is not None
    context.store.note_same_results(attempt, replaced.before.id, context.now(), hold=hold)
    return replaced


def missing_of(context: Context, attempt: Attempt) -> Sequence[dt.date]:
    recorded = context.store.read.attempt(attempt.run, attempt.attempt)
    assert recorded is not None
    return recorded.missing_dates


def again(context: Context) -> Attempt:
    context.store.ask_for([a_run(context, "monthly")], context.now())
    return begin(context, "monthly")


def test_a_final_run_is_compared_with_the_last_one_that_was_made_without_its_dates(context: Context) -> None:
    first = begin(context, "monthly", missing=MISSING)
    assert Replaced.of(context, first, MISSING) is None
    succeed(context, first)
    # a failure between them changes nothing
    failed = begin(context, "monthly")
    context.store.finish(failed, AttemptState.FAILED, context.now(), Failure("so"))
    final = begin(context, "monthly")
    replaced = Replaced.of(context, final, ())
    assert replaced is not None
    assert (replaced.before.attempt, replaced.arrived, replaced.restated) == (1, [*MISSING], False)
    assert replaced.other_data == "that attempt was made without 2016-01-03"
    succeed(context, final)
    # it has results of its own: whatever is made of the same data may show them again
    assert Replaced.of(context, again(context), ()) is None


def test_of_two_provisional_runs_the_second_is_compared_where_it_has_other_dates(context: Context) -> None:
    more = (*MISSING, dt.date(2016, 1, 4))
    succeed(context, begin(context, "monthly", missing=more))
    same_dates = begin(context, "monthly", missing=more)
    assert Replaced.of(context, same_dates, more) is None
    succeed(context, same_dates)
    fewer = begin(context, "monthly", missing=MISSING)
    replaced = note_same(context, fewer, hold=False)
    assert replaced.arrived == [dt.date(2016, 1, 4)]
    succeed(context, fewer)
    # and the final one has these results too
    final = begin(context, "monthly")
    assert note_same(context, final).arrived == [*MISSING]
    succeed(context, final)
    (stale,) = context.store.read.stale()
    assert (stale.mark.same_as, stale.mark.came, bool(stale.mark.held)) == (2, [*more], True)


def test_results_that_are_doubted_stay_so_until_they_are_others_or_somebody_says_that_they_are_right(
    context: Context,
) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    final = begin(context, "monthly")
    note_same(context, final)
    succeed(context, final)
    (stale,) = context.store.read.stale()
    assert (stale.mark.restatement, stale.mark.same_as, stale.mark.came) == (None, 1, [*MISSING])
    # the cache was not reset: it is the first one that had other data
    third = again(context)
    replaced = note_same(context, third)
    assert (replaced.before.attempt, replaced.other_data) == (2, "")
    succeed(context, third)
    (stale,) = context.store.read.stale()
    assert (stale.attempt_id, stale.mark.same_as, stale.mark.came) == (third.id, 1, [*MISSING])
    assert context.store.read.count_stale() == {"monthly": 1}
    # other results need no mark
    fourth = again(context)
    assert Replaced.of(context, fourth, ()) is not None
    succeed(context, fourth)
    assert context.store.read.stale() == []
    assert Replaced.of(context, again(context), ()) is None


def test_results_that_somebody_keeps_are_right_when_they_are_made_again(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    final = begin(context, "monthly")
    note_same(context, final)
    succeed(context, final)
    context.store.keep([final.run], "nothing happened that day", context.now())
    assert Replaced.of(context, again(context), ()) is None


def test_a_date_that_leaves_and_returns_takes_no_other_mark_with_it(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    final = begin(context, "monthly")
    context.store.record_poll({"calls": ["2016-01-05", "2016-01-06"]}, context.now())
    context.store.record_poll({"calls": ["2016-01-06"]}, context.now())
    (gone,) = context.store.read.unmarked_departures()
    assert context.store.mark_departed([a_run(context, "monthly").key], gone, context.now()) == [final.id]
    # it is noticed while the run goes on, or afterwards
    note_same(context, final)
    succeed(context, final)
    (stale,) = context.store.read.stale()
    assert (stale.mark.same_as, stale.mark.departure, bool(stale.mark.held)) == (1, gone.id, True)
    context.store.record_poll({"calls": ["2016-01-05", "2016-01-06"]}, context.now())
    (stale,) = context.store.read.stale()
    assert (stale.mark.same_as, stale.mark.departure, bool(stale.mark.held)) == (1, None, True)


def test_what_depends_on_a_final_run_with_the_results_that_it_had_is_made_again_as_ever(context: Context) -> None:
    succeed(context, begin(context, "monthly", missing=MISSING))
    succeed(context, begin(context, "yearly"))
    final = begin(context, "monthly")
    note_same(context, final)
    succeed(context, final)
    assert follow(context) == ["yearly"]
