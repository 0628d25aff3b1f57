# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Dates that are ingested anew: what had used them is stale, told once, and run again or kept as it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from autoflow.app import open_context
from autoflow.child.page.shared import Links, PageRequest
from autoflow.child.page.status_page import status_page
from autoflow.context.context import Context
from autoflow.dates.date_stencil import DateStencil
from autoflow.decision import missing_dates
from autoflow.definitions import Definitions, Trigger, Workflow
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.messages.causes import Snapshot, news
from autoflow.messages.data_changes import AGAIN_FOR
from autoflow.model import KnownCause
from autoflow.model.migrations import MIGRATIONS
from autoflow.model.store import RunStore
from autoflow.model.tables import APPLICATION_ID
from autoflow.overview.explanation import explain
from autoflow.overview.states import Facts, calendar
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.quality.outcomes import blocks_of
from autoflow.runs.runs import AttemptState, Failure, Run, build_run
from autoflow.sensor.executor import Executor
from autoflow.sensor.quality import quality_of
from autoflow.sensor.restatements import mark_departed
from autoflow.sensor.sensor import tick
from autoflow.settings.places import Places
from autoflow.settings.settings import load_settings
from autoflow.web.metrics import Metrics
from autoflow.web.page_cache import DaemonState, PageCache
from tests.conftest import Deployment, Typed

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def day(number: int) -> dt.date:
    return dt.date(2016, 1, number)


@pytest.fixture
def context(deployment: Deployment, flowapi: FlowapiStandin) -> Iterator[Context]:
    flowapi.set_days(5)
    write(deployment, "tell")
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs)
    with open_context(settings, deployment.environment, Progress()) as context:
        yield context


def write(deployment: Deployment, restatement: str) -> None:
    sensor = f"  restatement: {restatement}\n  cdr_types: [calls, sms]\n"
    deployment.write_simple("glues", sensor=sensor)
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("[{workflow_name: w}]", "[{workflow_name: w, date_stencil: [[-1, 1]]}]"))


def ticked(context: Context, *, patient: bool = True) -> list[str]:
    """Tick, and give the dates that would be run if there were a slot."""
    return [str(run.reference_date) for run in due(context, patient=patient)]


def due(context: Context, *, patient: bool = True) -> list[Run]:
    """Tick, and give the runs that would start if there were a slot."""

    async def tick_once() -> list[Run]:
        stop = asyncio.Event()
        stop.set()
        executor = Executor(context, stop)
        await tick(context, read_definitions(context.settings.workflows_file), executor, patient=patient)
        return [*executor.waiting]

    return asyncio.run(tick_once())


def succeed(context: Context, *numbers: int) -> None:
    definitions = read_definitions(context.settings.workflows_file)
    trigger = next(each for each in definitions.triggers if each.workflow_name == "w")
    for number in numbers:
        run = build_run(definitions.workflows["w"], trigger, day(number))
        attempt = context.store.begin(run, context.now())
        context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())
        # as the executor does
        context.ledger.forget("w", day(number))


def stale(context: Context) -> list[dt.date]:
    return [each.reference_date for each in context.store.read.stale() if each.kept is None]


def look(context: Context) -> Snapshot:
    """Take what the messenger looks at."""
    definitions, read = read_definitions(context.settings.workflows_file), context.store.read
    changes = read.used_changes()
    groups = read.stale_groups(changes, context.now() - AGAIN_FOR)
    snapshot = Snapshot(definitions, context.now(), changes=changes, stale=groups, same=read.same_results(10))
    return replace(snapshot, restatements=read.restatements(), departures=read.departures())


def test_runs_that_used_a_date_are_stale_by_all_that_shows_them_until_they_are_run_again(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    assert ticked(context) == ["2016-01-02", "2016-01-03", "2016-01-04", "2016-01-05"]
    succeed(context, 2, 3, 4)
    assert ticked(context) == ["2016-01-05"]
    assert stale(context) == []
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    assert ticked(context) == ["2016-01-05"]
    assert stale(context) == [day(3), day(4)]
    definitions = read_definitions(context.settings.workflows_file)
    read = context.store.read
    facts = Facts.read(definitions, read, read.listed_dates(), context.now())
    (row,) = calendar(facts, day(1), day(5))
    assert [dt.date.fromordinal(each) for each in row.stale] == [day(3), day(4)]
    reason = explain(facts, definitions.triggers[0], day(4)).reason
    assert "stale: data were ingested anew: calls of 2016-01-03: count_added_rows" in reason
    assert " -> " in reason
    assert typed("calendar").answer.splitlines()[2].endswith("w#~~d")
    assert [each["run"] for each in typed("stale", "--json").json()["runs"]] == [2, 3]
    metrics = Metrics(context, PageCache(context, lambda: DaemonState(context.now(), definitions)))
    assert b'autoflow_stale_runs{workflow="w"} 2.0' in metrics.text(healthy=True)
    # told once, whatever is polled later
    snapshot = look(context)
    found = news(snapshot, {}, lambda *_: [])
    (message,) = found.messages
    assert message.subject == "data of 2016-01-03 were ingested anew: 2 runs are stale"
    assert news(snapshot, {each.name: each for each in found.known}, lambda *_: []).messages == ()
    # kept as it is, until the date is ingested anew once more
    assert context.steering.carry_out({"do": "keep", "runs": [2], "reason": "so"}, context.now()) == {"done": 1}
    assert stale(context) == [day(4)]
    assert "kept as it is: so" in typed("why", "w", "2016-01-03").answer
    flowapi.flowmachine.restate("2016-01-03", share=0.4, cdr_types=["calls"])
    ticked(context)
    assert stale(context) == [day(3), day(4)]
    would = typed("rerun", "--stale", "--json")
    assert [row["reference_date"] for row in would.json()["rows"]] == ["2016-01-03", "2016-01-04"]
    runs = [build_run(definitions.workflows["w"], definitions.triggers[0], day(number)) for number in (3, 4)]
    context.store.ask_for(runs, context.now())
    assert stale(context) == []
    succeed(context, 3, 4)
    assert stale(context) == []


def test_stale_runs_are_run_again_by_themselves_or_let_be_where_that_is_asked_for(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin
) -> None:
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    write(deployment, "ignore")
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    assert ticked(context) == []
    assert stale(context) == []
    # what has changed meanwhile is found when it is looked for again
    write(deployment, "rerun")
    flowapi.flowmachine.restate("2016-01-05", share=0.5)
    assert ticked(context) == ["2016-01-02", "2016-01-03", "2016-01-05"]
    assert stale(context) == []
    succeed(context, 2, 3, 5)
    assert ticked(context) == []
    assert stale(context) == []


@pytest.mark.parametrize("other", ["[{workflow_name: v}]", "[{workflow_name: v}, {workflow_name: w}]"])
def test_runs_of_a_trigger_that_is_back_are_stale_by_what_changed_while_it_was_away(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, other: str
) -> None:
    write(deployment, "tell")
    path = deployment.inputs / "workflows.yml"
    both, mine = path.read_text(), "[{workflow_name: w, date_stencil: [[-1, 1]]}]"
    both = both.replace("- name: w\n", "- name: v\n  notebooks: {n: {filename: glues.ipynb}}\n- name: w\n")
    path.write_text(both)
    assert mine in both
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    # somebody tries another stencil, or none, while another workflow goes on to be polled for
    path.write_text(both.replace(mine, other))
    ticked(context)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    ticked(context)
    assert stale(context) == []
    flowapi.flowmachine.drop("2016-01-05")
    ticked(context)
    path.write_text(both)
    assert ticked(context) == []
    assert stale(context) == [day(3), day(4), day(5)]
    (message,) = [each for each in news(look(context), {}, lambda *_: []).messages if "ingested" in each.subject]
    assert message.subject == "data of 2016-01-03 were ingested anew: 2 runs are stale"


def test_what_a_restatement_has_marked_is_marked_by_it_only_once_and_what_began_later_never(tmp_path: Path) -> None:
    store, later = RunStore(tmp_path / "record.db"), NOW + dt.timedelta(hours=1)
    workflow, trigger = Workflow("w", ()), Trigger("w")
    kept, made_since = (build_run(workflow, trigger, day(number)) for number in (1, 2))
    store.record_outcomes(outcomes(d1="5", d2="5"), NOW)
    store.finish(store.begin(kept, NOW), AttemptState.SUCCEEDED, NOW)
    (first, _) = store.record_outcomes(outcomes(d1="6", d2="6"), NOW)
    assert store.mark_stale([kept.key], first, NOW, begun_by=NOW) == [1]
    assert store.keep([1], "so", NOW) == 1
    store.finish(store.begin(made_since, later), AttemptState.SUCCEEDED, later)
    # as when workflows.yml is again what it was
    assert store.mark_stale([kept.key, made_since.key], first, later, begun_by=NOW) == []
    assert [(each.run, each.kept) for each in store.read.stale()] == [(1, "so")]
    store.close()


@pytest.mark.parametrize("restatement", ["tell", "rerun"])
def test_a_run_whose_new_data_are_held_is_not_made_again_until_they_count(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed, restatement: str
) -> None:
    limit = "\n  quality: {check: latest_timestamp, at_least: '18:00', on_missing: pass}"
    write(deployment, f"{restatement}{limit}")
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    # it is truncated now
    flowapi.flowmachine.outcomes["calls", "latest_timestamp", "2016-01-03"] = "2016-01-03 01:00:00+00"
    assert ticked(context) == []
    assert stale(context) == [day(3), day(4)]
    would = typed("rerun", "--stale", "--json").json()
    assert would["rows"] == []
    assert would["left_out"] == [
        f"run {number}: its data do not all count now: `autoflow why w 2016-01-0{number + 1}`" for number in (2, 3)
    ]
    # nobody is sent to what would do nothing
    advice = typed("stale").answer
    assert "rerun --stale" not in advice
    assert (
        "\ndata of 2 runs do not all count now; `autoflow why w 2016-01-03` says what can be done about one\n" in advice
    )
    why = typed("why", "w", "2016-01-04").answer
    assert "\n  2016-01-03 is held: calls latest_timestamp is 2016-01-03 01:00:00+00, expected at least 18:00\n" in why
    assert "`autoflow accept w 2016-01-03 --reason TEXT`" in why
    # who asks for them by name is told what they would be made of
    held = "2016-01-03 is held: calls latest_timestamp is 2016-01-03 01:00:00+00, expected at least 18:00"
    for asked in (("1", "2"), ("--workflow", "w", "--state", "succeeded", "--to", "2016-01-03")):
        rows = typed("rerun", *asked, "--json").json()["rows"]
        assert [row["note"] for row in rows] == ["run 1", f"run 2; {held}"]
    decision = {"do": "accept", "workflow": "w", "dates": ["2016-01-03"], "reason": "a holiday"}
    assert context.steering.carry_out(decision, context.now()) == {"done": 1}
    assert len(typed("rerun", "--stale", "--json").json()["rows"]) == 2
    assert ticked(context) == (["2016-01-03", "2016-01-04"] if restatement == "rerun" else [])


def test_a_run_has_another_data_version_when_its_data_were_ingested_anew(
    context: Context, flowapi: FlowapiStandin
) -> None:
    definitions = read_definitions(context.settings.workflows_file)
    (trigger,) = definitions.triggers
    rule = definitions.data_rule(trigger)

    def of(number: int, *missing: dt.date) -> Mapping[str, object]:
        run = build_run(definitions.workflows["w"], trigger, day(number))
        return quality_of(run, rule, context.store.read.listed_dates(), missing)

    assert of(3) == {}
    # outcomes of a date that arrives come later: without them, too, its data are others
    assert of(3, day(2))["data_version"] != of(3, day(3))["data_version"]
    ticked(context)
    assert of(3, day(2))["data_version"] != of(3)["data_version"]
    before = of(3)
    assert before["fingerprints"]["calls"].keys() == {"2016-01-02", "2016-01-03"}  # type: ignore[attr-defined]
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    ticked(context)
    assert of(3)["data_version"] != before["data_version"]
    assert of(4)["data_version"] == of(4)["data_version"] != of(3)["data_version"]


SEVERAL = """\
workflows:
  - name: u
    notebooks: {n: {filename: glues.ipynb}}
  - name: w
    notebooks: {n: {filename: glues.ipynb}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  restatement: rerun
  cdr_types: [calls, sms]
  workflows:
    - workflow_name: u
    - {workflow_name: w, date_stencil: [[-1, 1]], needs: [{workflow: u}]}
"""


def succeed_all(context: Context, workflow: str, *numbers: int) -> None:
    definitions = read_definitions(context.settings.workflows_file)
    trigger = next(each for each in definitions.triggers if each.workflow_name == workflow)
    for number in numbers:
        attempt = context.store.begin(build_run(definitions.workflows[workflow], trigger, day(number)), context.now())
        context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())
        context.ledger.forget(workflow, day(number))


def succeed_with(context: Context, deployment: Deployment, text: str) -> None:
    """Let all runs of both workflows of a workflows.yml succeed."""
    deployment.write(text, "glues")
    ticked(context)
    succeed_all(context, "u", 1, 2, 3, 4, 5)
    succeed_all(context, "w", 2, 3, 4, 5)


def test_what_depends_on_a_run_that_is_made_again_and_is_in_progress_is_made_again_when_it_has_ended(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin
) -> None:
    third = "\n    - {workflow_name: v, needs: [{workflow: w}]}\n"
    workflows = SEVERAL.replace(
        "  - name: w\n", "  - name: v\n    notebooks: {n: {filename: glues.ipynb}}\n  - name: w\n"
    )
    window = ", date_stencil: [[-1, 1]], needs: [{workflow: u}]}"
    assert window in workflows
    # of its own it uses only calls, and is not stale itself
    deployment.write(
        workflows.replace(window, ", cdr_types: [calls], needs: [{workflow: u}]}" + third.rstrip()), "glues"
    )
    ticked(context)
    succeed_all(context, "u", 3)
    succeed_all(context, "w", 3)
    succeed_all(context, "v", 3)
    w, v = a_run(context, "w"), a_run(context, "v")
    context.store.ask_for([w], context.now())
    under_way = context.store.begin(w, context.now())
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["sms"])
    ticked(context)
    # that somebody has asked for w is known until it is done
    assert asked(context) == [("u", day(3)), ("v", day(3)), ("w", day(3))]
    assert not context.store.read.requests()[w.key].automatic
    succeed_all(context, "u", 3)
    succeed_all(context, "v", 3)
    # it has read what u was before
    context.store.finish(under_way, AttemptState.SUCCEEDED, context.now())
    assert asked(context) == [("w", day(3))]
    assert context.store.read.requests()[w.key].automatic
    # and v what it was before
    succeed_all(context, "w", 3)
    ticked(context)
    assert asked(context) == [("v", day(3))]
    succeed_all(context, "v", 3)
    ticked(context)
    assert asked(context) == []
    assert [each.attempt for each in context.store.read.attempts(key=v.key)] == [3, 2, 1]


def test_what_a_restatement_asks_for_waits_for_runs_that_it_needs_and_that_were_never_made(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    window = ", date_stencil: [[-1, 1]], needs: [{workflow: u}]}"
    assert window in SEVERAL
    deployment.write(SEVERAL.replace(window, ", needs: [{workflow: u}]}"), "glues")
    ticked(context)
    succeed_all(context, "u", 1, 3, 4, 5)
    succeed_all(context, "w", 1, 3, 4, 5)
    # it needs more from now on
    deployment.write(SEVERAL.replace(window, ", needs: [{workflow: u, dates: [[-1, 1]]}]}"), "glues")
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    # w of 4 and 5 needs u of 3 and 4, too
    assert [(run.workflow.name, run.reference_date.day) for run in due(context)] == [("u", 3), ("u", 2)]
    assert asked(context) == [("u", day(3)), ("w", day(3)), ("w", day(4))]
    succeed_all(context, "u", 3)
    assert [(run.workflow.name, run.reference_date.day) for run in due(context)] == [("w", 4), ("u", 2)]
    assert "waits for 1 run: u 2016-01-02" in typed("why", "w", "2016-01-03").answer
    succeed_all(context, "u", 2)
    succeed_all(context, "w", 4)
    assert [(run.workflow.name, run.reference_date.day) for run in due(context)] == [("w", 3), ("w", 2)]


def test_only_what_a_run_used_is_named_as_ingested_anew_or_gone(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    calls = "{workflow_name: w, cdr_types: [calls]}"
    text = SEVERAL.replace("{workflow_name: w, date_stencil: [[-1, 1]], needs: [{workflow: u}]}", calls)
    deployment.write(text.replace("restatement: rerun", "restatement: tell"), "glues")
    ticked(context)
    run, failed = a_run(context, "w"), a_run(context, "w", 4)
    attempt = context.store.begin(run, context.now(), cdr_types=("calls",))
    context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())
    attempt = context.store.begin(failed, context.now(), cdr_types=("calls",))
    context.store.finish(attempt, AttemptState.FAILED, context.now(), Failure("an error"))
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    flowapi.flowmachine.restate("2016-01-04", share=0.5, cdr_types=["sms"])
    ticked(context)
    (found,) = typed("stale", "--json").json()["runs"]
    assert [each["cdr_type"] for each in found["restatements"]] == ["calls"]
    assert "ingested anew: calls of 2016-01-03" in typed("why", "w", "2016-01-03").answer
    assert "sms of" not in typed("why", "w", "2016-01-03").answer
    assert "sms of" not in typed("show", "1").answer
    # nor is what its notebooks have executed of no use
    assert "`autoflow repair 2` runs only what failed" in typed("why", "w", "2016-01-04").answer
    flowapi.flowmachine.drop("2016-01-03")
    ticked(context)
    (found,) = typed("stale", "--json").json()["runs"]
    assert {each["cdr_type"] for each in found["no_longer_listed"]} == {"calls"}


def test_what_a_trigger_that_names_other_cdr_types_since_marks_is_named(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    ticked(context)
    context.store.finish(
        context.store.begin(a_run(context, "w"), context.now(), cdr_types=("data",)),
        AttemptState.SUCCEEDED,
        context.now(),
    )
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    ticked(context)
    (found,) = typed("stale", "--json").json()["runs"]
    assert [each["cdr_type"] for each in found["restatements"]] == ["calls"]


def test_a_provisional_run_is_stale_by_what_it_used_alone(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin
) -> None:
    ticked(context)
    run, now = a_run(context, "w"), context.now()
    attempt = context.store.begin(run, now, missing=[day(3)], cdr_types=("calls",))
    context.store.finish(attempt, AttemptState.SUCCEEDED, now)
    # of calls the date that it was made without, of sms one that it would use were it to use sms
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    flowapi.flowmachine.restate("2016-01-02", share=0.5, cdr_types=["sms"])
    ticked(context)
    assert (len(context.store.read.restatements()), stale(context)) == (2, [])
    flowapi.flowmachine.restate("2016-01-02", share=0.5, cdr_types=["calls"])
    ticked(context)
    assert (len(context.store.read.restatements()), stale(context)) == (3, [day(3)])


def a_run(context: Context, workflow: str, number: int = 3) -> Run:
    definitions = read_definitions(context.settings.workflows_file)
    trigger = next(each for each in definitions.triggers if each.workflow_name == workflow)
    return build_run(definitions.workflows[workflow], trigger, day(number))


def asked(context: Context) -> list[tuple[str, dt.date]]:
    return sorted((each.workflow, each.reference_date) for each in context.store.read.requests().values())


def decide_of(context: Context, do: str, workflow: str, number: int) -> None:
    order = {"do": do, "workflow": workflow, "dates": [f"2016-01-0{number}"], "reason": "so"}
    assert context.steering.carry_out(order, context.now()) == {"done": 1}


def test_what_depends_on_a_run_is_not_made_again_with_it_of_data_that_do_not_count(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    succeed_with(context, deployment, SEVERAL.replace("rerun", "tell"))
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    # the checks, or somebody, hold what it would be made of: its report is the better one
    decide_of(context, "hold", "w", 3)
    decide_of(context, "skip", "w", 4)
    assert ticked(context) == []
    would = typed("rerun", "--stale", "--json").json()
    assert [(row["workflow"], row["reference_date"]) for row in would["rows"]] == [("u", "2016-01-03")]
    held, skipped = sorted(would["left_out"])
    assert held == "run 7: its data do not all count now: `autoflow why w 2016-01-03`"
    assert skipped.startswith("run 8: skipped since ")
    assert "\n1 run is skipped, and run again only by `autoflow rerun RUN`, or after " in typed("stale").answer
    deployment.write(SEVERAL, "glues")
    assert ticked(context) == ["2016-01-03"]
    assert asked(context) == [("u", day(3))]
    # they are stale themselves, and are made when they may be
    decide_of(context, "unhold", "w", 3)
    ticked(context)
    assert asked(context) == [("u", day(3)), ("w", day(3))]
    decide_of(context, "unskip", "w", 4)
    ticked(context)
    assert asked(context) == [("u", day(3)), ("w", day(3)), ("w", day(4))]


def fail(context: Context, workflow: str, *numbers: int) -> None:
    definitions = read_definitions(context.settings.workflows_file)
    trigger = next(each for each in definitions.triggers if each.workflow_name == workflow)
    for number in numbers:
        attempt = context.store.begin(build_run(definitions.workflows[workflow], trigger, day(number)), context.now())
        context.store.finish(attempt, AttemptState.FAILED, context.now(), Failure("no"))


@pytest.mark.parametrize("tried", [False, True])
@pytest.mark.parametrize("earliest", ["2016-01-01", "2016-01-05"])
def test_what_nobody_has_named_waits_for_its_data_until_it_has_been_made(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, tried: bool, earliest: str
) -> None:
    write(deployment, "rerun")
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    # what the trigger is for no more is not lost either
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("{workflow_name: w,", f"{{workflow_name: w, earliest_date: {earliest},"))
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    assert ticked(context) == ["2016-01-02", "2016-01-03"]
    if tried:
        fail(context, "w", 2, 3)
    decide_of(context, "hold", "w", 2)
    assert ticked(context, patient=False) == []
    facts = Facts.read(read_definitions(path), context.store.read, context.store.read.listed_dates(), context.now())
    reason = explain(facts, facts.definitions.triggers[0], day(3)).reason
    assert "2016-01-02 is held since " in reason
    assert ("it is requested, and waits for its data" in reason) == (tried or earliest == "2016-01-05")
    decide_of(context, "unhold", "w", 2)
    assert ticked(context, patient=False) == ["2016-01-02", "2016-01-03"]
    succeed(context, 2, 3)
    assert (ticked(context), asked(context), stale(context)) == ([], [], [])


@pytest.mark.parametrize("how", ["fails", "held"])
def test_what_depends_on_a_run_that_is_made_again_waits_until_it_has_been(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, how: str
) -> None:
    succeed_with(context, deployment, SEVERAL)
    flowapi.flowmachine.restate("2016-01-05", share=0.5)
    assert [run.workflow.name for run in due(context)] == ["u"]
    assert asked(context) == [("u", day(5)), ("w", day(5))]
    if how == "fails":
        fail(context, "u", 5)
    else:
        decide_of(context, "hold", "u", 5)
    assert [run.workflow.name for run in due(context, patient=False)] == (["u"] if how == "fails" else [])
    decide_of(context, "unhold", "u", 5) if how == "held" else None
    succeed_all(context, "u", 5)
    assert [run.workflow.name for run in due(context)] == ["w"]


def test_what_comes_after_a_run_that_waits_for_its_data_passes_it_over(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin
) -> None:
    write(deployment, "rerun")
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("date_stencil: [[-1, 1]]", "after: previous"))
    ticked(context)
    succeed(context, 1, 2, 3, 4, 5)
    decide_of(context, "hold", "w", 4)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    assert ticked(context) == ["2016-01-03"]
    assert [date for _, date in asked(context)] == [day(3), day(4), day(5)]
    succeed(context, 3)
    assert ticked(context) == ["2016-01-05"]
    decide_of(context, "unhold", "w", 4)
    assert "2016-01-04" in ticked(context)


def test_what_depends_on_a_run_that_is_made_again_and_is_held_is_made_when_it_counts(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    others = SEVERAL.replace("date_stencil: [[-1, 1]], needs: [{workflow: u}]", "needs: [{workflow: u, dates: [-1]}]")
    succeed_with(context, deployment, others.replace("rerun", "tell"))
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    decide_of(context, "hold", "w", 4)
    ticked(context)
    rows = typed("rerun", "--stale", "--json").json()["rows"]
    assert [(row["workflow"], row["reference_date"]) for row in rows] == [
        ("u", "2016-01-03"),
        ("w", "2016-01-03"),
        ("w", "2016-01-04"),
    ]
    assert "; 2016-01-04 is held since " in rows[2]["note"]
    assert rows[2]["note"].endswith("; waits until they count")
    deployment.write(others, "glues")
    assert [run.workflow.name for run in due(context)] == ["u", "w"]
    succeed_all(context, "u", 3)
    succeed_all(context, "w", 3)
    assert due(context) == []
    decide_of(context, "unhold", "w", 4)
    assert ticked(context) == ["2016-01-04"]


def test_a_run_that_somebody_requests_says_what_it_is_made_without_and_is_made_again_with_it(
    context: Context, flowapi: FlowapiStandin
) -> None:
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    flowapi.flowmachine.drop("2016-01-03")
    assert ticked(context) == []
    definitions = read_definitions(context.settings.workflows_file)
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(4))
    context.store.ask_for([run], context.now())
    assert ticked(context) == ["2016-01-04"]
    listed = context.store.read.listed_dates()
    missing = missing_dates(definitions, definitions.triggers[0], run, listed, context.now())
    assert missing == (day(3),)
    context.store.finish(context.store.begin(run, context.now(), missing), AttemptState.SUCCEEDED, context.now())
    context.ledger.forget("w", day(4))
    assert ticked(context) == []
    flowapi.set_days(5)
    assert ticked(context) == ["2016-01-04"]


def outcomes(**by_day: str | None) -> Mapping[str, Mapping[str, Mapping[str, str | None]]]:
    blocks = blocks_of({f"2016-01-0{name[1:]}": text for name, text in by_day.items()})
    return {"calls": {"count_added_rows": {"2016": blocks.get("2016")}}}


def test_another_outcome_is_a_restatement_and_a_new_one_or_none_is_not(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "record.db")
    assert store.record_outcomes(outcomes(d1="5", d2=None), NOW) == []
    assert store.record_outcomes(outcomes(d1="5", d2="7", d3="9"), NOW) == []
    assert store.record_outcomes(outcomes(d1="6", d2="7", d3="9"), NOW) == [1]
    assert str(store.read.restatements()[0]) == "calls of 2016-01-01: count_added_rows 5 -> 6"
    # gone, and back as it was, or as another; a failed check is no news of the data
    assert store.record_outcomes(outcomes(d1="6", d2=None), NOW) == []
    assert store.record_outcomes(outcomes(d1="6", d2="7", d3="9"), NOW) == []
    assert store.record_outcomes(outcomes(), NOW) == []
    assert store.record_outcomes(outcomes(d1="6", d2="8", d3="9"), NOW) == [2]
    assert [each.date for each in store.read.restatements(2)] == [day(2)]
    store.close()


def test_a_run_in_progress_is_stale_as_soon_as_it_has_succeeded(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "record.db")
    workflow, trigger = Workflow("w", ()), Trigger("w", date_stencil=DateStencil.parse([[-1, 1]]))
    run = build_run(workflow, trigger, day(2))
    attempt = store.begin(run, NOW)
    store.record_outcomes(outcomes(d1="5"), NOW)
    (first,) = store.record_outcomes(outcomes(d1="6"), NOW)
    assert store.mark_stale([run.key], first, NOW) == [attempt.id]
    assert store.read.stale() == []
    store.finish(attempt, AttemptState.SUCCEEDED, NOW)
    (found,) = store.read.stale()
    assert (found.reference_date, found.windows) == (day(2), [(day(1), day(3))])
    definitions = Definitions({"w": workflow}, (trigger,), schedule=None)
    # nothing is asked of QA checks any more: what is stale stays so
    assert Facts.read(definitions, store.read, store.read.listed_dates(), NOW).stale.keys() == {attempt.run}
    store.close()


def test_what_a_crash_kept_from_being_marked_is_marked_by_the_next_poll(
    context: Context, flowapi: FlowapiStandin
) -> None:
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    marking = context.store.mark_stale
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(context.store, "mark_stale", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ticked(context)
        # what is not marked yet is not told
        assert look(context).changes == []
        flowapi.flowmachine.restate("2016-01-04", share=0.5)
        with pytest.raises(ZeroDivisionError):
            ticked(context)
    assert (stale(context), context.store.mark_stale) == ([], marking)
    assert len(context.store.read.unmarked()) == 4
    ticked(context)
    assert stale(context) == [day(3), day(4), day(5)]
    assert context.store.read.unmarked() == []
    assert [each.subject for each in news(look(context), {}, lambda *_: []).messages] == [
        f"data of 2016-01-0{number} were ingested anew: 2 runs are stale" for number in (3, 4)
    ]


def test_a_run_with_the_same_results_stays_stale_and_is_not_made_again_until_data_change_once_more(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    write(deployment, "{do: rerun, same_result: hold}")
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    assert ticked(context) == ["2016-01-03", "2016-01-04"]
    definitions = read_definitions(context.settings.workflows_file)
    runs = [build_run(definitions.workflows["w"], definitions.triggers[0], day(number)) for number in (3, 4)]
    attempts = [context.store.begin(run, context.now()) for run in runs]
    for attempt in attempts:
        before = context.store.read.success_before(attempt.run, attempt.id)
        assert before is not None
        context.store.note_same_results(attempt, before.id, context.now(), hold=True)
        context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())
        context.ledger.forget("w", attempt.reference_date or day(1))
    assert ticked(context) == []
    assert stale(context) == [day(3), day(4)]
    assert "same results as attempt 1" in typed("runs").answer
    shown = typed("show", "2").answer
    assert "stale: data were ingested anew: calls of 2016-01-03: count_added_rows" in shown
    assert "; its results are the same as those of attempt 1: FlowMachine may have answered" in shown
    assert "; its reports are kept out of latest" in shown
    (why,) = typed("why", "w", "2016-01-04", "--json").json()["triggers"]
    assert (why["stale"]["same_as"], why["stale"]["held"]) == (1, True)
    assert len(typed("rerun", "--stale", "--json").json()["rows"]) == 2
    # told once; the restatement itself is known
    snapshot = look(context)
    found = news(snapshot, {}, lambda *_: [])
    (message,) = [each for each in found.messages if "results" in each.subject]
    assert message.subject == "2 runs have the same results as before, although the data changed"
    assert message.lines[0] == (
        "w 2016-01-03: run 2 has the same results as attempt 1, although data were ingested anew since"
    )
    assert "Reports of 2 runs are kept out of latest." in message.lines
    assert message.lines[-1] == "If the results are right: autoflow keep 2 3 --reason TEXT"
    known = {each.name: each for each in found.known}
    assert news(snapshot, known, lambda *_: []).messages == ()
    # other data, another try
    flowapi.flowmachine.restate("2016-01-04", share=0.4)
    assert ticked(context) == ["2016-01-04", "2016-01-05"]
    assert stale(context) == [day(3)]


def restated_after_success(context: Context, deployment: Deployment, flowapi: FlowapiStandin) -> None:
    """Run four dates, which are made again and held back where their results stay, and restate the first's data."""
    write(deployment, "{do: rerun, same_result: hold}")
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    flowapi.flowmachine.restate("2016-01-02", share=0.5, cdr_types=["calls"])


def has_same_results(context: Context, number: int) -> None:
    """Make the run of a date again, with the results that it had, and keep its reports out of latest."""
    definitions, store = read_definitions(context.settings.workflows_file), context.store
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(number))
    store.ask_for([run], context.now())
    attempt = store.begin(run, context.now())
    before = store.read.success_before(attempt.run, attempt.id)
    assert before is not None
    store.note_same_results(attempt, before.id, context.now(), hold=True)
    store.finish(attempt, AttemptState.SUCCEEDED, context.now())
    context.ledger.forget("w", day(number))


def test_what_is_known_of_the_results_of_a_run_survives_that_its_data_are_ingested_anew_once_more(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    restated_after_success(context, deployment, flowapi)
    assert ticked(context) == ["2016-01-02", "2016-01-03"]
    succeed(context, 2)
    has_same_results(context, 3)
    told = {each.name: each for each in news(look(context), {}, lambda *_: []).known}
    write(deployment, "{do: tell, same_result: hold}")
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    assert ticked(context) == []
    # neither what the results lack nor what they are is forgotten, nor that latest does not have the reports
    (first, _) = typed("stale", "--json").json()["runs"]
    assert {each["date"] for each in first["restatements"]} == {"2016-01-02", "2016-01-03"}
    assert (first["same_as"], first["held"]) == (1, True)
    assert "; same results as attempt 1; kept out of latest" in typed("stale").answer
    assert "kept out of latest" in next(line for line in typed("runs").answer.splitlines() if "2.2" in line)
    shown = typed("show", "2").answer
    assert "same as those of attempt 1" in shown
    assert "when the cache has been reset" in shown
    assert "same as those of attempt 1" in typed("why", "w", "2016-01-03").answer
    # only the new restatement is news
    subjects = [each.subject for each in news(look(context), told, lambda *_: []).messages]
    assert [subject for subject in subjects if "2016-01-02" in subject or "results" in subject] == []
    assert any(subject.startswith("data of 2016-01-03 were ingested anew: 2 runs are stale") for subject in subjects)
    # other data are another try, and if that shows the same once more, it shows what attempt 1 showed
    write(deployment, "{do: rerun, same_result: hold}")
    assert ticked(context) == ["2016-01-03", "2016-01-04"]
    has_same_results(context, 3)
    assert ticked(context) == ["2016-01-04"]
    assert "same results as attempt 1" in typed("stale").answer
    superseded = typed("show", "2.2").answer
    assert "same as those of attempt 1" in superseded
    assert "its reports were kept out of latest" in superseded


def test_results_that_somebody_has_kept_are_not_doubted_when_data_are_ingested_anew_once_more(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    ticked(context)
    succeed(context, 3)
    flowapi.flowmachine.restate("2016-01-02", share=0.5, cdr_types=["calls"])
    ticked(context)
    has_same_results(context, 3)
    decision = {"do": "keep", "runs": [1], "reason": "so"}
    assert context.steering.carry_out(decision, context.now()) == {"done": 1}
    assert stale(context) == []
    ticked(context)
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    ticked(context)
    assert stale(context) == [day(3)]
    (found,) = typed("stale", "--json").json()["runs"]
    assert {each["date"] for each in found["restatements"]} == {"2016-01-03"}
    assert (found["kept"], found["same_as"], found["held"]) == (None, 1, False)
    answer = typed("stale").answer
    assert "reset" not in answer
    assert "kept" not in answer.splitlines()[1]
    assert context.store.read.same_results(10) == []
    # that attempt was right with its data: the next one is compared with it
    has_same_results(context, 3)
    (again,) = typed("stale", "--json").json()["runs"]
    assert again["same_as"] == 2
    assert {each["date"] for each in again["restatements"]} == {"2016-01-03"}
    assert context.store.read.count_stale() == {"w": 1}


def test_a_run_whose_data_change_while_it_gets_the_results_that_it_had_is_another_try(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    restated_after_success(context, deployment, flowapi)
    ticked(context)
    succeed(context, 2)
    definitions = read_definitions(context.settings.workflows_file)
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(3))
    attempt = context.store.begin(run, context.now())
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    ticked(context)
    before = context.store.read.success_before(attempt.run, attempt.id)
    assert before is not None
    context.store.note_same_results(attempt, before.id, context.now(), hold=True)
    context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())
    (found,) = [each for each in typed("stale", "--json").json()["runs"] if each["run"] == attempt.run]
    assert {each["date"] for each in found["restatements"]} == {"2016-01-02", "2016-01-03"}
    assert found["same_as"] == 1
    context.ledger.forget("w", day(3))
    assert "2016-01-03" in ticked(context)


def test_reports_that_somebody_keeps_say_so_and_are_among_the_latest(context: Context, flowapi: FlowapiStandin) -> None:
    ticked(context)
    succeed(context, 2)
    store, reports = context.store, context.outputs.reports
    definitions = read_definitions(context.settings.workflows_file)
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(2))
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    ticked(context)
    old = store.read.attempts_of(1)[0]
    store.ask_for([run], NOW)
    attempt = store.begin(run, NOW)
    store.begin_notebook(attempt, "glues", NOW)
    store.finish_notebook(attempt, "glues", AttemptState.SUCCEEDED, NOW)
    store.note_same_results(attempt, old.id, NOW, hold=True)
    store.record_report(attempt, "glues", reports / "second.html")
    store.finish(attempt, AttemptState.SUCCEEDED, NOW)
    (reports / "second.html").write_text("a report")
    manifest = {"workflow": "w", "notebook": "glues", "reference_date": "2016-01-02", "parameters": {}}
    (reports / "second.json").write_text(json.dumps(manifest))
    assert context.steering.carry_out({"do": "keep", "runs": [1], "reason": "as it was"}, NOW) == {"done": 1}
    # as in a crash before anything follows from it: the next tick sees to it
    ticked(context)
    assert json.loads((reports / "second.json").read_text())["kept"]["reason"] == "as it was"
    assert (reports / "latest" / "w__glues.html").resolve() == (reports / "second.html").resolve()
    assert store.read.kept_reports() == []
    assert [(each.kept, each.mark.held, each.mark.same_as) for each in store.read.stale()] == [("as it was", 0, 1)]


def test_a_run_that_is_made_again_cannot_be_kept_until_that_has_ended(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    def refused() -> str:
        answer = typed("keep", "1", "--reason", "so", "--json").json()
        (why,) = answer["left_out"]
        assert answer["rows"] == []
        return str(why)

    ticked(context)
    succeed(context, 2)
    assert refused() == "run 1 is not stale"
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    ticked(context)
    definitions = read_definitions(context.settings.workflows_file)
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(2))
    context.store.ask_for([run], NOW)
    later = "if it is stale when that is done, it can be kept then"
    assert refused() == f"run 1 was requested, and is to be run again; {later}"
    attempt = context.store.begin(run, NOW)
    assert refused() == f"run 1 is running, as attempt 1.2; {later}"
    context.store.finish(attempt, AttemptState.FAILED, NOW, Failure("it broke"))
    assert refused() == "run 1 is not stale: failed"


def test_runs_that_used_a_date_which_left_the_list_are_marked_until_it_is_back(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    listed, definitions = flowapi.dates, read_definitions(context.settings.workflows_file)
    ticked(context)
    succeed(context, 2, 3, 4)
    flowapi.flowmachine.drop("2016-01-03")
    # what it would need is not there; what is done stays done
    assert ticked(context) == ["2016-01-05"]
    assert stale(context) == [day(3), day(4)]
    snapshot = look(context)
    found = news(snapshot, {}, lambda *_: [])
    (message,) = [each for each in found.messages if each.event == "restated"]
    assert message.subject == "data of 2016-01-03 are no longer listed by FlowAPI: 2 runs have used them"
    assert "w: 2016-01-03 to 2016-01-04" in message.lines
    known = {each.name: each for each in found.known}
    assert "restated" not in [each.event for each in news(snapshot, known, lambda *_: []).messages]
    assert "stale: data are no longer listed: calls of 2016-01-03" in typed("why", "w", "2016-01-04").answer
    # w#~~d would be so with data; now one waits
    assert typed("calendar").answer.splitlines()[2].count("~") == 2
    (first, _) = typed("stale", "--json").json()["runs"]
    assert {each["date"] for each in first["no_longer_listed"]} == {"2016-01-03"}
    metrics = Metrics(context, PageCache(context, lambda: DaemonState(context.now(), definitions)))
    assert b'autoflow_stale_runs{workflow="w"} 2.0' in metrics.text(healthy=True)
    # without the data there is nothing to be gained
    assert typed("rerun", "--stale", "--json").json()["rows"] == []
    assert "rerun" not in typed("stale").answer
    # the same data are back
    flowapi.dates = listed
    ticked(context)
    assert (stale(context), context.store.read.restatements()) == ([], [])
    assert news(look(context), known, lambda *_: []).over
    # and gone, and back as others
    flowapi.flowmachine.drop("2016-01-03")
    ticked(context)
    assert stale(context) == [day(3), day(4)]
    flowapi.dates = listed
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    ticked(context)
    assert stale(context) == [day(3), day(4)]
    assert "no longer listed" not in typed("stale").answer
    assert "\n  calls of 2016-01-03: count_added_rows" in typed("stale").answer
    assert "`autoflow rerun --stale` runs them again" in typed("stale").answer


def test_each_change_of_data_is_told_with_all_runs_that_used_it_though_some_are_stale_already(
    context: Context, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    def told_now() -> list[tuple[str, str]]:
        """Give the log's and the messages' words since the last time."""
        found = news(look(context), known, lambda *_: [])
        known.update({each.name: each for each in found.known})
        log = [each.getMessage().rpartition("; ")[2] for each in caplog.records if each.levelname == "WARNING"]
        caplog.clear()
        return list(zip(log, [each.subject for each in found.messages if each.event == "restated"], strict=True))

    known: dict[str, KnownCause] = {}
    ticked(context)
    succeed(context, 3, 4, 5)
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    ticked(context)
    assert told_now() == [("2 runs have used it", "data of 2016-01-03 were ingested anew: 2 runs are stale")]
    flowapi.flowmachine.restate("2016-01-04", share=0.5, cdr_types=["calls"])
    ticked(context)
    assert told_now() == [("2 runs have used it", "data of 2016-01-04 were ingested anew: 2 runs are stale")]
    # a run that used two dates is one run
    for number in (3, 4):
        flowapi.flowmachine.drop(f"2016-01-0{number}")
    ticked(context)
    gone = "data of 2016-01-03 to 2016-01-04 are no longer listed by FlowAPI: 3 runs have used them"
    assert told_now() == [("3 runs have used them", gone)]
    ticked(context)
    assert told_now() == []
    # people who hear of all of it at once hear the same
    assert len([each for each in news(look(context), {}, lambda *_: []).messages if each.event == "restated"]) == 3


def test_what_to_do_about_stale_runs_stands_before_what_has_changed_and_counts_before_seconds(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    ticked(context)
    succeed(context, 2, 3)
    for number in (1, 2):
        flowapi.flowmachine.outcomes["calls", "latest_timestamp", f"2016-01-0{number}"] = (
            f"2016-01-0{number} 23:59:01+00"
        )
    flowapi.flowmachine.restate("2016-01-03", share=0.5, cdr_types=["calls"])
    ticked(context)
    lines = typed("stale").answer.splitlines()
    assert lines.index("`autoflow rerun --stale` runs them again") < lines.index("ingested anew:")
    first, *others = [line for line in lines if line.startswith("  calls of")]
    assert first.startswith("  calls of 2016-01-03: count_added_rows")
    assert [line[:22] for line in others] == ["  calls of 2016-01-01:", "  calls of 2016-01-02:"]


def test_of_several_dates_that_left_those_that_are_still_away_keep_their_marks(context: Context) -> None:
    # FlowAPI need have no QA checks for that
    store, definitions = context.store, read_definitions(context.settings.workflows_file)

    def listed(*numbers: int) -> list[dt.date]:
        store.record_poll({"calls": [str(day(number)) for number in numbers]}, context.now())
        asyncio.run(mark_departed(context, definitions, asyncio.Event()))
        return stale(context)

    listed(1, 2, 3, 4)
    succeed(context, 2, 3, 4)
    assert listed(1, 4) == [day(2), day(3), day(4)]
    # made without the date, or of it when it was back: it is none of theirs
    assert listed(1, 2, 4) == [day(3), day(4)]
    assert len(store.read.departures()) == 1
    assert listed(1, 2, 3, 4) == []
    # a whole type that is gone is an answer that is doubted
    store.record_poll({}, context.now())
    assert listed(1, 2, 3, 4) == []
    assert listed(1, 2, 3) == [day(4)]
    store.ask_for([build_run(definitions.workflows["w"], definitions.triggers[0], day(4))], context.now())
    succeed(context, 4)
    assert listed(1, 2, 3) == []


def test_what_an_older_record_says_of_stale_runs_is_told_as_before_and_departures_are_marked_anew(
    tmp_path: Path,
) -> None:
    path, moment = tmp_path / "record.db", NOW.isoformat(timespec="microseconds")
    with closing(sqlite3.connect(path)) as connection, connection:
        for migration in MIGRATIONS[:13]:
            migration(connection.cursor(), Places.below(tmp_path))
        for number in (1, 2):
            connection.execute(
                "INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters)"
                f" VALUES (?, 'w', ?, '2016-01-0{number}', '{{}}')",
                (number, str(number)),
            )
            connection.execute(
                "INSERT INTO attempts (id, run, attempt, state, started) VALUES (?, ?, 1, 'succeeded', ?)",
                (number, number, moment),
            )
        change = "INSERT INTO restatements (cdr_type, date, seen, changes) VALUES ('calls', '2016-01-01', ?, '{}')"
        connection.execute(change, (moment,))
        left = "INSERT INTO departures (cdr_type, date, seen) VALUES ('calls', '2016-01-02', ?)"
        connection.execute(left, (moment,))
        marks = "INSERT INTO stale (attempt_id, restatement, departure, since) VALUES (?, ?, ?, ?)"
        connection.executemany(marks, [(1, 1, None, moment), (2, None, 1, moment)])
        connection.execute("INSERT INTO meta VALUES ('restatements_marked', '1'), ('departures_marked', '1')")
        connection.execute("PRAGMA user_version = 13")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    store = RunStore(path)
    (departure,) = store.read.unmarked_departures()
    store.marked_departures(departure.id)
    groups = store.read.stale_groups(store.read.used_changes(), NOW)
    assert [(each.kind, each.number, each.runs) for each in groups] == [("restatement", 1, 1), ("departure", 1, 1)]
    store.close()


def test_what_depends_on_a_run_that_is_made_again_is_made_again_too(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin
) -> None:
    path = deployment.inputs / "workflows.yml"
    path.write_text(
        "workflows:\n"
        "  - {name: w, notebooks: {glues: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}\n"
        "  - {name: sums, notebooks: {glues: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}\n"
        "available_dates_sensor:\n"
        "  schedule: '0 0 1 1 *'\n"
        "  cdr_types: [calls]\n"
        "  workflows:\n"
        "    - {workflow_name: w, restatement: rerun}\n"
        "    - {workflow_name: sums, after: previous, needs: [{workflow: w, dates: [[-1, 1]]}]}\n"
    )
    definitions = read_definitions(path)

    def all_succeed() -> None:
        for number in range(1, 6):
            for trigger in definitions.triggers:
                run = build_run(definitions.workflows[trigger.workflow_name], trigger, day(number))
                if run.key in requested() or not context.store.read.run_history().latest.get(run.key):
                    attempt = context.store.begin(run, context.now())
                    context.store.finish(attempt, AttemptState.SUCCEEDED, context.now())
                    context.ledger.forget(trigger.workflow_name, day(number))

    def requested() -> list[tuple[str, str]]:
        return [*context.store.read.requests()]

    def dates() -> list[str]:
        requests = context.store.read.run_history().requests.items()
        return sorted(f"{key[0]} {each.reference_date.day}" for key, each in requests)

    ticked(context)
    all_succeed()
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    ticked(context)
    # it is summed up from the day before on, each after the one before it
    assert dates() == ["sums 3", "sums 4", "sums 5", "w 3"]
    all_succeed()
    ticked(context)
    assert (dates(), stale(context)) == ([], [])


def test_people_are_told_of_a_restatement_though_its_runs_are_made_again_at_once(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin
) -> None:
    write(deployment, "rerun")
    ticked(context)
    succeed(context, 2, 3, 4, 5)
    flowapi.flowmachine.restate("2016-01-03", share=0.5)
    ticked(context)
    succeed(context, 3, 4)
    (message,) = news(look(context), {}, lambda *_: []).messages
    assert message.subject == "data of 2016-01-03 were ingested anew: 2 runs are made again"
    assert not [line for line in message.lines if "rerun --stale" in line]


def test_a_run_is_not_repaired_with_notebooks_of_the_data_before(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    ticked(context)
    definitions = read_definitions(context.settings.workflows_file)
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(3))
    attempt = context.store.begin(run, context.now())
    context.store.finish(attempt, AttemptState.FAILED, context.now(), Failure("an error"))
    assert "execute 1 of 1 notebooks" in typed("repair", "1", "--json").json()["would"]
    assert "; `autoflow repair 1` runs only what failed\n" in typed("why", "w", "2016-01-03").answer
    assert remedies(context) == ["autoflow repair 1"]
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    ticked(context)
    refused = typed("repair", "1")
    assert refused.code != 0
    assert "run 1 cannot be repaired: data were ingested anew since it began (calls of 2016-01-02: " in refused.log
    assert "`autoflow rerun 1` runs all of it again" in refused.log
    # and nobody is sent there
    again = "; `autoflow rerun 1` runs all of it again, since data of 2016-01-02 were ingested anew\n"
    assert again in typed("why", "w", "2016-01-03").answer
    assert remedies(context) == ["autoflow rerun 1"]


def remedies(context: Context) -> list[str]:
    """Give the last of the commands that the page names below each failure."""
    definitions, links = read_definitions(context.settings.workflows_file), Links(Path("/n"), Path("/r"), "./")
    request = {"problems": [], "progress": [], "doing": "", "next_tick": None}
    page = PageRequest(request, context.store.read, definitions, context.now(), links)
    return [failure["commands"][-1][1] for failure in status_page(page)[1]["failures"]]


def test_a_failed_run_tells_of_the_report_that_stays_and_whether_its_data_are_old(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    ticked(context)
    definitions = read_definitions(context.settings.workflows_file)
    run = build_run(definitions.workflows["w"], definitions.triggers[0], day(3))
    good = context.store.begin(run, context.now())
    report = context.settings.reports_dir / "glues.pdf"
    context.store.begin_notebook(good, "glues", context.now())
    context.store.record_report(good, "glues", report)
    context.store.finish_notebook(good, "glues", AttemptState.SUCCEEDED, context.now())
    context.store.finish(good, AttemptState.SUCCEEDED, context.now())
    context.store.ask_for([run], context.now())
    failed = context.store.begin(run, context.now())
    context.store.finish(failed, AttemptState.FAILED, context.now(), Failure("an error"))
    assert f"\n  report of attempt 1.1: {report}\n" in typed("why", "w", "2016-01-03").answer
    flowapi.flowmachine.restate("2016-01-02", share=0.5)
    ticked(context)
    since = "made before data of 2016-01-02 were ingested anew"
    assert f"\n  report of attempt 1.1, {since}: {report}\n" in typed("why", "w", "2016-01-03").answer
    # nor is it forgotten when somebody does not want another one
    order = {"do": "skip", "workflow": "w", "dates": ["2016-01-03"], "reason": "leave it"}
    assert context.steering.carry_out(order, context.now()) == {"done": 1}
    said = typed("why", "w", "2016-01-03").answer
    assert "w 2016-01-03: skipped" in said
    assert f"\n  report of attempt 1.1, {since}: {report}\n" in said
