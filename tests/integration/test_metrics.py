# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Figures for Prometheus: right, and cheap on a record of ten years."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from autoflow.app import open_context
from autoflow.capacity.slots import PoolInUse, Taker
from autoflow.context.context import Context
from autoflow.definitions import Definitions, Retries, Trigger, Workflow
from autoflow.history import Skip
from autoflow.model.store import RunStore
from autoflow.progress import Progress
from autoflow.runs.in_order import Runs
from autoflow.runs.runs import AttemptState, Failure, Run, RunState, build_run
from autoflow.sensor.executor import SlotsInUse
from autoflow.settings.settings import load_settings
from autoflow.web.metrics import Metrics
from autoflow.web.page_cache import DaemonState, PageCache
from tests.conftest import ROOT, Deployment

NOW = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
HOSTILE = 'w"\\\n{}'


@pytest.fixture
def context(deployment: Deployment) -> Iterator[Context]:
    deployment.write_simple("glues")
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs)
    with open_context(settings, deployment.environment, Progress()) as context:
        yield context


def figures(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text(healthy=True).decode())
        for sample in family.samples
    }


def make(store: RunStore, number: int, state: AttemptState | None, seconds: float = 30.0, name: str = "w") -> None:
    run = Run(Workflow(name, ()), dt.date(2016, 1, 1) + dt.timedelta(number), {"number": number}, f"{number}")
    attempt = store.begin(run, NOW)
    if state is not None:
        store.finish(attempt, state, NOW + dt.timedelta(seconds=seconds))


def pages_of(context: Context) -> PageCache:
    """Give pages of an AutoFlow that has just been started."""
    return PageCache(context, lambda: DaemonState(context.now(), Definitions({}, (), schedule=None)))


def test_attempts_are_counted_once_each_whatever_their_order(context: Context) -> None:
    make(context.store, 0, AttemptState.FAILED)
    metrics = Metrics(context, pages_of(context))
    make(context.store, 1, None)
    make(context.store, 2, AttemptState.SUCCEEDED, 20)
    make(context.store, 3, AttemptState.SUCCEEDED, 400, HOSTILE)
    for _ in range(3):
        found = figures(metrics)
        assert found["autoflow_attempts", "succeeded"] == 2
        assert found["autoflow_attempts", "failed"] == 1
    context.store.recover(NOW)
    make(context.store, 4, AttemptState.FAILED)
    found = figures(metrics)
    assert found["autoflow_attempts", "interrupted"] == 1
    assert found["autoflow_attempts", "failed"] == 2
    # those from before the start are counted, and not among the durations
    assert found["autoflow_attempt_duration_seconds_count", "failed", "w"] == 1
    assert found["autoflow_attempt_duration_seconds_sum", "succeeded", HOSTILE] == 400


def test_each_workflow_says_how_many_of_its_dates_fail_are_given_up_due_or_waiting(context: Context) -> None:
    flows = Workflow("flows", (), retries=Retries(attempts=2))
    triggers = tuple(Trigger(name) for name in ("flows", HOSTILE))
    definitions = Definitions({"flows": flows, HOSTILE: Workflow(HOSTILE, ())}, triggers, schedule=None)
    metrics = Metrics(context, PageCache(context, lambda: DaemonState(context.now(), definitions)))

    def fail(day: int, name: str = "flows", times: int = 1) -> Run:
        run = build_run(definitions.workflows[name], Trigger(name), dt.date(2016, 1, day))
        for _ in range(times):
            context.store.finish(context.store.begin(run, NOW), AttemptState.FAILED, NOW, Failure("no"))
        return run

    def dates(name: str = "flows") -> list[float]:
        found = figures(metrics)
        return [found["autoflow_dates", state, name] for state in ("failed", "given up", "due", "waiting")]

    assert (dates(), dates(HOSTILE)) == ([0, 0, 0, 0], [0, 0, 0, 0])
    retried = fail(1)
    fail(2, times=2)
    fail(3, HOSTILE)
    skipped = fail(4)
    # of a workflow that is in workflows.yml no more
    make(context.store, 5, AttemptState.FAILED, name="gone")
    context.store.skip([Skip("flows", skipped.reference_date, "", "no data", NOW)])
    due = build_run(flows, Trigger("flows"), dt.date(2016, 1, 6))
    context.backlog.due, context.backlog.waiting = Runs.of([retried, due]), {"flows": 3}
    assert (dates(), dates(HOSTILE)) == ([1, 1, 1, 3], [1, 0, 0, 0])
    context.store.finish(context.store.begin(retried, NOW), AttemptState.SUCCEEDED, NOW)
    assert dates()[0] == 0


def test_rooms_are_measured_out_of_the_loops_way(context: Context) -> None:
    metrics = Metrics(context, pages_of(context))
    assert ("autoflow_record_bytes",) not in figures(metrics)
    asyncio.run(metrics.look())
    found = figures(metrics)
    for place in ("outputs", "notebooks", "reports", "record"):
        assert found["autoflow_disk_size_bytes", place] >= found["autoflow_disk_used_bytes", place] > 0
    assert found["autoflow_record_bytes",] >= context.settings.db_path.stat().st_size


def test_the_examples_of_alerts_and_of_a_board_ask_for_what_there_is(context: Context) -> None:
    make(context.store, 0, AttemptState.SUCCEEDED)
    definitions = Definitions({"w": Workflow("w", ())}, (), schedule=None)
    slots = SlotsInUse(1, 4, pools={"flowdb": PoolInUse(2, 1, [Taker(1, 7, "query"), Taker(2, 8, "query")])})
    metrics = Metrics(context, PageCache(context, lambda: DaemonState(context.now(), definitions, slots=slots)))
    make(context.store, 1, AttemptState.SUCCEEDED)
    context.store.record_poll({"calls": ["2016-01-01"]}, NOW)
    asyncio.run(metrics.look())
    found = figures(metrics)
    pool = {what: found[f"autoflow_pool_{what}", "flowdb"] for what in ("places", "places_in_use", "waiting")}
    assert pool == {"places": 2, "places_in_use": 1, "waiting": 2}
    served = {
        *(name for name, *_ in found),
        # there is none without a daemon's schedule
        "autoflow_next_tick_timestamp_seconds",
    }
    rules = yaml.safe_load((ROOT / "examples" / "monitoring" / "alerts.yml").read_text())["groups"][0]["rules"]
    board = json.loads((ROOT / "examples" / "monitoring" / "grafana.json").read_text())
    asked = [
        *(rule["expr"] for rule in rules),
        *(each["expr"] for panel in board["panels"] for each in panel["targets"]),
    ]
    assert len(asked) > 20
    # and the page about them tells of all that there is
    told = set(re.findall(r"\bautoflow_\w+", (ROOT / "docs" / "how-to" / "monitoring.md").read_text()))
    untold = {"autoflow_last_tick_timestamp_seconds", "autoflow_token_expiry_timestamp_seconds"} | told
    assert {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in served} <= untold
    asked += told - {"autoflow_attempt_duration_seconds", "autoflow_last_tick_timestamp_seconds"}
    for expression in asked:
        names = set(re.findall(r"\bautoflow_\w+", expression))
        assert names <= served, expression
        states = set(re.findall(r'state="([^"]*)"', expression))
        assert states <= {*RunState, *AttemptState}, expression
    assert all(rule["alert"] and rule["annotations"]["summary"] for rule in rules)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_oldest_date_that_is_due_has_an_age(context: Context) -> None:
    metrics = Metrics(context, pages_of(context))
    assert figures(metrics)["autoflow_oldest_due_age_seconds",] == 0
    listed = dt.datetime.now(dt.UTC) - dt.timedelta(hours=5)
    context.store.record_poll({"calls": ["2016-01-01", "2016-01-02", "2016-01-03"]}, listed)
    dates = (dt.date(2016, 1, 3), dt.date(2016, 1, 2))
    context.backlog.due = Runs.of(Run(Workflow("w", ()), date, {}, str(date)) for date in dates)
    found = figures(metrics)
    assert found["autoflow_due_runs",] == 2
    assert found["autoflow_workflow_oldest_due_age_seconds", "w"] == pytest.approx(5 * 3600, abs=60)
    assert found["autoflow_oldest_due_age_seconds",] == pytest.approx(5 * 3600, abs=60)
    assert context.store.read.appeared(dt.date(2016, 1, 4)) is None


def test_a_record_of_ten_years_costs_next_to_nothing(context: Context) -> None:
    connection = context.store._connection
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180000)"
        " INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters)"
        " SELECT i, 'w', i, date('2016-01-01', (i / 50) || ' days'), '{}' FROM n",
    )
    connection.execute(
        "INSERT INTO attempts (run, attempt, state, started, ended) SELECT number, 1, 'succeeded', ?, ? FROM runs",
        (NOW.isoformat(), NOW.isoformat()),
    )
    context.store.record_poll({"calls": [f"2016-01-{day:02}" for day in range(1, 32)]}, NOW)
    metrics = Metrics(context, pages_of(context))
    assert figures(metrics)["autoflow_attempts", "succeeded"] == 180_000
    steps: list[int] = []
    connection.set_progress_handler(lambda: steps.append(1000), 1000)
    metrics.text(healthy=True)
    connection.set_progress_handler(None, 0)
    # to look at each run would be more than a million
    assert sum(steps) < 50_000
