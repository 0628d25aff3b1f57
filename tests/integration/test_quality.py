# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""QA outcomes from FlowAPI to what a tick starts: against the stand-in, with all that is odd about them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from collections.abc import Iterator

import pytest

from autoflow.app import open_context
from autoflow.context.context import Context
from autoflow.definitions import Definitions
from autoflow.demo_flowapi import ALL_SCOPES, FlowapiStandin
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.runs.runs import Run, build_run
from autoflow.sensor.executor import Executor
from autoflow.sensor.quality import quality_of
from autoflow.sensor.sensor import take_asked, tick
from autoflow.settings.settings import load_settings
from tests.answers import answer_of
from tests.conftest import Deployment, Typed

QUALITY = [{"check": "latest_timestamp", "at_least": "18:00"}]
CUT = ("calls", "latest_timestamp", "2016-01-02")


@pytest.fixture
def context(deployment: Deployment, flowapi: FlowapiStandin) -> Iterator[Context]:
    deployment.write_simple("glues", sensor=f"  quality: {json.dumps(QUALITY)}\n  cdr_types: [calls, sms]\n")
    # a token in a file can be replaced
    (deployment.inputs / "FLOWAPI_TOKEN").write_text(deployment.environment.pop("FLOWAPI_TOKEN"))
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs)
    with open_context(settings, deployment.environment, Progress()) as context:
        yield context


def due(context: Context, definitions: Definitions | None = None) -> list[str]:
    """Tick, and give the dates that would be run if there were a slot."""

    async def ticked() -> list[Run]:
        stop = asyncio.Event()
        stop.set()
        executor = Executor(context, stop)
        await tick(context, definitions or read_definitions(context.settings.workflows_file), executor)
        return list(executor.waiting)

    return [str(run.reference_date) for run in asyncio.run(ticked())]


def test_a_truncated_date_is_held_until_it_is_whole_or_accepted(
    context: Context, flowapi: FlowapiStandin, typed: Typed
) -> None:
    flowapi.set_days(3)
    flowapi.flowmachine.outcomes[CUT] = "2016-01-02 11:59:57+00"
    assert due(context) == ["2016-01-01", "2016-01-03"]
    assert context.backlog.held == {"w": 1}
    asked = [request for request in flowapi.requests if "/qa/" in request]
    # of each type the check that is asked for, and one that tells whether a date was ingested anew
    assert len(asked) == 1 + 2 * 2
    assert all("start_date=2016-01-01&end_date=2016-01-03" in request for request in asked[1:])
    (said,) = answer_of(typed("why", "w", "2016-01-02", "--json").answer, code=0)["triggers"]
    assert said["state"] == "held"
    (hold,) = said["holds"]["2016-01-02"]
    assert (hold["outcome"], hold["limit"]) == ("2016-01-02 11:59:57+00", "at least 18:00")
    assert "autoflow accept w 2016-01-02" in typed("why", "w", "2016-01-02").answer
    order = {"do": "accept", "workflow": "w", "dates": ["2016-01-02"], "reason": "a holiday"}
    assert context.steering.carry_out(order, context.now()) == {"done": 1}
    assert due(context) == ["2016-01-01", "2016-01-02", "2016-01-03"]
    accepted = "accepted since"
    assert f"data of 2016-01-02 {accepted}" in typed("why", "w", "2016-01-02").answer
    (said,) = typed("why", "w", "2016-01-02", "--json").json()["triggers"]
    assert said["accepted"]["2016-01-02"]["reason"] == "a holiday"
    assert accepted not in typed("why", "w", "2016-01-03").answer
    # what was decided, and what checks say once that is taken back
    (row,) = typed("unhold", "w", "2016-01-02", "--json").json()["rows"]
    assert re.fullmatch(r"accepted since .* UTC: a holiday; calls latest_timestamp is .*, expected .*", row["note"])
    assert context.steering.carry_out({**order, "do": "unhold"}, context.now()) == {"done": 1}
    assert due(context) == ["2016-01-01", "2016-01-03"]
    del flowapi.flowmachine.outcomes[CUT]
    assert due(context) == ["2016-01-01", "2016-01-02", "2016-01-03"]
    assert context.conditions.present() == []


def test_what_somebody_holds_is_not_started_though_it_is_queued(context: Context, flowapi: FlowapiStandin) -> None:
    flowapi.set_days(4)
    definitions = read_definitions(context.settings.workflows_file)

    async def steps() -> list[list[str]]:
        stop = asyncio.Event()
        stop.set()
        executor, seen = Executor(context, stop), list[list[str]]()

        def look() -> None:
            take_asked(context, definitions, executor)
            seen.append([str(run.reference_date) for run in executor.waiting])

        await tick(context, definitions, executor)
        look()
        order = {"do": "hold", "workflow": "w", "dates": ["2016-01-02", "2016-01-03"], "reason": "is sent again"}
        assert context.steering.carry_out(order, context.now()) == {"done": 2}
        look()
        # who asks for a run by its name wants it whatever is held
        run = build_run(definitions.workflows["w"], definitions.triggers[0], dt.date(2016, 1, 3))
        context.store.ask_for([run], context.now())
        look()
        return seen

    assert asyncio.run(steps()) == [
        ["2016-01-01", "2016-01-02", "2016-01-03", "2016-01-04"],
        ["2016-01-01", "2016-01-04"],
        ["2016-01-03", "2016-01-01", "2016-01-04"],
    ]


def test_the_newest_reason_counts_in_record_and_manifest(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    flowapi.flowmachine.outcomes[CUT] = "2016-01-02 11:59:57+00"
    due(context)
    for reason in ("a holiday", "a strike"):
        (row,) = typed("accept", "w", "2016-01-02", "--reason", reason, "--json").json()["rows"]
        order = {"do": "accept", "workflow": "w", "dates": ["2016-01-02"], "reason": reason}
        assert context.steering.carry_out(order, context.now()) == {"done": 1}
    # who changes it sees what was said before
    assert re.fullmatch(r"accepted since .* UTC: a holiday; calls latest_timestamp is .*", row["note"])
    again = typed("accept", "w", "2016-01-02", "--reason", "a strike", "--json").json()
    assert (again["rows"], again["left_out"]) == ([], ["2016-01-02: already accepted for this reason"])
    definitions, listed = read_definitions(context.settings.workflows_file), context.store.read.listed_dates()
    (trigger,) = definitions.triggers
    run = build_run(definitions.workflows["w"], trigger, dt.date(2016, 1, 2))
    (accepted,) = quality_of(run, definitions.data_rule(trigger), listed)["accepted"]
    assert accepted["reason"] == "a strike"
    # and a date that somebody accepts can be held without more ado
    (row,) = typed("hold", "w", "2016-01-02", "--reason", "a strike", "--json").json()["rows"]
    assert "a strike; calls latest_timestamp" in row["note"]


def test_accepting_what_nothing_holds_says_what_comes_of_it(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    def note(do: str, date: str) -> str:
        (row,) = typed(do, "w", date, "--reason", "so", "--json").json()["rows"]
        return str(row["note"])

    due(context)
    assert note("accept", "2016-01-01") == "no QA check holds it now; QA checks will not hold it later either"
    assert note("accept", "2036-01-01") == "FlowAPI does not list it now; when it does, QA checks will not hold it"
    assert note("hold", "2016-01-01") == ""
    assert note("hold", "2036-01-01") == "FlowAPI does not list it now; when it does, the date will not count"
    flowapi.dates = {"calls": ["2016-01-01", "2016-01-03"], "sms": ["2016-01-01"]}
    deployment.write_simple("glues", sensor="  cdr_types: [calls, sms]\n  require: all\n")
    due(context)
    assert note("accept", "2016-01-03") == "FlowAPI lists no data of sms for it, which are needed as well"
    assert note("accept", "2016-01-01") == "no QA check holds it now; QA checks are not asked for"


def test_what_is_not_to_be_had_is_told_once_and_what_is_known_still_counts(
    context: Context, deployment: Deployment, flowapi: FlowapiStandin, typed: Typed
) -> None:
    flowapi.flowmachine.outcomes[("calls", "latest_timestamp", "2016-01-03")] = "2016-01-03 11:59:57+00"
    flowapi.set_days(3)
    assert due(context) == ["2016-01-01", "2016-01-02"]
    flowapi.set_days(4)
    flowapi.flowmachine.checks_lag = 600.0
    # listed before it has outcomes: that is no fault, and not told
    assert due(context) == ["2016-01-01", "2016-01-02"]
    assert (context.backlog.held, context.backlog.waiting) == ({"w": 1}, {"w": 1})
    assert context.conditions.present() == []
    flowapi.flowmachine.checks_lag = 0.0
    scopes = [scope for scope in ALL_SCOPES if scope != "get_qa_checks"]
    (deployment.inputs / "FLOWAPI_TOKEN").write_text(flowapi.token(scopes=scopes))
    for _ in range(2):
        assert due(context) == ["2016-01-01", "2016-01-02"]
    (told,) = context.conditions.present()
    assert "the token lacks the scope get_qa_checks" in told
    # who asks why a date waits is told so too; one that counts has nothing to do with it
    said = "FlowAPI gave no outcomes of QA checks: the token lacks the scope get_qa_checks"
    assert said in typed("why", "w", "2016-01-04").answer
    # nor are those that were held before left without a word
    held = typed("why", "w", "2016-01-03").answer
    assert "expected at least 18:00" in held
    assert said in held
    assert "; dates are judged by the outcomes from before" in held
    assert "QA checks" not in typed("why", "w", "2016-01-01").answer
    (deployment.inputs / "FLOWAPI_TOKEN").write_text(flowapi.token())
    assert due(context) == ["2016-01-01", "2016-01-02", "2016-01-04"]
    assert context.conditions.present() == []
    assert context.store.read.qa_trouble() is None


def test_a_check_that_there_is_not_is_told_with_what_was_meant(context: Context, deployment: Deployment) -> None:
    deployment.write_simple("glues", sensor="  quality: {check: count_msisdn, at_least: 1, on_missing: pass}\n")
    assert due(context) == ["2016-01-01", "2016-01-02"]
    (told,) = [each for each in context.conditions.present() if "QA" in each]
    assert "count_msisdn of calls, mds, sms (did you mean count_msisdns?)" in told
    assert "did you mean count_msisdns?" in str(context.store.read.qa_trouble())


def test_dates_of_a_file_are_planned_without_outcomes(context: Context, deployment: Deployment, typed: Typed) -> None:
    file = deployment.inputs / "dates.txt"
    file.write_text("2016-01-01\n2016-01-02\n")
    plan = typed("plan", "--dates", str(file), "--json").json()
    assert ([run["reference_date"] for run in plan["runs"]], plan["held"]) == (["2016-01-01", "2016-01-02"], {})
